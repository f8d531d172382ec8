"""Discovery: every path under which a client may look for our metadata, and JSON for every other one.

Clients differ in where they look: at the root, with the path of the MCP endpoint behind the well-known name
(RFC 8414, RFC 9728), or in front of it (OpenID Connect). All of them find the same.
"""

import json
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.kit.problem import problem_response
from chamade_mcp.model.errors import MethodNotAllowed, NotFound
from chamade_mcp.oauth.places import MCP_PATH, Places
from chamade_mcp.oauth.wire import ANY_METHOD, CORS, PREFLIGHT

_ROOT = "/.well-known"
_CACHED: Mapping[str, str] = {**CORS, "cache-control": "public, max-age=300"}


def well_known_routes(places: Places) -> list[BaseRoute]:
    server = places.authorization_server()

    async def resource_document(request: Request) -> Response:
        # The twin has its own, as a client compares the resource with the address that it called.
        headers = {**_CACHED, "vary": "Host"}
        return _json(places.protected_resource(request.headers.get("host", "")), headers)

    async def server_document(request: Request) -> Response:
        del request
        return _json(server, _CACHED)

    routes = [
        _route(f"{_ROOT}/oauth-protected-resource{path}", resource_document)
        for path in ("", MCP_PATH, f"{MCP_PATH}/")
    ]
    for name in ("oauth-authorization-server", "openid-configuration"):
        behind = (f"{_ROOT}/{name}{path}" for path in ("", MCP_PATH, f"{MCP_PATH}/"))
        routes += [_route(path, server_document) for path in (*behind, f"{MCP_PATH}{_ROOT}/{name}")]
    for path in (_ROOT, f"{MCP_PATH}{_ROOT}"):
        routes.append(Route(f"{path}/{{rest:path}}", _nothing, methods=ANY_METHOD))
    return routes


def _route(path: str, document: Callable[[Request], Awaitable[Response]]) -> BaseRoute:
    async def endpoint(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=PREFLIGHT)
        if request.method not in ("GET", "HEAD"):
            refusal = MethodNotAllowed("This path takes GET, HEAD, OPTIONS")
            return problem_response(refusal, headers={**CORS, "allow": "GET, HEAD, OPTIONS"})
        return await document(request)

    return Route(path, endpoint, methods=ANY_METHOD)


def _json(document: Mapping[str, object], headers: Mapping[str, str]) -> Response:
    return Response(json.dumps(document), headers=dict(headers), media_type="application/json")


async def _nothing(request: Request) -> Response:
    del request
    return problem_response(
        NotFound("There is nothing at this path"), headers={**CORS, "cache-control": "no-store"}
    )
