"""Slack and WhatsApp: markers that act at the edge of a word, and no character that escapes them."""

import html
import re

from chamade_mcp.kit.markdown.dialect import ZERO_WIDTH, Dialect, percent_encoded, without_fences

_MARKERS = "*_~`"
# Between two letters no marker acts: snake_case stays as it is, and copies well.
_ACTING = re.compile(r"(?<![^\W_])[*_~`]|[*_~`](?![^\W_])")
_LINE_START = re.compile(r"^(?=\s*(?:[-*>•]|\d+[.)]))")


class Tight(Dialect):
    def text(self, raw: str) -> str:
        broken = _ACTING.sub(lambda m: f"{ZERO_WIDTH}{m[0]}{ZERO_WIDTH}", raw)
        return _LINE_START.sub(ZERO_WIDTH, broken)

    def strong(self, inner: str) -> str:
        return _marked("*", inner)

    def emphasis(self, inner: str) -> str:
        return _marked("_", inner)

    def strike(self, inner: str) -> str:
        return _marked("~", inner)

    def code(self, raw: str) -> str:
        if "`" in raw or not raw.strip():
            return self.text(raw)
        return f"`{raw}`"

    def fence(self, raw: str, language: str) -> str:
        return f"```\n{without_fences(raw)}\n```"

    def seam(self, left: str, right: str) -> str:
        a, b = left[-1:], right[:1]
        meet = (a in _MARKERS and (b in _MARKERS or b.isalnum())) or (b in _MARKERS and a.isalnum())
        return ZERO_WIDTH if a and b and meet else ""


class Slack(Tight):
    def text(self, raw: str) -> str:
        return html.escape(super().text(raw), quote=False)

    def code(self, raw: str) -> str:
        return super().code(raw) if "`" in raw or not raw.strip() else f"`{html.escape(raw, quote=False)}`"

    def fence(self, raw: str, language: str) -> str:
        return super().fence(html.escape(raw, quote=False), language)

    def address(self, url: str) -> str:
        return f"<{_slack_url(url)}>"

    def link(self, label: str, url: str) -> str:
        return f"<{_slack_url(url)}|{label.replace('|', '¦')}>" if label else self.address(url)


class WhatsApp(Tight):
    bullet = "-"

    def address(self, url: str) -> str:
        return percent_encoded(url, _MARKERS)


def _slack_url(url: str) -> str:
    return html.escape(percent_encoded(url, "<>|"), quote=False)


def _marked(marker: str, inner: str) -> str:
    """Markers do not act beside a space, across lines or around themselves: there the words stay bare."""
    if inner != inner.strip() or not inner or "\n" in inner or marker in inner:
        return inner
    return f"{marker}{inner}{marker}"
