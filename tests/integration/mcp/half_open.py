"""Run inside a network namespace: a push client vanishes, and the gateway's hub is watched until it knows.

Prints {"before": <subscriptions while it was there>, "noticed_after_s": <seconds>}.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import httpx2

sys.path.insert(0, str(Path(__file__).parents[3]))

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.core.hub import MemoryHub
from tests.support.push_client import PushClient, open_session
from tests.support.waiting import until

SERVER, CLIENT = "10.9.0.1", "10.9.0.2"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


async def main(data_dir: Path) -> None:
    ip("link", "set", "lo", "up")
    for address in (SERVER, CLIENT):
        ip("address", "add", f"{address}/32", "dev", "lo")
    settings = Settings(data_dir=data_dir / "data", host=SERVER, port=0, public_url=f"http://{SERVER}")
    with listen(settings) as listener:
        url = f"http://{SERVER}:{listener.getsockname()[1]}"
        settings = settings.model_copy(update={"public_url": url})
        async with build(settings) as gateway:
            accounts = gateway.core.accounts
            await accounts.create("owner@example.org", "correct horse battery", verified=True)
            owner = await accounts.find_by_email("owner@example.org")
            assert owner is not None
            key = (await accounts.create_key(owner.scope, "test")).value
            server = Server(gateway.app, drain=gateway.drain)
            serving = asyncio.create_task(server.serve([listener]))
            await until(lambda: server.started)
            hub = cast(MemoryHub, gateway.core.hub)
            async with httpx2.AsyncClient() as http:
                session = await open_session(http, url, key)
            client = PushClient(url, key, session, source=CLIENT)
            listening = asyncio.create_task(client.run())
            await until(lambda: client.opened)
            before = hub.subscribers
            ip("route", "add", "blackhole", f"{CLIENT}/32", "metric", "1")
            ip("address", "del", f"{CLIENT}/32", "dev", "lo")
            died = time.monotonic()
            await until(lambda: hub.subscribers == 0, bound_s=60)
            print(json.dumps({"before": before, "noticed_after_s": round(time.monotonic() - died, 1)}))
            listening.cancel()
            server.should_exit = True
            await serving


asyncio.run(main(Path(sys.argv[1])))
