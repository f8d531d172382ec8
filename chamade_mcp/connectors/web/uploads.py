"""Files on their way into a message: streamed in from the page, usable by their uploader alone."""

import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request

from chamade_mcp.connectors.web.text import clean_file_name
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.multipart import Upload
from chamade_mcp.model.errors import LimitReached
from chamade_mcp.model.messages import Attachment

_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_PACE_S = 60.0
_FILES_PER_PACE = 20
_DAY_S = 24 * 3600.0
FILES_PER_DAY = 200
BYTES_PER_DAY = 500_000_000


@dataclass(slots=True)
class _Upload:
    guest_id: str
    at: float
    size_bytes: int = 0
    """So far; what broke off has cost its traffic all the same."""
    attachment: Attachment | None = None
    """Once it is whole."""


class Ticket:
    """One upload that was let in, and pays for what it brings."""

    def __init__(self, shelf: "_Shelf", upload: _Upload) -> None:
        self._shelf = shelf
        self._upload = upload

    async def metered(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """`chunks`, as long as the link's allowance lasts; then raises `LimitReached`."""
        async for chunk in chunks:
            self._upload.size_bytes += len(chunk)
            self._shelf.require_bytes()
            yield chunk

    def add(self, attachment: Attachment) -> None:
        self._upload.attachment = attachment


class _Shelf:
    """What came in by one link within a day."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.uploads: deque[_Upload] = deque()

    def sweep(self) -> None:
        """Forgets what is older than a day."""
        while self.uploads and self.uploads[0].at <= self._clock.monotonic() - _DAY_S:
            self.uploads.popleft()

    def begin(self, guest_id: str) -> Ticket:
        now = self._clock.monotonic()
        recent = [one for one in self.uploads if one.guest_id == guest_id and one.at > now - _PACE_S]
        if len(recent) >= _FILES_PER_PACE:
            raise LimitReached("Too many files at once; wait a minute", retry_after=_PACE_S)
        if len(self.uploads) >= FILES_PER_DAY:
            raise self._used_up()
        self.require_bytes()
        upload = _Upload(guest_id, now)
        self.uploads.append(upload)
        return Ticket(self, upload)

    def require_bytes(self) -> None:
        if sum(upload.size_bytes for upload in self.uploads) > BYTES_PER_DAY:
            raise self._used_up()

    def _used_up(self) -> LimitReached:
        oldest = self.uploads[0].at
        return LimitReached(
            f"A link takes {FILES_PER_DAY} files and {BYTES_PER_DAY // 1_000_000} MB a day: they are used up",
            retry_after=max(1.0, oldest + _DAY_S - self._clock.monotonic()),
        )


class Uploads:
    """What guests have uploaded, by link. The link is what is limited: everybody who has it may become
    another guest at will. What one guest uploads takes nothing from the files of another."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shelves: dict[str, _Shelf] = {}

    def begin(self, link: str, guest_id: str) -> Ticket:
        """Counts an upload that begins; raises `LimitReached`. `link` is the `Invite.ref` it comes by."""
        for ref, shelf in list(self._shelves.items()):
            shelf.sweep()
            if not shelf.uploads:
                del self._shelves[ref]
        return self._shelves.setdefault(link, _Shelf(self._clock)).begin(guest_id)

    def claim(self, link: str, guest_id: str, file_ids: tuple[str, ...]) -> tuple[Attachment, ...] | None:
        """The guest's own files by id; None when any of them is not the guest's, or not there."""
        shelf = self._shelves.get(link)
        uploads = [one for one in shelf.uploads if one.guest_id == guest_id] if shelf else []
        own = {str(one.attachment.file_id): one.attachment for one in uploads if one.attachment is not None}
        files = tuple(own[file_id] for file_id in file_ids if file_id in own)
        return files if len(files) == len(file_ids) else None


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
