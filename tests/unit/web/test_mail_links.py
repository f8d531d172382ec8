"""What stands behind the links of mails, as forms without a script."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from chamade_mcp.app.wiring import Gateway
from tests.support.oauth import fields_of
from tests.unit.web.test_joining import PASSWORD, URL, Stranger, opened

EMAIL = "ann@example.org"


@pytest.fixture
async def house(database_path: Path) -> AsyncGenerator[tuple[Gateway, Stranger]]:
    async with opened(database_path.parent) as both:
        await both[0].core.accounts.create(EMAIL, PASSWORD, verified=False)
        yield both


async def test_a_password_is_chosen_anew(house: tuple[Gateway, Stranger]) -> None:
    gateway, ann = house
    link = await gateway.core.members.addresses.password_link(EMAIL)
    assert link is not None
    path = link.removeprefix(URL)
    assert (await ann.http.get(path)).status_code == 200  # a program that looks through mail
    weak = await ann.send(path, {"password": "password1"})
    assert weak.status_code == 422
    assert "This is one of those that are tried first" in weak.text
    expired = await ann.send(path, {"password": "other good words", "token": "0" * 64})
    assert expired.status_code == 403
    done = await ann.send(path, {"password": "other good words"})
    assert "You have a new password" in done.text
    assert (await ann.http.get(path)).status_code == 410
    signed_in = await ann.send("/sign-in", {"email": EMAIL, "password": "other good words"})
    assert signed_in.headers["location"] == "/dashboard"


async def test_asking_for_a_password_tells_nothing(house: tuple[Gateway, Stranger]) -> None:
    _, ann = house
    told = [
        (await ann.send("/forgot-password", {"email": email})).text for email in (EMAIL, "nob@example.org")
    ]
    assert told[0].replace(EMAIL, "nob@example.org") == told[1]
    assert "/new-password/" not in "".join(told)
    wrong = await ann.send("/forgot-password", {"email": "<b>"})
    assert wrong.status_code == 422
    assert "&lt;b&gt;" in wrong.text
    for _ in range(8):
        await ann.send("/forgot-password", {"email": EMAIL})
    assert (await ann.send("/forgot-password", {"email": EMAIL})).status_code == 429


async def test_an_address_is_confirmed_by_a_person_not_by_a_look(house: tuple[Gateway, Stranger]) -> None:
    gateway, ann = house
    owner = await gateway.core.accounts.find_by_email(EMAIL)
    assert owner is not None
    link = await gateway.core.members.addresses.prove(owner)
    assert link is not None
    path = link.removeprefix(URL)
    for _ in range(2):
        assert EMAIL in (await ann.http.get(path)).text
    form = fields_of(await ann.http.get(path))
    foreign = await ann.http.post(path, data=form, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert (await ann.send(path, {"token": ""})).status_code == 403
    assert not (await gateway.core.accounts.profile(owner))["email_verified"]
    assert "Confirmed" in (await ann.send(path, {})).text
    assert (await gateway.core.accounts.profile(owner))["email_verified"]
    assert (await ann.http.get(path)).status_code == 410
    again = await ann.http.post(path, data=form, headers={"origin": URL})
    assert again.status_code == 410


@pytest.mark.parametrize("place", ["/new-password", "/new-email"])
async def test_a_link_that_is_none(house: tuple[Gateway, Stranger], place: str) -> None:
    _, ann = house
    form = fields_of(await ann.http.get("/sign-in")) | {"password": "other good words"}
    assert (await ann.http.get(f"{place}/nothing")).status_code == 410
    assert (await ann.http.post(f"{place}/nothing", data=form, headers={"origin": URL})).status_code == 410
