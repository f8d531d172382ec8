"""The examples of the documents, run as they stand there against a real gateway."""

import asyncio
import json
import os
import re
import sys
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.support.visitors import House, open_house, tone
from tests.support.waiting import BOUND_S

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
FRAME_BYTES = 1920
Process = asyncio.subprocess.Process


def example(name: str, document: str = "README.md") -> str:
    """The code block that follows ``<!-- example: name -->``."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", text, re.S)
    assert found is not None, f"{document} has no example {name!r}"
    return found[1]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with open_house(tmp_path) as house:
        yield house


def environment(house: House, **more: str) -> dict[str, str]:
    ours = {"CHAMADE_URL": house.url, "CHAMADE_API_KEY": house.key, "NO_PROXY": "127.0.0.1", **more}
    return {name: value for name, value in os.environ.items() if not name.startswith("CHAMADE_")} | ours


@asynccontextmanager
async def running(*command: str, env: dict[str, str]) -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def shell(script: str, env: dict[str, str]) -> list[Any]:
    """What each command of a shell example prints, in order; every one has to succeed."""
    async with running("bash", "-euc", script, env=env) as process:
        out, err = await asyncio.wait_for(process.communicate(), BOUND_S)
    assert process.returncode == 0, (out, err)
    decoder, text, documents = json.JSONDecoder(), out.decode(), list[Any]()
    while text:
        document, end = decoder.raw_decode(text)
        documents.append(document)
        text = text[end:].lstrip()
    return documents


@asynccontextmanager
async def guest(link: str) -> AsyncGenerator[ClientConnection]:
    """A person who has opened a link of the kind /r/ or /c/."""
    url = re.sub(r"^http(.*)/[rc]/", r"ws\1/live/web/", link)
    async with connect(url, compression=None, proxy=None, max_queue=None) as socket:
        await socket.send(json.dumps({"type": "hello", "name": "Ann", "guest": None}))
        async with asyncio.timeout(BOUND_S):
            assert json.loads(await socket.recv())["type"] == "welcome"
        yield socket


async def test_the_rest_examples(house: House) -> None:
    account, call, invite = await shell(example("rest"), environment(house))
    assert account["platforms"]["web"]["status"] == "ok"
    assert call["meeting_url"].startswith(f"{house.url}/r/")
    env = environment(house, CURSOR=account["last_message_cursor"])
    define = "\n".join(line for line in example("rest").splitlines() if line.startswith("api()"))
    async with guest(invite["url"]) as person:
        polling = asyncio.create_task(shell(f"{define}\n{example('inbox')}", env))
        await person.send(json.dumps({"type": "chat", "key": "1", "text": "Hello?", "attachments": []}))
        inbox, sent = await polling
        assert inbox["conversations"][0]["messages"][0]["text"] == "Hello?"
        assert sent["status"] == "delivered"
        async with asyncio.timeout(BOUND_S):
            while (said := json.loads(await person.recv())).get("message", {}).get("kind") != "agent":
                pass
        assert said["message"]["text"] == "Good morning"


async def test_the_parrot_says_a_second_later_what_it_hears(house: House) -> None:
    async with running(sys.executable, "-c", example("parrot"), env=environment(house)) as parrot:
        assert parrot.stdout is not None
        async with asyncio.timeout(BOUND_S):
            first = (await parrot.stdout.readline()).decode()
        link = first.rpartition(" ")[2].strip()
        async with guest(link) as person:
            speaking = asyncio.create_task(_speak(person))
            try:
                said = await _listen(person)
            finally:
                speaking.cancel()
                await asyncio.gather(speaking, return_exceptions=True)
    spectrum = np.abs(np.fft.rfft(said * np.hanning(len(said))))
    assert abs(int(np.argmax(spectrum)) * 48_000 / len(said) - 1000) < 5


async def _speak(person: ClientConnection) -> None:
    sound = tone(1.0)
    while True:
        for start in range(0, len(sound), FRAME_BYTES):
            await person.send(sound[start : start + FRAME_BYTES])
            await asyncio.sleep(0.02)  # a microphone's pace, not a wait


async def _listen(person: ClientConnection) -> "np.ndarray[Any, np.dtype[np.int16]]":
    """The first half second of what somebody else says."""
    heard = bytearray()
    async with asyncio.timeout(BOUND_S):
        while len(heard) < 25 * FRAME_BYTES:
            frame = await person.recv()
            if isinstance(frame, bytes) and any(frame):
                heard += frame
    return np.frombuffer(bytes(heard), np.int16)


def test_the_json_examples_are_json_and_the_link_holds_the_same_settings() -> None:
    text = README.read_text(encoding="utf-8")
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.S)]
    assert len(blocks) == 3
    link = re.search(r"cursor://\S+", text)
    assert link is not None
    config = json.loads(b64decode(parse_qs(urlsplit(link[0]).query)["config"][0]))
    assert config == blocks[0]["mcpServers"]["chamade"]
