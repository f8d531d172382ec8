"""The web room: the gateway's own platform, always connected."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files

from chamade_mcp.connectors.web.link import Places, WebLink
from chamade_mcp.connectors.web.server import Reception
from chamade_mcp.kit.connector import Context, Link
from chamade_mcp.kit.manifest import read_manifest


class WebConnector:
    def __init__(self) -> None:
        self.manifest = read_manifest(files("chamade_mcp.connectors.web"))

    def open(self, ctx: Context) -> AbstractAsyncContextManager[Link]:
        return _open(ctx)


@asynccontextmanager
async def _open(ctx: Context) -> AsyncGenerator[WebLink, None]:
    places = Places(ctx)
    reception = Reception(places)
    try:
        yield WebLink(places, reception.app)
    finally:
        await places.close()
        await reception.close()


connector = WebConnector()
