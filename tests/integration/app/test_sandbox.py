"""`chamade sandbox`: a person played on each emulated platform, and an agent that answers."""

from pathlib import Path

import httpx2
import pytest

from chamade_mcp.app.sandbox import Sandbox, sandbox, stages
from chamade_mcp.app.settings import Settings
from tests.support.hosted import Hosted, eventually


@pytest.mark.parametrize("platform", sorted(stages()))
async def test_a_person_is_heard_and_answered(tmp_path: Path, platform: str) -> None:
    async with (
        sandbox(Settings(host="127.0.0.1", port=0), tmp_path) as it,
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
        for wrong in (b"", b"{", b"x" * 70_000, b'{"platform": "telegram", "person": "", "text": "x"}'):
            assert (await page.post("/write", content=wrong, headers=own)).status_code == 422
        for query in ("platform=fax&person=Ann", "platform=telegram", ""):
            assert (await page.get(f"/lines?{query}")).status_code == 404


def _agent(it: Sandbox) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=it.url, headers={"x-api-key": it.key})
