"""Browsers of a person: told apart, ended, and asked again."""

import pytest

from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.devices import address_of, device_of
from chamade_mcp.core.limits import Attempts
from chamade_mcp.core.sign_ins import Device
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Forbidden, LimitReached, NotFound, Unauthenticated
from tests.support.house import House

PASSWORD = "a few good words"
LAPTOP, PHONE = Device("Firefox on Linux", "192.0.2.1"), Device("Safari on iPhone", "192.0.2.2")


async def signed_in(accounts: Accounts, device: Device, email: str = "a@example.org") -> Principal:
    return await accounts.authenticate_session(await accounts.sign_in(email, PASSWORD, device))


async def test_browsers_are_listed_and_ended(house: House) -> None:
    accounts = house.accounts
    for email in ("a@example.org", "b@example.org"):
        await accounts.create(email, PASSWORD, verified=True)
    laptop = await signed_in(accounts, LAPTOP)
    await house.clock.advance(3600)
    phone = await signed_in(accounts, PHONE)
    stranger = await signed_in(accounts, LAPTOP, "b@example.org")
    listed = await accounts.sign_ins.list(laptop)
    assert [(one["device"], one["address"], one["current"]) for one in listed] == [
        ("Safari on iPhone", "192.0.2.2", False),
        ("Firefox on Linux", "192.0.2.1", True),
    ]
    for principal in (laptop, phone):
        assert str(principal.browser) not in str(listed)
    with pytest.raises(NotFound):
        await accounts.sign_ins.end_one(stranger, str(listed[0]["id"]))
    await accounts.sign_ins.end_one(laptop, str(listed[0]["id"]))
    assert [one["device"] for one in await accounts.sign_ins.list(laptop)] == ["Firefox on Linux"]
    with pytest.raises(NotFound):
        await accounts.sign_ins.end_one(laptop, str(listed[0]["id"]))
    for _ in range(3):
        await signed_in(accounts, PHONE)
    assert await accounts.sign_ins.end_others(laptop) == 3
    assert len(await accounts.sign_ins.list(laptop)) == 1
    assert len(await accounts.sign_ins.list(stranger)) == 1


async def test_use_is_noted_once_a_minute(house: House) -> None:
    accounts = house.accounts
    await accounts.create("a@example.org", PASSWORD, verified=True)
    token = await accounts.sign_in("a@example.org", PASSWORD, LAPTOP)
    principal = await accounts.authenticate_session(token)
    (first,) = await accounts.sign_ins.list(principal)
    await house.clock.advance(59)
    await accounts.authenticate_session(token)
    assert (await accounts.sign_ins.list(principal))[0]["last_used_at"] == first["last_used_at"]
    await house.clock.advance(1)
    await accounts.authenticate_session(token)
    assert (await accounts.sign_ins.list(principal))[0]["last_used_at"] != first["last_used_at"]


async def test_after_ten_minutes_a_person_is_asked_again(house: House) -> None:
    accounts = house.accounts
    await accounts.create("a@example.org", PASSWORD, verified=True)
    person = await signed_in(accounts, LAPTOP)
    await accounts.sign_ins.require_fresh(person)
    house.clock.jump(600)
    with pytest.raises(Forbidden) as caught:
        await accounts.sign_ins.require_fresh(person)
    assert caught.value.code == "CONFIRMATION_REQUIRED"
    with pytest.raises(Forbidden):
        await accounts.delete(person, None)
    await accounts.sign_ins.confirm(person)
    await accounts.delete(person, None)
    with pytest.raises(Unauthenticated):
        await signed_in(accounts, LAPTOP)


async def test_a_key_is_not_asked_but_shows_the_password(house: House) -> None:
    await house.accounts.create("a@example.org", PASSWORD, verified=True)
    program = await house.accounts.find_by_email("a@example.org")
    assert program is not None
    await house.accounts.sign_ins.require_fresh(program)
    assert not await house.accounts.sign_ins.is_fresh(program)
    with pytest.raises(Forbidden):
        await house.accounts.delete(program, None)


async def test_guesses_from_one_address_are_counted_over_all_accounts(house: House) -> None:
    accounts = house.accounts
    await accounts.create("a@example.org", PASSWORD, verified=True)
    accounts.by_address = Attempts(house.clock, limit=5, window_s=900)  # each costs a hash
    for number in range(5):
        with pytest.raises(Unauthenticated):
            await accounts.sign_in(f"guess{number}@example.org", PASSWORD, LAPTOP)
    with pytest.raises(LimitReached) as caught:
        await accounts.sign_in("a@example.org", PASSWORD, LAPTOP)
    assert caught.value.retry_after == 900
    await accounts.sign_in("a@example.org", PASSWORD, PHONE)


async def test_what_goes_well_is_no_guess_and_hides_none(house: House) -> None:
    accounts = house.accounts
    await accounts.create("a@example.org", PASSWORD, verified=True)
    accounts.by_address = Attempts(house.clock, limit=5, window_s=900)
    for number in range(4):
        with pytest.raises(Unauthenticated):
            await accounts.sign_in(f"guess{number}@example.org", PASSWORD, LAPTOP)
    for _ in range(3):
        await accounts.sign_in("a@example.org", PASSWORD, LAPTOP)
    with pytest.raises(Unauthenticated):
        await accounts.sign_in("guess@example.org", PASSWORD, LAPTOP)
    with pytest.raises(LimitReached):
        await accounts.sign_in("guess@example.org", PASSWORD, LAPTOP)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/156.0 Safari/537.36 Edg/156.0", "Edge on Windows"),
        (
            "Mozilla/5.0 (iPhone; like Mac OS X) Version/19.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("Mozilla/5.0 (Android 16; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15.1; rv:140.0) Firefox/140.0", "Firefox on Mac"),
        ("curl/8.5", "A program"),
        ("", "A program"),
    ],
)
def test_a_browser_in_words(agent: str, name: str) -> None:
    scope = {"headers": [(b"user-agent", agent.encode())], "client": ("192.0.2.7", 1)}
    assert device_of(scope) == Device(name, "192.0.2.7")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("testclient", ""),
    ],
)
def test_the_address_that_is_counted(host: str, address: str) -> None:
    assert address_of({"client": (host, 1)}) == address
    assert address_of({"client": None}) == ""
