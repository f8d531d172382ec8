"""`make screenshots`: the pictures in docs/img, of a gateway that people and an agent use.

The people, the agent and the platforms are played; every name and every figure is invented.
"""

import asyncio
import base64
import json
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Page, ViewportSize

from chamade_mcp.app.first_start import OWNER_EMAIL
from chamade_mcp.app.sandbox import Sandbox, sandbox
from chamade_mcp.app.settings import Settings
from chamade_mcp.core.spread import step_of
from tests.support.desk import DESKTOP, LOADED, PHONE
from tests.support.people import person
from tests.support.visitors import Call, House, calling, open_browser, tone
from tests.support.waiting import until_told

FOLDER = Path(__file__).parents[2] / "docs/img"
MOST_BYTES = 150_000
DAYS = 30

TALKS: Sequence[tuple[str, str, str, str]] = (
    ("whatsapp", "Jonas Weber", "Is the delivery still coming today?", "Yes, between 14 and 16 o'clock."),
    ("nctalk", "Priya Nair", "Can you add me to the minutes of Monday?", "Done. You are on the list."),
    ("discord", "mira", "The build is red again, can you look?", "It was the clock test. It is green now."),
    ("slack", "Ana Costa", "Please send the figures for October", "Here they are: 1,204 messages, 38 calls."),
    ("telegram", "Mira Lund", "Could you move our call to three?", ""),
)


@dataclass(frozen=True, slots=True)
class _Scene:
    it: Sandbox
    agent: httpx2.AsyncClient
    people: httpx2.AsyncClient

    async def talk(self, platform: str, name: str, text: str, answer: str) -> None:
        said = {"platform": platform, "person": name, "text": text}
        (await self.people.post("/write", json=said)).raise_for_status()
        found: list[dict[str, Any]] = []

        async def heard() -> bool:
            listed = (await self.agent.get("/api/inbox")).json()
            found[:] = [one for one in listed["conversations"] if one["last_message"]["text"] == text]
            return bool(found)

        await until_told(heard)
        if answer:
            to = {"platform": platform, "conversation_id": found[0]["conversation_id"], "text": answer}
            (await self.agent.post("/api/dm/chat", json=to)).raise_for_status()

    async def call(self) -> str:
        """One that is over, with what was said in it."""
        house = House(self.it.url, self.it.key)
        async with calling(house) as call, person(call.meeting_url, "Mira Lund") as mira:
            here = f"/api/call/{call.call_id}"
            (await self.agent.post(f"{here}/start_recording")).raise_for_status()
            for speaker, text in (
                ("Mira Lund", "Can we move the review to Thursday?"),
                ("Ada", "Thursday at ten is free for everybody."),
                ("Mira Lund", "Then let us take that."),
            ):
                line = {"type": "transcript", "speaker": speaker, "text": text}
                await call.socket.send(json.dumps(line))
                await call.expect("call_transcript")
                await _sound(call, 1.5)
            await mira.write("The room is the small one, upstairs")
            await call.expect("call_chat")
            thanks = {"text": "Noted, I have sent the invitation to **four people**."}
            (await self.agent.post(f"{here}/chat", json=thanks)).raise_for_status()
            (await self.agent.post(f"{here}/stop_recording")).raise_for_status()
            (await self.agent.delete(here)).raise_for_status()
        return call.call_id


async def _sound(call: Call, seconds: float) -> None:
    """Until all of it was played."""
    await call.socket.send(tone(seconds))
    await call.socket.send(json.dumps({"type": "mark", "name": "said"}))
    await call.expect("mark_played")


def _month(folder: Path) -> None:
    """What was counted before today, as if the gateway had run for a month."""
    today = datetime.now(UTC).date()
    rows: list[tuple[str, str, str, int, int]] = []
    for ago in range(1, DAYS):
        day = today - timedelta(days=ago)
        quiet = 3 if day.weekday() >= 5 else 1
        for at, platform in enumerate(("telegram", "slack", "whatsapp", "web")):
            count = (9 + (ago * 7 + at * 5) % 13) // quiet
            rows += [
                (day.isoformat(), platform, "in", 0, count),
                (day.isoformat(), platform, "out", 0, count),
            ]
            rows += [(day.isoformat(), platform, "answer", step_of(20 + ago % 7 * 5), count // 4)]
            rows += [(day.isoformat(), platform, "answer", step_of(4 + ago % 4), count * 3 // 4)]
    with closing(sqlite3.connect(folder / "chamade.db", timeout=10)) as conn, conn:
        ((account, agent),) = conn.execute("SELECT account_id, id FROM agents").fetchall()
        conn.executemany(
            "INSERT INTO usage_counts (account_id, agent_id, day, platform, measure, step, amount)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(account, agent, *row) for row in rows],
        )
        _calls(conn)


def _calls(conn: sqlite3.Connection) -> None:
    """The call that was, again on days before today, and longer."""
    conn.row_factory = sqlite3.Row
    (one,) = conn.execute("SELECT * FROM calls").fetchall()
    marks = ", ".join("?" * len(one))
    for ago in range(1, DAYS):
        for at in range(ago % 4):
            again = dict(one) | {"id": f"call_{ago:02}{at}"}
            for column in ("created_at", "active_at", "ended_at"):
                if again.get(column):
                    moment = datetime.fromisoformat(again[column]) - timedelta(days=ago)
                    later = (
                        timedelta(minutes=4 + (ago * 5 + at * 11) % 30)
                        if column == "ended_at"
                        else timedelta()
                    )
                    again[column] = (moment + later).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            conn.execute(f"INSERT INTO calls VALUES ({marks})", tuple(again.values()))


async def _sign_in(page: Page, it: Sandbox) -> None:
    await page.goto(f"{it.url}/sign-in")
    await page.fill("#email", OWNER_EMAIL)
    await page.fill("#password", it.password)
    await page.press("#password", "Enter")
    await page.wait_for_selector(LOADED)


async def _take(page: Page, name: str, scheme: str, view: ViewportSize) -> None:
    await page.set_viewport_size(view)
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    cdp: Any = await page.context.new_cdp_session(page)  # Playwright itself takes no WebP
    taken = await cdp.send("Page.captureScreenshot", {"format": "webp", "quality": 85})
    await cdp.detach()
    picture = base64.b64decode(taken["data"])
    if len(picture) > MOST_BYTES:
        raise RuntimeError(f"{name}: {len(picture)} bytes are too many")
    (FOLDER / f"{name}.webp").write_bytes(picture)
    print(f"docs/img/{name}.webp: {len(picture)} bytes")


async def _album(page: Page, it: Sandbox, call: str, conversation: str) -> None:
    async def at(path: str, ready: str = "main") -> None:
        await page.set_viewport_size(DESKTOP)
        await page.goto(f"{it.url}/dashboard{path}")
        await page.wait_for_selector(f"{LOADED}")
        await page.wait_for_selector(ready)

    for path, name, ready in (
        ("", "home", "#calls b"),
        (f"/inbox/{conversation}", "inbox", "#messages li"),
        ("/platforms", "platforms", "#platforms li"),
        ("/connect", "connect", "#panel pre"),
        (f"/calls/{call}", "call", "#course li"),
        ("/usage", "usage", "#plot-messages svg"),
    ):
        await at(path, ready)
        await _take(page, name, "light", DESKTOP)
    await at("", "#calls b")
    await _take(page, "home-dark", "dark", DESKTOP)
    await at(f"/inbox/{conversation}", "#messages li")
    await _take(page, "inbox-phone", "dark", PHONE)


async def take() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chamade-pictures-")))
        it = await enter(sandbox(Settings(host="127.0.0.1", port=0), folder))
        agent = await enter(httpx2.AsyncClient(base_url=it.url, headers={"x-api-key": it.key}, timeout=20))
        people = await enter(httpx2.AsyncClient(base_url=it.page_url, headers={"x-sandbox": "1"}))
        scene = _Scene(it, agent, people)
        for talk in TALKS:
            await scene.talk(*talk)
        listed = (await agent.get("/api/inbox")).json()["conversations"]
        told = next(one for one in listed if one["platform"] == "slack")
        call = await scene.call()
        _month(folder)
        await agent.delete("/api/first-steps")
        live = await enter(calling(House(it.url, it.key)))
        await enter(person(live.meeting_url, "Jonas Weber"))
        browser = await enter(open_browser(None))
        context = await browser.new_context(viewport=DESKTOP)
        page = await context.new_page()
        await _sign_in(page, it)
        await _album(page, it, call, told["conversation_id"])


if __name__ == "__main__":
    asyncio.run(take())
