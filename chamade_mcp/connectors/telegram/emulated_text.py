"""Telegram's own reading of HTML, for the emulator: what is left of the text, or the refusal.

https://core.telegram.org/bots/api#html-style
"""

import html
import re
from typing import Final

_TAGS: Final = frozenset(
    {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "a", "code", "pre", "blockquote"}
    | {"tg-spoiler", "span", "tg-emoji"}
)
_TOKEN: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)([^<>]*)>|<")


class BadMarkup(Exception):
    """The description of Telegram's refusal, after ``can't parse entities:``."""


def parsed(text: str) -> str:
    """`text` without its tags, and its entities as characters."""
    said: list[str] = []
    open_tags: list[str] = []
    end = 0
    for found in _TOKEN.finditer(text):
        said.append(text[end : found.start()])
        end = found.end()
        offset = len(text[: found.start()].encode())
        if found[0] == "<":
            raise BadMarkup(f'Unsupported start tag "" at byte offset {offset}')
        name = found[2].lower()
        if not found[1]:
            if name not in _TAGS:
                raise BadMarkup(f'Unsupported start tag "{name}" at byte offset {offset}')
            if name == "blockquote" and "blockquote" in open_tags:
                raise BadMarkup(f"Nested blockquote entities are not allowed at byte offset {offset}")
            open_tags.append(name)
        elif not open_tags:
            raise BadMarkup(f"Unexpected end tag at byte offset {offset}")
        elif open_tags[-1] != name:
            raise BadMarkup(
                f'Unmatched end tag at byte offset {offset}, expected "</{open_tags[-1]}>", found "</{name}>"'
            )
        else:
            open_tags.pop()
    if open_tags:
        raise BadMarkup(f'Can\'t find end tag corresponding to start tag "{open_tags[-1]}"')
    said.append(text[end:])
    return html.unescape("".join(said))


def units(text: str) -> int:
    """As Telegram counts: UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
