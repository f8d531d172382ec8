"""A person without a browser: the socket that a room's or a chat's page has."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from tests.support.waiting import BOUND_S

FRAME_BYTES = 1920
Samples = np.ndarray[Any, np.dtype[np.int16]]


class Person:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def write(self, text: str) -> None:
        chat: dict[str, object] = {"type": "chat", "key": token_hex(8), "text": text, "attachments": []}
        await self._socket.send(json.dumps(chat))

    async def say(self, pcm: bytes) -> None:
        """48 kHz, at a microphone's pace."""
        for start in range(0, len(pcm), FRAME_BYTES):
            await self._socket.send(pcm[start : start + FRAME_BYTES])
            await asyncio.sleep(0.02)

    async def reads(self) -> str:
        """What the agent writes next."""
        async with asyncio.timeout(BOUND_S):
            while True:
                frame = await self._socket.recv()
                if isinstance(frame, str):
                    message: dict[str, Any] = json.loads(frame).get("message", {})
                    if message.get("kind") == "agent":
                        return message["text"]

    async def hears(self, frames: int) -> Samples:
        """The next `frames` audible frames."""
        heard: list[bytes] = []
        async with asyncio.timeout(BOUND_S):
            while len(heard) < frames:
                frame = await self._socket.recv()
                if isinstance(frame, bytes) and any(frame):
                    heard.append(frame)
        return np.frombuffer(b"".join(heard), np.int16)

    async def hears_nothing(self, frames: int) -> int:
        """Waits until so many frames in a row are silent; how many were not before that."""
        silent = audible = 0
        async with asyncio.timeout(BOUND_S):
            while silent < frames:
                frame = await self._socket.recv()
                if isinstance(frame, bytes):
                    audible += any(frame)
                    silent = 0 if any(frame) else silent + 1
        return audible


@asynccontextmanager
async def person(link: str | None, name: str = "Ann") -> AsyncGenerator[Person]:
    """Somebody who has opened a link of the kind /r/ or /c/. In a room the agent is there: `join` is answered
    while it enters, and what was written before may be told before somebody listens at its call's socket."""
    assert link is not None
    url = re.sub(r"^http(.*)/[rc]/", r"ws\1/live/web/", link)
    async with connect(url, compression=None, proxy=None, max_queue=None) as socket:
        await socket.send(json.dumps({"type": "hello", "name": name, "guest": None}))
        async with asyncio.timeout(BOUND_S):
            welcome = json.loads(await socket.recv())
            assert welcome["type"] == "welcome"
            there = link.rpartition("/")[0].endswith("/c") or _agent_in(welcome["participants"])
            while not there:
                frame = await socket.recv()
                if isinstance(frame, str) and (told := json.loads(frame))["type"] == "joined":
                    there = _agent_in([told["participant"]])
        yield Person(socket)


def _agent_in(participants: list[dict[str, Any]]) -> bool:
    return any(one["kind"] == "agent" for one in participants)
