"""Handing out links: what POST /api/invite-link does."""

from chamade_mcp.core.links import Links
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.supervisor import Supervisor, reaching
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.connector import InviteKind, Link
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.errors import InvalidRequest
from chamade_mcp.model.ids import Platform


class InviteDesk:
    def __init__(self, links: Links, platforms: Platforms, supervisor: Supervisor) -> None:
        self._links = links
        self._platforms = platforms
        self._supervisor = supervisor

    async def invite(
        self, principal: Principal, platform: str, agent_name: str, kind: InviteKind = InviteKind.CHAT
    ) -> dict[str, object]:
        """A URL a person opens to write to the agent, or to enter a room it can join; told this once.

        Without id and expiry when the platform keeps the room itself.
        """
        manifest = self._platforms.require(platform)
        if not manifest.available:
            raise self._platforms.missing(manifest)
        make = _room if kind is InviteKind.ROOM else _chat
        link = self._supervisor.link(Platform(platform))
        with reaching(manifest.platform):
            url, ref = await make(link, manifest, principal.scope, agent_name)
        # A platform with rooms of its own opens them by links of its own, which are not ours to revoke.
        known = await self._links.by_ref(principal.scope, ref)
        return {
            "id": known[0] if known else None,
            "platform": platform,
            "kind": str(kind),
            "url": url,
            "agent_name": agent_name,
            "expires_at": iso(known[1]) if known else None,
        }


async def _chat(link: Link, manifest: Manifest, scope: Scope, agent_name: str) -> tuple[str, str]:
    """The URL of a new private chat, and what it opens."""
    if link.messages is None:
        raise InvalidRequest(f"Nobody can write to an agent on {manifest.title}", code="CAPABILITY_MISSING")
    url, invite = await link.messages.invite(scope, agent_name)
    return url, invite.ref


async def _room(link: Link, manifest: Manifest, scope: Scope, agent_name: str) -> tuple[str, str]:
    """The URL of a new room, and what it opens."""
    if link.calls is None or not manifest.creates_rooms:
        raise InvalidRequest(
            f"{manifest.title} opens no rooms by itself", code="CAPABILITY_MISSING", param="kind"
        )
    url = await link.calls.create(scope, agent_name)
    return url, await link.calls.locate(url)
