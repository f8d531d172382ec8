"""Files: up and down."""

from pathlib import Path
from typing import IO

from chamade_mcp.client.http import Http
from chamade_mcp.client.reading import record
from chamade_mcp.client.records import Attachment, File, Reservation


class Files:
    """``client.files``. Every method raises `Refused` or `Unreachable`; too large a file is
    `InvalidRequest`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def upload(self, content: bytes | Path, name: str | None = None, mime: str | None = None) -> File:
        """For 24 hours. `name` is by default the path's, else ``file``; `mime` is by default guessed by
        it."""
        called = name or (content.name if isinstance(content, Path) else "file")

        def form() -> tuple[str, bytes | IO[bytes], str | None]:
            return called, content.open("rb") if isinstance(content, Path) else content, mime

        return record(File, await self._http.ask("POST", "/api/files", form=form))

    async def upload_url(self, url: str, name: str | None = None, mime: str | None = None) -> File:
        """What the gateway fetches from a public address."""
        given = {"url": url, "name": name, "mime": mime}
        body = {member: value for member, value in given.items() if value is not None}
        return record(File, await self._http.ask("POST", "/api/files", body=body))

    async def reserve(self, name: str, mime: str = "application/octet-stream") -> Reservation:
        """An address to which somebody without a key may upload one file, within 5 minutes."""
        answer = await self._http.ask("POST", "/api/files/reserve", body={"name": name, "mime": mime})
        return record(Reservation, answer)

    async def download(self, file: Attachment | File | str) -> bytes:
        """Its content. Raises `NotFound` when it is gone."""
        return await self._http.download(_url(file))

    async def save(self, file: Attachment | File | str, path: Path) -> None:
        """Its content into the file at `path`, which is overwritten."""
        await self._http.save(_url(file), path)


def _url(file: Attachment | File | str) -> str:
    return file if isinstance(file, str) else file.url
