"""An agent's Markdown as an Adaptive Card, for what text in Teams cannot show: tables, and code in colours.

Words stand in text runs, which have no markup of their own: nothing of them can act.
https://adaptivecards.io/explorer/
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from chamade_mcp.kit.markdown.render import LINKABLE, Node, parse, words

CARD: Final = "application/vnd.microsoft.card.adaptive"
_MOST_BYTES: Final = 24_000
"""Of a card's JSON in UTF-8: Teams takes 28 KB."""
_LONG: Final = 4_000
_MOST_COLUMNS: Final = 10
_LANGUAGES: Final = {
    "bash": "Bash", "sh": "Bash", "shell": "Bash", "c": "C", "cpp": "Cpp", "c++": "Cpp", "cs": "CSharp",
    "csharp": "CSharp", "css": "Css", "dos": "Dos", "go": "Go", "graphql": "Graphql", "html": "Html",
    "java": "Java", "js": "JavaScript", "javascript": "JavaScript", "json": "Json", "perl": "Perl",
    "php": "Php", "powershell": "PowerShell", "ps1": "PowerShell", "py": "Python", "python": "Python",
    "sql": "Sql", "ts": "TypeScript", "typescript": "TypeScript", "vb": "VbNet", "verilog": "Verilog",
    "vhdl": "Vhdl", "xml": "Xml",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Style:
    bold: bool = False
    italic: bool = False
    strike: bool = False
    code: bool = False
    url: str = ""

    def run(self, text: str) -> dict[str, Any]:
        run: dict[str, Any] = {"type": "TextRun", "text": text}
        if self.bold:
            run["weight"] = "Bolder"
        if self.italic:
            run["italic"] = True
        if self.strike:
            run["strikethrough"] = True
        if self.code:
            run["fontType"] = "Monospace"
        if self.url:
            run["selectAction"] = {"type": "Action.OpenUrl", "url": self.url}
        return run


_PLAIN: Final = _Style()


def card_of(markdown: str, text: str) -> dict[str, Any] | None:
    """The attachment; None where `text`, the same in the dialect of Teams, says it as well.

    A client that does not know its elements shows `text` instead.
    """
    tree = parse(markdown)
    if not _wanted(tree, text):
        return None
    card = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.5",
        "msteams": {"width": "Full"},
        "fallbackText": text[:2000],
        "body": list(_blocks(tree.children)),
    }
    if len(json.dumps(card, ensure_ascii=False).encode()) > _MOST_BYTES:
        return None
    return {"contentType": CARD, "content": card}


def summary_of(markdown: str) -> str:
    """What a notification says of a card: its first line."""
    for node in parse(markdown).children:
        line = words(node).strip()
        if line:
            return line[:200]
    return "\u2026"


def _wanted(tree: Node, text: str) -> bool:
    """Whether there is a table, code with colours, or something long with headings."""
    kinds = {node.type for node in tree.children}
    if any(node.type == "table" and _width(node) > _MOST_COLUMNS for node in tree.children):
        return False  # a card is narrow: a block of code can at least be scrolled
    colours = any(_language(node) for node in tree.children if node.type == "fence")
    return "table" in kinds or colours or ("heading" in kinds and len(text) > _LONG)


def _blocks(nodes: Sequence[Node]) -> Iterator[dict[str, Any]]:
    for node in nodes:
        match node.type:
            case "heading":
                size = {"h1": "ExtraLarge", "h2": "Large"}.get(node.tag, "Medium")
                if heading := _text(node, _Style(bold=True), size=size):
                    yield heading
            case "fence" | "code_block":
                yield _code(node)
            case "table":
                yield _table(node)
            case "blockquote":
                inner = list(_blocks(node.children))
                if inner:
                    yield {"type": "Container", "style": "emphasis", "items": inner}
            case "bullet_list" | "ordered_list":
                yield from _list(node)
            case "hr":
                yield {"type": "RichTextBlock", "inlines": [_PLAIN.run("\u2014\u2014\u2014")]}
            case _:
                if said := _text(node, _PLAIN):
                    yield said


def _text(node: Node, style: _Style, *, lead: str = "", size: str = "") -> dict[str, Any] | None:
    runs = list(_runs(node, style))
    if not runs:
        return None
    if size:
        runs = [{**run, "size": size} for run in runs]
    return {"type": "RichTextBlock", "inlines": [_PLAIN.run(lead), *runs] if lead else runs}


def _runs(node: Node, style: _Style) -> Iterator[dict[str, Any]]:
    for child in node.children:
        match child.type:
            case "text":
                if child.content:
                    yield style.run(child.content)
            case "code_inline":
                yield replace(style, code=True).run(child.content)
            case "softbreak" | "hardbreak":
                yield style.run("\n")
            case "image":
                yield from _linked(words(child), str(child.attrs["src"]), style)
            case "link":
                yield from _linked(words(child), str(child.attrs["href"]), style)
            case "strong":
                yield from _runs(child, replace(style, bold=True))
            case "em":
                yield from _runs(child, replace(style, italic=True))
            case "s":
                yield from _runs(child, replace(style, strike=True))
            case _:
                yield from _runs(child, style)


def _linked(label: str, url: str, style: _Style) -> Iterator[dict[str, Any]]:
    safe = LINKABLE.fullmatch(url) is not None
    if label or safe:
        yield replace(style, url=url if safe else "").run(label or url)


def _list(node: Node, depth: int = 0) -> Iterator[dict[str, Any]]:
    first = int(node.attrs.get("start", 1))
    for at, item in enumerate(node.children):
        mark = f"{first + at}. " if node.type == "ordered_list" else "\u2022 "
        lead = "\u2003" * depth + mark
        for child in item.children:
            if child.type in ("bullet_list", "ordered_list"):
                yield from _list(child, min(depth + 1, 8))
            elif child.type == "paragraph":
                if said := _text(child, _PLAIN, lead=lead):
                    yield said
                    lead = "\u2003" * (depth + 1)
            else:
                yield from _blocks([child])


def _code(node: Node) -> dict[str, Any]:
    raw = node.content.rstrip("\n")
    plain = {"type": "RichTextBlock", "inlines": [_Style(code=True).run(raw or " ")]}
    language = _language(node)
    if not language:
        return plain
    # Only the desktop has the element so far: elsewhere the same words stand in letters of equal width.
    return {"type": "CodeBlock", "codeSnippet": raw, "language": language, "fallback": plain}


def _table(node: Node) -> dict[str, Any]:
    rows = [row for part in node.children for row in part.children]
    return {
        "type": "Table",
        "firstRowAsHeaders": True,
        "gridStyle": "default",
        "columns": [{"width": 1}] * _width(node),
        "rows": [
            {"type": "TableRow", "cells": [_cell(cell, head=not at) for cell in row.children]}
            for at, row in enumerate(rows)
        ],
    }


def _width(table: Node) -> int:
    return max(len(row.children) for part in table.children for row in part.children)


def _cell(node: Node, *, head: bool) -> dict[str, Any]:
    said = _text(node, _Style(bold=head))
    return {"type": "TableCell", "items": [said] if said else []}


def _language(node: Node) -> str:
    return _LANGUAGES.get(node.info.split(maxsplit=1)[0].lower() if node.info.strip() else "", "")
