"""The status page: what strangers see, what who is signed in sees, what programs are told."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from chamade_mcp import __version__
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.testing_bots import BOTS, ScriptedBots
from chamade_mcp.model.access import ALL_PERMISSIONS, Principal
from chamade_mcp.model.connections import Access, ConnectionState
from chamade_mcp.model.errors import Unavailable
from tests.support.oauth import EMAIL, PASSWORD, Person
from tests.support.waiting import until

URL = "https://voice.example.org"
HTML, JSON = {"accept": "text/html"}, {"accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Front:
    gateway: Gateway
    bots: ScriptedBots
    http: httpx2.AsyncClient

    async def connect(self) -> Principal:
        """One bot of the owner's; the owner."""
        owner = await self.gateway.core.accounts.find_by_email(EMAIL)
        assert owner is not None
        who = Principal(owner.scope, ALL_PERMISSIONS, True)
        token = {"bot_token": self.bots.accept("helper")}
        await self.gateway.core.connections.register(who, BOTS, token, Access.OPEN)
        await self.state(who, ConnectionState.OK)
        return who

    async def state(self, who: Principal, wanted: ConnectionState) -> None:
        """Waits until the one bot is in it."""
        connections = self.gateway.core.connections
        await until(lambda: [one.state for one in connections.list(who.scope)] == [wanted])


@pytest.fixture
async def front(database_path: Path) -> AsyncGenerator[Front]:
    bots, found = ScriptedBots(), discover()
    registry = Registry({**found.manifests, BOTS: bots.manifest}, {**found.connectors, BOTS: bots})
    settings = Settings(data_dir=database_path.parent, public_url=URL)
    async with build(settings, registry=registry) as gateway:
        await gateway.core.accounts.create(EMAIL, PASSWORD, verified=True, name="Ann")
        transport = httpx2.ASGITransport(gateway.app)
        async with httpx2.AsyncClient(transport=transport, base_url=URL) as http:
            yield Front(gateway, bots, http)


async def test_strangers_see_its_parts_and_nobodys_affairs(front: Front) -> None:
    await front.connect()
    page = await front.http.get("/status", headers=HTML)
    assert page.status_code == 200
    assert "This gateway works" in page.text
    assert page.headers["cache-control"] == "no-store"
    told = (await front.http.get("/status", headers=JSON)).json()
    assert told.keys() == {"status", "version", "started_at", "uptime_s", "parts"}
    assert (told["status"], told["version"]) == ("ok", __version__)
    assert [part["name"] for part in told["parts"]] == ["requests", "database", "events", "disk"]
    for secret in (EMAIL, "Ann", front.bots.manifest.title, BOTS, "helper"):
        assert secret not in page.text + str(told)


async def test_who_is_signed_in_sees_the_states_of_the_agents_platforms(front: Front) -> None:
    await Person(front.http, URL).sign_in()
    assert (await front.http.get("/status", headers=JSON)).json()["platforms"] == []
    assert "None is connected" in (await front.http.get("/status", headers=HTML)).text
    owner = await front.connect()
    title = front.bots.manifest.title

    async def platforms() -> list[dict[str, str]]:
        return (await front.http.get("/status", headers=JSON)).json()["platforms"]

    well = {"name": BOTS, "title": title, "status": "ok", "words": "1 connected"}
    assert await platforms() == [well]
    front.bots.accept("helper", "another secret")
    await front.state(owner, ConnectionState.AUTH_NEEDED)
    assert await platforms() == [well | {"status": "down", "words": "1 waiting to be signed in again"}]
    page = await front.http.get("/status", headers=HTML)
    assert f"<b>{title}</b>" in page.text
    assert EMAIL not in page.text


async def test_a_gateway_that_stops_says_so_and_asks_for_nobody(front: Front) -> None:
    await Person(front.http, URL).sign_in()
    await front.gateway.drain()
    told = (await front.http.get("/status", headers=JSON)).json()
    assert told["status"] == "degraded"
    assert told["parts"][0]["status"] == "down"
    assert "platforms" not in told
    page = await front.http.get("/status", headers=HTML)
    assert "This gateway does not work as it should" in page.text
    assert "Are not taken" in page.text


async def test_a_full_disk_is_told_and_takes_nobody_out_of_service(front: Front) -> None:
    core = front.gateway.core
    database = core.inbox._d.database  # pyright: ignore[reportPrivateUsage]
    await database.write(lambda conn: conn.exec_driver_sql("PRAGMA max_page_count = 1").scalar_one())
    with pytest.raises(Unavailable):
        await database.write(
            lambda conn: conn.exec_driver_sql("CREATE TABLE big AS SELECT zeroblob(1000000)")
        )
    await core.disk.look()
    told = (await front.http.get("/status", headers=JSON)).json()
    assert told["status"] == "degraded"
    assert (told["parts"][-1]["status"], told["parts"][-1]["words"]) == (
        "down",
        "Is full: not everything is stored",
    )
    assert (await front.http.get("/readyz")).status_code == 200
