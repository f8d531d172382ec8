"""A connector's way of connecting as HTML, with this gateway's addresses in it."""

from dataclasses import dataclass

from chamade_mcp.kit.guide import Way
from chamade_mcp.web.docs.markdown import render
from chamade_mcp.web.docs.shelf import filled


@dataclass(frozen=True, slots=True)
class ShownWay:
    title: str
    before: str
    number: int
    step: str
    after: str


def shown_way(way: Way, public_url: str) -> ShownWay:
    def html(text: str) -> str:
        return render(filled(text, public_url), lambda _: None, {}).html

    return ShownWay(way.title, html(way.before), way.number, html(way.step), html(way.after))
