"""Files: streamed in under a cap and a quota, kept for a while, served by an unguessable token."""

import asyncio
import base64
import binascii
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row

from chamade_mcp.core import file_rows
from chamade_mcp.core.fetch import Fetcher
from chamade_mcp.core.file_types import HEAD_BYTES, clean_mime, clean_name, settled
from chamade_mcp.core.hot_cache import HotCache, HotCacheDeps
from chamade_mcp.core.supervisor import Supervisor
from chamade_mcp.kit.chores import forever
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.kit.connector import Content
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Bounds, Scope
from chamade_mcp.model.errors import (
    Action,
    FieldError,
    GatewayError,
    Gone,
    NotFound,
    TooLarge,
    ValidationFailed,
)
from chamade_mcp.model.ids import AccountId, ConnectionId, FileId, Platform, new_file_id
from chamade_mcp.model.messages import Attachment
from chamade_mcp.store.blobs import Blobs
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import files
from chamade_mcp.store.secrets import token_hash

log = logging.getLogger(__name__)

UPLOAD_LIFE = timedelta(hours=24)
RECEIVED_LIFE = timedelta(days=30)
RESERVED_LIFE = timedelta(minutes=5)
UNDER_WAY_LIFE = timedelta(hours=1)
"""How long bytes may take to come in; what is older was left by a crash."""
FETCH_S = 30.0
"""For all that one request has fetched from other servers."""
_SWEEP_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class FilesDeps:
    database: Database
    clock: Clock
    blobs: Blobs
    links: Supervisor
    fetcher: Fetcher
    public_url: str
    max_bytes: int
    """Of one file."""
    quota_bytes: int
    """Of all files that an account has at a time."""


@dataclass(frozen=True, slots=True)
class ServedFile:
    id: str
    """The key of its bytes."""
    name: str
    mime: str
    size_bytes: int
    fetched: str = ""
    """Tells one fetch from another where a platform keeps it: it may have changed there."""


class Files:
    def __init__(self, deps: FilesDeps) -> None:
        self._d = deps
        self.max_bytes = deps.max_bytes
        self._hot = HotCache(HotCacheDeps(deps.database, deps.clock, deps.blobs, deps.links, deps.max_bytes))

    # --- in ----------------------------------------------------------------------------------------------

    async def upload(
        self, scope: Scope, name: str, mime: str, chunks: AsyncIterator[bytes]
    ) -> dict[str, object]:
        """An agent's file, for 24 h. Raises `TooLarge` at the first byte over the cap or the quota."""
        return self._to_wire(await self._take_in(scope, name, mime, chunks, UPLOAD_LIFE))

    async def upload_base64(self, scope: Scope, bytes_b64: str, name: str, mime: str) -> dict[str, object]:
        if len(bytes_b64) // 4 * 3 - 2 > self.max_bytes:
            raise self.too_large()
        try:
            # Megabytes: on the event loop they would be heard as a gap in every call.
            body = await asyncio.to_thread(base64.b64decode, bytes_b64, validate=True)
        except (binascii.Error, ValueError):
            raise ValidationFailed([FieldError("bytes_b64", "is not valid base64")]) from None
        return await self.upload(scope, name, mime, _once(body))

    async def upload_url(
        self,
        scope: Scope,
        url: str,
        name: str | None = None,
        mime: str | None = None,
        *,
        field: str = "url",
        timeout_s: float = FETCH_S,
    ) -> dict[str, object]:
        """A file of another server, fetched now. Raises also what `Fetcher.open` does."""
        async with self._d.fetcher.open(scope, url, field=field, timeout_s=timeout_s) as found:
            return await self.upload(scope, name or found.name, mime or found.mime, found.chunks)

    async def save(
        self, scope: Scope, *, name: str, mime: str, chunks: AsyncIterator[bytes], **over: str
    ) -> Attachment:
        """A file that a person sent, for 30 days. `over`: the `platform` and `connection_id` it came by."""
        return self._to_attachment(await self._take_in(scope, name, mime, chunks, RECEIVED_LIFE, **over))

    async def keep(
        self,
        scope: Scope,
        link: tuple[Platform, ConnectionId],
        ref: str,
        *,
        name: str,
        mime: str,
        size_bytes: int | None,
    ) -> Attachment:
        """A file that a person sent and their platform keeps, for 30 days from now; the same `ref` again is
        the same file."""
        now = self._d.clock.now()
        values = self._fresh(new_file_id(), clean_name(name), clean_mime(mime), now + RECEIVED_LIFE)
        values |= {"platform": link[0], "connection_id": link[1], "source_ref": ref}
        values |= {"size_bytes": size_bytes or 0}
        row = await self._d.database.write(partial(file_rows.keep, scope=scope, now=now, **values))
        return replace(self._to_attachment(row), known=row.id != values["id"])

    async def reserve(self, scope: Scope, name: str, mime: str) -> dict[str, object]:
        """A place for one upload without a key, within 5 minutes."""
        file, token, until = new_file_id(), secrets.token_urlsafe(24), self._d.clock.now() + RESERVED_LIFE
        name, mime = clean_name(name), clean_mime(mime)
        reserved = {"upload_sha256": token_hash(token), "upload_expires_at": until}
        await self._add(scope, file, name, mime, until, **reserved)
        return {
            "file_id": file,
            "upload_url": f"{self._d.public_url}/api/files/u/{token}",
            "name": name,
            "mime": mime,
            "max_size": self.max_bytes,
            "expires_at": iso(until),
        }

    async def upload_reserved(self, token: str, chunks: AsyncIterator[bytes]) -> dict[str, object]:
        """Uses up the reservation `token` names; a second use or a late one is refused alike."""
        now = self._d.clock.now()
        claim = partial(
            file_rows.claim, upload_sha256=token_hash(token), now=now, expires_at=now + UNDER_WAY_LIFE
        )
        row = await self._d.database.write(claim)
        if row is None:
            raise NotFound("Upload URL is unknown, used or expired", code="UPLOAD_URL_GONE")
        return self._to_wire(await self._fill(FileId(row.id), row.account_id, row.mime, chunks, UPLOAD_LIFE))

    async def space(self, account: AccountId) -> tuple[int, int]:
        """Bytes that the account's files have, and how many they may have."""
        now = self._d.clock.now()
        used = await self._d.database.read(partial(file_rows.used_bytes, account=account, now=now))
        return used, self._d.quota_bytes

    # --- attach ------------------------------------------------------------------------------------------

    async def attach(self, scope: Scope, wanted: Sequence[Mapping[str, Any]]) -> tuple[Attachment, ...]:
        """What an agent asks to send: `file_id`, or a `url`, or `bytes_b64` with name and mime. All, or none:
        then nothing stays of what was taken in."""
        until, ready = self._d.clock.monotonic() + FETCH_S, list[Attachment]()
        try:
            for i, item in enumerate(wanted):
                ready.append(await self._attach(scope, f"attachments.{i}", item, until))
        except BaseException:
            await to_the_end(self.discard(scope, ready))
            raise
        return tuple(ready)

    async def _attach(self, scope: Scope, field: str, item: Mapping[str, Any], until: float) -> Attachment:
        if "bytes_b64" in item:
            made = await self.upload_base64(scope, item["bytes_b64"], item["name"], item["mime"])
            return await self._own(scope, f"{field}.bytes_b64", files.c.id == made["file_id"])
        if "file_id" in item:
            own = await self._own(scope, f"{field}.file_id", files.c.id == item["file_id"])
            return replace(own, known=True)
        url, field = str(item["url"]), f"{field}.url"
        prefix = f"{self._d.public_url}/api/files/"
        if url.startswith(prefix):
            own = await self._own(scope, field, files.c.serve_token == url.removeprefix(prefix))
            return replace(own, known=True)
        left_s = max(0.0, until - self._d.clock.monotonic())
        name, mime = item.get("name"), item.get("mime")
        made = await self.upload_url(scope, url, name, mime, field=field, timeout_s=left_s)
        return await self._own(scope, field, files.c.id == made["file_id"])

    async def _own(self, scope: Scope, field: str, condition: ColumnElement[bool]) -> Attachment:
        mine = files.c.account_id == scope.account
        row = await self._d.database.read(lambda conn: file_rows.find(conn, condition, mine))
        if row is None or row.expires_at <= self._d.clock.now():
            raise NotFound(f"{field}: file not found", code="FILE_NOT_FOUND")
        return self._to_attachment(row)

    # --- out ---------------------------------------------------------------------------------------------

    async def serve(self, token: str) -> ServedFile:
        """Raises `NotFound` or `Gone`; of a file that its platform keeps also `Unavailable` or `TimedOut`."""
        return await self._ready(files.c.serve_token == token)

    async def open(self, attachment: Attachment) -> Content:
        """The bytes of an attachment on its way to a platform. Raises what `serve` does."""
        file = await self._ready(files.c.id == attachment.file_id)
        return Content(file.size_bytes, self.read(file, 0, file.size_bytes))

    async def warm(self, scope: Scope, attachments: Sequence[Attachment]) -> None:
        """Has what came with a message fetched, before its reader asks for it."""
        mine = files.c.account_id == scope.account
        for attachment in attachments:
            which = mine & (files.c.id == attachment.file_id) & files.c.source_ref.is_not(None)
            row = await self._d.database.read(partial(_find, which=which))
            if row is not None:
                self._hot.warm(row)

    async def _ready(self, condition: ColumnElement[bool]) -> ServedFile:
        row = await self._d.database.read(lambda conn: file_rows.find(conn, condition))
        if row is None:
            raise NotFound("File not found", code="FILE_NOT_FOUND")
        gone = row.expires_at <= self._d.clock.now()
        if not gone and row.source_ref is not None:
            row = await self._hot.bring(row)
        elif gone or await self._d.blobs.size(row.id) != row.size_bytes:
            raise Gone("This file is no longer kept", code="FILE_GONE")
        fetched = iso(row.cached_until) if row.source_ref is not None else ""
        return ServedFile(row.id, row.name, row.mime, row.size_bytes, fetched)

    def read(self, file: ServedFile, start: int, end: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` up to, not including, `end`."""
        return self._d.blobs.read(file.id, start, end)

    async def discard(self, scope: Scope, attachments: Sequence[Attachment]) -> None:
        """What came with words that nobody was told of, and with no others before."""
        for attachment in (one for one in attachments if not one.known):
            which = (files.c.account_id == scope.account) & (files.c.id == attachment.file_id)
            if await self._d.database.read(partial(_find, which=which)) is not None:
                await self._discard(attachment.file_id)

    async def remove_all(self, account: AccountId) -> None:
        """Deletes the bytes of an account's files, before its rows go. What still comes in finds no row at
        its end, and stays neither."""
        await self._remove(Bounds(account, None))

    async def remove_bytes(self, ids: Sequence[str]) -> None:
        """Of files whose rows have gone."""
        await self._d.blobs.delete(ids)

    async def forget_agent(self, scope: Scope) -> None:
        """The agent goes: as above."""
        await self._remove(Bounds(scope.account, scope.agent))

    async def _remove(self, bounds: Bounds) -> None:
        ids = await self._d.database.read(partial(file_rows.ids_of, bounds=bounds))
        await self._d.blobs.delete(ids)

    async def sweep_forever(self) -> None:
        """Removes expired files, reservations nobody used, and what a crash left."""
        await forever(self._d.clock, _SWEEP_EVERY_S, self.sweep, "expired files were not removed this time")

    async def sweep(self) -> int:
        """How many files and reservations have expired."""
        now = self._d.clock.now()
        await self._d.blobs.tidy(now - UNDER_WAY_LIFE)
        await self._hot.sweep()
        # The bytes first: a crash in between is made good by the next sweep.
        await self._d.blobs.delete(await self._d.database.read(partial(file_rows.expired, now=now)))
        return await self._d.database.write(partial(file_rows.drop_expired, now=now))

    # --- inside ------------------------------------------------------------------------------------------

    async def _take_in(
        self, scope: Scope, name: str, mime: str, chunks: AsyncIterator[bytes], life: timedelta, **more: str
    ) -> Row[Any]:
        file, mime = new_file_id(), clean_mime(mime)
        await self._add(scope, file, clean_name(name), mime, self._d.clock.now() + UNDER_WAY_LIFE, **more)
        return await self._fill(file, scope.account, mime, chunks, life)

    async def _add(
        self, scope: Scope, file: FileId, name: str, mime: str, expires_at: datetime, **more: object
    ) -> None:
        values = self._fresh(file, name, mime, expires_at) | more
        await self._d.database.write(partial(file_rows.add, scope=scope, **values))

    def _fresh(self, file: FileId, name: str, mime: str, expires_at: datetime) -> dict[str, Any]:
        return {
            "id": file,
            "name": name,
            "mime": mime,
            "serve_token": secrets.token_urlsafe(24),
            "created_at": self._d.clock.now(),
            "expires_at": expires_at,
        }

    async def _fill(
        self, file: FileId, account: AccountId, mime: str, chunks: AsyncIterator[bytes], life: timedelta
    ) -> Row[Any]:
        """The bytes of a row that waits for them. When they do not come, the row goes."""
        try:
            used, quota = await self.space(account)
            intake = _Intake(self, chunks, quota - used)
            size = await self._d.blobs.write(file, intake.chunks())
            row = await self._d.database.write(
                partial(self._complete, file, account, settled(mime, bytes(intake.head)), size, life)
            )
            if row is None:
                raise NotFound("The file was removed before it was complete", code="FILE_NOT_FOUND")
        except BaseException:
            await to_the_end(self._discard(file))
            raise
        return row

    def _complete(
        self, file: FileId, account: AccountId, mime: str, size: int, life: timedelta, conn: Connection
    ) -> Row[Any] | None:
        now = self._d.clock.now()
        # Others may have come in meanwhile; one writer at a time makes this the last word.
        if file_rows.used_bytes(conn, account, now) + size > self._d.quota_bytes:
            raise self.quota_exceeded()
        return file_rows.complete(conn, file, mime=mime, size_bytes=size, expires_at=now + life)

    async def _discard(self, file: FileId) -> None:
        try:
            await self._d.blobs.delete([file])
            await self._d.database.write(partial(file_rows.drop, file=file))
        except (GatewayError, OSError) as error:
            log.warning("what came of a file that broke off stays until it expires: %s", error)

    def too_large(self) -> TooLarge:
        return TooLarge(f"File exceeds max size ({self.max_bytes} bytes)", code="FILE_TOO_LARGE")

    def quota_exceeded(self) -> TooLarge:
        return TooLarge(
            f"The files of this account would exceed {self._d.quota_bytes} bytes. Wait until older ones "
            "expire (24 hours after an upload, 30 days after a person sent it), or raise "
            "CHAMADE_FILES_QUOTA_MB",
            code="FILE_QUOTA_EXCEEDED",
            action=Action.ASK_HUMAN,
        )

    def _url(self, serve_token: str) -> str:
        return f"{self._d.public_url}/api/files/{serve_token}"

    def _to_attachment(self, row: Row[Any]) -> Attachment:
        return Attachment(row.name, row.mime, row.size_bytes, self._url(row.serve_token), FileId(row.id))

    def _to_wire(self, row: Row[Any]) -> dict[str, object]:
        return {
            "file_id": row.id,
            "url": self._url(row.serve_token),
            "name": row.name,
            "mime": row.mime,
            "size": row.size_bytes,
            "expires_at": iso(row.expires_at),
        }


class _Intake:
    """The bytes of a file on their way in: counted, and the first of them looked at."""

    def __init__(self, files: Files, chunks: AsyncIterator[bytes], free_bytes: int) -> None:
        self._files = files
        self._chunks = chunks
        self._free_bytes = free_bytes
        self.head = bytearray()

    async def chunks(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._chunks:
            size += len(chunk)
            if size > self._files.max_bytes:
                raise self._files.too_large()
            if size > self._free_bytes:
                raise self._files.quota_exceeded()
            if len(self.head) < HEAD_BYTES:
                self.head += chunk[: HEAD_BYTES - len(self.head)]
            yield chunk


def _find(conn: Connection, which: ColumnElement[bool]) -> Row[Any] | None:
    return file_rows.find(conn, which)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
