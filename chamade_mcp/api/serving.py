"""Files as HTTP answers: headers that keep a sent page harmless, one range, validators.

RFC 9110 (ranges, conditions), RFC 6266 and 8187 (names).
"""

import hashlib
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from chamade_mcp.core.file_types import INLINE
from chamade_mcp.core.files import ServedFile
from chamade_mcp.model.errors import RangeNotSatisfiable

_SAFE = {
    # The token is the key: no address in a referrer.
    "referrer-policy": "no-referrer",
    # Whatever the file is, nothing in it runs, in our origin least of all. A player that the browser puts
    # around sound or film is let be.
    "content-security-policy": "sandbox; default-src 'none'; media-src 'self'; style-src 'unsafe-inline'",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "accept-ranges": "bytes",
}
_ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))", re.I)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 !#$&+.^_`{}~()\[\],;=@'-]*")
_ATTR_CHAR = "!#$&+-.^_`|~"

Read = Callable[[int, int], AsyncGenerator[bytes]]
"""Bytes from a position up to, not including, another."""


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    end: int
    """Not included."""
    whole: bool = False


def answer(
    file: ServedFile,
    read: Read,
    method: str,
    headers: Mapping[bytes, bytes],
    cache: str = "private, max-age=900",
) -> Response:
    """200, 206 or 304. Raises `RangeNotSatisfiable`."""
    about = {**_SAFE, "cache-control": cache, "etag": etag_of(file)}
    if _same(headers.get(b"if-none-match"), about["etag"]):
        return Response(status_code=304, headers=about)
    span = Span(0, file.size_bytes, whole=True)
    if headers.get(b"if-range", about["etag"].encode()) == about["etag"].encode():
        span = span_of(headers.get(b"range"), file.size_bytes)
    about |= {
        "content-type": "text/plain; charset=utf-8" if file.mime == "text/plain" else file.mime,
        "content-disposition": disposition_of(file),
        "content-length": str(span.end - span.start),
    }
    if not span.whole:
        about["content-range"] = f"bytes {span.start}-{span.end - 1}/{file.size_bytes}"
    status = 200 if span.whole else 206
    if method == "HEAD":
        return Response(status_code=status, headers=about)
    return StreamingResponse(read(span.start, span.end), status, about)


def etag_of(file: ServedFile) -> str:
    """Strong: the bytes of an id, or of one fetch of it, never change. The id itself stays its owner's."""
    return f'"{hashlib.sha256((file.id + file.fetched).encode()).hexdigest()[:32]}"'


def span_of(asked: bytes | None, size_bytes: int) -> Span:
    """What `Range` asks for; the whole when it asks for several, for other units, or makes no sense."""
    whole = Span(0, size_bytes, whole=True)
    found = _ONE_RANGE.fullmatch(asked.decode("latin-1").strip()) if asked is not None else None
    if found is None:
        return whole
    first, last, suffix = found.groups()
    if suffix is not None:
        start, end = max(0, size_bytes - int(suffix)), size_bytes
    else:
        start, end = int(first), min(size_bytes, int(last) + 1) if last else size_bytes
        if last and int(last) < start:
            return whole
    if start >= size_bytes or start == end:
        raise RangeNotSatisfiable(size_bytes)
    return Span(start, end)


def disposition_of(file: ServedFile) -> str:
    """`inline` for the few types that only show; the name in ASCII for old clients, and as it is."""
    kind = "inline" if file.mime in INLINE else "attachment"
    if _PLAIN_NAME.fullmatch(file.name):
        return f'{kind}; filename="{file.name}"'
    plain = "".join(c if _PLAIN_NAME.fullmatch(c) else "_" for c in file.name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe=_ATTR_CHAR)}"


def _same(asked: bytes | None, etag: str) -> bool:
    if asked is None:
        return False
    told = [tag.strip().removeprefix("W/") for tag in asked.decode("latin-1").split(",")]
    return etag in told or told == ["*"]
