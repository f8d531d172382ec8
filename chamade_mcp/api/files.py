"""Files in and out (CONTRACT sections 1.3 and 5)."""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Annotated, cast

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from chamade_mcp.api.body import check_length, read_body, require_json, stream_body
from chamade_mcp.api.fields import MEDIA_TYPE, ONE_LINE, Base64, Body, FileName, Mime, Query, WebUrl, Wire
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.api.serving import answer
from chamade_mcp.api.validation import check, parse_body
from chamade_mcp.core.file_types import OCTETS
from chamade_mcp.core.files import Files
from chamade_mcp.kit.multipart import OVERHEAD_BYTES, Upload, is_form
from chamade_mcp.model.access import Permission, Scope
from chamade_mcp.model.errors import FieldError, InvalidRequest, TooLarge, ValidationFailed

_IN_MEMORY_BYTES = 1 << 20
_CHUNK_BYTES = 64 * 1024

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
    mime: Mime = OCTETS


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


_FILE: JsonDict = {"type": "string", "contentMediaType": OCTETS}
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
        upload = Upload(asked.headers, self._body(asked))
        return await self.files.upload_reserved(asked.ids["upload_token"], upload.chunks())

    async def serve(self, asked: Asked[None, None]) -> Answer:
        file = await self.files.serve(asked.ids["token"])
        return answer(file, partial(self.files.read, file), asked.scope["method"], asked.headers)

    async def _upload_form(self, asked: Asked[None, None]) -> Answer:
        upload = Upload(asked.headers, self._body(asked))
        # The fields may follow the file, so it is kept aside until they are known.
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as spool:
            kept = cast(IO[bytes], spool)
            await self._keep(upload, kept)
            given = check(FormFields, upload.fields)
            name = given.name or upload.file_name or "file"
            mime = given.mime or upload.file_mime or OCTETS
            return await self.files.upload(asked.principal.scope, name, mime, _read(kept))

    async def _keep(self, upload: Upload, spool: IO[bytes]) -> None:
        size = 0
        async for chunk in upload.chunks():
            size += len(chunk)
            if size > self.files.max_bytes:
                raise self.files.too_large()
            spool.write(chunk)
        spool.seek(0)

    async def _upload_json(self, scope: Scope, body: UploadBody) -> Answer:
        if (body.url is None) == (body.bytes_b64 is None):
            raise InvalidRequest("Provide exactly one of url or bytes_b64", code="ONE_SOURCE_REQUIRED")
        if body.url is not None:
            return await self.files.upload_url(scope, body.url, body.name, body.mime)
        assert body.bytes_b64 is not None, "one of the two is there"
        if body.name is None or body.mime is None:
            absent = [n for n in ("name", "mime") if getattr(body, n) is None]
            raise ValidationFailed([FieldError(n, "is required with bytes_b64") for n in absent])
        return await self.files.upload_base64(scope, body.bytes_b64, body.name, body.mime)

    def _body(self, asked: Asked[None, None]) -> AsyncIterator[bytes]:
        """Of a form: no more than a file and what may stand around it, also where no length was told."""
        cap_bytes = self.files.max_bytes + OVERHEAD_BYTES
        try:
            check_length(asked.headers, cap_bytes)
        except TooLarge:
            raise self.files.too_large() from None
        return self._capped(stream_body(asked.receive), cap_bytes)

    async def _capped(self, body: AsyncIterator[bytes], cap_bytes: int) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in body:
            size += len(chunk)
            if size > cap_bytes:
                raise self.files.too_large()
            yield chunk

    def group(self) -> Group:
        message = Permission.MESSAGE
        over = {413: ("FILE_TOO_LARGE", "FILE_QUOTA_EXCEEDED"), 503: ("UNAVAILABLE",)}
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
                    notes="A `url` is fetched by the gateway: http or https, on the public Internet, at most "
                    "5 redirects, 30 seconds.",
                    reply=FileWire,
                    errors={
                        400: ("ONE_SOURCE_REQUIRED", "INVALID_MULTIPART", "INVALID_URL", "FETCH_REFUSED"),
                        **over,
                        429: ("RATE_LIMITED",),
                        502: ("FETCH_FAILED",),
                        504: ("FETCH_TIMED_OUT",),
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
                    media={"*/*": {"schema": {"type": "string", "contentMediaType": OCTETS}}},
                    also={206: "One range of it", 304: "What `If-None-Match` names is still the same"},
                    errors={
                        404: ("FILE_NOT_FOUND",),
                        410: ("FILE_GONE",),
                        416: ("RANGE_NOT_SATISFIABLE",),
                    },
                    notes="Takes one `Range`. Images, sound, film and plain text are shown in place, "
                    "all else is a download.",
                ),
            ),
        )


async def _read(spool: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := spool.read(_CHUNK_BYTES):
        yield chunk
