"""How code and tables are written as HTML."""

import re
from collections.abc import Sequence
from html import escape
from itertools import takewhile
from typing import Final

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from chamade_mcp.web.docs.highlight import highlighted

ROUTE: Final = re.compile(r"(GET|POST|PATCH|PUT|DELETE|WS) (/.*)")

_LONG: Final = 26
"""What is longer may be broken, behind an underscore if there is one, rather than make a column too wide."""


class Renderer(RendererHTML):
    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        language = tokens[idx].info.strip()
        return _block(highlighted(tokens[idx].content, language), " prose" if language == "text" else "")

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _block(highlighted(tokens[idx].content, ""))

    def code_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        content = tokens[idx].content
        route = ROUTE.fullmatch(content)
        if route is None and len(content) <= _LONG:
            return f"<code>{escape(content)}</code>"
        if route is None:
            return f'<code class="long">{escape(content).replace("_", "_<wbr>")}</code>'
        method, path = route.groups()
        return f'<code class="route long"><b class="{method.lower()}">{method}</b> {escape(path)}</code>'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return '<div class="table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def thead_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A head without a word is there only because Markdown has no table without one."""
        cells = takewhile(lambda token: token.type != "thead_close", tokens[idx:])
        return "<thead>\n" if any(cell.content for cell in cells) else "<thead hidden>\n"


def _block(code: str, kind: str = "") -> str:
    """It can be scrolled, so the keyboard must come to it."""
    return f'<div class="code{kind}"><pre tabindex="0"><code>{code}</code></pre></div>\n'
