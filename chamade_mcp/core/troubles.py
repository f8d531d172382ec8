"""What needs the owner: all that went wrong with an agent, each with what mends it.

Something that is broken is listed until it is mended. What happened once is listed for a week, or until the
owner has put it aside.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row

from chamade_mcp.core import trouble_rows as rows
from chamade_mcp.core.call import CallState
from chamade_mcp.core.disk import Disk, Room
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.roster import Listed, Roster
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.connections import ConnectionState
from chamade_mcp.model.errors import InvalidRequest, NotFound
from chamade_mcp.model.messages import DeliveryState
from chamade_mcp.store.database import Database

Kind = Literal["connection", "webhook", "message", "call", "key", "disk"]
Fix = Literal["sign_in", "new_credentials", "look", "send_again", "ping", "new_key", "make_room"]

_LISTED: Final = timedelta(days=7)
_UNSAID: Final = {
    DeliveryState.FAILED: "It was not delivered",
    DeliveryState.UNKNOWN: "The platform did not confirm it in time",
}
"""Of messages whose platform gave no reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    kind: Kind
    subject: str
    """The id of what it is about."""
    at: datetime
    name: str
    """Whose, or which."""
    words: str
    """The platform's own where there are any."""
    fix: Fix
    platform: str | None = None
    conversation: str | None = None
    provider: str | None = None
    """Where one signs in again."""
    lasting: bool = False
    """Listed until it is mended."""

    def to_wire(self) -> dict[str, object]:
        return {
            "id": self.subject,
            "kind": self.kind,
            "at": iso(self.at),
            "name": self.name,
            "detail": self.words,
            "fix": self.fix,
            "platform": self.platform,
            "conversation_id": self.conversation,
            "oauth_provider": self.provider,
            "lasting": self.lasting,
        }


class Troubles:
    def __init__(
        self, database: Database, clock: Clock, platforms: Platforms, roster: Roster, disk: Disk
    ) -> None:
        self._database = database
        self._clock = clock
        self._platforms = platforms
        self._roster = roster
        self._disk = disk

    async def page(self, principal: Principal, before: str | None, limit: int) -> dict[str, object]:
        """What lasts first, then the newest; `before` is the last one of the page before.

        Raises `InvalidRequest` for another `before`.
        """
        found = await self._all(principal.scope)
        if before is not None:
            places = [at for at, one in enumerate(found) if one.subject == before]
            if not places:
                raise InvalidRequest(
                    "before names nothing in this list: begin anew without it",
                    code="INVALID_CURSOR",
                    param="before",
                )
            found = found[places[0] + 1 :]
        shown = found[:limit]
        return {
            "troubles": [one.to_wire() for one in shown],
            "next": shown[-1].subject if len(found) > limit else None,
        }

    async def put_aside(self, principal: Principal, subject: str) -> None:
        """The owner has seen it. Raises `NotFound` for what is not listed, or lasts until it is mended."""
        scope, now = principal.scope, self._clock.now()
        if all(one.subject != subject or one.lasting for one in await self._all(scope)):
            raise NotFound("Trouble not found", code="TROUBLE_NOT_FOUND")
        put = partial(rows.put, scope=scope, subject=subject, now=now, forget=now - _LISTED)
        await self._database.write(put)

    async def _all(self, scope: Scope) -> list[Trouble]:
        since = self._clock.now() - _LISTED

        def query(conn: Connection) -> list[Trouble]:
            aside = rows.aside(conn, scope)
            found = [*_webhooks(conn, scope), *_messages(conn, scope, since)]
            found += [*_calls(conn, scope, since), *_keys(conn, scope, since)]
            if self._disk.room is not Room.ENOUGH and rows.owns_the_gateway(conn, scope.account):
                found.append(self._running_full())
            return [one for one in found if one.lasting or one.at > aside.get(one.subject, since)]

        found = [*await self._database.read(query), *self._connections(scope)]
        return sorted(found, key=lambda one: (one.lasting, one.at, one.subject), reverse=True)

    def _connections(self, scope: Scope) -> Iterator[Trouble]:
        for listed in self._roster.of(scope):
            if listed.state is ConnectionState.AUTH_NEEDED:
                yield self._signed_out(listed)

    def _running_full(self) -> Trouble:
        return Trouble(
            kind="disk",
            subject="disk",
            at=self._disk.since,
            name="The gateway's disk",
            words=self._disk.words,
            fix="make_room",
            lasting=True,
        )

    def _signed_out(self, listed: Listed) -> Trouble:
        manifest = self._platforms.require(listed.platform)
        provider = self._platforms.provider_of(manifest) if listed.by_oauth else None
        return Trouble(
            kind="connection",
            subject=listed.id,
            at=listed.created_at,
            name=listed.identity.name,
            words=listed.detail,
            fix="new_credentials" if provider is None else "sign_in",
            platform=listed.platform,
            provider=provider,
            lasting=True,
        )


def _webhooks(conn: Connection, scope: Scope) -> Iterator[Trouble]:
    for row in rows.switched_off(conn, scope):
        yield Trouble(
            kind="webhook",
            subject=row.id,
            at=row.failed_at or row.created_at,
            name=row.description or row.url,
            words=row.reason or "",
            fix="look",
            lasting=True,
        )


def _messages(conn: Connection, scope: Scope, since: datetime) -> Iterator[Trouble]:
    for row in rows.undelivered(conn, scope, since):
        yield Trouble(
            kind="message",
            subject=row.id,
            at=row.created_at,
            name=row.remote_name,
            words=row.detail or _UNSAID[row.status],
            fix="send_again",
            platform=row.platform,
            conversation=row.conversation_id,
        )


def _calls(conn: Connection, scope: Scope, since: datetime) -> Iterator[Trouble]:
    for row, why in rows.ended_badly(conn, scope, since):
        missed = row.state == CallState.MISSED
        yield Trouble(
            kind="call",
            subject=row.id,
            at=row.ended_at or row.created_at,
            name=_who(row),
            words="Nobody answered" if missed else why,
            fix="ping" if missed else "look",
            platform=row.platform,
        )


def _who(call: Row[Any]) -> str:
    people: list[str] = call.people or []
    return call.caller or ", ".join(people[:3])


def _keys(conn: Connection, scope: Scope, since: datetime) -> Iterator[Trouble]:
    for row in rows.refused_keys(conn, scope, since):
        yield Trouble(
            kind="key",
            subject=row.id,
            at=row.refused_at,
            name=row.name,
            words="It has expired" if row.revoked_at is None else "It was revoked",
            fix="new_key",
        )
