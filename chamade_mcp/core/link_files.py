"""`kit.connector.Files` of one link."""

from collections.abc import AsyncIterator

from chamade_mcp.core.files import Files
from chamade_mcp.kit.connector import Content
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import ConnectionId, Platform
from chamade_mcp.model.messages import Attachment


class LinkFiles:
    def __init__(self, files: Files, link: tuple[Platform, ConnectionId]) -> None:
        self._files = files
        self._link = link

    @property
    def max_bytes(self) -> int:
        return self._files.max_bytes

    async def save(self, scope: Scope, *, name: str, mime: str, chunks: AsyncIterator[bytes]) -> Attachment:
        over = {"platform": self._link[0], "connection_id": self._link[1]}
        return await self._files.save(scope, name=name, mime=mime, chunks=chunks, **over)

    async def keep(
        self, scope: Scope, ref: str, *, name: str, mime: str, size_bytes: int | None
    ) -> Attachment:
        return await self._files.keep(scope, self._link, ref, name=name, mime=mime, size_bytes=size_bytes)

    async def open(self, attachment: Attachment) -> Content:
        return await self._files.open(attachment)
