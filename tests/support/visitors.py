"""A real gateway on a free loopback port, an agent that uses it, and people with real browsers."""

import asyncio
import contextlib
import json
import math
import struct
import wave
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.registry import Registry
from tests.support.waiting import BOUND_S

RATE_HZ = 48_000
TONE_HZ = 1000
_CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


_HEARD = """async (least) => {
  const { context, playbackNode } = window.chamade;
  const meter = new AnalyserNode(context, { fftSize: 16384, smoothingTimeConstant: 0 });
  playbackNode.connect(meter);
  const wave = new Float32Array(meter.fftSize);
  let rms = 0;
  while (rms < least) {
    await new Promise((next) => setTimeout(next, 20));
    meter.getFloatTimeDomainData(wave);
    rms = Math.sqrt(wave.reduce((sum, x) => sum + x * x, 0) / wave.length);
  }
  const bins = new Float32Array(meter.frequencyBinCount);
  meter.getFloatFrequencyData(bins);
  return { rms, hz: bins.indexOf(Math.max(...bins)) * context.sampleRate / meter.fftSize };
}"""


@dataclass(frozen=True, slots=True)
class House:
    url: str
    key: str

    def agent(self) -> httpx2.AsyncClient:
        """The REST API with the agent's key."""
        return httpx2.AsyncClient(base_url=self.url, headers={"x-api-key": self.key}, timeout=BOUND_S)


@asynccontextmanager
async def open_house(
    data_dir: Path,
    *,
    clock: Clock | None = None,
    registry: Registry | None = None,
    webhook_private_hosts: str | None = None,
    name: str = "127.0.0.1",
    smtp_url: str | None = None,
    free_bytes: Callable[[Path], int] = lambda _: 1 << 40,
) -> AsyncGenerator[House]:
    """`name`: this machine's, as browsers know it; `free_bytes(folder)`: what is left on its disk;
    plenty, or what a person is told would depend on the machine."""
    listener = listen(Settings(host="127.0.0.1", port=0))
    url = f"http://{name}:{listener.getsockname()[1]}"
    settings = Settings(
        data_dir=data_dir,
        public_url=url,
        files_max_size_mb=1,
        webhook_private_hosts=webhook_private_hosts,
        smtp_url=SecretStr(smtp_url) if smtp_url else None,
    )
    async with build(settings, clock=clock, registry=registry, free_bytes=free_bytes) as gateway:
        await gateway.core.accounts.create("owner@example.org", "correct horse battery", verified=True)
        owner = await gateway.core.accounts.find_by_email("owner@example.org")
        assert owner is not None
        key = await gateway.core.accounts.create_key(owner.scope, "test")
        server = Server(gateway.app, drain=gateway.drain)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield House(url, key.value)
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, BOUND_S)


class Relay:
    """A way to the gateway that can be cut, on a port of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ways: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._cut = False
        self.turned_away = asyncio.Event()
        """Somebody has tried since `cut`."""

    def cut(self) -> None:
        self.turned_away.clear()
        self._cut = True
        for way in self._ways:
            way.transport.abort()

    def mend(self) -> None:
        self._cut = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            self.turned_away.set()
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        away_reader, away_writer = await asyncio.open_connection("127.0.0.1", self._port)
        ways = {writer, away_writer}
        self._ways |= ways
        try:
            await asyncio.gather(_pump(reader, away_writer), _pump(away_reader, writer))
        finally:
            self._ways -= ways
            self._carrying.discard(task)

    async def close(self) -> None:
        self.cut()
        if self._carrying:
            await asyncio.wait(self._carrying, timeout=BOUND_S)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def relayed(house: House) -> AsyncGenerator[tuple[Relay, str]]:
    """A relay before `house`, and the URL that leads through it."""
    relay = Relay(urlsplit(house.url).port or 0)
    server = await asyncio.start_server(relay.carry, "127.0.0.1", 0)
    async with server:
        yield relay, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await relay.close()


def tone(seconds: float, rate_hz: int = RATE_HZ, frequency_hz: float = TONE_HZ) -> bytes:
    """s16le mono at half of full scale."""
    count = int(seconds * rate_hz)
    turn = 2 * math.pi * frequency_hz / rate_hz
    return struct.pack(f"<{count}h", *(round(16383 * math.sin(turn * i)) for i in range(count)))


def write_tone(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(tone(10))  # whole turns, so that the loop has no click


@asynccontextmanager
async def open_browser(microphone: Path | None) -> AsyncGenerator[Browser]:
    """A browser whose microphone plays `microphone`, or one that is refused every permission.

    Fails at its end if any page of it broke its Content-Security-Policy, or if a script of it failed.
    """
    how = (
        ("--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}")
        if microphone
        else ("--deny-permission-prompts",)
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=[*_ARGUMENTS, *how])
        broken: list[str] = []
        browser.on("context", lambda context: _watch(context, broken))
        try:
            yield browser
        finally:
            await browser.close()
        assert not broken, broken


def _watch(context: BrowserContext, broken: list[str]) -> None:
    def listen(message: ConsoleMessage) -> None:
        # Who may frame a page is a matter of the page that tries it, which is a test's own.
        if "Content Security Policy" in message.text and "frame-ancestors" not in message.text:
            broken.append(f"{message.page.url if message.page else None}: {message.text}")

    context.on("console", listen)
    context.on("weberror", lambda error: broken.append(str(error.error)))


async def visit(browser: Browser, url: str, name: str, **options: Any) -> Page:
    """A page of its own profile, where `name` is remembered."""
    context = await browser.new_context(**options)
    remember = f"localStorage.setItem('chamade.name', {json.dumps(name)})"
    await context.add_init_script(f"if (origin !== 'null') {remember}")  # not on a page that is still empty
    page = await context.new_page()
    page.set_default_timeout(BOUND_S * 1000)
    await page.goto(url)
    return page


async def join(page: Page) -> None:
    await page.click("#join")
    await page.wait_for_selector("#room .who")


@dataclass(frozen=True, slots=True)
class Call:
    """An agent in a call, by REST and by the call's socket."""

    call_id: str
    meeting_url: str
    socket: ClientConnection

    async def expect(self, type_: str) -> dict[str, Any]:
        """The next event of that type; all before it, audio too, is passed over."""
        async with asyncio.timeout(BOUND_S):
            while True:
                frame = await self.socket.recv()
                if isinstance(frame, str) and (event := json.loads(frame))["type"] == type_:
                    return event

    async def hear(self, frames: int) -> "np.ndarray[Any, np.dtype[np.int16]]":
        """The next `frames` audible frames, one after the other."""
        heard: list[bytes] = []
        async with asyncio.timeout(BOUND_S):
            while len(heard) < frames:
                frame = await self.socket.recv()
                if isinstance(frame, bytes) and any(frame):
                    heard.append(frame)
        return np.frombuffer(b"".join(heard), np.int16)


@asynccontextmanager
async def calling(house: House, meeting_url: str | None = None) -> AsyncGenerator[Call]:
    """The agent "Ada" in a new room, or in the one at `meeting_url`, listening."""
    body = {"platform": "web", "agent_name": "Ada"} | ({"meeting_url": meeting_url} if meeting_url else {})
    async with house.agent() as agent:
        made = (await agent.post("/api/call", json=body)).raise_for_status().json()
    async with listening(made, house.key) as call:
        yield call


@asynccontextmanager
async def listening(made: Mapping[str, Any], key: str) -> AsyncGenerator[Call]:
    """At the socket of a call as the gateway told of it when it was made."""
    stream = f"{made['text_ws_url']}?api_key={key}"
    # Without a bound on what waits: audio that a test does not read must not hold up the close.
    async with connect(stream, compression=None, proxy=None, max_size=None, max_queue=None) as socket:
        await socket.send(json.dumps({"type": "audio_config", "sample_rate": RATE_HZ, "receive": True}))
        call = Call(made["call_id"], made["meeting_url"], socket)
        await call.expect("audio_config")
        yield call


def frequency(samples: "np.ndarray[Any, np.dtype[np.int16]]") -> float:
    """The strongest, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE_HZ / len(samples)


async def heard_by(page: Page, least: float) -> dict[str, float]:
    """What the loudspeaker plays, once the last third of a second is louder than `least`."""
    async with asyncio.timeout(BOUND_S):
        return await page.evaluate(_HEARD, least)
