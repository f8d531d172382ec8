"""Files on their way into a message: streamed in from the page, usable by their uploader alone."""

import re
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from chamade_mcp.connectors.web.pace import Window
from chamade_mcp.connectors.web.text import clean_file_name
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.errors import InvalidRequest, LimitReached, UnsupportedMedia
from chamade_mcp.model.messages import Attachment

_FIELD = "file"
_MIME = re.compile(rb"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_GUESTS = 2000
_FILES_PER_GUEST = 50
_WINDOW_S = 60.0
_PER_WINDOW = 20


class _Shelf:
    def __init__(self, clock: Clock) -> None:
        self.files: OrderedDict[str, Attachment] = OrderedDict()
        self.pace = Window(clock, _PER_WINDOW, _WINDOW_S)


class Uploads:
    """What each guest has uploaded lately. Bounded: the longest unused is forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shelves: OrderedDict[str, _Shelf] = OrderedDict()

    def announce(self, guest_id: str) -> None:
        """Counts an upload that begins; raises `LimitReached`."""
        if not self._shelf(guest_id).pace.admit():
            raise LimitReached("Too many files at once; wait a minute", retry_after=_WINDOW_S)

    def add(self, guest_id: str, attachment: Attachment) -> None:
        files = self._shelf(guest_id).files
        files[attachment.file_id] = attachment
        if len(files) > _FILES_PER_GUEST:
            files.popitem(last=False)

    def claim(self, guest_id: str, file_ids: tuple[str, ...]) -> tuple[Attachment, ...] | None:
        """The guest's own files by id; None when any of them is not the guest's, or not there."""
        shelf = self._shelves.get(guest_id)
        found = [shelf.files.get(file_id) if shelf else None for file_id in file_ids]
        files = tuple(file for file in found if file is not None)
        return files if len(files) == len(file_ids) else None

    def _shelf(self, guest_id: str) -> _Shelf:
        shelf = self._shelves.setdefault(guest_id, _Shelf(self._clock))
        self._shelves.move_to_end(guest_id)
        if len(self._shelves) > _GUESTS:
            self._shelves.popitem(last=False)
        return shelf


@dataclass(slots=True)
class _Part:
    name: str | None = None
    """The form field; None before the part's headers are complete."""
    filename: str = ""
    mime: str = "application/octet-stream"


class FilePart:
    """The one file of a multipart body, read as it arrives and never held as a whole."""

    def __init__(self, request: Request) -> None:
        kind, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UnsupportedMedia("Send the file as multipart/form-data, in the field 'file'")
        self._body = request.stream()
        self._part = _Part()
        self._headers: dict[bytes, bytes] = {}
        self._header = (bytearray(), bytearray())
        self._data: deque[bytes] = deque()
        self._found = self._complete = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._name_part,
                    "on_part_data": self._take_data,
                    "on_part_end": self._end_part,
                },
            )
        except FormParserError:
            raise InvalidRequest("The multipart boundary is not valid") from None

    async def open(self) -> tuple[str, str]:
        """Reads up to the file; its name and MIME type, as the page says. Raises `InvalidRequest`."""
        while not self._found:
            if not await self._read():
                raise InvalidRequest("The form has no field 'file'", param=_FIELD)
        return clean_file_name(self._part.filename), self._part.mime

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes. Raises `InvalidRequest` when the body ends before the file does."""
        while True:
            while self._data:
                yield self._data.popleft()
            if self._complete:
                return
            if not await self._read():
                raise InvalidRequest("The upload broke off before the end of the file")

    async def _read(self) -> bool:
        try:
            body = await anext(self._body)
        except StopAsyncIteration:
            return False
        try:
            self._parser.write(body)
        except FormParserError:
            raise InvalidRequest("The multipart body is malformed") from None
        return True

    def _begin(self) -> None:
        self._part = _Part() if not self._found else self._part
        self._headers = {}

    def _end_header(self) -> None:
        field, value = self._header
        self._headers[bytes(field).lower()] = bytes(value)
        field.clear()
        value.clear()

    def _name_part(self) -> None:
        if self._found:
            return
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        mime, _ = parse_options_header(self._headers.get(b"content-type"))
        self._part.name = _decoded(options.get(b"name", b""))
        self._part.filename = _decoded(options.get(b"filename", b""))
        self._part.mime = mime.decode() if _MIME.fullmatch(mime) else self._part.mime
        self._found = self._part.name == _FIELD

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._found and not self._complete:
            self._data.append(data[start:end])

    def _end_part(self) -> None:
        self._complete = self._complete or self._found


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
