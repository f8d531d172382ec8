"""People and agents who go on whatever becomes of the gateway, and remember what they were promised."""

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.chaos.platforms import PLATFORMS, TOKEN

PEOPLE = ("ann", "ben", "cleo", "dan")
BOT_TOKEN = "the-token-of-a-bot"
AT_ONCE = 5
"""So often a platform delivers one webhook at the same time, where it does that."""
PAUSE_S = 0.02
"""Before what failed is tried again."""
LISTEN_S = 30.0
"""The stream pings more often."""


@dataclass
class Answers:
    """What the gateway said."""

    accepted: list[str] = field(default_factory=list[str])
    """Texts, in the order in which they were accepted."""
    refused: dict[str, httpx2.Response] = field(default_factory=dict[str, httpx2.Response])
    """The answer to those that were certainly not done."""
    lost: list[str] = field(default_factory=list[str])
    """Those whose answer never came."""


@dataclass
class Person:
    """Writes one message after the other; the platform repeats each webhook until it is answered."""

    api: httpx2.AsyncClient
    hook: str
    name: str
    answers: Answers = field(default_factory=Answers)

    async def write(self, number: int) -> None:
        said = {"from": self.name, "id": f"{self.name}-{number}", "text": f"{self.name} says {number}"}
        # Platforms repeat a webhook that was not answered in time, and the first may arrive all the same.
        posts = [self._post(said) for _ in range(AT_ONCE if number % 3 == 0 else 1)]
        while not any(await asyncio.gather(*posts)):
            await asyncio.sleep(PAUSE_S)
            posts = [self._post(said)]
        self.answers.accepted.append(said["text"])

    async def _post(self, said: Mapping[str, str]) -> bool:
        try:
            answer = await self.api.post(self.hook, json=said, headers={"x-token": TOKEN})
        except httpx2.TransportError:
            return False
        if answer.status_code != 200:
            self.answers.refused[said["text"]] = answer
        return answer.status_code == 200


@dataclass
class Agent:
    """Answers in one conversation. With `keyed` it repeats what it got no answer to, under one key; else it
    never knows, and goes on with the next."""

    api: httpx2.AsyncClient
    platform: str
    conversation: str
    keyed: bool
    answers: Answers = field(default_factory=Answers)

    async def write(self, number: int) -> None:
        text = f"{self.conversation} hears {number}"
        said = {"platform": self.platform, "conversation_id": self.conversation, "text": text}
        headers = {"idempotency-key": str(uuid.uuid4())} if self.keyed else {}
        while not await self._send(said, headers):  # noqa: ASYNC110 - the gateway is asked
            await asyncio.sleep(PAUSE_S)

    async def _send(self, said: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        """Whether there is no more to be done for it."""
        text = said["text"]
        try:
            answer = await self.api.post("/api/dm/chat", json=said, headers=headers)
        except httpx2.TransportError:
            if not self.keyed:
                self.answers.lost.append(text)
            return not self.keyed
        if answer.status_code in (200, 202):
            self.answers.accepted.append(text)
            return True
        self.answers.refused[text] = answer
        return not self.keyed


@dataclass
class Listener:
    """Reads the event stream, and comes back after every outage behind the last event it had."""

    url: str
    key: str
    last_id: str = "0"
    """From the beginning of the log on."""
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def run(self) -> None:
        async with httpx2.AsyncClient(base_url=self.url, timeout=LISTEN_S) as api:
            while True:
                try:
                    await self._listen(api)
                except httpx2.TransportError:
                    await asyncio.sleep(PAUSE_S)

    async def _listen(self, api: httpx2.AsyncClient) -> None:
        headers = {"x-api-key": self.key, "last-event-id": self.last_id}
        async with api.stream("GET", "/api/events", headers=headers) as stream:
            async for line in stream.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "data":
                    event = json.loads(value)
                    self.last_id = str(event["seq"])
                    if event["type"] != "ready":
                        self.events.append(event)


@dataclass
class Traffic:
    """All of them at once, until `stop`."""

    people: list[Person]
    agents: list[Agent]
    listener: Listener
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def everybody(self) -> "tuple[Person | Agent, ...]":
        return (*self.people, *self.agents)

    @property
    def accepted(self) -> int:
        return sum(len(one.answers.accepted) for one in self.everybody)

    @asynccontextmanager
    async def going_on(self) -> AsyncGenerator["asyncio.Task[None]"]:
        """The task ends after `stopping` is set, the listener at the end of the context."""
        listening = asyncio.create_task(self.listener.run())
        everybody = asyncio.create_task(self._everybody())
        try:
            yield everybody
        finally:
            for task in (listening, everybody):
                task.cancel()
            await asyncio.gather(listening, everybody, return_exceptions=True)

    async def _everybody(self) -> None:
        await asyncio.gather(*(self._go_on(one) for one in self.everybody))

    async def _go_on(self, one: Person | Agent) -> None:
        """What was begun is seen through."""
        for number in itertools.count():
            if self.stopping.is_set():
                return
            await one.write(number)


async def set_up(api: httpx2.AsyncClient, url: str, key: str) -> Traffic:
    """A bot on each platform, and people who have written to it."""
    people: list[Person] = []
    for platform in PLATFORMS:
        bot = {"platform": platform, "bot_token": BOT_TOKEN, "access": "open"}
        made = await api.post("/api/bot-tokens", json=bot)
        assert made.status_code == 200, made.text
        hook = f"/api/hooks/{platform}/{made.json()['id']}"
        people += [Person(api, hook, f"{platform}-{name}") for name in PEOPLE]
    for person in people:
        await person.write(-1)
    listed = (await api.get("/api/inbox")).json()["conversations"]
    assert len(listed) == len(people)
    agents = [
        Agent(api, one["platform"], one["conversation_id"], keyed=number % 2 == 0)
        for number, one in enumerate(listed)
    ]
    return Traffic(people, agents, Listener(url, key))
