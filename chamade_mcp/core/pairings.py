"""Who may reach the agent: strangers are kept out, may ask once, and are let in by the owner alone.

What a stranger says is dropped, not kept: nothing of it reaches the agent, now or later.
"""

import logging
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row

from chamade_mcp.core import pairing_rows as rows
from chamade_mcp.core.behind import Behind
from chamade_mcp.core.limits import Attempts
from chamade_mcp.core.pairing_rows import Person
from chamade_mcp.core.roster import Listed, Roster
from chamade_mcp.core.standings import Standings
from chamade_mcp.core.supervisor import Supervisor, reaching
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Bounds, Principal
from chamade_mcp.model.connections import Access, ConnectionKind, Standing, Trust
from chamade_mcp.model.errors import GatewayError, LimitReached, NotFound
from chamade_mcp.model.ids import AccountId, ConversationRef
from chamade_mcp.model.messages import Outgoing, Sender
from chamade_mcp.store.database import Database

log = logging.getLogger(__name__)
audit = logging.getLogger("chamade_mcp.audit")

ASKING: Final = (
    "This agent answers only people its owner knows. If that is you, give the owner this code within an hour:"
    " {code}. What you wrote before is not kept; write again once you are let in."
)
WELCOME: Final = "You are let in: what you write from now on reaches the agent."
_PAGE: Final = 500


class Pairings:
    def __init__(
        self,
        database: Database,
        standings: Standings,
        clock: Clock,
        roster: Roster,
        supervisor: Supervisor,
    ) -> None:
        self._database = database
        self._standings = standings
        self._clock = clock
        self._roster = roster
        self._supervisor = supervisor
        self._asked = Attempts(clock, limit=10, window_s=60.0)
        """Strangers told how to ask, by connection: a flood of them gets no flood of answers."""
        self._guesses = Attempts(clock, limit=10, window_s=600.0)
        """Codes tried, by account."""
        self._behind = Behind()
        """Words to strangers: a platform waits for its answer meanwhile."""
        self._changes: dict[AccountId, int] = {}

    async def stop(self) -> None:
        """What is being said to strangers is dropped."""
        await self._behind.drop()

    def changes(self, account: AccountId) -> int:
        """Another number whenever somebody has asked, or was answered; 0 at the gateway's start."""
        return self._changes.get(account, 0)

    def _changed(self, account: AccountId) -> None:
        self._changes[account] = self._changes.get(account, 0) + 1

    # --- at the door ---------------------------------------------------------------------------------------

    async def admit(
        self, listed: Listed, sender: Sender, conversation: ConversationRef | None, *, group: bool = False
    ) -> Trust | None:
        """What vouches for a sender; None for one who is not let in.

        A stranger in a conversation of their own is told how to ask, once, where the connection's access
        is `pairing`.
        """
        if sender.ref == listed.identity.ref and listed.kind is ConnectionKind.OWN:
            return None  # the agent's own words come back
        standing = await self._standings.of(listed.id, sender.ref, self._clock.now())
        agent = self._roster.is_bot(listed.platform, sender.ref)
        if standing is Standing.PAIRED:
            if conversation is not None and not group and self._standings.is_unplaced(listed.id, sender.ref):
                seen = partial(rows.place, connection=listed.id, sender=sender.ref, conversation=conversation)
                await self._standings.change(seen)
            return Trust.AGENT if agent else Trust.PAIRED
        if standing is Standing.DENIED:
            return None
        if listed.access is Access.OPEN:
            return Trust.AGENT if agent else Trust.OPEN
        may_ask = listed.access is Access.PAIRING and listed.kind is ConnectionKind.OWN
        if standing is None and may_ask and conversation is not None and not group and not agent:
            await self._let_ask(listed, Person.of(sender, conversation))
        return None

    async def _let_ask(self, listed: Listed, person: Person) -> None:
        try:
            self._asked.count(listed.id)
        except LimitReached:
            log.warning("a stranger at %s was not answered: too many ask", listed.id)
            return
        request = await self._standings.change(
            partial(rows.ask, listed=listed, person=person, now=self._clock.now())
        )
        if request is not None:
            audit.info("pairing %s asked for at %s", request.id, listed.id)
            self._changed(listed.scope.account)
            self._behind.begin(self._tell_how(listed, request))

    async def _tell_how(self, listed: Listed, request: Row[Any]) -> None:
        if not await self._say(listed, request, ASKING.format(code=request.code), "asking"):
            await self._standings.change(partial(rows.withdraw, pairing=request.id))  # to be told again

    # --- the owner's acts ----------------------------------------------------------------------------------

    async def page(
        self, principal: Principal, *, state: Standing | None = None, connection: str | None = None
    ) -> list[dict[str, object]]:
        """The newest first."""
        bounds = Bounds(principal.account, principal.scope.agent)
        now = self._clock.now()

        def query(conn: Connection) -> list[dict[str, object]]:
            found = rows.page(conn, bounds, state, connection, now, _PAGE)
            return [self._to_wire(row) for row in found]

        return await self._database.read(query)

    async def approve(self, principal: Principal, pairing: str) -> dict[str, object]:
        """Twice is once. Raises `NotFound`, also for a request that has expired."""
        return await to_the_end(self._settle(principal, pairing, Standing.PAIRED))

    async def approve_code(self, principal: Principal, code: str) -> dict[str, object]:
        """Raises `NotFound`, and `LimitReached` after ten codes that were wrong."""
        self._guesses.count(principal.account)
        wanted = code.strip().upper()
        row = await self._database.read(
            partial(rows.find_by_code, bounds=principal.bounds, code=wanted, now=self._clock.now())
        )
        if row is None:
            raise _not_found("No pending request has this code", "code")
        self._guesses.clear(principal.account)
        return await self.approve(principal, row.id)

    async def deny(self, principal: Principal, pairing: str) -> dict[str, object]:
        """From now on they are not heard and cannot ask; takes back what was approved, too."""
        return await to_the_end(self._settle(principal, pairing, Standing.DENIED))

    async def revoke(self, principal: Principal, pairing: str) -> None:
        """They are a stranger again, who may ask."""
        bounds, now = principal.bounds, self._clock.now()

        def store(conn: Connection) -> bool:
            row = rows.find(conn, bounds, pairing, now)
            if row is not None:
                rows.remove(conn, row)
            return row is not None

        if not await self._standings.change(store):
            raise _not_found()
        audit.info("pairing %s revoked by %s", pairing, _who(principal))

    async def add(self, principal: Principal, listed: Listed, sender: str, name: str) -> dict[str, object]:
        """Somebody who need not ask: `sender` is the platform's id of them."""
        person = Person.of(Sender(sender, name), ConversationRef(""))
        row = await self._standings.change(
            partial(rows.pair, listed=listed, person=person, now=self._clock.now())
        )
        audit.info("pairing %s added at %s by %s", row.id, listed.id, _who(principal))
        return self._to_wire(row)

    async def _settle(self, principal: Principal, pairing: str, state: Standing) -> dict[str, object]:
        bounds, now = principal.bounds, self._clock.now()

        def store(conn: Connection) -> tuple[Row[Any], bool] | None:
            row = rows.find(conn, bounds, pairing, now)
            if row is None or row.state == state:
                return None if row is None else (row, False)
            return rows.settle(conn, row, state), True

        settled = await self._standings.change(store)
        if settled is None:
            raise _not_found()
        row, changed = settled
        listed = self._roster.get(row.connection_id)
        if changed:
            self._changed(principal.account)
            audit.info("pairing %s %s by %s", pairing, state, _who(principal))
        if changed and state is Standing.PAIRED and listed is not None and row.conversation_ref:
            self._behind.begin(self._say(listed, row, WELCOME, "welcome"))
        return self._to_wire(row)

    # --- inside --------------------------------------------------------------------------------------------

    async def _say(self, listed: Listed, row: Row[Any], text: str, key: str) -> bool:
        """The gateway's own words, which are stored nowhere."""
        try:
            messages = self._supervisor.link(listed.platform, listed.link).messages
            if messages is None:
                return False
            with reaching(listed.platform):
                await messages.send(ConversationRef(row.conversation_ref), Outgoing(f"{row.id}-{key}", text))
        except GatewayError as error:
            log.warning("%s was not told: %s", row.id, error.code)
            return False
        return True

    def _to_wire(self, row: Row[Any]) -> dict[str, object]:
        listed = self._roster.get(row.connection_id)
        return {
            "id": row.id,
            "connection_id": row.connection_id,
            "platform": listed.platform if listed else None,
            "bot": listed.identity.name if listed else None,
            **rows.to_wire(row),
        }


def _not_found(words: str = "Pairing not found", param: str | None = None) -> NotFound:
    return NotFound(words, code="PAIRING_NOT_FOUND", param=param)


def _who(principal: Principal) -> str:
    return principal.key or principal.grant or "the dashboard"
