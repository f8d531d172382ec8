"""The MCP endpoint put together: edge checks, authentication, sessions, tools."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from starlette.routing import Route
from starlette.types import ASGIApp

from chamade_mcp.oauth.resource import Authenticate, ProtectedResource
from chamade_mcp.sessions.edge import Edge
from chamade_mcp.sessions.stateless import StatelessSessions
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.registry import Registry


class McpApp:
    """The endpoint as an ASGI application, alive inside `run`, which can be entered once."""

    def __init__(self, app: ASGIApp, sessions: StatelessSessions) -> None:
        self.app = app
        self._sessions = sessions

    @property
    def routes(self) -> list[Route]:
        """Both spellings of the path: a redirect would lose bodies and, with some clients, the query."""
        return [Route("/mcp", endpoint=self.app), Route("/mcp/", endpoint=self.app)]

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        async with self._sessions.run():
            yield


def mcp_app(
    client: CoreClient,
    authenticate: Authenticate,
    *,
    allowed_hosts: Iterable[str],
    allowed_origins: Iterable[str],
    resource_metadata: str | None = None,
) -> McpApp:
    """Build the endpoint. For hosts and origins see `sessions.edge.hosts_for` and `origins_for`."""
    sessions = StatelessSessions(Registry(client))
    protected = ProtectedResource(sessions, authenticate, resource_metadata=resource_metadata)
    return McpApp(
        Edge(protected, allowed_hosts=allowed_hosts, allowed_origins=allowed_origins),
        sessions,
    )
