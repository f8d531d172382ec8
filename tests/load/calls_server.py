"""The servers of bench_calls.py, each a process of its own on one core: the gateway; the floor, which is an
echo on uvicorn as it comes; and the same echo on the gateway's HTTP server.

    calls_server.py gateway|floor|echo DATA_DIR CORE

Tells its port (and key) as a line of JSON; for each line it reads, how late each beat was since the last.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

sys.path.insert(0, str(Path(__file__).parents[2]))

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from chamade_mcp.app.collector import settle
from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.kit.connector import Context, Link
from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.kit.ticker import Phase

FRAME = 960


class Echoes(ScriptedConnector):
    """Its rooms say back what they hear. Notes how late each beat comes."""

    def __init__(self) -> None:
        super().__init__()
        self.late_s: list[float] = []

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncGenerator[Link]:
        def note(at: float) -> None:
            # uvloop's own time stands still within a turn of the loop, and has whole milliseconds
            self.late_s.append(max(0.0, time.monotonic() - at))

        stops = [ctx.ticker.register(Phase.GATHER, note), ctx.ticker.register(Phase.MIX, self._echo)]
        try:
            async with super().open(ctx) as link:
                yield link
        finally:
            for stop in stops:
                stop()

    def _echo(self, at: float) -> None:
        for leg in self.legs.values():
            frame = leg.far.pull(FRAME, at)
            if frame is not None:
                leg.far.push(frame, at)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Every binary frame goes back."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("bytes"):
            await send({"type": "websocket.send", "bytes": message["bytes"]})


_PLAIN = uvicorn.Config(
    echo,
    loop="uvloop",
    ws="websockets-sansio",  # the fastest it comes with
    ws_per_message_deflate=False,
    lifespan="off",
    log_config=None,
    access_log=False,
)


async def serve(app: ASGIApp, about: dict[str, object], late_s: list[float], *, plain: bool = False) -> None:
    listener = listen(Settings(host="127.0.0.1", port=0))
    server = uvicorn.Server(_PLAIN) if plain else Server(app, drain=nothing)
    settle()  # as `chamade serve` does; walking through all that was built takes 100 ms
    serving = asyncio.create_task(server.serve([listener]))
    print(json.dumps({"port": listener.getsockname()[1], **about}), flush=True)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        told = {"late_ms": [round(one * 1000, 3) for one in late_s]}
        late_s.clear()
        print(json.dumps(told), flush=True)
    server.should_exit = True
    await serving


async def nothing() -> None:
    return


async def gateway(data_dir: Path) -> None:
    echoes, found = Echoes(), discover()
    registry = Registry(
        MappingProxyType({**found.manifests, SCRIPTED: echoes.manifest}),
        MappingProxyType({**found.connectors, SCRIPTED: echoes}),
    )
    settings = Settings(data_dir=data_dir / "gateway", max_concurrent_calls=1_000)
    async with build(settings, registry=registry) as built:
        accounts = built.core.accounts
        await accounts.create("bench@example.org", "correct horse battery", verified=True)
        owner = await accounts.find_by_email("bench@example.org")
        assert owner is not None
        key = (await accounts.create_key(owner.scope, "bench")).value
        await serve(built.app, {"key": key}, echoes.late_s)


def main() -> None:
    what, data_dir, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    if what == "gateway":
        uvloop.run(gateway(Path(data_dir)))
    else:
        uvloop.run(serve(echo, {}, [], plain=what == "floor"))


if __name__ == "__main__":
    main()
