"""A form that goes out is the form that a server reads."""

from collections.abc import AsyncIterator

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message

from chamade_mcp.kit.connector import Content
from chamade_mcp.kit.form import FilePart, Form


async def body(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(form: Form) -> list[tuple[str, str | tuple[str, str, bytes, list[str]]]]:
    """As Starlette reads it; the length that was announced is that of what came."""
    chunks = [chunk async for chunk in form.chunks()]
    assert form.headers["content-length"] == str(sum(map(len, chunks)))
    left = iter(chunks)

    async def receive() -> Message:
        chunk = next(left, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    headers = [(k.encode(), v.encode()) for k, v in form.headers.items()]
    found: list[tuple[str, str | tuple[str, str, bytes, list[str]]]] = []
    async with Request({"type": "http", "method": "POST", "headers": headers}, receive).form() as fields:
        for name, value in fields.multi_items():
            if isinstance(value, UploadFile):
                told = value.filename or "", value.content_type or ""
                found.append((name, (*told, await value.read(), list(value.headers))))
            else:
                found.append((name, value))
    return found


HEADERS = ["content-disposition", "content-type"]


async def test_fields_and_files_arrive() -> None:
    form = Form(
        {"chat_id": "5", "caption": "h\u00e9llo\r\n--x"},
        [
            FilePart("document", 'a "b".txt', "text/plain", Content(6, body(b"abc", b"def"))),
            FilePart("empty", "e", "image/png", Content(0, body())),
        ],
    )
    assert await read(form) == [
        ("chat_id", "5"),
        ("caption", "h\u00e9llo\r\n--x"),
        ("document", ("a %22b%22.txt", "text/plain", b"abcdef", HEADERS)),
        ("empty", ("e", "image/png", b"", HEADERS)),
    ]


async def test_a_name_cannot_add_a_header() -> None:
    form = Form({}, [FilePart("f", 'x"\r\nX-Evil: 1\r\n\r\n', "a/b", Content(1, body(b"y")))])
    assert await read(form) == [("f", ("x%22%0D%0AX-Evil: 1%0D%0A%0D%0A", "a/b", b"y", HEADERS))]
