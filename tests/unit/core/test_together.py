"""Messages of the same moment: stored in one go, as if one had come after the other."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from chamade_mcp.core import event_log
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import Standing
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.events import Cursor
from chamade_mcp.model.facts import MessageDeleted, MessageEdited, MessageReceived
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Sender
from chamade_mcp.store import schema
from tests.support.bots import connected, texts
from tests.support.house import House


@asynccontextmanager
async def busy(house: House) -> AsyncGenerator[None]:
    """The writer has something to do: what is to be stored meanwhile waits, and becomes one batch."""
    entered, go_on = threading.Event(), threading.Event()

    def hold(conn: Connection) -> None:
        entered.set()
        assert go_on.wait(10)

    holding = asyncio.create_task(house.database.write(hold))
    await asyncio.to_thread(entered.wait, 10)
    try:
        yield
        await house.clock.advance(0)
    finally:
        go_on.set()
    await holding


async def at_once(house: House, *work: Coroutine[Any, Any, Any]) -> list[Any]:
    async with busy(house):
        tasks = [asyncio.create_task(one) for one in work]
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)


async def inbound(house: House, owner: Principal) -> list[dict[str, Any]]:
    """As told in events, in order."""
    told = await house.database.read(
        lambda conn: event_log.after(conn, owner.account, cursor=Cursor(0), limit=100)
    )
    assert [one.cursor for one in told] == list(range(1, len(told) + 1)), "numbers without gaps"
    return [one.event.payload for one in told]


async def test_the_first_messages_of_a_person_are_one_conversation(house: House) -> None:
    owner, other, write = await house.owner(), await house.owner(), house.platform.write
    await at_once(
        house,
        write(owner.scope, "one"),
        write(other.scope, "elsewhere"),
        write(owner.scope, "two"),
        write(owner.scope, "from bob", conversation="bob"),
        write(owner.scope, "three"),
    )
    told = await inbound(house, owner)
    assert [one["text"] for one in told] == ["one", "two", "from bob", "three"]
    assert [one["text"] for one in await inbound(house, other)] == ["elsewhere"]
    assert len({one["conversation_id"] for one in told}) == 2
    shown = await house.inbox.conversation(owner, told[0]["conversation_id"])
    assert [m["text"] for m in shown["messages"]] == ["one", "two", "three"]


async def once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def said(text: str, *, ref: str, conversation: str = "alice", quotes: str | None = None) -> MessageReceived:
    return MessageReceived(
        ConversationRef(conversation),
        MessageRef(ref),
        Sender(conversation, conversation),
        text,
        reply_to=None if quotes is None else MessageRef(quotes),
    )


async def test_what_a_link_tells_at_once_is_stored_at_once_and_in_order(house: House) -> None:
    owner, emit = await house.owner(), house.context(SCRIPTED).emit

    def count(conn: Connection) -> int:
        return len(conn.execute(schema.messages.select()).all())

    texts = [f"{number}" for number in range(5)]
    coming = [said(text, ref=text, conversation="ab"[int(text) % 2]) for text in texts]
    async with busy(house):
        telling = asyncio.create_task(asyncio.wait_for(emit(owner.scope, *coming), 10))
        for _ in range(10):
            await asyncio.sleep(0)
        stored = asyncio.create_task(house.database.write(count))
    assert await stored == 5, "all of it waits before what comes after it"
    await telling
    assert [one["text"] for one in await inbound(house, owner)] == texts


async def test_what_became_of_a_message_is_told_after_it_and_before_the_next_one(house: House) -> None:
    owner, emit = await house.owner(), house.context(SCRIPTED).emit
    alice = ConversationRef("alice")
    await emit(
        owner.scope,
        said("one", ref="1"),
        MessageEdited(alice, MessageRef("1"), "one, better"),
        said("two", ref="2", quotes="1"),
        said("two again", ref="2"),
        MessageDeleted(alice, MessageRef("2")),
        said("three", ref="3"),
    )
    told = await house.database.read(
        lambda conn: event_log.after(conn, owner.account, cursor=Cursor(0), limit=100)
    )
    kinds = [str(one.event.type) for one in told]
    assert kinds == ["dm_chat", "dm_edited", "dm_chat", "dm_deleted", "dm_chat"]
    assert told[2].event.payload["reply_to"] == told[0].event.payload["message_id"]


async def test_of_what_is_told_at_once_only_those_who_may_write_are_heard(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    await house.bots.write(listed.id, "let me in", sender="alice")
    (request,) = await house.pairings.page(owner, state=Standing.PENDING)
    await house.pairings.approve(owner, str(request["id"]))
    file = await house.files.save(owner.scope, name="a.txt", mime="text/plain", chunks=once(b"abc"))
    ctx = house.bots.links[listed.id].ctx
    strange = said("me too", ref="2", conversation="bob")._replace(attachments=(file,))
    await ctx.emit(owner.scope, said("one", ref="1"), strange, said("two", ref="3"))
    assert await texts(house, owner) == ["one", "two"]
    with pytest.raises(NotFound):
        await house.files.serve(file.url.rpartition("/")[2])


async def test_a_delivery_that_comes_again_in_the_same_moment(house: House) -> None:
    owner, write = await house.owner(), house.platform.write
    await write(owner.scope, "known", ref="0")
    again = [write(owner.scope, f"said {ref}", ref=ref) for ref in "1021201"]
    assert await at_once(house, *again) == [None] * 7
    assert [one["text"] for one in await inbound(house, owner)] == ["known", "said 1", "said 2"]


async def test_an_answer_finds_what_it_quotes_in_the_same_moment(house: House) -> None:
    owner, write = await house.owner(), house.platform.write
    await at_once(
        house,
        write(owner.scope, "question", ref="1"),
        write(owner.scope, "answer", ref="2", reply_to="1"),
        write(owner.scope, "to nothing", ref="3", reply_to="unknown"),
    )
    question, answer, lost = await inbound(house, owner)
    assert answer["reply_to"] == question["message_id"]
    assert "reply_to" not in lost


async def test_one_that_goes_nowhere_stops_no_other(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    await house.platform.write(owner.scope, "hello")
    (shown,) = (await house.inbox.snapshot(owner))["conversations"]
    send, here = house.inbox.send, shown["conversation_id"]
    results = await at_once(
        house,
        send(owner, SCRIPTED, "one", conversation_id=here),
        send(owner, SCRIPTED, "lost", conversation_id="conv_unknown"),
        send(other, SCRIPTED, "not theirs", conversation_id=here),
        send(owner, SCRIPTED, "two"),
    )
    assert [type(r) if isinstance(r, Exception) else r.status for r in results] == [
        200,
        NotFound,
        NotFound,
        200,
    ]
    assert [sent.text for _, sent in house.platform.delivered] == ["one", "two"]
