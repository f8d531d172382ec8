"""Invitations: links that let a person in. Made, told once, admitted by hash, watched, revoked."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.sql.elements import ColumnElement

from chamade_mcp.core.bounds import inside
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.supervisor import Supervisor, reaching
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.kit.connector import Invite, InviteKind, Link
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.kit.waiting import race, to_the_end
from chamade_mcp.model.access import Bounds, Principal, Scope
from chamade_mcp.model.errors import InvalidRequest, NotFound
from chamade_mcp.model.ids import AccountId, AgentId, LinkId, Platform, new_id, new_link_id
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import links
from chamade_mcp.store.secrets import token_hash

ROOM_LIFE = timedelta(days=7)
CHAT_LIFE = timedelta(days=30)
_LOOK_AGAIN_S = 600.0
_LIFE = {InviteKind.ROOM: ROOM_LIFE, InviteKind.CHAT: CHAT_LIFE}


class Invitations:
    def __init__(
        self, database: Database, clock: Clock, platforms: Platforms, supervisor: Supervisor
    ) -> None:
        self._database = database
        self._clock = clock
        self._platforms = platforms
        self._supervisor = supervisor
        self._watched: dict[str, set[asyncio.Event]] = {}

    def of(self, platform: Platform) -> "PlatformInvitations":
        """What a connector sees: its own platform's links."""
        return PlatformInvitations(self, platform)

    async def invite(
        self, principal: Principal, platform: str, agent_name: str, kind: InviteKind = InviteKind.CHAT
    ) -> dict[str, object]:
        """A URL a person opens to write to the agent, or to enter a room it can join; told this once.

        Without id and expiry when the platform keeps the room itself.
        """
        manifest = self._platforms.require(platform)
        if not manifest.available:
            raise self._platforms.missing(manifest)
        self._platforms.require_connected(manifest, principal.scope, None)
        make = _room if kind is InviteKind.ROOM else _chat
        connection = self._platforms.link_of(principal.scope, manifest.platform)
        link = self._supervisor.link(manifest.platform, connection)
        with reaching(manifest.platform):
            url, ref, until = await make(link, manifest, principal.scope, agent_name)
        # A platform with rooms of its own opens them by links of its own, which are not ours to revoke.
        known = await self._by_ref(principal.scope, ref) if ref else None
        until = known[1] if known else until
        return {
            "id": known[0] if known else None,
            "platform": platform,
            "kind": str(kind),
            "url": url,
            "agent_name": agent_name,
            "expires_at": iso(until) if until else None,
        }

    async def issue(
        self, scope: Scope, platform: Platform, kind: InviteKind, *, title: str, agent_name: str
    ) -> tuple[str, Invite]:
        token, now = secrets.token_urlsafe(24), self._clock.now()
        ref = new_id("room" if kind is InviteKind.ROOM else "chat")
        invite = Invite(scope, kind, ref, title, agent_name, now + _LIFE[kind])

        def insert(conn: Connection) -> None:
            conn.execute(
                links.insert().values(
                    id=new_link_id(),
                    account_id=scope.account,
                    agent_id=scope.agent,
                    platform=platform,
                    kind=str(kind),
                    token_sha256=token_hash(token),
                    ref=ref,
                    title=title,
                    agent_name=agent_name,
                    created_at=now,
                    expires_at=invite.expires_at,
                )
            )

        await self._database.write(insert)
        return token, invite

    async def admit(self, token: str, platform: Platform) -> Invite | None:
        row = await self._database.read(partial(_find, token_sha256=token_hash(token), platform=platform))
        if row is None or row.revoked_at is not None or row.expires_at <= self._clock.now():
            return None
        scope = Scope(AccountId(row.account_id), AgentId(row.agent_id))
        return Invite(scope, InviteKind(row.kind), row.ref, row.title, row.agent_name, row.expires_at)

    @asynccontextmanager
    async def watch(self, token: str, platform: Platform) -> AsyncGenerator[Awaitable[None]]:
        """Inside, the awaitable finishes once the link is revoked, has expired or was never there."""
        gone = asyncio.Event()
        watchers = self._watched.setdefault(token_hash(token), set())
        watchers.add(gone)
        try:
            # Registered first, looked up second: a revocation in between is seen by one or the other.
            invite = await self.admit(token, platform)
            over = asyncio.create_task(self._until(gone, invite))
            try:
                yield over
            finally:
                over.cancel()
                await asyncio.gather(over, return_exceptions=True)
        finally:
            watchers.discard(gone)
            if not watchers:
                self._watched.pop(token_hash(token), None)

    async def list(self, scope: Scope) -> list[dict[str, object]]:
        """The links that still open something, the newest first; never their tokens."""
        now = self._clock.now()

        def query(conn: Connection) -> list[dict[str, object]]:
            rows = conn.execute(
                select(links)
                .where(_open(Bounds(scope.account, scope.agent)), links.c.expires_at > now)
                .order_by(links.c.created_at.desc())
                .limit(200)
            )
            return [_row_to_wire(row) for row in rows]

        return await self._database.read(query)

    async def revoke(self, bounds: Bounds, link: str) -> None:
        """Closes the link at once for everybody who is in by it."""
        if await to_the_end(self._revoke(bounds, links.c.id == link)) == 0:
            raise NotFound("Link not found", code="LINK_NOT_FOUND")

    async def revoke_all(self, account: AccountId) -> None:
        await to_the_end(self._revoke(Bounds(account, None)))

    async def revoke_of(self, scope: Scope) -> None:
        """The agent goes."""
        await to_the_end(self._revoke(Bounds(scope.account, scope.agent)))

    async def _by_ref(self, scope: Scope, ref: str) -> tuple[LinkId, datetime] | None:
        """The id of the link that opens `ref`, and when it expires; None when none of ours does."""

        def query(conn: Connection) -> Row[str, datetime] | None:
            return conn.execute(
                select(links.c.id, links.c.expires_at).where(
                    links.c.account_id == scope.account, links.c.ref == ref
                )
            ).one_or_none()

        row = await self._database.read(query)
        return None if row is None else (LinkId(row.id), row.expires_at)

    async def _revoke(self, bounds: Bounds, *which: ColumnElement[bool]) -> int:
        now = self._clock.now()

        def stamp(conn: Connection) -> Sequence[str]:
            query = update(links).where(_open(bounds), *which)
            return conn.execute(query.values(revoked_at=now).returning(links.c.token_sha256)).scalars().all()

        revoked = await self._database.write(stamp)
        for token_sha256 in revoked:
            for gone in self._watched.get(token_sha256, ()):
                gone.set()
        return len(revoked)

    async def _until(self, gone: asyncio.Event, invite: Invite | None) -> None:
        if invite is None:
            return
        # The wall clock may be set meanwhile: it is asked again from time to time.
        while not gone.is_set() and (left := (invite.expires_at - self._clock.now()).total_seconds()) > 0:
            await race(gone.wait(), self._clock.sleep(min(left, _LOOK_AGAIN_S)))


class PlatformInvitations:
    """`kit.connector.Invites` of one platform."""

    def __init__(self, invitations: Invitations, platform: Platform) -> None:
        self._invitations = invitations
        self._platform = platform

    async def issue(
        self, scope: Scope, kind: InviteKind, *, title: str, agent_name: str
    ) -> tuple[str, Invite]:
        return await self._invitations.issue(scope, self._platform, kind, title=title, agent_name=agent_name)

    async def admit(self, token: str) -> Invite | None:
        return await self._invitations.admit(token, self._platform)

    def watch(self, token: str) -> AbstractAsyncContextManager[Awaitable[None]]:
        return self._invitations.watch(token, self._platform)


def _open(bounds: Bounds) -> ColumnElement[bool]:
    return inside(links, bounds) & links.c.revoked_at.is_(None)


def _find(conn: Connection, token_sha256: str, platform: Platform) -> Row[Any] | None:
    return conn.execute(
        select(links).where(links.c.token_sha256 == token_sha256, links.c.platform == platform)
    ).one_or_none()


def _row_to_wire(row: Row[Any]) -> dict[str, object]:
    return {
        "id": row.id,
        "platform": row.platform,
        "kind": row.kind,
        "title": row.title,
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
    }


async def _chat(
    link: Link, manifest: Manifest, scope: Scope, agent_name: str
) -> tuple[str, str, datetime | None]:
    """The URL of a new private chat, what it opens, and until when."""
    if link.messages is None:
        raise InvalidRequest(f"Nobody can write to an agent on {manifest.title}", code="CAPABILITY_MISSING")
    url, invite = await link.messages.invite(scope, agent_name)
    return url, invite.ref, invite.expires_at


async def _room(
    link: Link, manifest: Manifest, scope: Scope, agent_name: str
) -> tuple[str, str, datetime | None]:
    """The URL of a new room, what it opens, and until when that is known here."""
    if link.calls is None or not manifest.creates_rooms:
        raise InvalidRequest(
            f"{manifest.title} opens no rooms by itself", code="CAPABILITY_MISSING", param="kind"
        )
    url = await link.calls.create(scope, agent_name)
    return url, await link.calls.locate(url), None
