"""Names and media types of files, as a stranger tells them and as they are believed."""

import re
from collections.abc import Callable
from typing import Final

OCTETS: Final = "application/octet-stream"
HEAD_BYTES: Final = 512
"""How much of a file its type is told by."""

_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,63}/[A-Za-z0-9!#$&^_.+-]{1,63}")
# Tab, line ends, form feed and escape stand in texts; the rest of C0 does not.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_ID3, _EBML, _OGG = b"ID3", b"\x1a\x45\xdf\xa3", b"OggS"

_LOOKS: dict[str, Callable[[bytes], bool]] = {
    "image/png": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": lambda head: head.startswith(b"\xff\xd8\xff"),
    "image/gif": lambda head: head.startswith((b"GIF87a", b"GIF89a")),
    "image/webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "audio/wav": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE",
    "audio/mpeg": lambda head: head.startswith(_ID3) or _mpeg_frame(head, layers=(1, 2, 3)),
    "audio/aac": lambda head: _mpeg_frame(head, layers=(0,)),
    "audio/flac": lambda head: head.startswith(b"fLaC"),
    "audio/ogg": lambda head: head.startswith(_OGG),
    "video/ogg": lambda head: head.startswith(_OGG),
    "audio/webm": lambda head: head.startswith(_EBML),
    "video/webm": lambda head: head.startswith(_EBML),
    "audio/mp4": lambda head: head[4:8] == b"ftyp",
    "video/mp4": lambda head: head[4:8] == b"ftyp",
    "video/quicktime": lambda head: head[4:8] in (b"ftyp", b"moov"),
    "text/plain": lambda head: _NO_TEXT.search(head) is None,
}
INLINE: Final = frozenset(_LOOKS)
"""What a browser may show in place: none of these can run anything, and each is what it says."""
_TELLING = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/wav", "audio/flac")
"""Types that their first bytes tell on their own."""


def settled(mime: str, head: bytes) -> str:
    """The type that is kept: `mime` unless `head`, the file's first bytes, gives it the lie."""
    looks = _LOOKS.get(mime)
    if looks is not None:
        return mime if looks(head) else OCTETS
    if mime == OCTETS:
        return next((kind for kind in _TELLING if _LOOKS[kind](head)), OCTETS)
    return mime


def clean_name(name: str) -> str:
    """A file's name without a path, control characters or trickery; never empty."""
    base = re.split(r"[/\\]", name)[-1]
    base = "".join(c for c in base if c.isprintable()).strip(" .")
    return base[:200] or "file"


def clean_mime(mime: str) -> str:
    """Lower case and without parameters; `OCTETS` when it is none."""
    kind = mime.partition(";")[0].strip().lower()
    kind = {"image/jpg": "image/jpeg", "audio/x-wav": "audio/wav", "audio/mp3": "audio/mpeg"}.get(kind, kind)
    return kind if _MIME.fullmatch(kind) else OCTETS


def _mpeg_frame(head: bytes, *, layers: tuple[int, ...]) -> bool:
    """Eleven set bits, then the version and the layer; AAC's frames have layer 0."""
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] >> 1 & 3 in layers
