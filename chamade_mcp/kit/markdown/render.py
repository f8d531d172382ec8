"""The one Markdown agents write, said in a platform's dialect.

The source is parsed once into a tree, and the tree is said anew: no character of the text reaches the
platform without its dialect's escape. HTML in the source is text. What a dialect cannot say becomes words:
a table a block of code, an image its description and address, a link that is not http, https or mailto its
label alone.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from chamade_mcp.kit.markdown.backslash import Discord, NextcloudTalk, Teams
from chamade_mcp.kit.markdown.dialect import Dialect
from chamade_mcp.kit.markdown.formats import Format
from chamade_mcp.kit.markdown.source import Source, Unmarked
from chamade_mcp.kit.markdown.telegram import TelegramHtml
from chamade_mcp.kit.markdown.tight import Slack, WhatsApp

_DIALECTS: dict[Format, Dialect] = {
    Format.PLAIN: Dialect(),
    Format.TELEGRAM_HTML: TelegramHtml(),
    Format.SLACK: Slack(),
    Format.WHATSAPP: WhatsApp(),
    Format.DISCORD: Discord(),
    Format.TEAMS: Teams(),
    Format.NEXTCLOUD_TALK: NextcloudTalk(),
}
_SOURCE = Source()
_UNMARKED = Unmarked()
_READ = frozenset({"text", "code_inline", "fence", "code_block"})
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
LINKABLE = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x20\x7f\"]+", re.IGNORECASE)
# The full stop after an address, or the bracket around it, belongs to the sentence.
_BARE = re.compile(r"(https?://[^\s<>\"\x00-\x20]*[^\s<>\"\x00-\x20.,;:!?'*_~)\]}])", re.IGNORECASE)
# As character references they come within a line.
_LINE_ENDS = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_LANGUAGE = re.compile(r"[A-Za-z0-9_+-]{1,30}")


class Node(Protocol):
    """What is read of the parser's tree, and of what is left of it where it was cut."""

    @property
    def type(self) -> str: ...
    @property
    def tag(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def info(self) -> str: ...
    @property
    def attrs(self) -> Mapping[str, str | int | float]: ...
    @property
    def children(self) -> Sequence["Node"]: ...


def parse(markdown: str) -> Node:
    return SyntaxTreeNode(_PARSER.parse(markdown))


def render(markdown: str, to: Format) -> str:
    """`markdown` in the dialect `to`; "" if nothing of it can be seen. Never raises on any text."""
    return markdown if to is Format.MARKDOWN else _said(parse(markdown), _DIALECTS[to])


def written(tree: Node) -> str:
    """Markdown that says what `tree` does; its tables as blocks of code.

    Where markers in markers would be read in another way than they stood, it comes without them.
    """
    marked = _said(tree, _SOURCE)
    return marked if _letters(parse(marked)) == _letters(tree) else _said(tree, _UNMARKED)


def _letters(tree: Node) -> str:
    """All that is read, without the space between."""
    if tree.type == "table":
        said = _table(tree)
    else:
        said = tree.content if tree.type in _READ else "".join(map(_letters, tree.children))
    return "".join(said.split())


def _said(tree: Node, dialect: Dialect) -> str:
    return _Walk(dialect).blocks(tree).strip("\n")


def seen(said: str, to: Format) -> str:
    """What a platform with the dialect `to` counts of `said`: for some, what is left once it is parsed."""
    return said if to is Format.MARKDOWN else _DIALECTS[to].counted(said)


class _Walk:
    def __init__(self, dialect: Dialect) -> None:
        self._say = dialect

    def blocks(self, node: Node, between: str = "\n\n") -> str:
        return between.join(said for child in node.children if (said := self._block(child)))

    def _block(self, node: Node) -> str:
        match node.type:
            case "heading":
                inner = self._inline(node)
                return self._say.heading(inner, int(node.tag[1:])) if inner else ""
            case "fence" | "code_block":
                return self._say.fence(node.content.rstrip("\n"), _language(node.info))
            case "blockquote":
                inner = self.blocks(node)
                return self._say.quote(inner) if inner else ""
            case "bullet_list" | "ordered_list":
                return self._list(node)
            case "table":
                return self._say.fence(_table(node), "")
            case "hr":
                return self._say.rule()
            case _:
                return self._inline(node)

    def _list(self, node: Node) -> str:
        first = int(node.attrs.get("start", 1))
        ordered = node.type == "ordered_list"
        items: list[str] = []
        for at, item in enumerate(node.children):
            mark = self._say.number(first + at) if ordered else self._say.bullet
            lines = self.blocks(item, self._say.between_in_item).split("\n")
            indent = " " * (len(mark) + 1)
            items.append("\n".join([f"{mark} {lines[0]}", *(line and indent + line for line in lines[1:])]))
        return "\n".join(items)

    def _inline(self, node: Node) -> str:
        """A paragraph, a heading or a styled part of one: its children side by side."""
        line = ""
        for child in node.children:
            said = self._piece(child)
            line += self._say.seam(line, said) + said
        return line

    def _piece(self, node: Node) -> str:
        match node.type:
            case "text":
                return self._text(_LINE_ENDS.sub(" ", node.content))
            case "code_inline":
                return self._say.code(_LINE_ENDS.sub(" ", node.content))
            case "softbreak" | "hardbreak":
                return self._say.line_break
            case "image":
                return self._link(self._say.text(words(node)), str(node.attrs["src"]))
            case "link":
                return self._anchor(node)
            case _:
                return self._styled(node)

    def _styled(self, node: Node) -> str:
        inner = self._inline(node)
        if not inner:
            return ""
        match node.type:
            case "strong":
                return self._say.strong(inner)
            case "em":
                return self._say.emphasis(inner)
            case "s":
                return self._say.strike(inner)
            case _:
                return inner

    def _anchor(self, node: Node) -> str:
        url, label = str(node.attrs["href"]), words(node)
        # The label's own addresses stay text: no link within a link, and none that shows another one's name.
        return self._link("" if label == url else self._say.text(label), url)

    def _link(self, label: str, url: str) -> str:
        return self._say.link(label, url) if LINKABLE.fullmatch(url) else label

    def _text(self, raw: str) -> str:
        line = ""
        for at, part in enumerate(_BARE.split(raw)):
            said = self._say.address(part) if at % 2 else self._say.text(part)
            line += self._say.seam(line, said) + said
        return line


def words(node: Node) -> str:
    """The characters under `node` without any markup, on one line."""
    if node.type in ("softbreak", "hardbreak"):
        return " "
    if node.children:
        return "".join(words(child) for child in node.children)
    return _LINE_ENDS.sub(" ", node.content) if node.type in ("text", "code_inline", "image") else ""


def _language(info: str) -> str:
    found = _LANGUAGE.match(info)
    return found[0] if found else ""


def _table(node: Node) -> str:
    """Rows in aligned columns, for a font of equal widths."""
    rows = [[words(cell) for cell in row.children] for part in node.children for row in part.children]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])
