"""Handing out links: what POST /api/invite-link does."""

from chamade_mcp.core.links import Links
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.supervisor import Supervisor
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import InvalidRequest
from chamade_mcp.model.ids import Platform


class InviteDesk:
    def __init__(self, links: Links, platforms: Platforms, supervisor: Supervisor) -> None:
        self._links = links
        self._platforms = platforms
        self._supervisor = supervisor

    async def invite(self, principal: Principal, platform: str, agent_name: str) -> dict[str, object]:
        """A URL a person opens to write to the agent; told this once."""
        manifest = self._platforms.require(platform)
        if not manifest.available:
            raise self._platforms.missing(manifest)
        messages = self._supervisor.link(Platform(platform)).messages
        if messages is None:
            raise InvalidRequest(
                f"Nobody can write to an agent on {manifest.title}", code="CAPABILITY_MISSING"
            )
        url, invite = await messages.invite(principal.scope, agent_name)
        return {
            "id": await self._links.by_ref(principal.scope, invite.ref),
            "platform": platform,
            "url": url,
            "agent_name": agent_name,
            "expires_at": iso(invite.expires_at),
        }
