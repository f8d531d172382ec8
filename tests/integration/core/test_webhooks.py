"""An endpoint that is dead while very much happens; and the example receivers, over real sockets."""

import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import httpx2
import pytest
from sqlalchemy import Connection, select

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from chamade_mcp.core import event_log
from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.model.access import Principal
from chamade_mcp.model.events import Event, EventType
from chamade_mcp.store import schema
from chamade_mcp.store.migrate import migrate
from tests.demo.gateway import free_port
from tests.support.house import House, open_house
from tests.support.webhooks import Endpoint

EXAMPLES = Path(__file__).parents[3] / "examples/webhooks"
EVENTS, PAGE = 10_000, 500
MOST_NEW_BLOCKS = EVENTS
"""Of Python's memory. An event that were held would take more than ten."""


async def much_happens(house: House, owner: Principal, count: int) -> None:
    scope, text = owner.scope, "x" * 2_000
    payload = {"type": "dm_chat", "conversation_id": "conv_1", "text": text}
    told = [Event(scope.account, scope.agent, EventType.DM_CHAT, payload) for _ in range(PAGE)]
    for _ in range(0, count, PAGE):
        now = house.clock.now()
        house.hub.announce(await house.database.write(lambda conn, at=now: event_log.append(conn, told, at)))


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


async def taken_up(house: House, count: int) -> None:
    def position(conn: Connection) -> int:
        return conn.execute(select(schema.webhooks.c.position)).scalar_one()

    async with asyncio.timeout(60):
        while await house.database.read(position) < count:  # noqa: ASYNC110 - the database is asked
            await asyncio.sleep(0.01)


async def test_ten_thousand_events_for_a_dead_endpoint_wait_in_the_database(tmp_path: Path) -> None:
    migrate(tmp_path / "chamade.db")
    async with open_house(tmp_path / "chamade.db") as house:
        endpoint = await Endpoint.make(house)
        house.receiver.is_down(endpoint.host)
        await much_happens(house, endpoint.owner, PAGE)
        await taken_up(house, PAGE)
        tasks, before = len(asyncio.all_tasks()), blocks()
        await much_happens(house, endpoint.owner, EVENTS - PAGE)
        await taken_up(house, EVENTS)
        house.receiver.arrived.clear()
        assert blocks() - before < MOST_NEW_BLOCKS
        assert len(asyncio.all_tasks()) <= tasks + 4
        house.receiver.works(endpoint.host)
        await endpoint.arrived(1)


class Receiving:
    """An example, run as it stands there."""

    def __init__(self, port: int, process: asyncio.subprocess.Process) -> None:
        self.url = f"http://localhost:{port}/hook"
        self.process = process

    async def prints(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 20)).decode().strip()


@asynccontextmanager
async def receiving(command: tuple[str, ...], port: int, secret: str) -> AsyncGenerator[Receiving]:
    process = await asyncio.create_subprocess_exec(
        *command, str(port), env={**os.environ, "WEBHOOK_SECRET": secret}, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Receiving(port, process)
    finally:
        process.kill()
        await process.communicate()


@asynccontextmanager
async def gateway_that_trusts(
    place: str, data_dir: Path
) -> AsyncGenerator[tuple[Gateway, ScriptedConnector, Principal]]:
    scripted, found = ScriptedConnector(), discover()
    registry = Registry(
        MappingProxyType({**found.manifests, SCRIPTED: scripted.manifest}),
        MappingProxyType({**found.connectors, SCRIPTED: scripted}),
    )
    settings = Settings(data_dir=data_dir, webhook_private_hosts=place)
    async with build(settings, registry=registry) as gateway:
        await gateway.core.accounts.create("owner@example.org", "correct horse battery", verified=True)
        owner = await gateway.core.accounts.find_by_email("owner@example.org")
        assert owner is not None
        yield gateway, scripted, owner


@pytest.mark.parametrize(
    "command",
    [(sys.executable, str(EXAMPLES / "receiver.py")), ("node", str(EXAMPLES / "receiver.mjs"))],
    ids=["python", "node"],
)
async def test_the_example_prints_what_is_signed_once_and_nothing_else(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Over real sockets: the gateway, the program that a reader copies, and one who forges."""
    port = free_port()
    url = f"http://localhost:{port}/hook"
    async with gateway_that_trusts(f"localhost:{port}", tmp_path / "data") as (gateway, scripted, owner):
        webhooks = gateway.core.webhooks
        made = await webhooks.create(owner, url, ["dm_chat"], "")
        async with receiving(command, port, made["secret"]) as example, httpx2.AsyncClient() as forger:
            await until_listening(port)
            await scripted.write(owner.scope, "hello")
            assert await example.prints() == "dm_chat hello"
            page = await settled(gateway, owner, made["id"])
            await webhooks.replay(owner, made["id"], page["id"])
            now = str(int(time.time()))
            forged = {"webhook-id": "1", "webhook-timestamp": now, "webhook-signature": "v1,AAAA"}
            for headers in ({}, forged, {**forged, "webhook-timestamp": "x"}):
                assert (await forger.post(url, json={"type": "dm_chat"}, headers=headers)).status_code == 401
            await webhooks.rotate(owner, made["id"])
            await scripted.write(owner.scope, "signed with both")
            assert await example.prints() == "dm_chat signed with both"


async def until_listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


async def settled(gateway: Gateway, owner: Principal, webhook: str) -> dict[str, str]:
    found: list[dict[str, str]] = []

    async with asyncio.timeout(20):
        while not found:
            page = await gateway.core.webhooks.deliveries(
                owner, webhook, state="delivered", before=None, limit=10
            )
            found = page["deliveries"]
    return found[0]
