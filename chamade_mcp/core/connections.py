"""Connections: bots that people bring, checked on saving, kept sealed, held open, changed and removed."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from chamade_mcp.core import connection_rows as rows
from chamade_mcp.core import event_log
from chamade_mcp.core.accounts import require_verified
from chamade_mcp.core.bot_settings import check_settings
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.limits import Attempts
from chamade_mcp.core.operators import Operators
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.renewals import Renewals
from chamade_mcp.core.roster import Listed, Roster
from chamade_mcp.core.supervisor import Supervisor, reaching
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.kit.connection import HandedOver, OwnBots, StoredConnection, TakesLeave
from chamade_mcp.kit.connector import AuthNeeded, Connector, Context
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.kit.oauth import BY_OAUTH
from chamade_mcp.kit.waiting import race, to_the_end
from chamade_mcp.model.access import Bounds, Principal, Scope
from chamade_mcp.model.connections import Access, ConnectionKind, ConnectionState, Identity
from chamade_mcp.model.errors import (
    Action,
    Conflict,
    InvalidRequest,
    NotFound,
    PlatformRefused,
    Unavailable,
)
from chamade_mcp.model.events import Envelope, Event, EventType
from chamade_mcp.model.ids import AccountId, ConnectionId, Platform, new_connection_id, new_message_id
from chamade_mcp.model.messages import DeliveryState, Outgoing, plain_line
from chamade_mcp.store.database import Database
from chamade_mcp.store.secrets import SealBroken, SecretBox

log = logging.getLogger(__name__)
audit = logging.getLogger("chamade_mcp.audit")

EMBEDDED: Final = "embedded:"
"""Before the name of a platform that is part of the gateway: the id of its connection."""
_VERIFY_S: Final = 20.0
_LEAVE_S: Final = 5.0
_TEST_WORDS: Final = "This is a test message from your gateway: the connection works."

ContextOf = Callable[[Platform, StoredConnection | None, Mapping[str, str]], Context]


@dataclass(frozen=True, slots=True)
class ConnectionDeps:
    database: Database
    box: SecretBox
    clock: Clock
    hub: EventHub
    platforms: Platforms
    roster: Roster
    supervisor: Supervisor
    operators: Operators
    connectors: Mapping[Platform, Connector]
    public_url: str


class Connections:
    def __init__(self, deps: ConnectionDeps) -> None:
        self._d = deps
        self._verifications = Attempts(deps.clock, limit=20, window_s=60.0)
        self._turn = asyncio.Lock()
        """Held while a connection is made, changes hands or goes, and its link with it: one after the other,
        and each finds what the one before has left."""
        self._renewals = Renewals(deps.database, deps.box, deps.roster, self._renew)
        self._context: ContextOf | None = None
        deps.supervisor.watch(self._changed)

    async def start(self, context: ContextOf) -> None:
        """Holds a link for every bot; does not wait until they are up."""
        self._context = context
        for row in await self._d.database.read(rows.every):
            listed = rows.from_row(row)
            self._d.roster.put(listed)
            if listed.kind is ConnectionKind.OWN and listed.platform in self._d.connectors:
                await self._hold(listed)

    async def register(
        self,
        principal: Principal,
        platform: str,
        settings: Mapping[str, str],
        access: Access,
        identity: Identity | None = None,
    ) -> Listed:
        """Asks the platform who it is, unless that is known, stores it and opens its link.

        Where an agent has one such bot at a time, it takes the place of the one before. Raises `Forbidden`
        without a verified e-mail address, `NotAvailable`, `InvalidRequest` also when the platform refuses
        the credentials, `Unavailable` when it cannot be asked, `Conflict` when the bot is connected already.
        """
        require_verified(principal)
        manifest = self._d.platforms.require(platform)
        check_settings(manifest, settings)
        identity = identity or await self._verify(principal.account, manifest, settings)
        if manifest.bot is not None and manifest.bot.single:
            mine = self._d.roster.of(principal.scope, manifest.platform)
            if before := next((c for c in mine if c.kind is ConnectionKind.OWN), None):
                audit.info("connection %s is given another bot by %s", before.id, _who(principal))
                return await to_the_end(self._replace(before, identity, settings))
        return await self._make(principal, manifest.platform, identity, access, settings)

    async def adopt(self, principal: Principal, platform: Platform, bot: HandedOver) -> Listed:
        """A bot that its platform gave for somebody's agreeing there; only who is paired is heard.

        One that the agent has already is given its new credentials. Raises `Conflict` for a bot that is
        somebody else's, and `LimitReached`.
        """
        settings, identity = {**bot.settings, BY_OAUTH: "yes"}, bot.identity
        for mine in self._d.roster.of(principal.scope, platform):
            if mine.kind is ConnectionKind.OWN and identity.is_as(mine.identity):
                await to_the_end(self._renew(mine, identity, settings))
                audit.info("connection %s renewed by %s", mine.id, _who(principal))
                return self._now(mine)
        return await self._make(principal, platform, identity, Access.PAIRING, settings)

    def every(self) -> "list[Listed]":
        """Of all accounts: for counting."""
        return self._d.roster.every()

    def list(self, scope: Scope) -> list[Listed]:
        return self._d.roster.of(scope)

    def get(self, bounds: Bounds, connection: str) -> Listed:
        """Raises `NotFound`, and `Conflict` for one that is part of the gateway."""
        listed = self._d.roster.get(connection)
        if listed is not None and bounds.holds(listed.scope):
            return listed
        platform = connection.removeprefix(EMBEDDED)
        if platform != connection and any(
            m.embedded and m.platform == platform for m in self._d.platforms.manifests
        ):
            raise Conflict(
                "This platform is part of the gateway and always connected",
                code="EMBEDDED_PLATFORM",
                action=Action.GIVE_UP,
                platform=platform,
            )
        raise NotFound("Connection not found", code="CONNECTION_NOT_FOUND")

    async def change(
        self,
        principal: Principal,
        connection: str,
        *,
        access: Access | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Listed:
        """New credentials are for the same bot, and open its link anew."""
        listed = self.get(principal.bounds, connection)
        if settings:
            manifest = self._d.platforms.require(listed.platform)
            stored = await self._settings(listed)
            if BY_OAUTH in stored:
                raise InvalidRequest(
                    f"This bot came by signing in at {manifest.title}: sign in there again",
                    code="SIGN_IN_AGAIN",
                    action=Action.ASK_HUMAN,
                    platform=listed.platform,
                )
            settings = {**stored, **settings}
            check_settings(manifest, settings)
            identity = await self._verify(principal.account, manifest, settings)
            if identity.ref != listed.identity.ref:
                raise Conflict(
                    f"These are the credentials of another bot, {identity.name}: connect it for itself",
                    code="OTHER_BOT",
                    action=Action.FIX_ARGUMENT,
                    platform=listed.platform,
                )
            await to_the_end(self._renew(listed, identity, settings))
        if access is not None:
            await self._d.database.write(partial(rows.set_access, connection=listed.id, access=access))
            self._d.roster.put(replace(self._still_there(listed), access=access))
        audit.info("connection %s changed by %s", listed.id, _who(principal))
        return self._now(listed)

    async def hand_over(self, listed: Listed, to: Scope) -> Scope:
        """To another agent of the account, with its conversations. Whose it was: others may have given it
        away meanwhile. Raises `Conflict` and `NotFound`."""
        async with self._turn:
            listed = self._still_there(listed)
            if listed.scope != to:
                await self._d.database.write(partial(rows.hand_over, listed=listed, to=to))
                self._d.roster.put(replace(self._now(listed), scope=to))
                if listed.kind is ConnectionKind.OWN:
                    await self._hold(self._now(listed))
        return listed.scope

    async def remove(self, principal: Principal, connection: str) -> None:
        listed = self.get(principal.bounds, connection)
        await to_the_end(self._remove(listed))
        audit.info("connection %s to %s removed by %s", listed.id, listed.platform, _who(principal))

    async def forget(self, account: AccountId) -> None:
        """The account goes."""
        async with self._turn:  # what is being made is there then
            mine = self._d.roster.of_account(account)
        for listed in mine:
            await to_the_end(self._remove(listed))

    async def test(self, principal: Principal, connection: str) -> dict[str, object]:
        """Asks the platform again who this is, and writes to the agent's operator where they use it.

        Raises what the platform says.
        """
        listed = self.get(principal.bounds, connection)
        identity = listed.identity
        if listed.kind is ConnectionKind.OWN:
            manifest = self._d.platforms.require(listed.platform)
            identity = await self._verify(principal.account, manifest, await self._settings(listed))
        operator = await self._d.operators.of(listed.scope)
        sent = operator is not None and operator.whom.link == (listed.platform, listed.link)
        if operator is not None and sent:
            messages = self._d.supervisor.link(listed.platform, listed.link).messages
            assert messages is not None, "there is a conversation on it"
            with reaching(listed.platform):
                words = Outgoing(new_message_id(self._d.clock.now()), _TEST_WORDS)
                delivery = await messages.send(operator.whom.ref, words)
            if delivery.state is DeliveryState.FAILED:
                raise PlatformRefused(delivery.detail or "Failed to send message", platform=listed.platform)
        return {"status": str(self._now(listed).state), "name": identity.name, "sent": sent}

    # --- inside --------------------------------------------------------------------------------------------

    def _bots(self, manifest: Manifest) -> OwnBots | None:
        connector = self._d.connectors.get(manifest.platform)
        return connector if manifest.bot is not None and isinstance(connector, OwnBots) else None

    async def _verify(self, account: AccountId, manifest: Manifest, settings: Mapping[str, str]) -> Identity:
        bots = self._bots(manifest)
        if bots is None:
            raise self._d.platforms.missing(manifest)
        self._verifications.count(account)
        asking = partial(bots.verify, self._d.platforms.link_settings(manifest.platform, settings))
        try:
            with reaching(manifest.platform):
                done, _ = await race(asking(), self._d.clock.sleep(_VERIFY_S))
                if done.cancelled():
                    raise Unavailable(f"{manifest.title} does not answer", platform=manifest.platform)
                identity = done.result()
        except AuthNeeded as error:
            words = plain_line(str(error))[:300]
            raise InvalidRequest(
                f"{manifest.title} refuses these credentials" + (f": {words}" if words else ""),
                code="CREDENTIALS_REFUSED",
                platform=manifest.platform,
            ) from None
        return replace(identity, name=plain_line(identity.name)[:200])

    async def _settings(self, listed: Listed) -> dict[str, str]:
        """What is kept sealed; empty where the gateway's key was changed since."""
        try:
            return await self._d.database.read(
                partial(rows.settings_of, box=self._d.box, connection=listed.id)
            )
        except SealBroken:
            return {}

    async def _make(
        self,
        principal: Principal,
        platform: Platform,
        identity: Identity,
        access: Access,
        settings: Mapping[str, str],
    ) -> Listed:
        listed = Listed(
            new_connection_id(),
            principal.scope,
            platform,
            ConnectionKind.OWN,
            access,
            ConnectionState.CONNECTING,
            "",
            identity,
            self._d.clock.now(),
        )
        await to_the_end(self._add(listed, settings))
        audit.info("connection %s to %s made by %s", listed.id, platform, _who(principal))
        return self._now(listed)

    async def _add(self, listed: Listed, settings: Mapping[str, str]) -> None:
        store = partial(rows.insert, box=self._d.box, listed=listed, settings=settings)
        async with self._turn:
            await self._d.database.write(store)
            self._d.roster.put(listed)
            await self._hold(listed)

    async def _renew(self, listed: Listed, identity: Identity, settings: Mapping[str, str]) -> None:
        store = partial(
            rows.set_settings, box=self._d.box, listed=listed, identity=identity, settings=settings
        )
        async with self._turn:
            self._still_there(listed)
            await self._d.database.write(store)
            self._d.roster.put(replace(self._now(listed), identity=identity))
            await self._hold(self._now(listed))

    async def _replace(self, listed: Listed, identity: Identity, settings: Mapping[str, str]) -> Listed:
        before = await self._settings(listed)
        await self._renew(listed, identity, settings)
        if listed.identity.ref != identity.ref:
            await self._take_leave(listed.platform, before)
        return self._now(listed)

    async def _take_leave(self, platform: Platform, settings: Mapping[str, str]) -> None:
        connector = self._d.connectors.get(platform)
        if not isinstance(connector, TakesLeave) or not settings:
            return
        leaving = partial(connector.leave, self._d.platforms.link_settings(platform, settings))
        try:
            await race(leaving(), self._d.clock.sleep(_LEAVE_S))
        except Exception as error:
            log.warning("%s was not told that a bot is gone: %s", platform, type(error).__name__)

    async def _remove(self, listed: Listed) -> None:
        async with self._turn:
            settings, now = await self._settings(listed), self._d.roster.get(listed.id)
            if now is None:
                return  # somebody else has removed it
            await self._d.database.write(partial(rows.remove, listed=now))
            self._d.roster.remove(listed.id)
            if listed.kind is ConnectionKind.OWN:
                await self._d.supervisor.drop(listed.platform, listed.id)
        await self._take_leave(listed.platform, settings)

    async def _hold(self, listed: Listed) -> None:
        assert self._context is not None, "started"
        settings = await self._settings(listed)
        if not settings:
            await self._d.supervisor.hold(listed.platform, listed.id, None)
            await self._changed(listed.id, ConnectionState.AUTH_NEEDED, "The gateway's own key was changed")
            return
        self._d.roster.put(replace(self._now(listed), by_oauth=BY_OAUTH in settings))
        stored = StoredConnection(
            listed.id,
            listed.scope,
            listed.identity,
            f"{self._d.public_url}/api/hooks/{listed.platform}/{listed.id}",
            partial(self._renewals.keep, listed.id),
        )
        context = self._context(listed.platform, stored, settings)
        await self._d.supervisor.hold(listed.platform, listed.id, context)

    def _still_there(self, listed: Listed) -> Listed:
        """As it is now. Raises `NotFound` where it was removed meanwhile."""
        return self.get(Bounds(listed.scope.account, None), listed.id)

    def _now(self, listed: Listed) -> Listed:
        return self._d.roster.get(listed.id) or listed

    async def _changed(self, connection: ConnectionId, state: ConnectionState, words: str) -> None:
        """A link has come up or gone down: noted, and told to the agent."""
        listed = self._d.roster.get(connection)
        if listed is None or (listed.state, listed.detail) == (state, words):
            return
        changed = replace(listed, state=state, detail=plain_line(words)[:500])
        self._d.roster.put(changed)
        now = self._d.clock.now()

        def store(conn: Connection) -> list[Envelope]:
            if not rows.set_state(conn, connection, state, changed.detail) or state is listed.state:
                return []
            payload: dict[str, Any] = {
                "type": str(EventType.CONNECTION_STATE),
                "connection_id": connection,
                "platform": listed.platform,
                "status": str(state),
                "detail": changed.detail or None,
                "timestamp": iso(now),
            }
            scope = listed.scope
            told = Event(scope.account, scope.agent, EventType.CONNECTION_STATE, payload)
            return event_log.append(conn, [told], now)

        self._d.hub.announce(await self._d.database.write(store))


def _who(principal: Principal) -> str:
    return principal.key or principal.grant or "the dashboard"
