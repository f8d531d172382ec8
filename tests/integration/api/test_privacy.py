"""What an account leaves behind: everything in its export, nothing in the logs, nothing after its end."""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.core.consents import ConsentRequest
from chamade_mcp.core.tokens import Redemption, challenge_of
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.errors import Unavailable
from chamade_mcp.model.ids import CallId
from tests.integration.api.conftest import PASSWORD, House, client_of
from tests.support.problems import assert_problem
from tests.support.push_client import INITIALIZE, headers
from tests.support.requirement import requirement
from tests.support.waiting import until

PADDING = " lorem ipsum" * 40
"""Long enough that pages of the database split and free ones appear."""
MESSAGES = 60


@dataclass(slots=True)
class Filled:
    """What was put into an account: what it may read again, and what opens something."""

    told: set[str] = field(default_factory=set[str])
    in_files: set[str] = field(default_factory=set[str])
    secrets: set[str] = field(default_factory=set[str])

    def mark(self, what: str) -> str:
        mark = f"quokka-{what}-{len(self.told)}-mark"
        self.told.add(mark)
        return mark


async def ok(asked: httpx2.Response) -> httpx2.Response:
    assert asked.is_success, asked.text
    return asked


async def fill(house: House, api: httpx2.AsyncClient) -> Filled:
    filled = Filled()
    mark, scope = filled.mark, house.owner.scope
    await ok(await api.patch("/api/profile", json={"name": mark("profile")}))
    for number in range(MESSAGES):
        await house.scripted.write(scope, mark("inbound") + PADDING, conversation=f"person{number % 5}")
        said = {"platform": "scripted", "text": mark("outbound") + PADDING}
        repeat = {"idempotency-key": f"{number}"}
        await ok(await api.post("/api/dm/chat", json=said, headers=repeat))
    for _ in range(5):
        filled.in_files.add(content := f"quokka-content-{len(filled.in_files)}-mark")
        sent = {"file": (f"{mark('file')}.txt", content.encode() * 500, "text/plain")}
        made = (await ok(await api.post("/api/files", files=sent))).json()
        filled.secrets.add(made["url"].rpartition("/")[2])
    await fill_calls(house, api, filled)
    await fill_webhooks(house, api, filled)
    await fill_connections(house, api, filled)
    await fill_clients(house, api, filled)
    for _ in range(5):
        key = (await ok(await api.post("/api/api-keys", json={"name": mark("key")}))).json()["key"]
        filled.secrets.add(key.rpartition("_")[2])
        link = await ok(await api.post("/api/invite-link", json={"agent_name": mark("link")}))
        filled.secrets.add(link.json()["url"].rpartition("/")[2])
    filled.secrets.add(await house.gateway.core.accounts.sign_in("owner@example.org", PASSWORD))
    filled.secrets.add(house.key.rpartition("_")[2])
    return filled


async def fill_calls(house: House, api: httpx2.AsyncClient, filled: Filled) -> None:
    wanted = {"platform": "scripted", "agent_name": filled.mark("call"), "recording": True}
    call = (await ok(await api.post("/api/call", json=wanted))).json()
    await until(lambda: call["room_id"] in house.scripted.legs)
    calls = house.gateway.core.calls
    live = calls._engine.find(house.owner.scope, CallId(call["call_id"]))  # pyright: ignore[reportPrivateUsage]
    for _ in range(MESSAGES):
        await calls.add_transcript(live, filled.mark("speaker"), filled.mark("transcript") + PADDING)
    await ok(await api.delete(f"/api/call/{call['call_id']}"))


async def fill_webhooks(house: House, api: httpx2.AsyncClient, filled: Filled) -> None:
    url = house.elsewhere.serve(
        f"https://receiver.example/{filled.mark('url')}", filled.mark("said").encode()
    )
    made = await ok(await api.post("/api/webhooks", json={"url": url, "description": filled.mark("webhook")}))
    filled.secrets.add(made.json()["secret"].removeprefix("whsec_"))
    path = f"/api/webhooks/{made.json()['id']}"
    filled.secrets.add((await ok(await api.post(f"{path}/secret"))).json()["secret"].removeprefix("whsec_"))
    await ok(await api.post(f"{path}/test"))
    for number in range(5):
        await house.scripted.write(house.owner.scope, filled.mark("posted"), conversation=f"person{number}")


async def fill_connections(house: House, api: httpx2.AsyncClient, filled: Filled) -> None:
    """A bot of the owner's own, somebody who is let in, and somebody who waits for that."""
    filled.secrets.add(secret := "quokka-secret-of-a-bot")
    bot = {"platform": BOTS, "bot_token": house.bots.accept("helper", secret), "access": "pairing"}
    made = (await ok(await api.post("/api/bot-tokens", json=bot))).json()
    await until(lambda: made["id"] in house.bots.links)
    for sender in ("let-in", "waiting"):
        name = filled.mark(sender)
        await house.bots.write(made["id"], "hello", sender=sender, name=name)
        await until(lambda sender=sender: house.bots.heard(sender))
        if sender == "let-in":
            (asking,) = (await ok(await api.get("/api/pairings?status=pending"))).json()["pairings"]
            await ok(await api.post(f"/api/pairings/{asking['id']}/approve"))
            await house.bots.write(made["id"], filled.mark("paired") + PADDING, sender=sender, name=name)


async def fill_clients(house: House, api: httpx2.AsyncClient, filled: Filled) -> None:
    """A session of an MCP client, and one that was let in over OAuth."""
    hello = {**INITIALIZE, "params": {**INITIALIZE["params"], "clientInfo": client_info(filled)}}
    opened = await ok(await api.post("/mcp/?stateful", headers=headers(house.key), json=hello))
    filled.secrets.add(opened.headers["mcp-session-id"])
    grants, verifier = house.gateway.core.grants, "v" * 43
    request = ConsentRequest(
        client_id="client_1",
        client_name=filled.mark("client"),
        client_host="",
        redirect_uri="http://localhost/cb",
        state=None,
        permissions=house.owner.permissions,
        challenge=challenge_of(verifier),
        refreshes=True,
    )
    code = await grants.approve(house.owner, request)
    issued = await grants.redeem(Redemption(code, "client_1", verifier, None))
    filled.secrets |= {code, issued.access_token, str(issued.refresh_token)}


def client_info(filled: Filled) -> dict[str, str]:
    return {"name": filled.mark("program"), "version": "1"}


def kept_in(folder: Path, marks: set[str]) -> set[str]:
    """Those that stand anywhere in the data folder: database, write-ahead log, files."""
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return {mark for mark in marks if mark.encode() in kept}


def blobs_in(folder: Path) -> list[Path]:
    """Whatever is in the data folder beside the database, the key and the lock."""
    return [path for path in folder.glob("*/**/*") if path.is_file()]


@requirement("R-189")
async def test_an_export_has_all_that_was_said(house: House, api: httpx2.AsyncClient) -> None:
    filled = await fill(house, api)
    exported = (await ok(await api.get("/api/export"))).text
    assert {mark for mark in filled.told if mark not in exported} == set()
    assert {secret for secret in filled.secrets if secret in exported} == set()


@requirement("R-188")
async def test_a_deleted_account_is_gone_from_the_disk(
    house: House, api: httpx2.AsyncClient, tmp_path: Path
) -> None:
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        await ok(await other.patch("/api/profile", json={"name": "a-neighbour-who-stays"}))
        filled = await fill(house, api)
        marks = filled.told | filled.in_files
        assert await asyncio.to_thread(kept_in, tmp_path / "data", marks) == marks
        assert blobs_in(tmp_path / "data"), "what was recorded, and what was uploaded"
        await ok(await api.request("DELETE", "/api/account", json={"password": PASSWORD}))
        assert blobs_in(tmp_path / "data") == []
        assert house.bots.links == {}
        everything = marks | filled.secrets | {"owner@example.org"}
        assert await asyncio.to_thread(kept_in, tmp_path / "data", everything) == set()
        kept = await asyncio.to_thread(kept_in, tmp_path / "data", {"a-neighbour-who-stays"})
        assert kept == {"a-neighbour-who-stays"}


async def test_the_logs_tell_nothing_of_what_was_said(
    house: House, api: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "chamade_mcp"):
        filled = await fill(house, api)
        house.scripted.script.send_error = RuntimeError("the platform broke")
        said = {"platform": "scripted", "text": filled.mark("failed")}
        await api.post("/api/dm/chat", json=said)
        await api.post("/api/dm/chat", content=f'{{"text": "{filled.mark("broken")}"')
        await api.post("/api/dm/chat", json={"platform": filled.mark("platform"), "text": "x"})
        await api.request("DELETE", "/api/account", json={"password": PASSWORD})
    assert caplog.records, "nothing was logged, so nothing was tested"
    secret = filled.told | filled.in_files | filled.secrets
    # The audit log says to which client an owner said yes.
    assert {one for one in secret if one in caplog.text} == {one for one in secret if "-client-" in one}


async def test_nor_do_they_when_the_disk_is_full(
    house: House, api: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The database's own errors carry what was to be stored."""
    await house.scripted.write(house.owner.scope, "hello")
    database = house.gateway.core.inbox._d.database  # pyright: ignore[reportPrivateUsage]
    full = "PRAGMA max_page_count = 1"  # of those it has, none are added
    await database.write(lambda conn: conn.exec_driver_sql(full).scalar_one())
    filled = Filled()
    text = filled.mark("unstored") + PADDING * 18
    sent = await api.post("/api/dm/chat", json={"platform": "scripted", "text": text})
    assert_problem(sent, 503, "DISK_FULL")
    with pytest.raises(Unavailable, match="full"):
        await house.scripted.write(house.owner.scope, text, conversation=filled.mark("person"))
    endpoint = {"url": f"https://receiver.example/{filled.mark('url')}{'x' * 1900}"}
    added = [(await api.post("/api/webhooks", json=endpoint)).status_code for _ in range(10)]
    assert max(added) == 503, added
    assert "full" in caplog.text
    assert {one for one in filled.told if one in caplog.text} == set()
