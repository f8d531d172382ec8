"""The page that asks whether a platform may hand a bot over."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from tests.support.oauth import EMAIL, PASSWORD, Person, fields_of, parameters_of
from tests.support.requirement import requirement

URL = "https://voice.example.org"
SAFE = {"accept": "text/html", "origin": URL}
ASKED = "/connect/nctalk?nc_state=ab12&nc_url=https%3A%2F%2Fcloud.example.org&origin=dashboard"


@pytest.fixture
async def http(database_path: Path) -> AsyncGenerator[httpx2.AsyncClient]:
    async with build(Settings(data_dir=database_path.parent, public_url=URL)) as gateway:
        await gateway.core.accounts.create(EMAIL, PASSWORD, verified=True, name="Ann")
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(gateway.app), base_url=URL) as http:
            yield http


@requirement("R-293")
async def test_who_is_signed_in_is_asked_about_the_place_and_sent_there(http: httpx2.AsyncClient) -> None:
    stranger = await http.get(ASKED, headers=SAFE)
    assert stranger.status_code == 303
    assert stranger.headers["location"].startswith("/sign-in?next=/connect/nctalk")
    await Person(http, URL).sign_in()
    page = await http.get(ASKED, headers=SAFE)
    assert page.status_code == 200, page.text
    assert "Connect <bdi>cloud.example.org</bdi>?" in page.text
    assert page.headers["x-frame-options"] == "DENY"
    assert "form-action 'self' https://cloud.example.org" in page.headers["content-security-policy"]
    gone = await http.post("/connect/nctalk", data=fields_of(page), headers=SAFE)
    assert gone.status_code == 303, gone.text
    where, _, _ = gone.headers["location"].partition("?")
    assert where == "https://cloud.example.org/index.php/apps/chamade_talk/authorize/finish"
    told = parameters_of(gone.headers["location"])
    assert (told["nc_state"], told["origin"], told["backend_url"]) == ("ab12", "dashboard", URL)
    assert len(told["state"]) == 43


async def test_nobody_elses_page_can_say_yes(http: httpx2.AsyncClient) -> None:
    await Person(http, URL).sign_in()
    form = fields_of(await http.get(ASKED, headers=SAFE))
    for fields, origin in ((form, "https://evil.example"), ({**form, "token": "guess"}, URL), ({}, URL)):
        answer = await http.post("/connect/nctalk", data=fields, headers={**SAFE, "origin": origin})
        assert answer.status_code == 403, answer.text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/connect/nctalk", 400),
        ("/connect/nctalk?nc_url=javascript:alert(1)", 400),
        ("/connect/telegram?url=https://x.example.org", 501),
        ("/connect/nothing?url=https://x.example.org", 400),
    ],
)
async def test_what_cannot_be_connected(http: httpx2.AsyncClient, address: str, status: int) -> None:
    await Person(http, URL).sign_in()
    assert (await http.get(address, headers=SAFE)).status_code == status


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/connect/nothing/callback?state=x&code=y", 422),
        ("/connect/%00/callback", 422),
        ("/connect/telegram/callback?state=x&code=y", 501),
        ("/connect/slack/callback?state=x&code=y", 501),  # whose app nobody has set up here
    ],
)
async def test_nobody_comes_back_from_where_nobody_is_sent(
    http: httpx2.AsyncClient, address: str, status: int
) -> None:
    stranger = await http.get(address, headers=SAFE)
    assert (stranger.status_code, stranger.headers["location"].partition("?")[0]) == (303, "/sign-in")
    await Person(http, URL).sign_in()
    assert (await http.get(address, headers=SAFE)).status_code == status
