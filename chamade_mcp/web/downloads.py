"""``/download/<name>``: what people install, at a platform to write to a bot, or beside an agent.

That of the bot for everybody is anybody's; that of a bot of one's own takes signing in, and ``?connection=``
chooses among several. What an agent's side installs is anybody's, too.
"""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.core.gateway import Core
from chamade_mcp.kit.connection import Package
from chamade_mcp.model.errors import NotFound
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.client_files import SHIM, ClientFiles
from chamade_mcp.web.sign_in import Door, SignIn
from chamade_mcp.web.views import Views


class _Downloads:
    def __init__(self, core: Core, sign_in: SignIn) -> None:
        self._packages = core.packages
        self._sign_in = sign_in

    async def give(self, request: Request) -> Response:
        name: str = request.path_params["name"]
        visitor = await self._sign_in.visitor(request)
        if visitor is None and self._packages.knows(name):
            shared = self._packages.for_everybody(name)
            wanted = "connection" in request.query_params
            return self._sign_in.ask(request) if shared is None or wanted else _file(shared)
        if visitor is None:
            raise NotFound("There is no such download")
        connection = request.query_params.get("connection", "")
        return _file(self._packages.of(visitor.principal, name, connection))


def _file(package: Package) -> Response:
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(package.name)}",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return Response(package.body, media_type=package.media_type, headers=headers)


def download_routes(core: Core, door: Door, assets: Assets) -> list[BaseRoute]:
    views = Views(assets)
    give = _Downloads(core, SignIn(core, door, views)).give
    files = ClientFiles(core.public_url)

    async def bundle(request: Request) -> Response:
        del request
        return _file(files.bundle)

    async def shim(request: Request) -> Response:
        del request
        return _file(files.shim)

    return [
        Route("/download/chamade.mcpb", views.guarded(bundle), methods=["GET"]),
        Route(f"/download/{SHIM}", views.guarded(shim), methods=["GET"]),
        Route("/download/{name}", views.guarded(give), methods=["GET"]),
    ]
