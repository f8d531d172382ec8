"""The consent screen: what it says, and that nobody but the person in front of it can answer it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from chamade_mcp.kit.testing import VirtualClock
from tests.support.oauth import EMAIL, PASSWORD, Person, Program, fields_of, parameters_of

URL = "https://voice.example.org"
SAFE = {"accept": "text/html", "origin": URL}


class Scene:
    def __init__(self, gateway: Gateway, clock: VirtualClock, http: httpx2.AsyncClient) -> None:
        self.gateway = gateway
        self.clock = clock
        self.person = Person(http, URL)
        self.program = Program(http, URL)

    async def page(self, **changes: str | None) -> httpx2.Response:
        page = await self.person.question(self.program.address(**changes))
        assert page.status_code == 200, page.text
        return page


def browser(gateway: Gateway) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(gateway.app), base_url=URL)


@pytest.fixture
async def scene(database_path: Path) -> AsyncGenerator[Scene]:
    clock = VirtualClock()
    async with build(Settings(data_dir=database_path.parent, public_url=URL), clock=clock) as gateway:
        await gateway.core.accounts.create(EMAIL, PASSWORD, verified=True, name="Ann")
        async with browser(gateway) as http:
            scene = Scene(gateway, clock, http)
            await scene.program.register(client_name="Ada’s <b>editor</b>\u202e")
            yield scene


def sent_back(response: httpx2.Response) -> dict[str, str]:
    assert response.status_code == 303, response.text
    return parameters_of(response.headers["location"])


async def test_it_says_who_asks_for_what_and_where_the_answer_goes(scene: Scene) -> None:
    page = await scene.page()
    text = page.text
    assert "Let <bdi>Ada’s &lt;b&gt;editor&lt;/b&gt;</bdi> act as your agent?" in text
    assert EMAIL in text
    assert "<b><bdi>AI Agent</bdi></b>" in text
    assert "nobody has checked this name" in text
    assert "a program on <b>this computer</b> (127.0.0.1)" in text
    for label, shown in (("Read", True), ("Write", True), ("Call", True), ("Manage", False)):
        assert (f"<b>{label}</b>" in text) is shown


async def test_manage_stands_out(scene: Scene) -> None:
    assert '<li class="manage">' in (await scene.page(scope="read manage")).text


async def test_what_was_allowed_before_is_asked_in_short_but_asked(scene: Scene) -> None:
    await scene.person.decide(await scene.page())
    again = await scene.page()
    assert "Connect <bdi>" in again.text
    assert "<details>" in again.text
    assert "code" in sent_back(await scene.person.decide(again))
    more = await scene.page(scope="read manage")
    assert "act as your agent?" in more.text


async def test_it_cannot_be_framed_or_kept(scene: Scene) -> None:
    headers = (await scene.page()).headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert policy.count("form-action") == 1
    assert "form-action 'self' http://127.0.0.1:7777;" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


async def test_an_answer_counts_once(scene: Scene) -> None:
    page = await scene.page()
    assert "code" in sent_back(await scene.person.decide(page))
    for decision in ("allow", "deny"):
        assert (await scene.person.decide(page, decision)).status_code == 410
    assert (await scene.person.get(str(page.request.url))).status_code == 410


async def test_a_question_is_open_for_ten_minutes(scene: Scene) -> None:
    page = await scene.page()
    scene.clock.jump(601)
    late = await scene.person.decide(page)
    assert late.status_code == 410
    assert "ten minutes" in late.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://voice.example.org.evil.example"},
        {"origin": "http://voice.example.org:8080"},
        {"origin": "", "sec-fetch-site": "cross-site"},
        {"origin": "", "sec-fetch-site": "same-site"},
        {"origin": ""},
    ],
)
async def test_a_form_elsewhere_cannot_answer(scene: Scene, headers: dict[str, str]) -> None:
    """Even one that has got hold of everything in ours."""
    page = await scene.page()
    refused = await scene.person.decide(page, **headers)
    assert refused.status_code == 403
    assert "location" not in refused.headers
    assert "code" in sent_back(await scene.person.decide(page))  # and it spoiled nothing


@pytest.mark.parametrize("change", [{"token": ""}, {"token": "0" * 64}, {"token": "ä"}])
async def test_a_form_without_this_browsers_token(scene: Scene, change: dict[str, str]) -> None:
    page = await scene.page()
    refused = await scene.person.post("/mcp-auth/consent", {**fields_of(page), "decision": "allow", **change})
    assert refused.status_code == 403
    assert "code" in sent_back(await scene.person.decide(page))


@pytest.mark.parametrize("decision", ["", "yes", "ALLOW"])
async def test_what_is_neither_yes_nor_no(scene: Scene, decision: str) -> None:
    page = await scene.page()
    assert (await scene.person.decide(page, decision)).status_code == 400
    assert "code" in sent_back(await scene.person.decide(page))


async def test_nobody_elses_browser_can_answer(scene: Scene) -> None:
    page = await scene.page()
    async with browser(scene.gateway) as http:
        thief = Person(http, URL)
        await thief.sign_in()  # the same account even
        assert (await thief.get(str(page.request.url))).status_code == 410
        own = fields_of(await thief.question(scene.program.address()))
        stolen = {**own, "request": fields_of(page)["request"], "decision": "allow"}
        assert (await thief.post("/mcp-auth/consent", stolen)).status_code == 410
    assert "code" in sent_back(await scene.person.decide(page))


async def test_who_has_signed_out_meanwhile_is_asked_who_they_are(scene: Scene) -> None:
    page = await scene.page()
    form = fields_of(page)
    await scene.gateway.core.accounts.sign_out(scene.person.http.cookies["__Host-chamade"])
    assert (await scene.person.decide(page)).status_code == 403
    shown = await scene.person.get(f"/mcp-auth/consent?request={form['request']}")
    assert shown.headers["location"].startswith("/sign-in?next=/mcp-auth/consent")


async def test_many_open_questions_fill_no_table(scene: Scene) -> None:
    first = await scene.page()
    newest = first
    for _ in range(20):
        scene.clock.jump(1)
        newest = await scene.page()
    assert (await scene.person.decide(first)).status_code == 410
    assert "code" in sent_back(await scene.person.decide(newest))


@pytest.mark.parametrize("body", ["", "decision=allow", "a=1&" * 30 + "decision=allow", "x" * 20_000])
async def test_torn_forms(scene: Scene, body: str) -> None:
    await scene.page()
    headers = {**SAFE, "content-type": "application/x-www-form-urlencoded"}
    response = await scene.person.http.post(f"{URL}/mcp-auth/consent", content=body, headers=headers)
    assert response.status_code == 403


@pytest.mark.parametrize("token", ["", "x", "../..", "ä", "a" * 5000])
async def test_questions_that_never_were(scene: Scene, token: str) -> None:
    await scene.person.sign_in()
    response = await scene.person.http.get(
        f"{URL}/mcp-auth/consent", params={"request": token}, headers={"accept": "text/html"}
    )
    assert response.status_code == 410
    assert "no longer open" in response.text
