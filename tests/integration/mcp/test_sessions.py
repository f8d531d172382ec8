"""Sessions of a real gateway: restarts, outages, dead peers, many clients."""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.push_client import PushClient, headers, open_session, pushed
from tests.support.requirement import requirement
from tests.support.waiting import until

HERE = Path(__file__).parent
SESSIONS = 100
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.fixture
async def process(tmp_path: Path) -> AsyncGenerator[GatewayProcess]:
    async with gateway_process(tmp_path / "data") as running:
        yield running


async def some_events(http: httpx2.AsyncClient, gateway: GatewayProcess, calls: int) -> None:
    """Calls that begin and end: an event each, or more."""
    key = {"x-api-key": gateway.key}
    for _ in range(calls):
        made = await http.post(f"{gateway.url}/api/call", headers=key, json={"platform": "web"})
        assert made.status_code == 200, made.text
        ended = await http.delete(f"{gateway.url}/api/call/{made.json()['call_id']}", headers=key)
        assert ended.status_code == 200


async def test_no_event_is_lost_when_the_gateway_is_killed_under_a_hundred_sessions(
    process: GatewayProcess,
) -> None:
    async with httpx2.AsyncClient(timeout=30) as http:
        sessions = [await open_session(http, process.url, process.key) for _ in range(SESSIONS)]
        clients = [PushClient(process.url, process.key, session) for session in sessions]
        async with pushed(*clients):
            await some_events(http, process, 3)
            left = await http.post(
                f"{process.url}/api/call", headers={"x-api-key": process.key}, json={"platform": "web"}
            )
            assert left.status_code == 200  # what becomes of it is told after the restart
            await process.kill()
            await until(lambda: all(client.status == 0 for client in clients), bound_s=10)
            await process.start()
            await some_events(http, process, 3)
            newest = clients[0]
            await until(lambda: newest.opened > 1 and len(newest.cursors) >= 7, bound_s=30)
            await until(lambda: all(c.cursors[-1:] == newest.cursors[-1:] for c in clients), bound_s=30)
            for client in clients:
                assert client.cursors == list(range(1, newest.cursors[-1] + 1))
                assert client.opened == 2
            # The sessions are the same: nobody was told to initialize anew.
            for session in sessions[:5]:
                own = headers(process.key, session)
                answer = await http.post(f"{process.url}/mcp/", headers=own, json=PING)
                assert answer.json()["result"] == {}


async def test_a_client_that_kept_no_event_id_goes_on_all_the_same(process: GatewayProcess) -> None:
    async with httpx2.AsyncClient(timeout=30) as http:
        session = await open_session(http, process.url, process.key)
        client = PushClient(process.url, process.key, session, keep=True)
        async with pushed(client):
            await some_events(http, process, 1)
            await until(lambda: '"state":"ended"' in str(client.messages[-1:]))
        seen = client.cursors[-1]
        await process.stop()  # in order: what was pushed is noted
        await process.start()
        await some_events(http, process, 1)
        client.last_id, client.opened, client.cursors = "", 0, []
        async with pushed(client):
            await until(lambda: client.cursors)
        assert client.cursors[0] == seen + 1


@requirement("R-231")
@pytest.mark.parametrize("query", ["", "?stateful"])
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_the_official_client_does_not_notice_a_restart(
    process: GatewayProcess, query: str, mode: str
) -> None:
    own, given = {"authorization": f"Bearer {process.key}"}, set[str]()

    async def look(answer: httpx2.Response) -> None:
        if "mcp-session-id" in answer.headers:
            given.add(answer.headers["mcp-session-id"])

    async with AsyncExitStack() as stack:
        http = httpx2.AsyncClient(headers=own, timeout=30, event_hooks={"response": [look]})
        await stack.enter_async_context(http)
        transport = streamable_http_client(f"{process.url}/mcp/{query}", http_client=http)
        client = await stack.enter_async_context(Client(transport, mode=mode))
        experimental = client.server_capabilities.experimental or {}
        assert ("claude/channel" in experimental) is bool(query)
        before = await client.call_tool("chamade_account", {})
        await process.kill()
        await process.start()
        after = await client.call_tool("chamade_account", {})
    assert (before.is_error, after.is_error) == (False, False)
    assert len(given) == (1 if query else 0)


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncGenerator[tuple[str, str]]:
    """The gateway in this process, behind its own server; gives its URL and a key."""
    settings = Settings(data_dir=tmp_path / "data", host="127.0.0.1", port=0)
    with listen(settings) as listener:
        settings = settings.bound_to(listener.getsockname()[1])
        async with build(settings) as gateway:
            accounts = gateway.core.accounts
            await accounts.create("owner@example.org", "correct horse battery", verified=True)
            owner = await accounts.find_by_email("owner@example.org")
            assert owner is not None
            key = await accounts.create_key(owner.scope, "test")
            server = Server(gateway.app, drain=gateway.drain)
            serving = asyncio.create_task(server.serve([listener]))
            await until(lambda: server.started)
            try:
                yield settings.public_url, key.value
            finally:
                server.should_exit = True
                await serving


async def test_revoking_a_key_ends_its_sessions_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as (url, key), httpx2.AsyncClient(timeout=30) as http:
        made = await http.post(f"{url}/api/api-keys", headers={"x-api-key": key}, json={"name": "agent"})
        agent = made.json()
        session = await open_session(http, url, agent["key"])
        client = PushClient(url, agent["key"], session)
        async with pushed(client):
            gone = await http.delete(f"{url}/api/api-keys/{agent['id']}", headers={"x-api-key": key})
            assert gone.status_code in (200, 204)
            await until(lambda: client.status == 401)
            answer = await http.post(f"{url}/mcp/", headers=headers(agent["key"], session), json=PING)
            assert answer.status_code == 401
            assert (
                await http.post(f"{url}/mcp/", headers=headers(key, session), json=PING)
            ).status_code == 404


async def test_ten_thousand_sessions_leave_no_memory_behind(tmp_path: Path) -> None:
    """Opened, pinged and dropped: half of them ended, half left behind as clients do that crash."""

    def resident_kib() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() // 1024

    async with served(tmp_path) as (url, key), httpx2.AsyncClient(timeout=60) as http:

        async def one(number: int) -> None:
            session = await open_session(http, url, key)
            if number % 2:
                gone = await http.delete(f"{url}/mcp/", headers=headers(key, session))
                assert gone.status_code == 200

        async def many(count: int) -> None:
            for start in range(0, count, 50):
                await asyncio.gather(*(one(start + place) for place in range(50)))

        await many(3000)  # caches fill up to their bounds
        before = resident_kib()
        await many(7000)
        grown = resident_kib() - before
    assert grown < 8 * 1024, f"{grown} KiB for 7,000 sessions"


@requirement("R-239")
async def test_a_dead_peer_is_noticed_within_25_seconds(tmp_path: Path) -> None:
    """Its address vanishes in a network of its own: no reset, no end, only silence."""
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--map-root-user", "--net", sys.executable, HERE / "half_open.py", tmp_path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, err.decode()
    told = json.loads(out)
    assert told["before"] == 1
    assert told["noticed_after_s"] <= 25
