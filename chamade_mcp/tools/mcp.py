"""The MCP endpoint put together: edge checks, authentication, sessions, tools."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager

from starlette.routing import Route
from starlette.types import ASGIApp

from chamade_mcp.oauth.resource import Authenticate, MetadataUrl, ProtectedResource
from chamade_mcp.sessions.edge import Edge
from chamade_mcp.sessions.endpoint import Sessions
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.desk import CoreDesk
from chamade_mcp.tools.registry import Registry

PATH, KEY_PATH = "/mcp", "/mcp-key"
"""The second is the same endpoint without a word of OAuth: some clients drop the key that they were given as
soon as they see that they could sign in instead."""


class McpApp:
    """The endpoint as an ASGI application, alive inside `run`."""

    def __init__(self, app: ASGIApp, key_app: ASGIApp, sessions: Sessions) -> None:
        self.apps: Mapping[str, ASGIApp] = {
            # Both spellings of each: a redirect would lose bodies and, with some clients, the query.
            f"{path}{end}": one
            for path, one in ((PATH, app), (KEY_PATH, key_app))
            for end in ("", "/")
        }
        self.sessions = sessions

    @property
    def routes(self) -> list[Route]:
        return [Route(path, endpoint=app) for path, app in self.apps.items()]

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        async with self.sessions.run():
            yield


def mcp_app(
    client: CoreClient,
    authenticate: Authenticate,
    sessions: Sessions,
    *,
    allowed_hosts: Iterable[str],
    allowed_origins: Iterable[str],
    metadata_url: MetadataUrl | None = None,
) -> McpApp:
    """Build the endpoint. For hosts and origins see `sessions.edge.hosts_for` and `origins_for`."""
    endpoint, hosts, origins = (
        sessions.endpoint(Registry(client), CoreDesk(client)),
        tuple(allowed_hosts),
        tuple(allowed_origins),
    )

    def guarded(advertised: MetadataUrl | None) -> ASGIApp:
        protected = ProtectedResource(endpoint, authenticate, metadata_url=advertised)
        return Edge(protected, allowed_hosts=hosts, allowed_origins=origins)

    return McpApp(guarded(metadata_url), guarded(None), sessions)
