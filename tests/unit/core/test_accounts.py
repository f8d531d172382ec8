"""Accounts, sign-in and passwords."""

import asyncio
from collections.abc import Awaitable

import pytest

from chamade_mcp.core import passwords
from chamade_mcp.core.accounts import require_verified
from chamade_mcp.model.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    LimitReached,
    Unauthenticated,
    ValidationFailed,
)
from tests.support.house import House
from tests.support.requirement import requirement

PASSWORD = "correct horse battery"


async def code_of(attempt: Awaitable[object]) -> str:
    with pytest.raises(GatewayError) as caught:
        await attempt
    return caught.value.code


async def test_signing_in_and_out(house: House) -> None:
    accounts = house.accounts
    assert not await accounts.any_exist()
    account = await accounts.create("  Alice@Example.ORG ", PASSWORD, verified=False)
    assert await accounts.any_exist()
    token = await accounts.sign_in("alice@example.org", PASSWORD)
    principal = await accounts.authenticate_session(token)
    assert (principal.account, principal.key, principal.email_verified) == (account, None, False)
    profile = await accounts.profile(principal)
    assert (profile["email"], profile["name"]) == ("alice@example.org", "alice")
    assert (await accounts.rename(principal, "Alice A."))["name"] == "Alice A."
    await accounts.sign_out(token)
    assert await code_of(accounts.authenticate_session(token)) == "SESSION_ENDED"


async def test_a_session_ends_after_a_month(house: House) -> None:
    await house.accounts.create("a@example.org", PASSWORD, verified=True)
    token = await house.accounts.sign_in("a@example.org", PASSWORD)
    house.clock.jump(30 * 86400 - 1)
    await house.accounts.authenticate_session(token)
    house.clock.jump(1)
    assert await code_of(house.accounts.authenticate_session(token)) == "SESSION_ENDED"


async def test_wrong_e_mail_and_wrong_password_are_told_alike(house: House) -> None:
    await house.accounts.create("a@example.org", PASSWORD, verified=True)
    told: set[tuple[str, str]] = set()
    for email, password in (("a@example.org", "wrong"), ("b@example.org", PASSWORD)):
        with pytest.raises(Unauthenticated) as caught:
            await house.accounts.sign_in(email, password)
        told.add((caught.value.code, caught.value.detail))
    assert len(told) == 1


async def test_attempts_made_at_once_all_count(house: House) -> None:
    await house.accounts.create("a@example.org", PASSWORD, verified=True)
    attempts = await asyncio.gather(
        *(house.accounts.sign_in("a@example.org", "wrong") for _ in range(14)), return_exceptions=True
    )
    assert sum(isinstance(a, LimitReached) for a in attempts) == 4
    with pytest.raises(LimitReached) as caught:
        await house.accounts.sign_in("A@example.org", PASSWORD)
    assert caught.value.retry_after == 900
    await house.clock.advance(900)
    await house.accounts.sign_in("a@example.org", PASSWORD)


async def test_a_new_password_ends_every_other_session(house: House) -> None:
    accounts = house.accounts
    await accounts.create("a@example.org", PASSWORD, verified=True)
    tokens = [await accounts.sign_in("a@example.org", PASSWORD) for _ in range(2)]
    principal = await accounts.authenticate_session(tokens[0])
    with pytest.raises(Forbidden):
        await accounts.change_password(principal, "wrong", "another password")
    with pytest.raises(ValidationFailed):
        await accounts.change_password(principal, PASSWORD, "short")
    await accounts.change_password(principal, PASSWORD, "another password")
    assert await code_of(accounts.authenticate_session(tokens[1])) == "SESSION_ENDED"
    assert (await accounts.authenticate_session(tokens[0])).account == principal.account
    assert await code_of(accounts.sign_in("a@example.org", PASSWORD)) == "SIGN_IN_FAILED"
    await accounts.sign_in("a@example.org", "another password")


@pytest.mark.parametrize("email", ["", "alice", "@example.org", "a@", "a b@example.org", "a@b@c"])
async def test_what_is_no_e_mail_address(house: House, email: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await house.accounts.create(email, PASSWORD, verified=True)
    assert caught.value.param == "email"


async def test_an_e_mail_address_has_one_account(house: House) -> None:
    await house.accounts.create("a@example.org", PASSWORD, verified=True)
    with pytest.raises(Conflict) as caught:
        await house.accounts.create("A@EXAMPLE.org", PASSWORD, verified=True)
    assert caught.value.code == "EMAIL_TAKEN"
    found = await house.accounts.find_by_email(" A@example.org")
    assert found is not None
    assert await house.accounts.find_by_email("b@example.org") is None


@requirement("R-005")
async def test_an_unverified_address_is_told(house: House) -> None:
    require_verified(await house.owner())
    with pytest.raises(Forbidden) as caught:
        require_verified(await house.owner(verified=False))
    assert caught.value.code == "EMAIL_NOT_VERIFIED"


async def test_deleting_asks_for_the_password(house: House) -> None:
    await house.accounts.create("a@example.org", PASSWORD, verified=True)
    principal = await house.accounts.find_by_email("a@example.org")
    assert principal is not None
    key = await house.accounts.create_key(principal.scope, "k")
    await house.accounts.authenticate(key.value)
    with pytest.raises(Forbidden):
        await house.accounts.delete(principal, "wrong")
    await house.accounts.delete(principal, PASSWORD)
    assert not await house.accounts.any_exist()
    assert await code_of(house.accounts.authenticate(key.value)) == "INVALID_API_KEY"
    await house.accounts.create("a@example.org", PASSWORD, verified=True)


async def test_passwords_of_any_characters() -> None:
    strange = "half a pair \ud800 and more"
    hashed = await passwords.hash_password(strange)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(strange, hashed)
    assert not await passwords.verify("half a pair \ud801 and more", hashed)
    assert not await passwords.verify(strange, None)
    assert not await passwords.verify(strange, "not a hash")


@pytest.mark.parametrize(("length", "chosen"), [(7, False), (8, True), (256, True), (257, False)])
def test_the_length_of_a_new_password(length: int, chosen: bool) -> None:
    if chosen:
        passwords.check_new(("xy" * length)[:length], "password")
    else:
        with pytest.raises(ValidationFailed, match="8 to 256"):
            passwords.check_new(("xy" * length)[:length], "password")


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "Password1",
        "12345678",
        "iloveyou",
        "aaaaaaaaaaaa",
        "chamade-2026",
        "Ann.Miller99",
        "1millerann1",
    ],
)
def test_what_is_tried_first_is_no_password(password: str) -> None:
    with pytest.raises(ValidationFailed, match="take another"):
        passwords.check_new(password, "password", "miller.ann@example.org", "Ann Miller")


@pytest.mark.parametrize(
    "password", ["correct horse", "ann miller was here", "дом с видом", "🐎🔋📎🐎🔋📎🐎🔋"]
)
def test_any_characters_and_no_rules_about_them(password: str) -> None:
    passwords.check_new(password, "password", "miller.ann@example.org", "Ann Miller")


async def test_nobody_gets_into_an_account_without_a_password(house: House) -> None:
    await house.accounts.create("a@example.org", None, verified=True)
    for guess in ("", "-", "nobody has this password", passwords.NONE_YET):
        assert await code_of(house.accounts.sign_in("a@example.org", guess)) == "SIGN_IN_FAILED"
