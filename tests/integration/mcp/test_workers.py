"""Workers beside a gateway: real processes on one store, any of which serves any session."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.support.gateway_process import GatewayProcess, Process, gateway_process, worker_process
from tests.support.hosted import eventually
from tests.support.oauth import Person, Program
from tests.support.push_client import PushClient, headers, open_session, pushed
from tests.support.waiting import until

SESSIONS = 50
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@dataclass
class Cluster:
    data_dir: Path
    gateway: GatewayProcess
    one: Process
    two: Process
    http: httpx2.AsyncClient

    async def ping(self, process: Process, session: str, key: str = "") -> int:
        own = headers(key or self.gateway.key, session)
        return (await self.http.post(f"{process.url}/mcp/", headers=own, json=PING)).status_code

    async def api(self, method: str, path: str, body: object = None) -> Any:
        answer = await self.http.request(
            method, f"{self.gateway.url}/api/{path}", headers={"x-api-key": self.gateway.key}, json=body
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def events(self) -> int:
        """How many there are in the log."""
        with closing(sqlite3.connect(self.data_dir / "chamade.db")) as conn:
            return conn.execute("SELECT event_seq FROM accounts").fetchone()[0]

    async def some_events(self, calls: int) -> None:
        for _ in range(calls):
            made = await self.api("POST", "call", {"platform": "web"})
            await self.api("DELETE", f"call/{made['call_id']}")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Cluster]:
    """Started once: each test leaves all three of them running."""
    data = tmp_path_factory.mktemp("cluster") / "data"
    async with (
        gateway_process(data) as gateway,
        worker_process(data, gateway) as one,
        worker_process(data, gateway) as two,
        httpx2.AsyncClient(timeout=30) as http,
    ):
        yield Cluster(data, gateway, one, two, http)


async def test_a_session_lives_in_all_of_them(cluster: Cluster) -> None:
    key, http = cluster.gateway.key, cluster.http
    session = await open_session(http, cluster.one.url, key)
    for process in (cluster.one, cluster.two, cluster.gateway):
        assert await cluster.ping(process, session) == 200
    own = headers(key, session)
    tool = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "chamade_account"}}
    told = (await http.post(f"{cluster.two.url}/mcp/", headers=own, json=tool)).json()["result"]
    assert "last_message_cursor" in told["structuredContent"], told

    first = PushClient(cluster.one.url, key, session, retry_s=60)
    async with pushed(first):
        await cluster.some_events(2)
        await until(lambda: first.cursors[-1:] == [cluster.events()])
        seen, at = first.last_id, first.cursors[-1]
        second = PushClient(cluster.two.url, key, session, last_id=seen, retry_s=60)
        async with pushed(second):
            await until(lambda: first.over == 1)  # taken over by the other process
            await cluster.some_events(2)
            await until(lambda: second.cursors[-1:] == [cluster.events()])
            assert second.cursors == list(range(at + 1, cluster.events() + 1))
            replayed = PushClient(cluster.gateway.url, key, session, last_id=seen, retry_s=60)
            async with pushed(replayed):
                await until(lambda: replayed.cursors == second.cursors)
                gone = await http.delete(f"{cluster.two.url}/mcp/", headers=own)
                assert gone.status_code == 200
                await until(lambda: replayed.over == 1, bound_s=2)
                assert await cluster.ping(cluster.two, session) == 404
                for other in (cluster.gateway, cluster.one):  # they hear of it within a moment

                    async def ended(process: Process = other) -> bool:
                        return await cluster.ping(process, session) == 404

                    await eventually(ended)


async def test_a_worker_is_killed_under_load_and_its_clients_go_on_at_the_other(cluster: Cluster) -> None:
    key, before = cluster.gateway.key, cluster.events()
    sessions = [await open_session(cluster.http, cluster.one.url, key) for _ in range(SESSIONS)]
    urls = [cluster.one.url, cluster.two.url]
    clients = [
        PushClient(urls[place % 2], key, session, others=[urls[1 - place % 2]])
        for place, session in enumerate(sessions)
    ]
    async with pushed(*clients):
        load = asyncio.create_task(cluster.some_events(40))
        await until(lambda: all(len(client.cursors) > 10 for client in clients), bound_s=30)
        await cluster.one.kill()
        await load
        await cluster.some_events(1)
        happened = cluster.events()
        assert happened >= before + 41
        await until(lambda: all(c.cursors[-1:] == [happened] for c in clients), bound_s=30)
        for place, client in enumerate(clients):
            assert client.cursors == list(range(before + 1, happened + 1)), "none lost, none twice"
            assert client.opened >= 2 - place % 2
        await cluster.one.start()
        assert [await cluster.ping(cluster.one, session) for session in sessions[:4]] == [200] * 4


async def test_a_worker_that_is_stopped_ends_its_streams_and_goes(cluster: Cluster) -> None:
    key, before = cluster.gateway.key, cluster.events()
    session = await open_session(cluster.http, cluster.one.url, key)
    client = PushClient(cluster.one.url, key, session, others=[cluster.two.url])
    async with pushed(client):
        assert await cluster.one.stop() == 0
        assert client.over == 1
        await cluster.some_events(1)
        await until(lambda: client.cursors[-1:] == [cluster.events()])
        assert (client.opened, client.cursors) == (2, list(range(before + 1, cluster.events() + 1)))
    await cluster.one.start()


async def test_a_revoked_key_ends_what_it_opened_everywhere(cluster: Cluster) -> None:
    made = await cluster.api("POST", "api-keys", {"name": "agent"})
    key = made["key"]
    sessions = [await open_session(cluster.http, cluster.one.url, key) for _ in range(3)]
    places = (cluster.one, cluster.two, cluster.gateway)
    clients = [PushClient(place.url, key, session) for place, session in zip(places, sessions, strict=True)]
    async with pushed(*clients):
        await cluster.api("DELETE", f"api-keys/{made['id']}")
        await until(lambda: all(client.status == 401 for client in clients), bound_s=5)
    for place, session in zip(places, sessions, strict=True):
        assert await cluster.ping(place, session, key) == 401


async def test_a_client_signs_in_and_out_at_workers(cluster: Cluster) -> None:
    """Registered at one, admitted by the gateway's page, redeemed at the other; revoked at a worker."""
    http, gateway = cluster.http, cluster.gateway
    program = Program(http, cluster.one.url)
    assert (await program.register()).status_code == 201
    program.url = gateway.url
    browser = Person(http, gateway.url)
    await browser.sign_in(gateway.email, gateway.password)
    code = await browser.answer(program.address())
    metadata = await http.get(f"{cluster.two.url}/.well-known/oauth-authorization-server/mcp")
    assert metadata.json()["issuer"] == gateway.url
    form = {
        "grant_type": "authorization_code",
        "code": httpx2.URL(code).params["code"],
        "redirect_uri": program.redirect_uri,
        "code_verifier": program.verifier,
        "client_id": program.client_id,
    }
    tokens = (await http.post(f"{cluster.two.url}/token", data=form)).json()
    access = tokens["access_token"]
    sessions = [await open_session(http, process.url, access) for process in (cluster.one, gateway)]
    clients = [
        PushClient(cluster.one.url, access, sessions[0]),
        PushClient(gateway.url, access, sessions[1]),
    ]
    async with pushed(*clients):
        told = {"token": tokens["refresh_token"], "client_id": program.client_id}
        assert (await http.post(f"{cluster.two.url}/revoke", data=told)).status_code == 200
        await until(lambda: all(client.status == 401 for client in clients), bound_s=5)


async def test_a_probe_comes_to_streams_at_workers(cluster: Cluster) -> None:
    session = await open_session(cluster.http, cluster.one.url, cluster.gateway.key)
    client = PushClient(cluster.one.url, cluster.gateway.key, session, keep=True)
    async with pushed(client):
        ping = await cluster.api("POST", "api-keys/ping")
        await until(lambda: client.messages)
        assert client.messages[0]["params"]["meta"]["platform"] == "chamade_probe"
        answer = {"name": "chamade_dm_chat", "arguments": {"platform": "chamade_probe", "text": "here"}}
        call = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": answer}
        own = headers(cluster.gateway.key, session)
        await cluster.http.post(f"{cluster.two.url}/mcp/", headers=own, json=call)
        seen = await cluster.api("GET", f"api-keys/ping/{ping['ping_id']}")
        assert "replied" in [key["verdict"] for key in seen["keys"]]


async def test_streams_stay_open_while_the_gateway_restarts(cluster: Cluster) -> None:
    """Tools say that it cannot be reached, and what happens afterwards comes on the same stream."""
    key, before = cluster.gateway.key, cluster.events()
    session = await open_session(cluster.http, cluster.one.url, key)
    client = PushClient(cluster.one.url, key, session)
    tool = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "chamade_account"}}
    async with pushed(client):
        await cluster.some_events(1)
        await cluster.gateway.kill()
        answer = await cluster.http.post(f"{cluster.one.url}/mcp/", headers=headers(key, session), json=tool)
        told = answer.json()["result"]["structuredContent"]
        assert (told["code"], told["outcome"]) == ("CORE_UNREACHABLE", "not_done")
        await cluster.gateway.start()
        await cluster.some_events(1)
        await until(lambda: client.cursors[-1:] == [cluster.events()])
        assert (client.opened, client.cursors) == (1, list(range(before + 1, cluster.events() + 1)))


async def test_a_worker_serves_nothing_else(cluster: Cluster) -> None:
    for path in ("/api/account", "/dashboard", "/authorize", "/"):
        answer = await cluster.http.get(f"{cluster.one.url}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), path
    assert cluster.gateway.key not in cluster.one.log.read_text()
