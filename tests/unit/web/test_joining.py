"""The pages by which a person comes to an account, as forms without a script."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.app.first_start import make_owner
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from tests.support.oauth import fields_of

URL, PASSWORD = "http://127.0.0.1:8000", "a few good words"


class Stranger:
    def __init__(self, gateway: Gateway, url: str = URL) -> None:
        self.url = url
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(gateway.app), base_url=url, headers={"accept": "text/html"}
        )

    async def send(self, path: str, fields: Mapping[str, str], **headers: str) -> httpx2.Response:
        form = fields_of(await self.http.get(path)) | dict(fields)
        return await self.http.post(path, data=form, headers={"origin": self.url, **headers})


@asynccontextmanager
async def opened(folder: Path, **settings: str) -> AsyncGenerator[tuple[Gateway, Stranger]]:
    async with build(Settings.model_validate({"data_dir": folder, "public_url": URL, **settings})) as gateway:
        stranger = Stranger(gateway)
        async with stranger.http:
            yield gateway, stranger


@pytest.fixture
async def empty(database_path: Path) -> AsyncGenerator[tuple[Gateway, Stranger]]:
    """A gateway after its first start."""
    async with opened(database_path.parent, sign_up="open") as both:
        assert await make_owner(both[0].core.accounts) is not None
        yield both


async def claim(gateway: Gateway) -> str:
    link = await gateway.core.members.joining.claim_link()
    assert link is not None
    return link.removeprefix(URL)


async def test_the_first_start_is_made_somebodys_and_that_once(empty: tuple[Gateway, Stranger]) -> None:
    gateway, ann = empty
    asked = await ann.http.get("/sign-in")
    assert "Nobody has made this gateway theirs yet." in asked.text
    path = await claim(gateway)
    page = await ann.http.get(path)
    assert page.status_code == 200
    assert "Make it yours" in page.text
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"
    made = await ann.send(path, {"email": "ann@example.org", "name": "Ann", "password": PASSWORD})
    assert (made.status_code, made.headers["location"]) == (303, "/dashboard")
    shown = await ann.http.get("/dashboard")
    assert "ann@example.org" in shown.text
    keys = (await ann.http.get("/api/api-keys")).json()["api_keys"]
    assert [key["name"] for key in keys] == ["First key"]
    again = await ann.http.get(path)
    assert again.status_code == 410
    assert "This link no longer works" in again.text
    other = Stranger(gateway)
    async with other.http:
        assert "Nobody has made" not in (await other.http.get("/sign-in")).text
        sent = await other.send("/sign-in", {"email": "ann@example.org", "password": PASSWORD})
        assert sent.headers["location"] == "/dashboard"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"email": "ann"}, "This is not an e-mail address."),
        ({"password": "short"}, "This must have 8 to 256 characters."),
        ({"password": "password1"}, "This is one of those that are tried first"),
        ({"password": "ann@example.org"}, "This names the account"),
        ({"name": "a\nb"}, "This must be one line"),
        ({"name": "a" * 101}, "This must be one line of at most 100 characters."),
        ({"token": "0" * 64}, "This form has expired. Send it again."),
    ],
)
async def test_what_was_typed_stays_but_the_password(
    empty: tuple[Gateway, Stranger], wrong: dict[str, str], words: str
) -> None:
    gateway, ann = empty
    path = await claim(gateway)
    probe = '"><script>alert(1)</script>'
    fields = {"email": "ann@example.org", "name": probe, "password": PASSWORD, **wrong}
    answer = await ann.send(path, fields)
    assert answer.status_code in (403, 422)
    assert words in answer.text
    if "email" not in wrong:
        assert 'value="ann@example.org"' in answer.text
    assert fields["password"] not in answer.text.replace('value="ann@example.org"', "")
    assert "<script>alert" not in answer.text
    assert await gateway.core.members.joining.unclaimed()
    assert (await ann.send(path, GOOD)).status_code == 303


GOOD = {"email": "ann@example.org", "name": "Ann", "password": PASSWORD}


@pytest.mark.parametrize("headers", [{"origin": "null"}, {"origin": "https://evil.example"}])
async def test_forms_of_other_sites_make_nothing(
    empty: tuple[Gateway, Stranger], headers: dict[str, str]
) -> None:
    gateway, ann = empty
    path = await claim(gateway)
    form = fields_of(await ann.http.get(path)) | GOOD
    assert (await ann.http.post(path, data=form, headers=headers)).status_code == 403
    assert (await ann.http.post("/sign-up", data=form, headers=headers)).status_code == 403
    assert await gateway.core.members.joining.unclaimed()


async def test_a_stranger_signs_up_on_a_gateway_of_this_machine(empty: tuple[Gateway, Stranger]) -> None:
    _, ben = empty
    assert 'href="/sign-up"' in (await ben.http.get("/sign-in")).text
    refused = await ben.send("/sign-up", {"email": "ben@"})
    assert refused.status_code == 422
    assert 'value="ben@"' in refused.text
    sent = await ben.send("/sign-up", {"email": "ben@example.org"})
    assert "Here is your link" in sent.text
    path = sent.text.partition(f'href="{URL}')[2].partition('"')[0]
    page = await ben.http.get(path)
    assert "ben@example.org" in page.text
    assert 'name="email"' not in page.text
    made = await ben.send(path, {"password": PASSWORD})
    assert made.headers["location"] == "/dashboard"
    assert "ben@example.org" in (await ben.http.get("/dashboard")).text


async def test_elsewhere_the_link_is_on_no_page(database_path: Path) -> None:
    async with build(
        Settings(data_dir=database_path.parent, public_url="https://voice.example.org", sign_up="open")
    ) as gateway:
        await gateway.core.accounts.create("ann@example.org", PASSWORD, verified=True)
        ben = Stranger(gateway, "https://voice.example.org")
        async with ben.http:
            told = [
                (await ben.send("/sign-up", {"email": f"{who}@example.org"})).text for who in ("ann", "ben")
            ]
    assert "/welcome/" not in "".join(told)
    assert told[0].replace("ann@", "ben@") == told[1]


async def test_by_default_strangers_stay_out(database_path: Path) -> None:
    async with opened(database_path.parent) as (gateway, ben):
        await gateway.core.accounts.create("ann@example.org", PASSWORD, verified=True)
        assert "/sign-up" not in (await ben.http.get("/sign-in")).text
        page = await ben.http.get("/sign-up")
        assert page.status_code == 403
        assert "By invitation" in page.text
        form = fields_of(await ben.http.get("/sign-in")) | {"email": "ben@example.org"}
        refused = await ben.http.post("/sign-up", data=form, headers={"origin": URL})
        assert refused.status_code == 403
        assert "by invitation" in refused.text


async def test_too_many_who_ask_wait(empty: tuple[Gateway, Stranger]) -> None:
    _, ben = empty
    for _ in range(10):
        assert (await ben.send("/sign-up", {"email": "ben@example.org"})).status_code == 200
    told = await ben.send("/sign-up", {"email": "ben@example.org"})
    assert told.status_code == 429
    assert "Too many attempts. Try again in 60 minutes." in told.text
    assert told.headers["retry-after"] == "3600"


@pytest.mark.parametrize("token", ["x", "é", "a" * 3000, "%00", "..%2f"])
async def test_a_link_that_is_none(empty: tuple[Gateway, Stranger], token: str) -> None:
    _, ben = empty
    page = await ben.http.get(f"/welcome/{token}")
    assert page.status_code in (404, 410)
