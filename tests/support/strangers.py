"""A house in which strangers have filled in all that they can, each time with markup that would run.

Names and texts of people, of bots, of files, of groups; what another server answers; what a platform says
when it refuses; what a program calls itself.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.testing_bots import BOTS, ScriptedBots
from chamade_mcp.model.facts import (
    CallInvited,
    DeliveryChanged,
    MessageReceived,
    Reacting,
    ReactionChanged,
)
from chamade_mcp.model.ids import ConnectionId, ConversationRef, FileId, MessageRef
from chamade_mcp.model.messages import Attachment, DeliveryState, Sender
from tests.support.desk import PROBE
from tests.support.oauth import Person as Owner
from tests.support.oauth import Program
from tests.support.people import person
from tests.support.server import serve
from tests.support.visitors import House, calling, open_house
from tests.support.waiting import until, until_told

FILE_NAME = f"../../\u202egpj.{PROBE[:28]}.html"
BOT_NAME = '<svg/onload="window.hacked=1">'
"""Its token has no spaces, so it has none."""
_NAME = PROBE[:40]
"""As much of it as a person in the browser may be called."""


@dataclass(frozen=True, slots=True)
class Besieged:
    house: House
    conversations: tuple[str, ...]
    call: str
    webhook: str
    room: str
    """Open, with a call in it."""
    chat: str
    question: str
    """Where a program sends its person to be let in."""


@dataclass(frozen=True, slots=True)
class _Siege:
    house: House
    bots: ScriptedBots
    agent: httpx2.AsyncClient

    async def post(self, path: str, **body: object) -> dict[str, Any]:
        answer = await self.agent.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else {}

    async def bot(self, name: str, access: str) -> ConnectionId:
        made = await self.post(
            "/api/bot-tokens", platform=BOTS, bot_token=self.bots.accept(name), access=access
        )
        connection = ConnectionId(made["id"])
        await until(lambda: connection in self.bots.links)
        return connection

    async def conversations(self) -> list[dict[str, Any]]:
        return (await self.agent.get("/api/inbox", params={"limit": 50})).json()["conversations"]

    async def by_platform(self) -> None:
        """Messages, files, reactions, a call that rings, a bot that is cast out, strangers who ask."""
        ours, theirs = await self.bot("helper", "open"), await self.bot(BOT_NAME, "pairing")
        link, stranger, place = self.bots.links[ours], Sender("u-1", PROBE), ConversationRef("c-1")
        assert link.ctx.connection is not None
        scope, ref = link.ctx.connection.scope, MessageRef("m-1")
        file = Attachment(FILE_NAME, "text/html", 5, "", FileId("f-1"))
        self.bots.kept["f-1"] = b"<b>x</b>"
        await link.ctx.emit(scope, MessageReceived(place, ref, stranger, PROBE, (file,), group=PROBE))
        await link.ctx.emit(scope, ReactionChanged(place, ref, stranger, Reacting.ADDED, (PROBE[:30],)))
        (conversation,) = await self.conversations()
        to = {"platform": BOTS, "conversation_id": conversation["conversation_id"]}
        await self.post("/api/dm/chat", **to, text=f"No {PROBE}")
        sent = f"sent-{self.bots.sent[-1].message.key}"
        await link.ctx.emit(scope, DeliveryChanged(place, sent, DeliveryState.FAILED, PROBE))
        room = self.bots.calls.new_room()
        await link.ctx.emit(scope, CallInvited(room, stranger, f"https://bots.test/{room}", PROBE))
        await self.bots.write(theirs, PROBE, sender="u-2", name=PROBE)
        self.bots.links[theirs].cast_out(PROBE)

    async def in_the_browser(self) -> tuple[str, str]:
        """A call that is over, and the link of a private chat."""
        async with calling(self.house) as call, person(call.meeting_url, _NAME) as stranger:
            await stranger.write(PROBE)
            await call.expect("call_chat")
            await call.socket.send(json.dumps({"type": "transcript", "speaker": PROBE, "text": PROBE}))
            await call.expect("call_transcript")
            (await self.agent.delete(f"/api/call/{call.call_id}")).raise_for_status()
        link = (await self.post("/api/invite-link", platform="web", agent_name=_NAME))["url"]
        async with person(link, _NAME) as stranger:
            await stranger.write(PROBE)
            await self._until_written(2)
        return call.call_id, link

    async def _until_written(self, count: int) -> None:
        async def are() -> bool:
            return len(await self.conversations()) >= count

        await until_told(are)

    async def by_webhook(self, url: str) -> str:
        """Whose server answers with markup."""
        made = await self.post("/api/webhooks", url=url, description=PROBE, events=[])
        await self.agent.post(f"/api/webhooks/{made['id']}/test")
        return made["id"]

    async def by_program(self, http: httpx2.AsyncClient) -> str:
        """One that was let in, and one that asks."""
        program = Program(http, self.house.url)
        answer = await program.register(client_name=PROBE, client_uri="https://example.org/<b>")
        assert answer.status_code == 201, answer.text
        location = await Owner(http, self.house.url).answer(program.address())
        assert (await program.redeem(location)).status_code == 200
        return program.address()


@asynccontextmanager
async def _shouting(url: str) -> AsyncGenerator[Starlette]:
    async def refuse(request: Request) -> Response:
        del request
        return PlainTextResponse(PROBE, 500)

    del url
    yield Starlette(routes=[Route("/hook", refuse, methods=["POST"])])


@asynccontextmanager
async def besieged(folder: Path) -> AsyncGenerator[Besieged]:
    found, bots = discover(), ScriptedBots()
    registry = Registry(
        MappingProxyType({**found.manifests, BOTS: bots.manifest}),
        MappingProxyType({**found.connectors, BOTS: bots}),
        {},
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        url = await enter(serve(_shouting))
        house = await enter(open_house(folder, registry=registry, webhook_private_hosts="127.0.0.1"))
        siege = _Siege(house, bots, await enter(house.agent()))
        webhook = await siege.by_webhook(f"{url}/hook")
        await siege.by_platform()
        call, chat = await siege.in_the_browser()
        await siege.post("/api/api-keys", name=PROBE)
        await siege.post("/api/agents", name=PROBE)
        question = await siege.by_program(await enter(httpx2.AsyncClient()))
        live = await enter(calling(house))
        await enter(person(live.meeting_url, _NAME))
        told = tuple(one["conversation_id"] for one in await siege.conversations())
        yield Besieged(house, told, call, webhook, live.meeting_url, chat, question)
