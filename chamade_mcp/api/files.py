"""Files in and out (CONTRACT sections 1.3 and 5)."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO, Annotated, cast

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict
from starlette.responses import FileResponse

from chamade_mcp.api.body import check_length, read_body, require_json, stream_body
from chamade_mcp.api.fields import MEDIA_TYPE, ONE_LINE, Base64, Body, FileName, Mime, Query, WebUrl, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.api.validation import check, parse_body
from chamade_mcp.core.files import Files
from chamade_mcp.kit.multipart import OVERHEAD_BYTES, Upload, is_form
from chamade_mcp.model.access import Permission, Scope
from chamade_mcp.model.errors import (
    FieldError,
    Gone,
    InvalidRequest,
    NotAvailable,
    TooLarge,
    ValidationFailed,
)

_OCTETS = "application/octet-stream"
_IN_MEMORY_BYTES = 1 << 20
_CHUNK_BYTES = 64 * 1024

_SERVED = {
    # The token is the key: no copy in shared caches, no script of a sent page in our origin.
    "cache-control": "private, max-age=900",
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


_BYTES_NEED_A_NAME: JsonDict = {
    "anyOf": [
        {"properties": {"bytes_b64": {"type": "null"}}},
        {
            "required": ["bytes_b64", "name", "mime"],
            "properties": {name: {"type": "string"} for name in ("bytes_b64", "name", "mime")},
        },
    ]
}


class UploadBody(Body):
    """Exactly one of `url` and `bytes_b64`; the latter with `name` and `mime`."""

    model_config = ConfigDict(json_schema_extra=_BYTES_NEED_A_NAME)

    url: WebUrl | None = None
    bytes_b64: Base64 | None = None
    name: FileName | None = None
    mime: Mime | None = None


class ReserveBody(Body):
    name: FileName = "file"
    mime: Mime = _OCTETS


class FileWire(Wire):
    file_id: Annotated[str, Field(description="Give it in `attachments`")]
    url: str
    name: str
    mime: str
    size: int
    expires_at: str


class ReservationWire(Wire):
    file_id: str
    upload_url: Annotated[str, Field(description="Takes one multipart upload without a key, for 5 minutes")]
    max_size: int
    expires_at: str


class FormFields(Query):
    """The text fields beside `file`; empty counts as absent."""

    name: FileName | None = None
    mime: Mime | None = None


_FILE: JsonDict = {"type": "string", "contentMediaType": _OCTETS}
_FORM: JsonDict = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": _FILE,
        "name": {"type": "string", "maxLength": 255, "pattern": ONE_LINE},
        "mime": {"type": "string", "maxLength": 127, "pattern": MEDIA_TYPE},
    },
}
_RESERVED_FORM: JsonDict = {"type": "object", "required": ["file"], "properties": {"file": _FILE}}


@dataclass(frozen=True, slots=True)
class FileGroup:
    files: Files
    json_cap_bytes: int

    async def upload(self, asked: Asked[None, None]) -> Answer:
        if is_form(asked.headers):
            return await self._upload_form(asked)
        raw = await read_body(asked.receive, asked.headers, self.json_cap_bytes)
        if not raw:
            raise ValidationFailed(
                [FieldError("body", "send multipart/form-data with file, or JSON with url or bytes_b64")]
            )
        require_json(asked.headers)
        return await self._upload_json(asked.principal.scope, parse_body(UploadBody, raw))

    async def reserve(self, asked: Asked[ReserveBody, None]) -> Answer:
        return await self.files.reserve(asked.principal.scope, asked.body.name, asked.body.mime)

    async def upload_reserved(self, asked: Asked[None, None]) -> Answer:
        self._check_length(asked)
        upload = Upload(asked.headers, stream_body(asked.receive))
        return await self.files.upload_reserved(asked.ids["upload_token"], upload.chunks())

    async def serve(self, asked: Asked[None, None]) -> Answer:
        file = await self.files.serve(asked.ids["token"])
        try:
            stat = await asyncio.to_thread(os.stat, file.path)
        except FileNotFoundError:
            raise Gone("This file is no longer kept", code="FILE_GONE") from None
        return FileResponse(
            file.path, media_type=file.mime, filename=file.name, headers=_SERVED, stat_result=stat
        )

    async def _upload_form(self, asked: Asked[None, None]) -> Answer:
        self._check_length(asked)
        upload = Upload(asked.headers, stream_body(asked.receive))
        # The fields may follow the file, so it is kept aside until they are known.
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as spool:
            kept = cast(IO[bytes], spool)
            await self._keep(upload, kept)
            given = check(FormFields, upload.fields)
            name = given.name or upload.file_name or "file"
            mime = given.mime or upload.file_mime or _OCTETS
            return await self.files.upload(asked.principal.scope, name, mime, _read(kept))

    async def _keep(self, upload: Upload, spool: IO[bytes]) -> None:
        size = 0
        async for chunk in upload.chunks():
            size += len(chunk)
            if size > self.files.max_bytes:
                raise self._too_large()
            spool.write(chunk)
        spool.seek(0)

    async def _upload_json(self, scope: Scope, body: UploadBody) -> Answer:
        if (body.url is None) == (body.bytes_b64 is None):
            raise InvalidRequest("Provide exactly one of url or bytes_b64", code="ONE_SOURCE_REQUIRED")
        if body.bytes_b64 is None:
            raise NotAvailable("This gateway cannot fetch files from other servers yet: send the file itself")
        if body.name is None or body.mime is None:
            absent = [n for n in ("name", "mime") if getattr(body, n) is None]
            raise ValidationFailed([FieldError(n, "is required with bytes_b64") for n in absent])
        return await self.files.upload_base64(scope, body.bytes_b64, body.name, body.mime)

    def _check_length(self, asked: Asked[None, None]) -> None:
        try:
            check_length(asked.headers, self.files.max_bytes + OVERHEAD_BYTES)
        except TooLarge:
            raise self._too_large() from None

    def _too_large(self) -> TooLarge:
        return TooLarge(f"File exceeds max size ({self.files.max_bytes} bytes)", code="FILE_TOO_LARGE")

    def group(self) -> Group:
        message = Permission.MESSAGE
        over = {413: ("FILE_TOO_LARGE",)}
        return Group(
            "Files",
            "Upload a file to attach it to messages; uploads are kept for 24 hours. Files are served to "
            "whoever holds their URL.",
            (
                Operation(
                    "POST",
                    "/api/files",
                    "Upload a file",
                    self.upload,
                    message,
                    form=_FORM,
                    alternative=UploadBody,
                    reply=FileWire,
                    errors={
                        400: ("ONE_SOURCE_REQUIRED", "INVALID_MULTIPART"),
                        **over,
                        501: ("NOT_AVAILABLE",),
                    },
                ),
                Operation(
                    "POST",
                    "/api/files/reserve",
                    "Reserve an upload without a key",
                    self.reserve,
                    message,
                    body=ReserveBody,
                    body_optional=True,
                    reply=ReservationWire,
                ),
                Operation(
                    "POST",
                    "/api/files/u/{upload_token}",
                    "Upload to a reserved URL",
                    self.upload_reserved,
                    public=True,
                    form=_RESERVED_FORM,
                    reply=FileWire,
                    errors={400: ("INVALID_MULTIPART",), 404: ("UPLOAD_URL_GONE",), **over},
                ),
                Operation(
                    "GET",
                    "/api/files/{token}",
                    "Download a file",
                    self.serve,
                    public=True,
                    media={"*/*": {"schema": {"type": "string", "contentMediaType": _OCTETS}}},
                    errors={404: ("FILE_NOT_FOUND",), 410: ("FILE_GONE",)},
                ),
            ),
        )


async def _read(spool: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := spool.read(_CHUNK_BYTES):
        yield chunk
