"""``/status``: whether the gateway works, for anybody who reaches it; for programs the same as JSON.

Strangers see its parts and nothing of whoever lives here. Who is signed in also sees the agent's platforms.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from chamade_mcp import __version__
from chamade_mcp.core.gateway import Core
from chamade_mcp.core.health import Health, Part
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.connections import ConnectionState
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.docs.negotiation import prefers
from chamade_mcp.web.sign_in import Door, SignIn
from chamade_mcp.web.views import Views

_WORDS = {
    ConnectionState.OK: "connected",
    ConnectionState.CONNECTING: "connecting",
    ConnectionState.UNAVAILABLE: "out of reach, tried again by itself",
    ConnectionState.AUTH_NEEDED: "waiting to be signed in again",
}


class _Status:
    def __init__(self, core: Core, health: Health, sign_in: SignIn, views: Views) -> None:
        self._core = core
        self._health = health
        self._sign_in = sign_in
        self._views = views

    async def show(self, request: Request) -> Response:
        parts = await self._health.parts()
        platforms = await self._platforms(request, parts)
        told: dict[str, Any] = {
            "status": "ok" if all(part.is_well for part in parts) else "degraded",
            "version": __version__,
            "started_at": iso(self._health.started_at),
            "uptime_s": self._health.uptime_s,
            "parts": [part.to_wire() for part in parts],
        }
        if platforms is not None:
            told["platforms"] = [part.to_wire() for part in platforms]
        if prefers(request.headers.get("accept", ""), "application/json", "text/html"):
            headers = {
                "cache-control": "no-store",
                "vary": "accept, cookie",
                "x-content-type-options": "nosniff",
            }
            return JSONResponse(told, headers=headers)
        return self._views.render("status.html", told=told)

    async def _platforms(self, request: Request, parts: Sequence[Part]) -> list[Part] | None:
        """Of the agent whose person has signed in; None for strangers, and while that cannot be known."""
        if not all(part.is_well for part in parts):
            return None
        try:
            visitor = await self._sign_in.visitor(request)
        except GatewayError:
            return None
        if visitor is None:
            return None
        found: dict[str, Counter[ConnectionState]] = {}
        for listed in self._core.connections.list(visitor.principal.scope):
            found.setdefault(listed.platform, Counter())[listed.state] += 1
        return [
            Part(platform, self._core.platforms.require(platform).title, _is_well(states), _words(states))
            for platform, states in sorted(found.items())
        ]


def _is_well(states: Counter[ConnectionState]) -> bool:
    return not states[ConnectionState.UNAVAILABLE] and not states[ConnectionState.AUTH_NEEDED]


def _words(states: Counter[ConnectionState]) -> str:
    return " · ".join(f"{states[state]} {words}" for state, words in _WORDS.items() if states[state])


def status_routes(core: Core, health: Health, door: Door, assets: Assets) -> list[BaseRoute]:
    views = Views(assets)
    status = _Status(core, health, SignIn(core, door, views), views)
    return [Route("/status", views.guarded(status.show), methods=["GET"])]
