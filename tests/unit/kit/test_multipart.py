"""A form is read in any chunking, with its fields before or after the file."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.kit.multipart import Upload, is_form
from chamade_mcp.model.errors import GatewayError, InvalidRequest, UnsupportedMedia, ValidationFailed

TYPE = {b"content-type": b'multipart/form-data; boundary="b0"'}


def part(name: str, body: bytes, *, filename: str | None = None, mime: str | None = None) -> bytes:
    extra = f'; filename="{filename}"' if filename is not None else ""
    media = f"Content-Type: {mime}\r\n" if mime else ""
    head = f'--b0\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n{media}\r\n'
    return head.encode() + body + b"\r\n"


END = b"--b0--\r\n"
FILE = part("file", b"\r\n--b\x00\xffbytes", filename="a b.txt", mime="text/plain")


async def _pieces(whole: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


async def read(whole: bytes, size: int = 1 << 16) -> tuple[Upload, bytes]:
    upload = Upload(TYPE, _pieces(whole, size))
    body = b"".join([chunk async for chunk in upload.chunks()])
    return upload, body


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 16])
@pytest.mark.parametrize("field_first", [True, False])
async def test_any_chunking_gives_the_same_file(size: int, field_first: bool) -> None:
    name = part("name", "über.txt".encode())
    whole = (name + FILE if field_first else FILE + name) + END
    upload, body = await read(whole, size)
    assert body == b"\r\n--b\x00\xffbytes"
    assert upload.fields == {"name": "über.txt"}
    assert (upload.file_name, upload.file_mime) == ("a b.txt", "text/plain")


async def test_an_empty_file_is_a_file() -> None:
    _, body = await read(part("file", b"") + END)
    assert body == b""


@pytest.mark.parametrize("whole", [b"", b"noise", b"--b0", FILE, FILE + b"--b0", b"--b1\r\n\r\n", FILE[:-5]])
async def test_a_broken_or_cut_form_is_told_so(whole: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await read(whole)
    assert raised.value.code == "INVALID_MULTIPART"


@pytest.mark.parametrize(
    ("whole", "field"),
    [
        (part("name", b"x") + END, "file"),
        (FILE + FILE + END, "file"),
        (part("name", b"x" * 2000) + FILE + END, "name"),
        (part("x", b"y") * 20 + FILE + END, "body"),
    ],
)
async def test_what_a_form_must_have(whole: bytes, field: str) -> None:
    with pytest.raises(ValidationFailed) as raised:
        await read(whole)
    assert raised.value.errors[0].field == field


@pytest.mark.parametrize(
    "media", [b"", b"application/json", b"multipart/form-data", b"multipart/form-data; boundary=" + b"x" * 71]
)
def test_only_a_form_with_a_boundary(media: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        Upload({b"content-type": media}, _pieces(b"", 1))


def test_a_form_is_known_by_its_type() -> None:
    assert is_form({b"content-type": b"Multipart/Form-Data; boundary=x"})
    assert not is_form({})


async def test_name_and_type_are_known_before_the_file_is_read() -> None:
    upload = Upload(TYPE, _pieces(part("name", b"x") + FILE + END, 50))
    await upload.open()
    assert (upload.file_name, upload.file_mime) == ("a b.txt", "text/plain")
    assert b"".join([chunk async for chunk in upload.chunks()]) == b"\r\n--b\x00\xffbytes"


async def test_a_client_that_hangs_up_is_noticed() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield FILE[:20]
        raise ConnectionResetError

    upload = Upload(TYPE, body())
    with pytest.raises(ConnectionResetError):
        _ = [chunk async for chunk in upload.chunks()]


@given(st.binary(max_size=300), st.integers(1, 40))
async def test_no_bytes_give_anything_but_our_errors(noise: bytes, size: int) -> None:
    try:
        _, body = await read(FILE[: len(noise) % len(FILE)] + noise, size)
    except GatewayError as error:
        body = b""
        code = error.code
    else:
        code = ""
    assert code in ("", "INVALID_MULTIPART", "VALIDATION_FAILED")
    assert len(body) <= len(FILE) + len(noise)
