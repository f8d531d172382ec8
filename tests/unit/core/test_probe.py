"""The self-test: who answers, who listens, who is not there."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from chamade_mcp.core.probe import PROBE, SENDER
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import NotFound, ValidationFailed
from chamade_mcp.model.events import EventType
from chamade_mcp.model.ids import GrantId
from chamade_mcp.store.schema import api_keys
from tests.support.house import House
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, until


@dataclass
class Streams:
    """Whose push sessions are open."""

    open: set[str] = field(default_factory=set[str])

    def live(self, credential: str) -> bool:
        return credential in self.open


async def with_key(house: House, owner: Principal, name: str) -> Principal:
    key = await house.accounts.create_key(owner.scope, name)
    return replace(owner, key=key.id)


async def used(house: House, key: str, at: datetime) -> None:
    def stamp(conn: Connection) -> None:
        conn.execute(api_keys.update().where(api_keys.c.id == key).values(last_used_at=at))

    await house.database.write(stamp)


async def verdicts(house: House, owner: Principal, ping: dict[str, Any]) -> dict[str, str]:
    view = await house.probes.view(owner, ping["ping_id"])
    return {key["name"]: key["verdict"] for key in view["keys"]}


@requirement("R-242")
async def test_a_probe_is_heard_by_who_listens_and_leaves_nothing(house: House) -> None:
    owner = await house.owner()
    cursor = await house.inbox.cursor(owner)
    async with house.hub.subscribe(owner.scope, after=None) as envelopes:
        fresh, ping = await house.probes.start(owner)
        told = (await asyncio.wait_for(anext(envelopes), BOUND_S)).event
    assert (fresh, told.type) == (True, EventType.DM_CHAT)
    assert (told.payload["platform"], told.payload["sender"]) == ("chamade_probe", "Chamade Dashboard")
    assert told.payload["message_id"] == ping["ping_id"]
    assert "chamade_dm_chat" in told.payload["text"]
    assert await house.inbox.cursor(owner) == cursor
    assert (await house.inbox.snapshot(owner))["conversations"] == []
    assert await house.database.read(lambda conn: conn.exec_driver_sql("SELECT * FROM events").all()) == []
    again, same = await house.probes.start(owner)
    assert (again, same["ping_id"]) == (False, ping["ping_id"])


@requirement("R-243", "R-244")
async def test_an_answer_counts_for_the_key_it_came_with(house: House) -> None:
    owner = await house.owner()
    laptop, server = await with_key(house, owner, "laptop"), await with_key(house, owner, "server")
    _, ping = await house.probes.start(owner)
    assert await verdicts(house, owner, ping) == {"laptop": "waiting", "server": "waiting"}
    await house.clock.advance(2.5)
    result = await house.inbox.send(laptop, PROBE, "ok")
    assert (result.status, result.body["status"]) == (200, "delivered")
    assert await house.inbox.typing(server, PROBE) == {"status": "ok"}
    view = await house.probes.view(owner, ping["ping_id"])
    assert [(k["name"], k["verdict"], k["replied_after_s"]) for k in view["keys"]] == [
        ("laptop", "replied", 2.5),
        ("server", "waiting", None),
    ]
    await house.clock.advance(5)
    await house.inbox.send(laptop, PROBE, "ok again")
    assert (await house.probes.view(owner, ping["ping_id"]))["keys"][0]["replied_after_s"] == 2.5
    assert house.platform.delivered == []


@requirement("R-245", "R-246")
async def test_the_four_verdicts(house: House) -> None:
    owner, streams = await house.owner(), Streams()
    house.probes.presence = streams
    for name in ("prompt", "silent", "listening", "polling", "lately", "long ago", "never"):
        await house.accounts.create_key(owner.scope, name)
    ids = {k["name"]: str(k["id"]) for k in await house.accounts.list_keys(owner)}

    await used(house, ids["lately"], house.clock.now() - timedelta(minutes=10))
    await used(house, ids["long ago"], house.clock.now() - timedelta(minutes=10, seconds=1))
    await used(house, ids["silent"], house.clock.now())
    streams.open = {ids["silent"]}
    cursor = await house.inbox.cursor(owner)
    _, ping = await house.probes.start(owner)
    streams.open = {ids["listening"]}  # the first goes, another comes
    await house.inbox.send(replace(owner, key=ids["prompt"]), PROBE, "ok")
    await house.inbox.delta(replace(owner, key=ids["polling"]), cursor)
    await house.clock.advance(29.9)
    assert set((await verdicts(house, owner, ping)).values()) == {"replied", "waiting"}
    await house.clock.advance(0.1)
    wanted = {
        "prompt": "replied",
        "silent": "connected_silent",
        "listening": "connected_silent",
        "polling": "connected_silent",
        "lately": "used_recently",
        "long ago": "not_connected",
        "never": "not_connected",
    }
    assert await verdicts(house, owner, ping) == wanted
    streams.open = set(ids.values())
    assert await verdicts(house, owner, ping) == wanted, "what was told stays so"


async def test_a_grant_answers_as_a_key_does(house: House) -> None:
    owner = await house.owner()

    async def grants(_bounds: object) -> list[dict[str, Any]]:
        agent = owner.scope.agent
        return [{"id": "grant_1", "client_name": "Claude", "agent_id": agent, "last_used_at": None}]

    house.probes._grants = grants  # pyright: ignore[reportPrivateUsage]
    _, ping = await house.probes.start(owner)
    await house.inbox.send(replace(owner, grant=GrantId("grant_1")), PROBE, "here")
    (told,) = (await house.probes.view(owner, ping["ping_id"]))["grants"]
    assert (told["name"], told["verdict"]) == ("Claude", "replied")


async def test_without_a_probe_there_is_nobody_to_answer(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    for attempt in (house.inbox.send(owner, PROBE, "ok"), house.inbox.typing(owner, PROBE)):
        with pytest.raises(NotFound, match=r"^No active conversation$"):
            await attempt
    _, ping = await house.probes.start(owner)
    with pytest.raises(NotFound, match=r"^No active conversation$"):
        await house.inbox.send(other, PROBE, "ok")
    with pytest.raises(ValidationFailed):
        await house.inbox.send(owner, PROBE, "  ")
    await house.clock.advance(30)
    with pytest.raises(NotFound, match=r"^No active conversation$"):
        await house.inbox.send(owner, PROBE, "too late")
    for principal, wanted in ((other, ping["ping_id"]), (owner, "probe_unknown")):
        with pytest.raises(NotFound, match="Ping not found"):
            await house.probes.view(principal, wanted)
    await house.probes.forget(owner.account)
    with pytest.raises(NotFound, match="Ping not found"):
        await house.probes.view(owner, ping["ping_id"])


async def test_a_poll_wakes_and_finds_the_probe_once(house: House) -> None:
    owner = await house.owner()
    laptop, server = await with_key(house, owner, "laptop"), await with_key(house, owner, "server")
    cursor = await house.inbox.cursor(owner)
    polling = asyncio.create_task(house.inbox.delta(laptop, cursor, 55))
    elsewhere = asyncio.create_task(house.inbox.delta(server, cursor, 55, platform="scripted"))
    await until(lambda: house.hub.subscribers == 2)
    await house.probes.start(owner)
    answer = await asyncio.wait_for(polling, BOUND_S)
    (conversation,) = answer["conversations"]
    (message,) = conversation["messages"]
    assert (conversation["conversation_id"], conversation["platform"]) == (PROBE, PROBE)
    assert (message["sender"], message["direction"]) == (SENDER, "inbound")
    assert answer["last_message_cursor"] == cursor
    assert (await house.inbox.delta(laptop, cursor))["conversations"] == []
    assert len((await house.inbox.delta(server, cursor))["conversations"]) == 1
    assert not elsewhere.done()
    elsewhere.cancel()


async def test_the_probe_can_be_read_as_a_conversation_while_it_lasts(house: House) -> None:
    owner = await house.owner()
    assert (await house.inbox.detail(owner, PROBE))["conversations"] == []
    await house.probes.start(owner)
    (conversation,) = (await house.inbox.detail(owner, PROBE))["conversations"]
    assert await house.inbox.conversation(owner, PROBE) == conversation
    await house.clock.advance(30)
    with pytest.raises(NotFound, match="Conversation not found"):
        await house.inbox.conversation(owner, PROBE)
    assert (await house.inbox.delta(owner, await house.inbox.cursor(owner)))["conversations"] == []
