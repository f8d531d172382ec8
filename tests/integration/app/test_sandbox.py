"""`chamade sandbox`: a person played on each emulated platform, and an agent that answers."""

import re
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.app.first_start import OWNER_EMAIL
from chamade_mcp.app.sandbox import Sandbox, sandbox, stages
from chamade_mcp.app.settings import Settings
from tests.support.hosted import Hosted, eventually
from tests.support.oauth import Person, fields_of


@pytest.mark.parametrize("platform", sorted(stages()))
async def test_a_person_is_heard_and_answered(tmp_path: Path, platform: str) -> None:
    # As where a gateway that is reached from elsewhere runs on the same machine, by the same variables.
    settings = Settings(host="127.0.0.1", port=0, public_url="https://gateway.invalid")
    async with (
        sandbox(settings, tmp_path) as it,
        _agent(it) as api,
        httpx2.AsyncClient(base_url=it.page_url, headers={"x-sandbox": "1"}) as page,
    ):
        agent = Hosted(it.url, api)
        said = {"platform": platform, "person": "Ann", "text": "hello"}
        assert (await page.post("/write", json=said)).status_code == 204
        (message,) = await agent.heard()
        assert (message["platform"], message["text"], message["sender"]) == (platform, "hello", "Ann")
        await agent.answer(message, "hi, Ann")

        async def seen() -> bool:
            answer = await page.get("/lines", params={"platform": platform, "person": "Ann"})
            return [(line["author"], line["text"]) for line in answer.json()["lines"]] == [
                ("Ann", "hello"),
                ("", "hi, Ann"),
            ]

        await eventually(seen)


async def test_only_its_own_page_writes(tmp_path: Path) -> None:
    async with (
        sandbox(Settings(host="127.0.0.1", port=0), tmp_path) as it,
        httpx2.AsyncClient(base_url=it.page_url) as page,
    ):
        shown = await page.get("/")
        assert shown.status_code == 200
        assert it.url in shown.text
        said = {"platform": "telegram", "person": "Ann", "text": "hello"}
        own = {"x-sandbox": "1"}
        assert (await page.post("/write", json=said)).status_code == 403
        assert (await page.get("/", headers={"host": "evil.example"})).status_code == 400
        assert (await page.post("/write", json={**said, "platform": "fax"}, headers=own)).status_code == 404
        assert (await page.post("/bot", json={"platform": "telegram"})).status_code == 403
        stray = {"platform": "telegram", "url": "http://127.0.0.1:9/"}
        assert (await page.post("/address", json=stray, headers=own)).status_code == 422
        for wrong in (b"", b"{", b"x" * 70_000, b'{"platform": "telegram", "person": "", "text": "x"}'):
            assert (await page.post("/write", content=wrong, headers=own)).status_code == 422
        for query in ("platform=fax&person=Ann", "platform=telegram", ""):
            assert (await page.get(f"/lines?{query}")).status_code == 404


def _agent(it: Sandbox) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=it.url, headers={"x-api-key": it.key})


async def test_another_bot_is_connected_by_hand(tmp_path: Path) -> None:
    async with (
        sandbox(Settings(host="127.0.0.1", port=0), tmp_path) as it,
        _agent(it) as api,
        httpx2.AsyncClient(base_url=it.page_url, headers={"x-sandbox": "1"}) as page,
    ):
        made = (await page.post("/bot", json={"platform": "whatsapp"})).json()["settings"]
        assert [label for label, _ in made] == [
            "Access token",
            "Phone number ID",
            "App secret",
            "Verify token",
        ]
        token, number, secret, word = (value for _, value in made)
        settings = {"phone_number_id": number, "app_secret": secret, "verify_token": word}
        agent = Hosted(it.url, api)
        connection = await agent.connect("whatsapp", token, **settings)
        told = {"platform": "whatsapp", "url": f"{it.url}/api/hooks/whatsapp/{connection}"}
        assert (await page.post("/address", json=told)).status_code == 204
        await page.post("/write", json={"platform": "whatsapp", "person": "Ann", "text": "hello"})
        (message,) = await agent.heard()
        assert message["text"] == "hello"


@pytest.mark.parametrize(
    ("provider", "platform"), [("slack", "slack"), ("discord", "discord"), ("microsoft", "teams")]
)
async def test_signing_in_is_tried_without_an_account(tmp_path: Path, provider: str, platform: str) -> None:
    async with (
        sandbox(Settings(host="127.0.0.1", port=0), tmp_path) as it,
        _agent(it) as api,
        httpx2.AsyncClient(base_url=it.url) as http,
        httpx2.AsyncClient(base_url=it.page_url, headers={"x-sandbox": "1"}) as page,
    ):
        browser = Person(http, it.url)
        await browser.sign_in(OWNER_EMAIL, it.password)
        url = (await api.post(f"/api/oauth/start/{provider}")).json()["auth_url"]
        asked = await browser.get(url)
        ann = re.search(r'<option value="([^"]+)">Ann<', asked.text)
        assert ann is not None, "she is there from the start"
        told = {**fields_of(asked), "user": ann[1], "decision": "allow"}
        agreed = await browser.post(url.partition("?")[0], told)
        end = await browser.get(agreed.headers["location"])
        assert end.headers["location"] == f"/dashboard/platforms?connected={platform}"
        # From now on she writes to the app for everybody.
        agent = Hosted(it.url, api)
        said = {"platform": platform, "person": "Ann", "text": "hello"}
        assert (await page.post("/write", json=said)).status_code == 204
        (message,) = await agent.heard()
        assert (message["text"], message["sender"], message["sender_status"]) == ("hello", "Ann", "paired")
