"""Markdown to HTML: headings and rows with anchors, and words that are explained elsewhere as links."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from chamade_mcp.web.docs.renderer import Renderer

Explained = Callable[[str], str | None]
"""Where a word in code type is explained: its address, or None."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?:]) (?=[A-Za-z`*])")


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Rendered:
    html: str
    headings: Sequence[Heading]
    rows: Sequence[str]
    """Words with a table's row of their own: anchors, too."""


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def title(text: str) -> str:
    found = re.search(r"^# (.+)$", text, re.M)
    return found[1].replace("`", "").strip() if found else ""


def summary(text: str) -> str:
    """The first sentence below the title, in plain words; "" where there is none."""
    tokens = _parser().parse(text)
    for at, token in enumerate(tokens):
        if token.type == "paragraph_open" and token.level == 0:
            words = re.sub(r"\s+", " ", _plain(tokens[at + 1])).strip()
            return _SENTENCE_END.split(words, maxsplit=1)[0].rstrip(":")
    return ""


def render(text: str, explained: Explained, anchors: Mapping[str, str]) -> Rendered:
    """`anchors`: for some headings a name of our own, in place of what `slug` makes of their words."""
    parser = _parser()
    tokens = parser.parse(text)
    headings, rows, used, quiet = list[Heading](), list[str](), set[str](), set[int]()
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            words = _plain(tokens[at + 1])
            anchor = _unused(anchors.get(words) or slug(words), used)
            token.attrSet("id", anchor)
            headings.append(Heading(int(token.tag[1]), anchor, words))
            quiet.add(at + 1)
        elif token.type == "tr_open" and (name := _named(tokens[at + 1 : at + 3])) and name not in used:
            used.add(name)
            rows.append(name)
            token.attrSet("id", name)
            quiet.add(at + 2)
        elif token.type == "inline" and at not in quiet:
            token.children = _linked(token.children or [], explained)
    _label(tokens)
    return Rendered(parser.renderer.render(tokens, parser.options, {}), tuple(headings), tuple(rows))


def _plain(inline: Token) -> str:
    children = inline.children or ()
    return "".join(" " if t.type == "softbreak" else t.content for t in children if t.type != "image")


def _unused(anchor: str, used: set[str]) -> str:
    found, number = anchor, 1
    while found in used:
        found, number = f"{anchor}-{number}", number + 1
    used.add(found)
    return found


def _named(cell: Sequence[Token]) -> str:
    """What a row is about, if its first cell is one name in code type."""
    if len(cell) < 2 or cell[0].type != "td_open":
        return ""
    children = cell[1].children or []
    one = children[0].content if len(children) == 1 and children[0].type == "code_inline" else ""
    return one if _NAME.fullmatch(one) else ""


def _linked(children: Sequence[Token], explained: Explained) -> list[Token]:
    done, inside = list[Token](), False
    for child in children:
        inside = child.type == "link_open" or (inside and child.type != "link_close")
        target = explained(child.content) if child.type == "code_inline" and not inside else None
        if target is None:
            done.append(child)
        else:
            opening = Token("link_open", "a", 1, attrs={"href": target, "class": "word"})
            done += [opening, child, Token("link_close", "a", -1)]
    return done


def _label(tokens: Sequence[Token]) -> None:
    """Each cell of several is told its column: on a phone rows become blocks without a head above them."""
    columns, column = list[str](), 0
    for at, token in enumerate(tokens):
        if token.type == "table_open":
            columns = []
        elif token.type == "tr_open":
            column = 0
        elif token.type == "th_open":
            columns.append(_plain(tokens[at + 1]))
            if not columns[-1]:
                token.tag = tokens[at + 2].tag = "td"  # a cell without a word is no heading
        elif token.type == "td_open":
            if column and len(columns) > 2 and columns[column]:
                token.attrSet("data-label", columns[column])
            column += 1


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=Renderer)
    return parser.enable(["table", "strikethrough"])
