"""Emoji on messages, and what Teams calls them."""

import re
from typing import Final

from chamade_mcp.model.errors import PlatformRefused

_NAMED: Final = {
    "\U0001f44d": "like",
    "\u2764\ufe0f": "heart",
    "\U0001f606": "laugh",
    "\U0001f62e": "surprised",
    "\U0001f622": "sad",
    "\U0001f621": "angry",
    "\U0001f680": "launch",
    "\U0001f440": "1f440_eyes",
    "\u2705": "2705_whiteheavycheckmark",
    "\U0001f4cc": "1f4cc_pushpin",
}
"""Those whose names Microsoft tells."""
_EMOJI: Final = {name: emoji for emoji, name in _NAMED.items()} | {"plusOne": "\U0001f44d"}
_BY_CODE: Final = re.compile(r"([0-9a-f]{4,5}(?:-[0-9a-f]{4,5}){0,7})_", re.IGNORECASE)


def emoji_of(name: str) -> str:
    """What people see; for one without a sign of its own ``:name:``."""
    if name in _EMOJI:
        return _EMOJI[name]
    code = _BY_CODE.match(name)
    if code is not None:
        points = [int(point, 16) for point in code[1].split("-")]
        if all(0xA9 <= point <= 0x1FFFF and not 0xD800 <= point <= 0xDFFF for point in points):
            return "".join(map(chr, points))
    return f":{name[:60]}:"


def name_of(emoji: str) -> str:
    """Raises `PlatformRefused` for one that bots cannot give."""
    name = _NAMED.get(emoji) or _NAMED.get(f"{emoji}\ufe0f") or _NAMED.get(emoji.removesuffix("\ufe0f"))
    if name is None:
        raise PlatformRefused(f"On Teams a bot reacts with one of {' '.join(_NAMED)}")
    return name
