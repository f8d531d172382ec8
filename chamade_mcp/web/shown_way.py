"""A connector's way of connecting as HTML, with this gateway's addresses in it."""

from dataclasses import dataclass

from chamade_mcp.kit.addresses import is_called_by_platforms
from chamade_mcp.kit.guide import Way
from chamade_mcp.web.docs.markdown import render
from chamade_mcp.web.docs.shelf import filled


@dataclass(frozen=True, slots=True)
class ShownWay:
    title: str
    is_out_of_reach: bool
    """The platform would have to call this gateway, and by the look of its address cannot."""
    before: str
    number: int
    step: str
    after: str


def shown_way(way: Way, public_url: str) -> ShownWay:
    def html(text: str) -> str:
        return render(filled(text, public_url), lambda _: None, {}).html

    out_of_reach = way.is_called and not is_called_by_platforms(public_url)
    return ShownWay(way.title, out_of_reach, html(way.before), way.number, html(way.step), html(way.after))
