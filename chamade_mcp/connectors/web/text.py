"""What people write, made safe to show: no control characters, nothing that turns a line around."""

import re

NAME_CHARS = 60
DEFAULT_NAME = "Guest"

_NEWLINES = re.compile("\r\n?|[\u0085\u2028\u2029]")
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional marks, overrides and isolates
    "\ufff9-\ufffb\ufeff"
    "\ud800-\udfff]"  # half a character: no encoder takes it
)


def clean_text(text: str) -> str:
    """Newlines and tabs stay; everything invisible that could mislead a reader goes."""
    return _UNSAFE.sub("", _NEWLINES.sub("\n", text))


def clean_name(name: str, default: str = DEFAULT_NAME) -> str:
    """One line of 1-60 characters. A name with nothing to see in it is `default`."""
    line = " ".join(_UNSAFE.sub("", _NEWLINES.sub(" ", name)).split())[:NAME_CHARS].rstrip()
    return line if any(c.isprintable() and not c.isspace() for c in line) else default


def is_plain(token: str, limit: int) -> bool:
    """Whether `token` can stand as an opaque key: 1 to `limit` characters, none of them unsafe."""
    return 0 < len(token) <= limit and _UNSAFE.search(token) is None
