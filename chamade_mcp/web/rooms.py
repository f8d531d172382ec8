"""The pages a person opens by a link: the room (``/r/<token>``) and the private chat (``/c/<token>``).

The token is the key to the room, so it must not leak: no referrer, no cache, no foreign origin, no inline
code.
"""

from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Route

from chamade_mcp.kit.connector import Invite, InviteKind, Invites
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.pages import page_templates

LIVE_PATH = "/live/web"
"""Where the web connector's own app is mounted."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
PAGE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
_UNNAMED = "ai agent"
"""What an agent without a name of its own is called (CONTRACT: ``agent_name`` defaults to "AI Agent")."""


class _Pages:
    def __init__(self, invites: Invites, assets: Assets) -> None:
        self._invites = invites
        self._assets = assets
        self._templates = page_templates()

    async def room(self, request: Request) -> HTMLResponse:
        return await self._open(request, InviteKind.ROOM, "room.html")

    async def chat(self, request: Request) -> HTMLResponse:
        return await self._open(request, InviteKind.CHAT, "chat.html")

    async def _open(self, request: Request, kind: InviteKind, template: str) -> HTMLResponse:
        token: str = request.path_params["token"]
        invite = await self._invites.admit(token)
        prefix: str = request.scope.get("root_path", "")
        if invite is None or invite.kind is not kind:
            return self._render("link_gone.html", prefix, {}, status=404)
        live = f"{prefix}{LIVE_PATH}/{quote(token, safe='')}"
        return self._render(template, prefix, {"live": live, **_words(invite)})

    def _render(
        self, template: str, prefix: str, values: Mapping[str, str], *, status: int = 200
    ) -> HTMLResponse:
        def asset(name: str) -> str:
            return prefix + self._assets.path(name)

        html = self._templates.get_template(template).render(asset=asset, **values)
        return HTMLResponse(html, status, headers=PAGE_HEADERS)


def _words(invite: Invite) -> dict[str, str]:
    name = invite.agent_name.strip()
    named = bool(name) and name.lower() != _UNNAMED
    return {
        "title": invite.title.strip() or "Room",
        "agent_name": name if named else "AI agent",
        "agent_label": f"{name}, an AI agent" if named else "an AI agent",
    }


def room_routes(invites: Invites, assets: Assets | None = None) -> list[BaseRoute]:
    """``GET /r/{token}``, ``GET /c/{token}`` and the static files; a dead link gets a 404 page."""
    assets = assets or Assets.load()
    pages = _Pages(invites, assets)
    return [Route("/r/{token}", pages.room), Route("/c/{token}", pages.chat), assets.route()]
