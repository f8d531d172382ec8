"""Ten thousand agents wait in long-polls of one process, and one message wakes them all.

    .venv/bin/python tests/load/bench_polls.py [--polls 10000]

Goals: under 300 MB in the gateway process, and all answered within 2 s. It has been started before:
the first start migrates, and what that needs is not given back.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast
from urllib.parse import quote

import uvloop

from chamade_mcp.app.collector import settle
from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.core.gateway import Core
from chamade_mcp.model.access import Scope
from chamade_mcp.model.connections import Trust
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import COMMON, ConversationRef, MessageRef, Platform
from chamade_mcp.model.messages import Sender

GOAL_MB, GOAL_S = 300, 2.0
_OPENING = 200
"""Polls that are opened at once: the listener's backlog is finite."""


async def serve(data_dir: Path) -> None:
    """Prints its port, a key and a cursor; every line on standard input is a message that comes in."""
    listener = listen(Settings(port=0))
    port = listener.getsockname()[1]
    async with build(Settings(data_dir=data_dir, port=port)) as gateway:
        core = gateway.core
        owner = await core.accounts.find_by_email("bench@example.org")
        if owner is None:
            await core.accounts.create("bench@example.org", "a password to measure", verified=True)
            return
        key = await core.accounts.create_key(owner.scope, "bench")
        await receive(core, owner.scope, "the first")
        print(port, key.value, await core.inbox.cursor(owner), flush=True)

        async def messages() -> None:
            while text := await asyncio.to_thread(sys.stdin.readline):
                await receive(core, owner.scope, text.strip())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(messages())
            settle()  # as `chamade serve` does
            tasks.create_task(Server(gateway.app, drain=gateway.drain).serve([listener]))


async def receive(core: Core, scope: Scope, text: str) -> None:
    fact = MessageReceived(
        ConversationRef("bench"), MessageRef(text), Sender("person", "Ann"), f"Message: {text}"
    )
    await core.inbox.received(scope, (Platform("web"), COMMON), fact, Trust.INVITED)


class Poll(asyncio.Protocol):
    """One agent that asks once, and notes when it was answered."""

    def __init__(self, request: bytes, answered: "asyncio.Queue[bytes]") -> None:
        self._request = request
        self._answered = answered
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, whole, body = bytes(self._buffer).partition(b"\r\n\r\n")
        if whole and len(body) == int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            self._answered.put_nowait(body)


def memory_mb(pid: int, field: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def files(pid: int) -> int:
    """Files the gateway holds open, its connections among them."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


async def settled(pid: int) -> None:
    """Returns once the gateway has had nothing to do for half a second: every poll is read and waits."""
    before, calm = processor_s(pid), 0
    while calm < 5:
        await asyncio.sleep(0.1)
        now = processor_s(pid)
        calm = calm + 1 if now - before < 0.02 else 0
        before = now


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(gateway: "subprocess.Popen[str]", polls: int) -> None:
    assert gateway.stdout is not None
    assert gateway.stdin is not None
    port, key, cursor = gateway.stdout.readline().split()
    idle_mb, idle_files = memory_mb(gateway.pid, "VmRSS"), files(gateway.pid)
    request = (
        f"GET /api/inbox?wait=55&last_message_cursor={quote(cursor)} HTTP/1.1\r\n"
        f"host: 127.0.0.1:{port}\r\nx-api-key: {key}\r\n\r\n"
    ).encode()
    answered: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for first in range(0, polls, _OPENING):
        many = range(first, min(first + _OPENING, polls))
        await asyncio.gather(
            *(loop.create_connection(lambda: Poll(request, answered), "127.0.0.1", int(port)) for _ in many)
        )
    await settled(gateway.pid)
    assert files(gateway.pid) >= idle_files + polls
    opened_s = time.perf_counter() - began
    assert answered.empty(), answered.get_nowait()
    held_mb = memory_mb(gateway.pid, "VmRSS")
    began = time.perf_counter()
    gateway.stdin.write("wake up\n")
    gateway.stdin.flush()
    async with asyncio.timeout(60):
        for _ in range(polls):
            body = await answered.get()
            assert b"Message: wake up" in body, body
    woken_s = time.perf_counter() - began
    peak_mb = memory_mb(gateway.pid, "VmHWM")
    print(f"{polls:,} polls opened in {opened_s:.1f} s; {held_mb:.0f} MB held, {idle_mb:.0f} MB before them")
    print(f"all answered {woken_s:.2f} s after the message (goal {GOAL_S:.0f} s)")
    print(f"peak {peak_mb:.0f} MB (goal {GOAL_MB} MB)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--polls", type=int, default=10_000)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.serve is not None:
        uvloop.run(serve(options.serve))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--serve", folder]
        subprocess.run(command, check=True)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as gateway:
            try:
                uvloop.run(measure(gateway, options.polls))
            finally:
                gateway.terminate()


if __name__ == "__main__":
    main()
