"""What a room has said is told in order, and no more of it once the link closes."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import httpx2

from chamade_mcp.connectors.nctalk.client import Cloud
from chamade_mcp.connectors.nctalk.ears import Ears
from chamade_mcp.connectors.nctalk.messages import TalkMessages
from chamade_mcp.connectors.nctalk.rooms import Rooms
from chamade_mcp.connectors.nctalk.wire import ONE_TO_ONE, Room
from chamade_mcp.kit.connector import Context, PastMessage
from chamade_mcp.kit.holding import Fate
from chamade_mcp.kit.rates import Rates
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.kit.ticker import Ticker
from chamade_mcp.kit.waiting import lasts
from chamade_mcp.model.access import Scope
from chamade_mcp.model.facts import Fact, MessageReceived
from chamade_mcp.model.ids import AccountId, AgentId, ConversationRef
from tests.support.waiting import until

SCOPE = Scope(AccountId("acct_1"), AgentId("agent_1"))
SETTINGS = {"bot_login": "bot", "bot_token": "t", "api_secret": "s"}
ROOM = "room1"


class Core:
    """Takes what is told, each once the gate is open; knows of nothing that was said before."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.told: list[str] = []

    async def emit(self, scope: Scope, fact: Fact) -> None:
        assert lasts()
        assert isinstance(fact, MessageReceived)
        self.begun.append(fact.text)
        await self.gate.wait()
        self.told.append(fact.text)

    async def recent(self, scope: Scope, conversation: ConversationRef, limit: int) -> Sequence[PastMessage]:
        return ()


def nextcloud(request: httpx2.Request) -> httpx2.Response:
    last = int(request.url.params["lastKnownMessageId"])
    found = [
        {"id": number, "actorType": "users", "actorId": "ann", "message": f"message {number}"}
        for number in range(1, 4)
        if number > last
    ]
    return httpx2.Response(200, json={"ocs": {"data": found}}) if found else httpx2.Response(304)


async def ears_of(core: Core, http: httpx2.AsyncClient) -> Ears:
    clock, nothing = VirtualClock(), cast("Any", None)
    cloud = Cloud(http, SETTINGS, Rates(clock))
    ctx = Context(
        clock=clock,
        ticker=Ticker(),
        emit=core.emit,
        invites=nothing,
        files=nothing,
        history=core,
        public_url="https://talk.example.org",
        settings=SETTINGS,
        secret=str.encode,
        people=nothing,
    )
    rooms = Rooms(cloud, "cloud.example.org", "ann")
    mouth = TalkMessages(ctx, cloud, "https://cloud.example.org", Fate())
    ears = Ears(ctx, SCOPE, cloud, "cloud.example.org", rooms, mouth)
    room = Room(token=ROOM, type=ONE_TO_ONE)
    rooms.add(room)
    await ears.begin(room)
    return ears


def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url="https://cloud.example.org", transport=httpx2.MockTransport(nextcloud))


async def test_a_rooms_messages_are_told_one_after_another() -> None:
    core = Core()
    async with client() as http:
        ears = await ears_of(core, http)
        reading = asyncio.create_task(ears.read())
        ears.wake(ROOM)
        await until(lambda: core.begun)
        await asyncio.sleep(0)
        assert core.begun == ["message 1"]
        core.gate.set()
        await until(lambda: len(core.told) == 3)
        reading.cancel()
        await asyncio.wait({reading})
    assert core.told == ["message 1", "message 2", "message 3"]


async def test_what_is_being_told_when_the_link_closes_is_told_to_the_end_and_nothing_after_it() -> None:
    core = Core()
    async with client() as http:
        ears = await ears_of(core, http)
        reading = asyncio.create_task(ears.read())
        ears.wake(ROOM)
        await until(lambda: core.begun)
        reading.cancel()
        await asyncio.wait({reading})
        assert reading.cancelled()
    core.gate.set()
    await until(lambda: core.told)
    for _ in range(10):
        await asyncio.sleep(0)
    assert core.begun == core.told == ["message 1"]
