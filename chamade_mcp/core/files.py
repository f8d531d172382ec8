"""Files: streamed in under a cap, kept in the data directory, served by an unguessable token."""

import asyncio
import base64
import binascii
import hashlib
import logging
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import (
    FieldError,
    GatewayError,
    Gone,
    NotAvailable,
    NotFound,
    TooLarge,
    ValidationFailed,
)
from chamade_mcp.model.ids import AccountId, FileId, new_file_id
from chamade_mcp.model.messages import Attachment
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import files

log = logging.getLogger(__name__)

UPLOAD_LIFE = timedelta(hours=24)
RECEIVED_LIFE = timedelta(days=30)
RESERVED_LIFE = timedelta(minutes=5)
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,63}/[A-Za-z0-9!#$&^_.+-]{1,63}")
_SWEEP_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class ServedFile:
    name: str
    mime: str
    size_bytes: int
    path: Path


class Files:
    def __init__(self, database: Database, clock: Clock, root: Path, public_url: str, max_bytes: int) -> None:
        self._database = database
        self._clock = clock
        self._root = root
        self._public_url = public_url
        self.max_bytes = max_bytes

    # --- in ----------------------------------------------------------------------------------------------

    async def upload(
        self, scope: Scope, name: str, mime: str, chunks: AsyncIterator[bytes]
    ) -> dict[str, object]:
        """An agent's file, for 24 h. Raises `TooLarge` at the first byte over the cap."""
        file = new_file_id()
        name, mime = _clean_name(name), _clean_mime(mime)
        size = await self._write(file, chunks)
        return await self._insert(scope, file, name, mime, size, UPLOAD_LIFE)

    async def upload_base64(self, scope: Scope, bytes_b64: str, name: str, mime: str) -> dict[str, object]:
        if len(bytes_b64) // 4 * 3 - 2 > self.max_bytes:
            raise self._too_large()
        try:
            # Megabytes: on the event loop they would be heard as a gap in every call.
            body = await asyncio.to_thread(base64.b64decode, bytes_b64, validate=True)
        except (binascii.Error, ValueError):
            raise ValidationFailed([FieldError("bytes_b64", "is not valid base64")]) from None
        return await self.upload(scope, name, mime, _once(body))

    async def save(self, scope: Scope, *, name: str, mime: str, chunks: AsyncIterator[bytes]) -> Attachment:
        """A file that a person sent, for 30 days."""
        file = new_file_id()
        name, mime = _clean_name(name), _clean_mime(mime)
        size = await self._write(file, chunks)
        wire = await self._insert(scope, file, name, mime, size, RECEIVED_LIFE)
        return Attachment(name, mime, size, str(wire["url"]), file)

    async def reserve(self, scope: Scope, name: str, mime: str) -> dict[str, object]:
        """A place for one upload without a key, within 5 minutes."""
        file, token, now = new_file_id(), secrets.token_urlsafe(24), self._clock.now()
        name, mime = _clean_name(name), _clean_mime(mime)

        def insert(conn: Connection) -> None:
            conn.execute(
                files.insert().values(
                    id=file,
                    account_id=scope.account,
                    agent_id=scope.agent,
                    name=name,
                    mime=mime,
                    serve_token=secrets.token_urlsafe(24),
                    upload_sha256=_hash(token),
                    upload_expires_at=now + RESERVED_LIFE,
                    created_at=now,
                    expires_at=now + UPLOAD_LIFE,
                )
            )

        await self._database.write(insert)
        return {
            "file_id": file,
            "upload_url": f"{self._public_url}/api/files/u/{token}",
            "name": name,
            "mime": mime,
            "max_size": self.max_bytes,
            "expires_at": iso(now + RESERVED_LIFE),
        }

    async def upload_reserved(self, token: str, chunks: AsyncIterator[bytes]) -> dict[str, object]:
        """Uses up the reservation `token` names; a second use or a late one is refused alike."""
        now = self._clock.now()

        def claim(conn: Connection) -> Row[Any] | None:
            return conn.execute(
                update(files)
                .where(files.c.upload_sha256 == _hash(token), files.c.upload_expires_at > now)
                .values(upload_sha256=None)
                .returning(files)
            ).one_or_none()

        row = await self._database.write(claim)
        if row is None:
            raise NotFound("Upload URL is unknown, used or expired", code="UPLOAD_URL_GONE")
        size = await self._write(FileId(row.id), chunks)

        def finish(conn: Connection) -> None:
            conn.execute(update(files).where(files.c.id == row.id).values(size_bytes=size))

        await self._database.write(finish)
        return self._to_wire(row, size)

    # --- attach ------------------------------------------------------------------------------------------

    async def attach(self, scope: Scope, wanted: Sequence[Mapping[str, Any]]) -> tuple[Attachment, ...]:
        """What an agent asks to send: `file_id`, one of our own `url`s, or `bytes_b64` with name and mime."""
        return tuple([await self._attach(scope, f"attachments.{i}", item) for i, item in enumerate(wanted)])

    async def _attach(self, scope: Scope, field: str, item: Mapping[str, Any]) -> Attachment:
        if "bytes_b64" in item:
            made = await self.upload_base64(scope, item["bytes_b64"], item["name"], item["mime"])
            return await self._own(scope, f"{field}.bytes_b64", files.c.id == made["file_id"])
        if "file_id" in item:
            return await self._own(scope, f"{field}.file_id", files.c.id == item["file_id"])
        prefix = f"{self._public_url}/api/files/"
        if not str(item["url"]).startswith(prefix):
            raise NotAvailable(
                "This gateway cannot fetch files from other servers yet: upload the file first"
            )
        token = str(item["url"]).removeprefix(prefix)
        return await self._own(scope, f"{field}.url", files.c.serve_token == token)

    async def _own(self, scope: Scope, field: str, condition: Any) -> Attachment:
        def query(conn: Connection) -> Row[Any] | None:
            return conn.execute(
                select(files).where(
                    condition, files.c.account_id == scope.account, files.c.size_bytes.is_not(None)
                )
            ).one_or_none()

        row = await self._database.read(query)
        if row is None or row.expires_at <= self._clock.now():
            raise NotFound(f"{field}: file not found", code="FILE_NOT_FOUND")
        return Attachment(row.name, row.mime, row.size_bytes, self._url(row.serve_token), FileId(row.id))

    # --- out ---------------------------------------------------------------------------------------------

    async def serve(self, token: str) -> ServedFile:
        def query(conn: Connection) -> Row[Any] | None:
            return conn.execute(
                select(files).where(files.c.serve_token == token, files.c.size_bytes.is_not(None))
            ).one_or_none()

        row = await self._database.read(query)
        if row is None:
            raise NotFound("File not found", code="FILE_NOT_FOUND")
        path = self._path(FileId(row.id))
        if row.expires_at <= self._clock.now() or not path.is_file():
            raise Gone("This file is no longer kept", code="FILE_GONE")
        return ServedFile(row.name, row.mime, row.size_bytes, path)

    async def remove_all(self, account: AccountId) -> None:
        """Deletes the bytes of an account's files."""
        rows = await self._database.read(
            lambda conn: conn.execute(select(files.c.id).where(files.c.account_id == account)).all()
        )
        for row in rows:
            self._path(FileId(row.id)).unlink(missing_ok=True)

    async def sweep_forever(self) -> None:
        """Removes expired files and the reservations nobody used."""
        while True:
            try:
                await self.sweep()
            except GatewayError as error:
                log.warning("expired files were not removed this time: %s", error)
            await self._clock.sleep(_SWEEP_EVERY_S)

    async def sweep(self) -> int:
        now = self._clock.now()

        def expired(conn: Connection) -> list[str]:
            return list(
                conn.execute(delete(files).where(files.c.expires_at <= now).returning(files.c.id)).scalars()
            )

        gone = await self._database.write(expired)
        for file in gone:
            self._path(FileId(file)).unlink(missing_ok=True)
        return len(gone)

    # --- inside ------------------------------------------------------------------------------------------

    async def _insert(
        self, scope: Scope, file: FileId, name: str, mime: str, size: int, life: timedelta
    ) -> dict[str, object]:
        now = self._clock.now()

        def insert(conn: Connection) -> Row[Any]:
            return conn.execute(
                files.insert()
                .values(
                    id=file,
                    account_id=scope.account,
                    agent_id=scope.agent,
                    name=name,
                    mime=mime,
                    size_bytes=size,
                    serve_token=secrets.token_urlsafe(24),
                    created_at=now,
                    expires_at=now + life,
                )
                .returning(files)
            ).one()

        try:
            return self._to_wire(await self._database.write(insert), size)
        except GatewayError:
            self._path(file).unlink(missing_ok=True)
            raise

    async def _write(self, file: FileId, chunks: AsyncIterator[bytes]) -> int:
        path = self._path(file)
        loop = asyncio.get_running_loop()
        path.parent.mkdir(parents=True, exist_ok=True)
        part, size = path.with_suffix(".part"), 0
        try:
            with part.open("wb") as out:  # each write goes through the executor
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self.max_bytes:
                        raise self._too_large()
                    await loop.run_in_executor(None, out.write, chunk)
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return size

    def _too_large(self) -> TooLarge:
        return TooLarge(f"File exceeds max size ({self.max_bytes} bytes)", code="FILE_TOO_LARGE")

    def _path(self, file: FileId) -> Path:
        return self._root / file[-2:] / file

    def _url(self, serve_token: str) -> str:
        return f"{self._public_url}/api/files/{serve_token}"

    def _to_wire(self, row: Row[Any], size: int) -> dict[str, object]:
        return {
            "file_id": row.id,
            "url": self._url(row.serve_token),
            "name": row.name,
            "mime": row.mime,
            "size": size,
            "expires_at": iso(row.expires_at),
        }


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _clean_name(name: str) -> str:
    """A file's name without a path, control characters or trickery; never empty."""
    base = re.split(r"[/\\]", name)[-1]
    base = "".join(c for c in base if c.isprintable()).strip(" .")
    return base[:200] or "file"


def _clean_mime(mime: str) -> str:
    kind = mime.partition(";")[0].strip().lower()
    return kind if _MIME.fullmatch(kind) else "application/octet-stream"


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
