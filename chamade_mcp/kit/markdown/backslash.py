"""Discord, Teams and Nextcloud Talk: kinds of Markdown, in which a backslash disarms a marker."""

import re

from chamade_mcp.kit.markdown.dialect import ZERO_WIDTH, Dialect, percent_encoded, without_fences

_ACTING = re.compile(r"[\\*_~`|\[\]<&]|!$")
_LINE_START = re.compile(r"^(\s*)([-+#>=]|\d+(?=[.)]))")
_MARKERS = "*~`"
_MENTION = re.compile(r"(?<!\w)@")
_EVERYONE = re.compile("@(?=everyone|here)")
_UNSAFE_IN_URL = "\\*_~`|[]<>()"


class Backslash(Dialect):
    bullet = "-"

    def text(self, raw: str) -> str:
        raw = re.sub(r"^\s+", " ", raw)  # four spaces would begin a block of code
        return _LINE_START.sub(_line_start, _ACTING.sub(self.escaped, raw))

    def escaped(self, match: re.Match[str]) -> str:
        return "\\" + match[0]

    def strong(self, inner: str) -> str:
        return f"**{inner}**"

    def emphasis(self, inner: str) -> str:
        return f"*{inner}*"

    def strike(self, inner: str) -> str:
        return f"~~{inner}~~"

    def code(self, raw: str) -> str:
        if "`" in raw or not raw.strip():
            return self.text(raw)
        return f"`{raw}`"

    def address(self, url: str) -> str:
        return f"<{percent_encoded(url, _UNSAFE_IN_URL)}>"

    def link(self, label: str, url: str) -> str:
        return f"[{label}]({percent_encoded(url, _UNSAFE_IN_URL)})" if label else self.address(url)

    def fence(self, raw: str, language: str) -> str:
        longest = max((len(run) for run in re.findall("`+", raw)), default=0)
        ticks = "`" * max(3, longest + 1)
        return f"{ticks}{language}\n{raw}\n{ticks}"

    def rule(self) -> str:
        return "***"

    def seam(self, left: str, right: str) -> str:
        return ZERO_WIDTH if left and right and left[-1] in _MARKERS and right[0] in _MARKERS else ""


class NextcloudTalk(Backslash):
    """Its server looks for mentions everywhere, in code and addresses too."""

    line_break = "  \n"

    def text(self, raw: str) -> str:
        # A mention begins a word; an e-mail address stays as it is.
        return super().text(_MENTION.sub(f"@{ZERO_WIDTH}", raw))

    def code(self, raw: str) -> str:
        return super().code(_without_call_to_all(raw))

    def fence(self, raw: str, language: str) -> str:
        return super().fence(_without_call_to_all(raw), language)

    def address(self, url: str) -> str:
        return super().address(_MENTION.sub("%40", url))

    def link(self, label: str, url: str) -> str:
        return super().link(label, _MENTION.sub("%40", url))

    def heading(self, inner: str, level: int) -> str:
        return f"{'#' * level} {inner}"


class Teams(Backslash):
    line_break = "  \n"

    def escaped(self, match: re.Match[str]) -> str:
        return {"<": "&lt;", "&": "&amp;"}.get(match[0], super().escaped(match))


class Discord(Backslash):
    def text(self, raw: str) -> str:
        # A mention is looked for before escapes are: only another character within it breaks it.
        raw = _EVERYONE.sub(f"@{ZERO_WIDTH}", raw)
        return super().text(re.sub(r"<(?=[@#:/\w])", f"<{ZERO_WIDTH}", raw))

    def escaped(self, match: re.Match[str]) -> str:
        return match[0] if match[0] in "!&" else super().escaped(match)

    def address(self, url: str) -> str:
        return percent_encoded(_EVERYONE.sub("%40", url), _UNSAFE_IN_URL)

    def link(self, label: str, url: str) -> str:
        return super().link(label, _EVERYONE.sub("%40", url))

    def heading(self, inner: str, level: int) -> str:
        return f"{'#' * level} {inner}" if level <= 3 else self.strong(inner)

    def fence(self, raw: str, language: str) -> str:
        return f"```{language}\n{without_fences(raw)}\n```"


def _without_call_to_all(code: str) -> str:
    """Other names stay: a decorator must survive being copied."""
    return re.sub('@(?=all|")', f"@{ZERO_WIDTH}", code)


def _line_start(match: re.Match[str]) -> str:
    space, marker = match[1], match[2]
    return f"{space}{marker}\\" if marker[0].isdigit() else f"{space}\\{marker}"
