"""What an agent does to messages that are there already: edits and takes back its own, reacts to anybody's.

At the platform first: nothing is told to have changed that has not. None of it waits for a platform that is
out of reach.
"""

import asyncio
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import Connection, Row

from chamade_mcp.core import dms, sent
from chamade_mcp.core.composing import outgoing
from chamade_mcp.core.departures import conversation_closed
from chamade_mcp.core.inbox_deps import InboxDeps
from chamade_mcp.core.supervisor import reaching
from chamade_mcp.core.wording import no_such_feature, require_feature
from chamade_mcp.kit.connector import Deletes, Edits, Reacts
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.capabilities import MessageFeature
from chamade_mcp.model.errors import Action, Conflict, Forbidden, message_not_found
from chamade_mcp.model.ids import ConnectionId, ConversationRef, MessageRef, Platform
from chamade_mcp.model.messages import DeliveryState

FacetT = TypeVar("FacetT")


class Changes:
    """Every method raises `NotFound`, `InvalidRequest` where the platform cannot do that, `Conflict` while
    the message is not out, `Unavailable`, and `PlatformRefused`. In a conversation that is closed things can
    be taken back alone: all else raises `Conflict`."""

    def __init__(self, deps: InboxDeps) -> None:
        self._d = deps
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """One change of a message at a time, so that both sides end with the same one."""

    async def edit(self, principal: Principal, message: str, text: str) -> None:
        """The agent's own message says `text` from now on; its attachments stay."""
        await to_the_end(self._edit(principal, message, text))

    async def delete(self, principal: Principal, message: str) -> None:
        """Takes the agent's own message back; one that never went out, or is gone, just goes here."""
        await to_the_end(self._delete(principal, message))

    async def react(self, principal: Principal, message: str, emoji: str, *, on: bool) -> None:
        """Puts the agent's `emoji` on anybody's message, or takes it away; either twice is harmless."""
        await to_the_end(self._react(principal.scope, message, emoji, on=on))

    async def _edit(self, principal: Principal, message: str, text: str) -> None:
        async with self._lock(message):
            row, manifest = await self._own(principal, message)
            edits = self._facet(row, manifest, MessageFeature.EDIT, Edits)
            said = outgoing(manifest, row.id, text, row.sender_name, thread=row.thread)
            _require_open(row)
            ref = _out(row)
            with reaching(manifest.platform):
                await edits.edit(ConversationRef(row.conversation_ref), ref, said)
            change = partial(dms.change, message=row.id, text=text, edited_at=self._d.clock.now())
            await self._d.database.write(change)

    async def _delete(self, principal: Principal, message: str) -> None:
        async with self._lock(message):
            row, manifest = await self._own(principal, message)
            if row.status == dms.DELETED:
                return
            out = row.platform_ref is not None or row.status != DeliveryState.FAILED
            if out:
                deletes = self._facet(row, manifest, MessageFeature.DELETE, Deletes)
                ref = _out(row)
                with reaching(manifest.platform):
                    await deletes.delete(ConversationRef(row.conversation_ref), ref)

            def erase(conn: Connection) -> None:
                found = sent.any_message(conn, principal.scope, row.id)
                if not out and found is not None and found.status != DeliveryState.FAILED:
                    raise _not_sent(found)  # it was sent again meanwhile
                dms.erase(conn, row.id)

            await self._d.database.write(erase)

    async def _react(self, scope: Scope, message: str, emoji: str, *, on: bool) -> None:
        async with self._lock(message):
            row, manifest = await self._find(scope, message)
            reacts = self._facet(row, manifest, MessageFeature.REACT, Reacts)
            _require_open(row)
            ref = _out(row)
            with reaching(manifest.platform):
                await reacts.react(ConversationRef(row.conversation_ref), ref, emoji, on=on)
            await self._d.database.write(partial(dms.put_reaction, message=row.id, emoji=emoji, on=on))

    def _lock(self, message: str) -> asyncio.Lock:
        return self._locks.setdefault(message, asyncio.Lock())

    async def _own(self, principal: Principal, message: str) -> tuple[Row[Any], Manifest]:
        row, manifest = await self._find(principal.scope, message)
        hands_off = principal.browser is None and dms.by_hand(row.direction, row.sender_name)
        if row.direction != dms.OUTBOUND or row.sender_name == dms.GATEWAY or hands_off:
            raise Forbidden(
                "Only what the agent itself said can be changed",
                code="NOT_OWN_MESSAGE",
                action=Action.FIX_ARGUMENT,
            )
        return row, manifest

    async def _find(self, scope: Scope, message: str) -> tuple[Row[Any], Manifest]:
        row = await self._d.database.read(partial(sent.any_message, scope=scope, message=message))
        if row is None:
            raise message_not_found()
        return row, self._d.platforms.require(row.platform)

    def _facet(
        self, row: Row[Any], manifest: Manifest, feature: MessageFeature, kind: type[FacetT]
    ) -> FacetT:
        require_feature(manifest, feature)
        messages = self._d.messages(manifest.platform, ConnectionId(row.connection_id))
        if not isinstance(messages, kind):
            raise no_such_feature(manifest, feature)
        return messages


def _require_open(row: Row[Any]) -> None:
    """What is said in other words, or put there, is said to them."""
    if row.place_status == dms.CLOSED:
        raise conversation_closed(Platform(row.platform))


def _out(row: Row[Any]) -> MessageRef:
    """The platform's name of it; raises `Conflict` while it has none."""
    if row.platform_ref is None or row.status == dms.DELETED:
        raise _not_sent(row)
    return MessageRef(row.platform_ref)


def _not_sent(row: Row[Any]) -> Conflict:
    return Conflict(f"The message is {row.status}", code="MESSAGE_NOT_SENT", action=Action.WAIT)
