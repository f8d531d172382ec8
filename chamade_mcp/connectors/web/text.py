"""What people write, made safe to show: no control characters, nothing that turns a line around."""

import re
import unicodedata

from chamade_mcp.kit.markdown.graphemes import graphemes

NAME_CHARS = 60
FILE_NAME_CHARS = 120
_SUFFIX_CHARS = 20
_EMOJI_CHARS = 32
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


def clean_name(name: str) -> str:
    """One line of 1-60 characters. A name with nothing to see in it is `Guest`."""
    line = _line(name)[:NAME_CHARS].rstrip()
    return line if any(c.isprintable() and not c.isspace() for c in line) else DEFAULT_NAME


def clean_file_name(name: str) -> str:
    """The last part of a path in 1-120 characters, the suffix kept."""
    line = _line(name.replace("\\", "/").rpartition("/")[2])
    if not line.strip("."):
        return "file"
    if len(line) <= FILE_NAME_CHARS:
        return line
    stem, dot, suffix = line.rpartition(".")
    tail = dot + suffix if stem and len(suffix) <= _SUFFIX_CHARS else ""
    return line[: FILE_NAME_CHARS - len(tail)] + tail


def _line(text: str) -> str:
    return " ".join(_UNSAFE.sub("", _NEWLINES.sub(" ", text)).split())


def is_plain(token: str, limit: int) -> bool:
    """Whether `token` can stand as an opaque key: 1 to `limit` characters, none of them unsafe."""
    return 0 < len(token) <= limit and _UNSAFE.search(token) is None


def is_emoji(text: str) -> bool:
    """One emoji, as a reader counts: with its skin, its family or the key around it."""
    if not is_plain(text, _EMOJI_CHARS) or len(list(graphemes(text))) != 1:
        return False
    kinds = {unicodedata.category(char) for char in text}
    return bool(kinds & {"So", "Me"}) and not any(kind[0] in "LZ" for kind in kinds)
