"""Reading a request body: capped before and while it is read."""

from collections.abc import AsyncIterator, Mapping

from starlette.types import Receive

from chamade_mcp.model.errors import TooLarge, UnsupportedMedia

JSON_CAP_BYTES = 1 << 20


class ClientGone(Exception):
    """The client hung up before its request was complete: nobody is left to answer."""


def too_large(cap_bytes: int) -> TooLarge:
    return TooLarge(f"The body exceeds {cap_bytes} bytes")


def check_length(headers: Mapping[bytes, bytes], cap_bytes: int) -> None:
    """Refuses by `Content-Length`, before anything is read."""
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > cap_bytes:
        raise too_large(cap_bytes)


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], cap_bytes: int) -> bytes:
    """The whole body. A body without a length is cut at the first byte over the cap."""
    check_length(headers, cap_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > cap_bytes:
            raise too_large(cap_bytes)
        return body
    whole = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        whole += message.get("body", b"")
        if len(whole) > cap_bytes:
            raise too_large(cap_bytes)
        if not message.get("more_body", False):
            return bytes(whole)
        message = await receive()


async def stream_body(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes in."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return


def require_json(headers: Mapping[bytes, bytes]) -> None:
    """Accepts ``application/json`` in UTF-8, whatever its parameters; `UnsupportedMedia` otherwise."""
    if headers.get(b"content-type") == b"application/json" and b"content-encoding" not in headers:
        return
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMedia("Send the body uncompressed")
    media, _, parameters = headers.get(b"content-type", b"").partition(b";")
    if media.strip().lower() != b"application/json":
        raise UnsupportedMedia("Send the body as application/json")
    charset = parameters.lower().partition(b"charset=")[2].partition(b";")[0].strip(b' "')
    if charset not in (b"", b"utf-8", b"utf8", b"us-ascii"):
        raise UnsupportedMedia("Send the body in UTF-8")
