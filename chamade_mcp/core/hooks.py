"""Requests of platforms: each to the live link it is for, and answered after what it says is committed."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

from chamade_mcp.core.handovers import Handovers
from chamade_mcp.core.roster import Roster
from chamade_mcp.core.supervisor import Supervisor, reaching
from chamade_mcp.kit.connection import EVERYBODY, Hook, HookAddress, HookRefused, HookReply, Whom
from chamade_mcp.kit.connector import Connector
from chamade_mcp.kit.waiting import lasting
from chamade_mcp.model.errors import Forbidden, NotFound, Unavailable
from chamade_mcp.model.ids import COMMON, ConnectionId, Platform

_MOST_TRIED: Final = 20
"""Links that one request is shown to: a platform's own name for a bot is rarely that of two."""


class Hooks:
    def __init__(
        self,
        connectors: Mapping[Platform, Connector],
        roster: Roster,
        supervisor: Supervisor,
        handovers: Handovers,
    ) -> None:
        self._connectors = connectors
        self._addressed = {name: c for name, c in connectors.items() if isinstance(c, HookAddress)}
        self.handovers = handovers
        self._roster = roster
        self._supervisor = supervisor
        self.counts: Counter[tuple[Platform, str]] = Counter()
        """By platform and what became of them: taken, refused, down."""

    async def deliver(self, platform: str, connection: str | None, hook: Hook) -> HookReply:
        """To the connection named, else to whom the platform's own words name.

        Raises `NotFound`, `Forbidden` when no link takes it for its platform's, and `Unavailable`
        while the one it may be for is down: the platform tries again.
        """
        name = Platform(platform)
        if name not in self._connectors:
            raise NotFound("Platform not found", code="PLATFORM_NOT_FOUND")
        every = False
        if connection is None:
            handed_over = self.handovers.are_of(name)
            if handed_over and (taken := await self.handovers.take(name, hook)) is not None:
                return taken
            whom = self._addressee(name, hook)
            if isinstance(whom, HookReply):
                return whom
            every = whom is EVERYBODY
            own = self._roster.own_bots(name) if whom is EVERYBODY else self._named(name, whom)
            found = [*own, COMMON]
        else:
            listed = self._roster.get(connection)
            if listed is None or listed.platform != name or listed.link == COMMON:
                raise NotFound("Connection not found", code="CONNECTION_NOT_FOUND")
            found = [listed.id]
        try:
            reply = await self._show(name, found, hook, every=every)
        except (Forbidden, Unavailable) as error:
            self.counts[name, "refused" if isinstance(error, Forbidden) else "down"] += 1
            raise
        self.counts[name, "taken"] += 1
        return reply

    def _named(self, platform: Platform, whom: str) -> list[ConnectionId]:
        return self._roster.by_hook_ref(platform, whom)[:_MOST_TRIED] if whom else []

    def _addressee(self, platform: Platform, hook: Hook) -> str | Literal[Whom.EVERYBODY] | HookReply:
        connector = self._addressed.get(platform)
        try:
            return "" if connector is None else connector.addressee(hook)
        except HookRefused:
            return ""

    async def _show(
        self, platform: Platform, links: list[ConnectionId], hook: Hook, *, every: bool
    ) -> HookReply:
        """To the first link that takes it; to all of them with `every`."""
        down: Unavailable | None = None
        reply: HookReply | None = None
        for connection in links:
            try:
                link = self._supervisor.hooked(platform, connection)
                if link is not None:
                    # A platform that hangs up does not end its request: the server cancels none of them.
                    with reaching(platform), lasting():
                        reply = await link.receive(hook)
                    if not every:
                        return reply
            except HookRefused:
                continue
            except Unavailable as error:
                # A gateway without a shared bot has no such link at all: others may have refused already.
                if connection != COMMON or self._supervisor.holds(platform, connection):
                    down = error
        if reply is not None:
            return reply
        if down is not None:
            raise down
        raise Forbidden("This webhook is not signed by the platform it names", code="HOOK_REFUSED")
