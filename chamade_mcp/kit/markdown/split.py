"""A long message as several, each within the platform's limit.

The parsed tree is cut, not the text: what is open where it is cut, such as a list, a quote, a block of code
or bold words, is closed there and opened anew in the next part. The rows of a table come with its head.
"""

import bisect
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chamade_mcp.kit.markdown.formats import Format, Unit
from chamade_mcp.kit.markdown.graphemes import graphemes
from chamade_mcp.kit.markdown.limits import length
from chamade_mcp.kit.markdown.render import Node, parse, render, words, written

_WITHIN, _WORD, _SENTENCE, _LINE, _BLOCK = range(5)
"""How good a place is to cut at: the end of a block, such as a paragraph, is best."""
_WORDS: Final = re.compile(r"\s*(?:[^\s。！？；，、]*[。！？；，、]+|[^\s。！？；，、]+)\s*|\s+")
_SENTENCES: Final = re.compile(r"(?:[.!?…]['\")\]’”»]*\s+|[。！？]\s*)$")
_CODE: Final = frozenset({"fence", "code_block"})
_BREAKS: Final = frozenset({"softbreak", "hardbreak"})
_UNCUT: Final = frozenset({"link", "image", "code_inline", "hr", "tr"}) | _BREAKS
_BLOCKS: Final = _CODE | {
    "paragraph",
    "hr",
    "table",
    "list_item",
    "blockquote",
    "bullet_list",
    "ordered_list",
}
_SHARE: Final = 8
"""A word with more bytes than this share of the limit is cut, but only where nothing else helps."""


def split(markdown: str, to: Format, unit: Unit, limit: int) -> list[str]:
    """Parts of `markdown`, themselves Markdown, each within `limit` once it is said in the dialect `to`.

    `[markdown]` where it fits. A part is over the limit only if it cannot be cut, as a link cannot.
    """

    def fits(part: str) -> bool:
        return length(render(part, to), to, unit) <= limit

    if fits(markdown):
        return [markdown]
    tree = _Tree(parse(markdown), max(1, limit // _SHARE))
    parts: list[str] = []
    at = 0
    while at < tree.end:
        # The markup comes on top of what is counted here: never less fits.
        near = range(at + 1, tree.reach(at, limit) + 1)
        fitting = bisect.bisect_left(near, x=True, key=lambda end: not fits(tree.written(at, end)))
        end = tree.best(at, at + max(1, fitting))
        part = tree.written(at, end)
        if render(part, to):
            parts.append(part)
        at = end
    return parts


@dataclass(frozen=True, slots=True)
class _Span:
    """A node and where it lies. Chunks, the least that is parted, are numbered throughout the tree."""

    node: Node
    start: int
    end: int
    children: "tuple[_Span, ...]" = ()
    chunks: tuple[str, ...] = ()
    """Of text and code: what they say, piece by piece."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A `Node` with some of what it had."""

    whole: Node
    content: str
    children: Sequence[Node]
    passed: int = 0
    """How many children are left out before those that are there."""

    @property
    def type(self) -> str:
        return self.whole.type

    @property
    def tag(self) -> str:
        return self.whole.tag

    @property
    def info(self) -> str:
        return self.whole.info

    @property
    def attrs(self) -> Mapping[str, str | int | float]:
        return {**self.whole.attrs, "start": int(self.whole.attrs.get("start", 1)) + self.passed}


class _Tree:
    def __init__(self, root: Node, longest_word: int) -> None:
        self._longest = longest_word
        self._after: list[int] = []
        """How good a place it is after each chunk."""
        self._sizes: list[int] = []
        self._root = self._spanned(root)
        self._until = list(itertools.accumulate(self._sizes, initial=0))
        self.end = len(self._after)

    def written(self, start: int, end: int) -> str:
        part = _within(self._root, start, end)
        return "" if part is None else written(part)

    def reach(self, start: int, limit: int) -> int:
        """The first place that is certainly further from `start` than `limit`, or the end."""
        return min(bisect.bisect_right(self._until, self._until[start] + limit), self.end)

    def best(self, start: int, furthest: int) -> int:
        """Where to cut: at the best place of the latter half, or else at the last that is one at all."""
        if furthest == self.end:
            return furthest
        half = (self._until[start] + self._until[furthest]) / 2
        places = [end for end in range(start + 1, furthest + 1) if self._until[end] >= half]
        latter = max(places, key=lambda end: (self._after[end - 1], end))
        if self._after[latter - 1] > _WITHIN:
            return latter
        return max(range(start + 1, furthest + 1), key=lambda end: (self._after[end - 1] > _WITHIN, end))

    def _spanned(self, node: Node) -> _Span:
        start = len(self._after)
        children: tuple[_Span, ...] = ()
        chunks: tuple[str, ...] = ()
        if node.type in _CODE:
            chunks = self._numbered(self._lines(node.content))
        elif node.type == "text":
            chunks = self._numbered(self._prose(node.content))
        elif node.type in _UNCUT:
            self._numbered([(words(node) or " ", _LINE if node.type in {"tr", *_BREAKS} else _WITHIN)])
        else:
            children = tuple(self._spanned(child) for child in node.children)
        end = len(self._after)
        if end > start and node.type in _BLOCKS:
            self._after[-1] = _BLOCK
        elif end > start and node.type in ("heading", "thead"):
            self._after[-1] = _WITHIN  # it belongs to what comes below it
        return _Span(node, start, end, children, chunks)

    def _numbered(self, chunks: "Sequence[tuple[str, int]] | Iterator[tuple[str, int]]") -> tuple[str, ...]:
        said = list(chunks)
        self._after += [after for _, after in said]
        self._sizes += [len(chunk) for chunk, _ in said]
        return tuple(chunk for chunk, _ in said)

    def _lines(self, code: str) -> Iterator[tuple[str, int]]:
        for line in code.removesuffix("\n").split("\n"):
            yield from self._pieces(line + "\n", _LINE)

    def _prose(self, text: str) -> Iterator[tuple[str, int]]:
        for word in _WORDS.findall(text):
            if _SENTENCES.search(word):
                after = _SENTENCE
            else:
                after = _WORD if word[-1].isspace() or not word[-1].isalnum() else _WITHIN
            yield from self._pieces(word, after)

    def _pieces(self, whole: str, after: int) -> Iterator[tuple[str, int]]:
        piece = ""
        for shown in graphemes(whole) if len(whole.encode()) > self._longest else [whole]:
            if piece and len((piece + shown).encode()) > self._longest:
                yield piece, _WITHIN
                piece = ""
            piece += shown
        yield piece, after


def _within(span: _Span, start: int, end: int) -> Node | None:
    """What of `span` lies between two places; None: nothing that can be seen."""
    if span.end <= start or span.start >= end:
        return None
    kind = span.node.type
    if span.chunks:
        content = "".join(span.chunks[max(0, start - span.start) : end - span.start])
        if kind == "text":
            content = content.lstrip() if span.start <= start else content
            content = content.rstrip() if span.end >= end else content
        return _Part(span.node, content, ())
    if kind in _UNCUT:
        at_the_edge = span.start == start or span.end == end
        return None if kind in _BREAKS and at_the_edge else span.node
    kept = [_within(child, start, end) for child in span.children]
    if kind == "table" and kept[0] is None:
        kept[0] = span.children[0].node
    passed = next((at for at, child in enumerate(kept) if child is not None), len(kept))
    return _Part(span.node, "", [child for child in kept if child is not None], passed)
