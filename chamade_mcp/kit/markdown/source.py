"""Markdown written anew from its tree: the same words in the same markup, each as its parser reads it."""

import re
from typing import Final

from chamade_mcp.kit.markdown.backslash import Backslash

_BETWEEN_LETTERS: Final = re.compile(r"(?<=[^\W_])\\_(?=[^\W_])")
_ESCAPED: Final = re.compile(r"(?<!\\)(?:\\\\)*\\.$")
_LAST_HASHES: Final = re.compile(r"(?<!\\)#(?=#*$)")
_BACKSLASHED: Final = r"\\\g<0>"
_HAIR_SPACE: Final = "\u200a"


class Source(Backslash):
    between_in_item = "\n\n"

    def text(self, raw: str) -> str:
        return _BETWEEN_LETTERS.sub("_", super().text(raw))

    def seam(self, left: str, right: str) -> str:
        # Next to a space every marker acts, whatever it stands around; next to one without width it may not.
        return _HAIR_SPACE if super().seam(left, right) and not _ESCAPED.search(left) else ""

    def strong(self, inner: str) -> str:
        return inner if _loose(inner) else super().strong(inner)

    def emphasis(self, inner: str) -> str:
        return inner if _loose(inner) else super().emphasis(inner)

    def strike(self, inner: str) -> str:
        # Four of them would begin a block of code.
        tildes = inner.startswith("~") or inner.endswith("~")
        return inner if tildes or _loose(inner) else super().strike(inner)

    def code(self, raw: str) -> str:
        longest = max((len(run) for run in re.findall("`+", raw)), default=0)
        ticks = "`" * (longest + 1)
        edge = " " if raw[:1] in "` " or raw[-1:] in "` " else ""
        return f"{ticks}{edge}{raw}{edge}{ticks}" if raw.strip() else self.text(raw)

    def address(self, url: str) -> str:
        return self.text(url)

    def heading(self, inner: str, level: int) -> str:
        # At its end they would be ornament.
        return f"{'#' * level} {_LAST_HASHES.sub(_BACKSLASHED, inner)}"


class Unmarked(Source):
    """The same without what stands around words to stress them."""

    def strong(self, inner: str) -> str:
        return inner

    def emphasis(self, inner: str) -> str:
        return inner

    def strike(self, inner: str) -> str:
        return inner


def _loose(inner: str) -> bool:
    """Beside a space no marker acts. Where a line ends within a line, a space comes instead."""
    return inner != inner.strip()
