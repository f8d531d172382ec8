"""What an account leaves behind: everything in its export, nothing in the logs, nothing after its end."""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.model.ids import CallId
from tests.integration.api.conftest import PASSWORD, House, client_of
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
    for _ in range(5):
        key = (await ok(await api.post("/api/api-keys", json={"name": mark("key")}))).json()["key"]
        filled.secrets.add(key.rpartition("_")[2])
        link = await ok(await api.post("/api/invite-link", json={"agent_name": mark("link")}))
        filled.secrets.add(link.json()["url"].rpartition("/")[2])
    filled.secrets.add(await house.gateway.core.accounts.sign_in("owner@example.org", PASSWORD))
    filled.secrets.add(house.key.rpartition("_")[2])
    return filled


async def fill_calls(house: House, api: httpx2.AsyncClient, filled: Filled) -> None:
    wanted = {"platform": "scripted", "agent_name": filled.mark("call")}
    call = (await ok(await api.post("/api/call", json=wanted))).json()
    await until(lambda: call["room_id"] in house.scripted.legs)
    calls = house.gateway.core.calls
    live = calls._engine.find(house.owner.scope, CallId(call["call_id"]))  # pyright: ignore[reportPrivateUsage]
    for _ in range(MESSAGES):
        await calls.add_transcript(live, filled.mark("speaker"), filled.mark("transcript") + PADDING)
    await ok(await api.delete(f"/api/call/{call['call_id']}"))


def kept_in(folder: Path, marks: set[str]) -> set[str]:
    """Those that stand anywhere in the data folder: database, write-ahead log, files."""
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return {mark for mark in marks if mark.encode() in kept}


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
        await ok(await api.request("DELETE", "/api/account", json={"password": PASSWORD}))
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
    assert {one for one in secret if one in caplog.text} == set()
