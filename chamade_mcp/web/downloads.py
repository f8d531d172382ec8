"""``/download/<name>``: what people install at a platform before they can write to a bot.

That of the bot for everybody is anybody's; that of a bot of one's own takes signing in, and ``?connection=``
chooses among several.
"""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.core.gateway import Core
from chamade_mcp.kit.connection import Package
from chamade_mcp.model.errors import NotFound
from chamade_mcp.web.assets import Assets
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
    return [Route("/download/{name}", views.guarded(give), methods=["GET"])]
