"""The scripted agent: an MCP client of the official SDK for words, the call's WebSocket for sound."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import numpy as np
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from websockets.asyncio.client import ClientConnection, connect

from tests.demo import signal
from tests.demo.gateway import RunningGateway

TONE_HZ = 1510.0
NAME = "Ada"


@dataclass(slots=True)
class Agent:
    client: Client
    gateway: RunningGateway
    rate_hz: int
    ear: signal.Ear
    call: dict[str, Any] = field(default_factory=dict[str, Any])
    clicks: list[float] = field(default_factory=list[float])
    """When each click of its own voice was due: the sending of its frame, and its place in it."""
    chat: list[str] = field(default_factory=list[str])
    frames_sent: int = 0
    heard_somebody: asyncio.Event = field(default_factory=asyncio.Event)

    async def use(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Calls a tool as a model would; raises with the text a model would read."""
        result = await self.client.call_tool(tool, arguments)
        if result.is_error:
            raise RuntimeError(f"{tool}: {result.content}")
        return cast("dict[str, Any]", result.structured_content)

    async def join(self) -> str:
        """Opens a room of its own; returns the link for people."""
        await self.use("chamade_account")
        self.call = await self.use("chamade_call_join", platform="web", agent_name=NAME)
        return self.call["meeting_url"]

    async def talk(self, stop: asyncio.Event) -> None:
        """Listens, speaks and answers in chat until `stop`."""
        url = f"{self.call['text_ws_url']}?api_key={self.gateway.api_key}"
        async with connect(url, compression=None, max_size=2**20) as socket:
            wanted = {"type": "audio_config", "sample_rate": self.rate_hz, "receive": True}
            await socket.send(json.dumps(wanted))
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._listen(socket))
                speaking = tasks.create_task(self._speak(socket))
                await stop.wait()
                listening.cancel()
                speaking.cancel()

    async def _listen(self, socket: ClientConnection) -> None:
        async for message in socket:
            at = time.time()
            if isinstance(message, bytes):
                self.ear.hear(np.frombuffer(message, np.int16), at)
                if self.ear.clicks:
                    self.heard_somebody.set()
                continue
            event = json.loads(message)
            if event["type"] == "call_chat":
                self.chat.append(f"{event['sender']}: {event['text']}")
                answer = "I hear you well. You sound like 1,010 Hz, and I answer with 1,510 Hz."
                await self.use("chamade_call_chat", call_id=self.call["call_id"], text=answer)
            elif event["type"] == "call_error":
                raise RuntimeError(event["message"])

    async def _speak(self, socket: ClientConnection) -> None:
        """20 ms at a time, on time: what a speech synthesis that streams does."""
        sound = signal.voice(self.rate_hz, 10.0, TONE_HZ)
        size = self.rate_hz // 50
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            start = (self.frames_sent * size) % len(sound)
            frame = sound[start : start + size]
            loud = np.flatnonzero(np.abs(frame.astype(np.int32)) > signal.CLICK_HEARD * 32767)
            if len(loud):
                # A frame's later samples are meant to be heard later.
                self.clicks.append(time.time() + float(loud[0]) / self.rate_hz)
            await socket.send(frame.tobytes())
            self.frames_sent += 1
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def leave(self) -> None:
        await self.use("chamade_call_leave", call_id=self.call["call_id"])


@asynccontextmanager
async def agent_at(gateway: RunningGateway, person_tone_hz: float, rate_hz: int) -> AsyncGenerator[Agent]:
    headers = {"Authorization": f"Bearer {gateway.api_key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        transport = streamable_http_client(f"{gateway.url}/mcp/", http_client=http)
        async with Client(transport) as client:
            yield Agent(client, gateway, rate_hz, signal.Ear(rate_hz, person_tone_hz))
