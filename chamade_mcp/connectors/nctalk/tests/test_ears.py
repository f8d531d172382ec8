"""What a room has said is told page by page, in order, and no more of it once the link closes."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, cast

import httpx2

from chamade_mcp.connectors.nctalk.client import Cloud
from chamade_mcp.connectors.nctalk.ears import Ears
from chamade_mcp.connectors.nctalk.messages import TalkMessages
from chamade_mcp.connectors.nctalk.rooms import ACTIVE, SILENT, Rooms
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
GROUP = 2


class Core:
    """Takes what is told, once the gate is open; knows of nothing that was said before."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.told: list[list[str]] = []
        """Each time, what was told together."""

    async def emit(self, scope: Scope, /, *facts: Fact) -> None:
        assert lasts()
        texts = [fact.text for fact in facts if isinstance(fact, MessageReceived)]
        assert len(texts) == len(facts)
        self.begun += texts
        await self.gate.wait()
        self.told.append(texts)

    async def recent(self, scope: Scope, conversation: ConversationRef, limit: int) -> Sequence[PastMessage]:
        return ()


PAGE = [f"message {number}" for number in range(1, 101)]
"""As many as are asked for at a time."""
REST = ["message 101", "message 102"]


class Nextcloud:
    """A room with more in it than one page holds."""

    def __init__(self) -> None:
        self.texts = PAGE + REST
        self.said: list[str] = []
        """By the bot."""
        self.authorized: object = []
        self.asked: list[str] = []
        """The rooms, for what is new in them."""
        self.open = asyncio.Event()
        """Set, it answers."""
        self.open.set()

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        if "authorized-rooms" in request.url.path:
            if request.method == "PUT":
                self.authorized = json.loads(request.content)["authorized_rooms"]
            return httpx2.Response(200, json={"authorized_rooms": self.authorized})
        if request.method == "POST":
            self.said.append(json.loads(request.content)["message"])
            return httpx2.Response(201, json={"ocs": {"data": {"id": 1000}}})
        self.asked.append(request.url.path.rpartition("/")[2])
        await self.open.wait()
        first, limit = int(request.url.params["lastKnownMessageId"]), int(request.url.params["limit"])
        found = [
            {"id": number, "actorType": "users", "actorId": "ann", "message": text}
            for number, text in enumerate(self.texts[first : first + limit], first + 1)
        ]
        return httpx2.Response(200, json={"ocs": {"data": found}}) if found else httpx2.Response(304)

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url="https://cloud.example.org", transport=httpx2.MockTransport(self.answer)
        )


async def ears_of(
    core: Core, http: httpx2.AsyncClient, kind: int = ONE_TO_ONE, tokens: Sequence[str] = (ROOM,)
) -> Ears:
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
    for token in tokens:
        room = Room(token=token, type=kind)
        rooms.add(room)
        await ears.begin(room)
    return ears


async def test_a_page_of_a_room_is_told_at_once_and_then_the_next_one() -> None:
    core = Core()
    async with Nextcloud().client() as http:
        ears = await ears_of(core, http)
        reading = asyncio.create_task(ears.read())
        ears.wake(ROOM)
        await until(lambda: core.begun)
        for _ in range(10):
            await asyncio.sleep(0)
        assert core.begun == PAGE
        core.gate.set()
        await until(lambda: len(core.told) == 2)
        reading.cancel()
        await asyncio.wait({reading})
    assert core.told == [PAGE, REST]


async def test_webhooks_that_come_before_a_room_has_its_turn_are_one_reading() -> None:
    core, cloud = Core(), Nextcloud()
    core.gate.set()
    cloud.texts = []
    rooms = [f"room{number}" for number in range(6)]
    async with cloud.client() as http:
        ears = await ears_of(core, http, tokens=rooms)
        reading = asyncio.create_task(ears.read())
        cloud.open.clear()
        for room in rooms:
            ears.wake(room)
        await until(lambda: len(cloud.asked) == 4)
        for room in rooms:  # the first four may have been answered before this was said, the last two not
            ears.wake(room)
        await asyncio.sleep(0)
        cloud.texts = ["hello"]
        assert cloud.asked == rooms[:4], "so many at a time"
        cloud.open.set()
        await until(lambda: len(core.told) == 6 and len(cloud.asked) == 10)
        for _ in range(20):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})
    assert sorted(cloud.asked) == sorted([*rooms, *rooms[:4]])


async def test_a_command_is_obeyed_once_what_came_before_it_is_told() -> None:
    core, cloud = Core(), Nextcloud()
    cloud.texts = ["one", "two", "/activate", "three"]
    async with cloud.client() as http:
        ears = await ears_of(core, http, GROUP)
        reading = asyncio.create_task(ears.read())
        ears.wake(ROOM)
        await until(lambda: core.begun)
        assert core.begun == ["three"], "it does not listen before"
        assert cloud.said == [ACTIVE]
        cloud.texts += ["four", "/deactivate", "five"]
        core.gate.set()
        await until(lambda: core.told)
        core.gate.clear()
        ears.wake(ROOM)
        await until(lambda: len(core.begun) == 2)
        for _ in range(10):
            await asyncio.sleep(0)
        assert cloud.said == [ACTIVE]
        core.gate.set()
        await until(lambda: len(cloud.said) == 2)
        reading.cancel()
        await asyncio.wait({reading})
    assert (core.told, cloud.said) == ([["three"], ["four"]], [ACTIVE, SILENT])


async def test_what_is_being_told_when_the_link_closes_is_told_to_the_end_and_nothing_after_it() -> None:
    core = Core()
    async with Nextcloud().client() as http:
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
    assert core.told == [core.begun] == [PAGE]
