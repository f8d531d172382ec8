"""The MCP endpoint put together: edge checks, authentication, sessions, tools."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from starlette.routing import Route
from starlette.types import ASGIApp

from chamade_mcp.oauth.resource import Authenticate, ProtectedResource
from chamade_mcp.sessions.edge import Edge
from chamade_mcp.sessions.endpoint import Sessions
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.registry import Registry

PATHS = frozenset({"/mcp", "/mcp/"})
"""Both spellings: a redirect would lose bodies and, with some clients, the query."""


class McpApp:
    """The endpoint as an ASGI application, alive inside `run`."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self.app = app
        self.sessions = sessions

    @property
    def routes(self) -> list[Route]:
        return [Route(path, endpoint=self.app) for path in sorted(PATHS)]

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
    resource_metadata: str | None = None,
) -> McpApp:
    """Build the endpoint. For hosts and origins see `sessions.edge.hosts_for` and `origins_for`."""
    protected = ProtectedResource(
        sessions.endpoint(Registry(client)), authenticate, resource_metadata=resource_metadata
    )
    return McpApp(
        Edge(protected, allowed_hosts=allowed_hosts, allowed_origins=allowed_origins),
        sessions,
    )
