"""Files on their way into a message: streamed in from the page, usable by their uploader alone."""

import re
from collections import OrderedDict
from collections.abc import AsyncIterator

from starlette.requests import Request

from chamade_mcp.connectors.web.pace import Window
from chamade_mcp.connectors.web.text import clean_file_name
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.multipart import Upload
from chamade_mcp.model.errors import LimitReached
from chamade_mcp.model.messages import Attachment

_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
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


async def opened(request: Request) -> tuple[str, str, AsyncIterator[bytes]]:
    """The file of a form: its name and media type, safe to show, and its bytes as they arrive."""
    upload = Upload(dict(request.scope["headers"]), request.stream())
    await upload.open()
    mime = (upload.file_mime or "").partition(";")[0].strip().lower()
    return (
        clean_file_name(upload.file_name or ""),
        mime if _MIME.fullmatch(mime) else "application/octet-stream",
        upload.chunks(),
    )
