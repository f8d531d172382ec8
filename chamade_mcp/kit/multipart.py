"""A ``multipart/form-data`` upload, read as it comes in: one part ``file``, a few small text fields."""

from collections.abc import AsyncIterator, Mapping

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from chamade_mcp.model.errors import FieldError, InvalidRequest, UnsupportedMedia, ValidationFailed

MEDIA_TYPE = b"multipart/form-data"
OVERHEAD_BYTES = 64 * 1024
"""What boundaries, part headers and text fields may add to a file."""
_FIELD_CAP_BYTES = 1024
_MOST_PARTS = 16


def is_form(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == MEDIA_TYPE


class Upload:
    """Iterate `chunks` to its end: only then are `fields` complete, for they may follow the file."""

    def __init__(self, headers: Mapping[bytes, bytes], body: AsyncIterator[bytes]) -> None:
        """`body` as it comes in; what it raises is raised on. Raises `UnsupportedMedia` for no such form."""
        _, options = parse_options_header(headers.get(b"content-type", b""))
        boundary = options.get(b"boundary", b"")
        if not is_form(headers) or not 1 <= len(boundary) <= 70:
            raise UnsupportedMedia("Send the file as multipart/form-data with a boundary")
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self.file_mime: str | None = None
        self._body = body
        self._form = _Form(self)
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._form.part_begin,
                "on_header_field": self._form.header_field,
                "on_header_value": self._form.header_value,
                "on_header_end": self._form.header_end,
                "on_headers_finished": self._form.headers_finished,
                "on_part_data": self._form.part_data,
                "on_part_end": self._form.part_end,
                "on_end": self._form.end,
            },
        )

    async def open(self) -> None:
        """Reads up to the file: then `file_name` and `file_mime` are known. Raises as `chunks` does."""
        while not self._form.has_file and await self._more():
            pass
        if not self._form.has_file:
            if not self._form.complete:
                raise _malformed()
            raise ValidationFailed([FieldError("file", "is required")])

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes. Raises `InvalidRequest`, or `ValidationFailed` when there is no file."""
        await self.open()
        going_on = True
        while going_on:
            for chunk in self._form.take():
                yield chunk
            going_on = await self._more()
        if not self._form.complete:
            raise _malformed()

    async def _more(self) -> bool:
        """False at the end of the body."""
        try:
            data = await anext(self._body)
        except StopAsyncIteration:
            return False
        try:
            self._parser.write(data)
        except FormParserError:
            raise _malformed() from None
        return True


class _Form:
    """The parser's callbacks: they run inside `write` and only collect."""

    def __init__(self, upload: Upload) -> None:
        self.complete = False
        self.has_file = False
        self._upload = upload
        self._parts = 0
        self._part = ""
        self._text = bytearray()
        self._file: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._header_name = bytearray()
        self._header_value = bytearray()

    def take(self) -> list[bytes]:
        chunks, self._file = self._file, []
        return chunks

    def part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise ValidationFailed([FieldError("body", f"must have at most {_MOST_PARTS} parts")])
        self._headers = {}
        self._text.clear()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._part = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part != "file":
            return
        if self.has_file:
            raise ValidationFailed([FieldError("file", "must be given once")])
        self.has_file = True
        self._upload.file_name = options.get(b"filename", b"").decode("utf-8", "replace") or None
        self._upload.file_mime = self._headers.get(b"content-type", b"").decode("latin-1").strip() or None

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part == "file":
            self._file.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _FIELD_CAP_BYTES:
            raise ValidationFailed([FieldError(self._part or "body", "is too long")])

    def part_end(self) -> None:
        if self._part != "file":
            self._upload.fields[self._part] = self._text.decode("utf-8", "replace")

    def end(self) -> None:
        self.complete = True


def _malformed() -> InvalidRequest:
    return InvalidRequest("The multipart body is malformed or incomplete", code="INVALID_MULTIPART")
