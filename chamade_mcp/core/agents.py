"""Agents: the named scopes of an account, with connections of their own and keys and apps that act on them.

A key or a token acts for one agent and knows of no other; a person who has signed in looks after all of them,
in each browser after one at a time.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row

from chamade_mcp.core import agent_rows as rows
from chamade_mcp.core import listing, sign_ins
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.connections import Connections
from chamade_mcp.core.engine import CallEngine
from chamade_mcp.core.grants import Grants
from chamade_mcp.core.inbox import Inbox
from chamade_mcp.core.roster import Roster
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Bounds, Principal, Scope
from chamade_mcp.model.errors import Conflict, Forbidden
from chamade_mcp.model.ids import AgentId
from chamade_mcp.store.database import Database

audit = logging.getLogger("chamade_mcp.audit")

OnRemove = Callable[[Scope], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class AgentDeps:
    database: Database
    clock: Clock
    accounts: Accounts
    grants: Grants
    roster: Roster
    connections: Connections
    engine: CallEngine
    inbox: Inbox


class Agents:
    def __init__(self, deps: AgentDeps) -> None:
        self._d = deps
        self._leaving: list[OnRemove] = []

    # --- who there is --------------------------------------------------------------------------------------

    async def list(self, principal: Principal) -> Sequence[dict[str, object]]:
        """Of a key or a token its own; the oldest first."""
        return await self._listed(principal, principal.bounds)

    async def names(self, principal: Principal) -> Mapping[AgentId, str]:
        """Those that the caller may name, by id; the oldest first."""
        found = await self._d.database.read(partial(rows.of_account, account=principal.account))
        every = {AgentId(row.id): str(row.name) for row in found}
        bounds = principal.bounds
        return {a: name for a, name in every.items() if bounds.holds(Scope(principal.account, a))}

    async def scope(self, principal: Principal, agent: str | None) -> Scope:
        """Of the agent named, or of the caller's own. Raises `NotFound`."""
        if agent is None or agent == principal.scope.agent:
            return principal.scope
        find = partial(rows.find, bounds=principal.bounds, agent=agent, param="agent_id")
        row = await self._d.database.read(find)
        return Scope(principal.account, AgentId(row.id))

    async def require_all(self, principal: Principal) -> None:
        """Raises `Forbidden` for a key or a token that is for one agent of several."""
        if principal.browser is not None:
            return
        if await self._d.database.read(partial(rows.count, account=principal.account)) > 1:
            raise Forbidden(
                "This concerns every agent of the account, and a key is for one of them: sign in to do it",
                code="SESSION_REQUIRED",
            )

    # --- changed -------------------------------------------------------------------------------------------

    async def make(self, principal: Principal, name: str) -> dict[str, object]:
        """Raises `Conflict` and `LimitReached`."""
        now = self._d.clock.now()
        insert = partial(rows.insert, account=principal.account, name=name, now=now)
        agent = await self._d.database.write(insert)
        audit.info("agent %s made by %s", agent, _who(principal))
        return await self._told(principal, agent)

    async def change(
        self, principal: Principal, agent: str, *, name: str | None, default: bool
    ) -> dict[str, object]:
        """Raises `NotFound` and `Conflict`."""
        account = principal.account

        def store(conn: Connection) -> AgentId:
            row = rows.find(conn, Bounds(account, None), agent)
            if name is not None:
                rows.rename(conn, account, row.id, name)
            if default:
                rows.make_default(conn, account, row.id)
            return AgentId(row.id)

        changed = await self._d.database.write(store)
        audit.info("agent %s changed by %s", changed, _who(principal))
        return await self._told(principal, changed)

    async def choose(self, principal: Principal, scope: Scope) -> dict[str, object]:
        """The browser that asks looks after this one from now on."""
        assert principal.browser is not None, "a key is for the agent that it was made for"
        chosen = partial(sign_ins.look_after, browser=principal.browser, agent=scope.agent)
        await self._d.database.write(chosen)
        return await self._told(replace(principal, scope=scope), scope.agent)

    async def take(self, principal: Principal, agent: str, connection: str) -> dict[str, object]:
        """A connection becomes this agent's. Raises `NotFound` and `Conflict`."""
        target = await self.scope(principal, agent)
        listed = self._d.connections.get(principal.bounds, connection)
        link = listed.platform, listed.link
        if any(call.record.link == link for call in self._d.engine.of(listed.scope)):
            raise Conflict("A call is under way over this connection: hang up first", code="CALL_UNDER_WAY")
        if listed.scope != target:
            before = await to_the_end(self._d.connections.hand_over(listed, target))
            self._d.inbox.handed_over(link, before, target)
            audit.info("connection %s given to %s by %s", listed.id, target.agent, _who(principal))
        return await self._told(principal, target.agent)

    def on_remove(self, leave: OnRemove) -> None:
        """`leave(scope)` is awaited before an agent's rows go."""
        self._leaving.append(leave)

    async def remove(self, principal: Principal, agent: str) -> None:
        """With its keys, apps, links, webhooks, conversations, calls and files. Raises `NotFound`, and
        `Conflict` for the default one, for one with connections and for one in a call; `Forbidden` for a
        browser in which nobody showed lately who they are."""
        await self._d.accounts.sign_ins.require_fresh(principal)
        await to_the_end(self._remove(principal, agent))

    async def _remove(self, principal: Principal, agent: str) -> None:
        row = await self._d.database.read(
            partial(rows.find, bounds=Bounds(principal.account, None), agent=agent)
        )
        scope = Scope(principal.account, AgentId(row.id))
        await self._d.database.read(partial(rows.require_idle, scope=scope))
        if self._d.engine.of(scope):
            raise Conflict("This agent is in a call: hang up first", code="CALL_UNDER_WAY")
        for leave in self._leaving:
            await leave(scope)
        await self._d.database.write(partial(rows.remove, scope=scope))
        await self._d.database.scrub()
        audit.info("agent %s removed by %s", agent, _who(principal))

    # --- inside --------------------------------------------------------------------------------------------

    async def _told(self, principal: Principal, agent: AgentId) -> dict[str, object]:
        """One that was just changed, which need not be the caller's own."""
        listed = await self._listed(principal, Bounds(principal.account, None))
        told = next((one for one in listed if one["id"] == agent), None)
        if told is None:  # gone meanwhile
            raise rows.not_found()
        return told

    async def _listed(self, principal: Principal, bounds: Bounds) -> Sequence[dict[str, object]]:
        keys = _count(await self._d.accounts.keys.list(bounds))
        apps = _count(await self._d.grants.list(bounds))

        def query(conn: Connection) -> list[tuple[Row[Any], int]]:
            every = [
                (row, Scope(bounds.account, AgentId(row.id))) for row in rows.of_account(conn, bounds.account)
            ]
            return [(row, listing.waiting(conn, scope)) for row, scope in every if bounds.holds(scope)]

        found = await self._d.database.read(query)
        return [
            self._to_wire(row, principal) | {"keys": keys[row.id], "grants": apps[row.id], "waiting": waiting}
            for row, waiting in found
        ]

    def _to_wire(self, row: Row[Any], principal: Principal) -> dict[str, object]:
        scope = Scope(principal.account, AgentId(row.id))
        created_at: datetime = row.created_at
        return {
            "id": row.id,
            "name": row.name,
            "is_default": row.is_default,
            "current": scope == principal.scope,
            "created_at": iso(created_at),
            "connections": [_tie(one.to_wire()) for one in self._d.roster.of(scope)],
        }


def _count(credentials: Sequence[Mapping[str, Any]]) -> Counter[str]:
    return Counter(str(one["agent_id"]) for one in credentials)


def _tie(connection: Mapping[str, object]) -> dict[str, object]:
    return {name: connection[name] for name in ("id", "platform", "kind", "name", "status")}


def _who(principal: Principal) -> str:
    return principal.key or principal.grant or "the dashboard"
