"""Proving and changing an address, and getting in without the password."""

import pytest

from chamade_mcp.core.account_links import LinkGone
from chamade_mcp.core.letters import EMAIL, PASSWORD
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Conflict, Forbidden, LimitReached, Unauthenticated, ValidationFailed
from tests.support.house import House
from tests.support.requirement import requirement
from tests.support.waiting import until

WORDS = "a few good words"


async def account(house: House, email: str = "a@example.org", *, verified: bool = True) -> Principal:
    await house.accounts.create(email, WORDS, verified=verified)
    found = await house.accounts.find_by_email(email)
    assert found is not None
    return found


@requirement("R-187")
async def test_a_new_address_is_proved_and_the_old_one_told(house: House) -> None:
    ann, addresses, box = await account(house), house.members.addresses, house.letterbox
    with pytest.raises(ValidationFailed):
        await addresses.change(ann, "nonsense", WORDS)
    with pytest.raises(Forbidden):
        await addresses.change(ann, "b@example.org", "wrong")
    assert await addresses.change(ann, "B@example.org", WORDS) is None
    token = await box.token_to("b@example.org", EMAIL)
    assert (await house.accounts.profile(ann))["email"] == "a@example.org"
    assert await addresses.address_behind(token) == "b@example.org"
    assert await addresses.confirm(token) == "b@example.org"
    assert (await house.accounts.profile(ann))["email"] == "b@example.org"
    with pytest.raises(LinkGone):
        await addresses.confirm(token)
    await until(lambda: box.subjects("a@example.org") == ["Your account on Chamade was changed"])
    await house.accounts.sign_in("b@example.org", WORDS)


async def test_an_address_of_another_account_is_answered_alike(house: House) -> None:
    ann, box = await account(house), house.letterbox
    await account(house, "b@example.org")
    assert await house.members.addresses.change(ann, "b@example.org", WORDS) is None
    await until(lambda: box.subjects("b@example.org") == ["You have an account on Chamade"])
    assert (await house.accounts.profile(ann))["email"] == "a@example.org"


async def test_two_who_want_one_address(house: House) -> None:
    addresses, box = house.members.addresses, house.letterbox
    one, two = await account(house), await account(house, "b@example.org")
    await addresses.change(one, "new@example.org", WORDS)
    first = await box.token_to("new@example.org", EMAIL)
    await addresses.change(two, "new@example.org", WORDS)
    await until(lambda: len(box.subjects("new@example.org")) == 2)
    second = await box.token_to("new@example.org", EMAIL)
    await addresses.confirm(second)
    with pytest.raises(Conflict):
        await addresses.confirm(first)
    assert (await house.accounts.profile(one))["email"] == "a@example.org"


async def test_an_unproved_address_is_proved_once_more(house: House) -> None:
    ann, addresses, box = await account(house, verified=False), house.members.addresses, house.letterbox
    key = await house.accounts.create_key(ann.scope, "k")
    assert not (await house.accounts.authenticate(key.value)).email_verified
    for number in range(3):
        await addresses.prove(ann)
        await until(lambda number=number: len(box.mails) == number + 1)
    with pytest.raises(LimitReached):
        await addresses.prove(ann)
    await addresses.confirm(await box.token_to("a@example.org", EMAIL))
    assert (await house.accounts.authenticate(key.value)).email_verified
    with pytest.raises(Conflict) as caught:
        await addresses.prove(ann)
    assert caught.value.code == "EMAIL_VERIFIED"


async def test_a_link_for_a_new_password(house: House) -> None:
    ann, addresses, box = await account(house), house.members.addresses, house.letterbox
    session = await house.accounts.sign_in("a@example.org", WORDS)
    await addresses.forgot(" A@example.org ", "10.0.0.1")
    token = await box.token_to("a@example.org", PASSWORD)
    for weak in ("short", "password1"):
        with pytest.raises(ValidationFailed):
            await addresses.new_password(token, weak)
    assert await addresses.is_password_link(token)
    await addresses.new_password(token, "other good words")
    assert not await addresses.is_password_link(token)
    with pytest.raises(LinkGone):
        await addresses.new_password(token, "third good words")
    with pytest.raises(Unauthenticated):
        await house.accounts.authenticate_session(session)
    with pytest.raises(Unauthenticated):
        await house.accounts.sign_in("a@example.org", WORDS)
    again = await house.accounts.sign_in("a@example.org", "other good words")
    assert (await house.accounts.authenticate_session(again)).account == ann.account
    await until(lambda: "Your account on Chamade was changed" in box.subjects("a@example.org"))


async def test_a_link_for_a_password_ends_soon_and_with_the_next(house: House) -> None:
    await account(house)
    addresses = house.members.addresses
    links = [await addresses.password_link("a@example.org") for _ in range(2)]
    old, new = ((link or "").rpartition("/")[2] for link in links)
    assert not await addresses.is_password_link(old)
    house.clock.jump(30 * 60 - 1)
    assert await addresses.is_password_link(new)
    house.clock.jump(1)
    assert not await addresses.is_password_link(new)
    with pytest.raises(LinkGone):
        await addresses.new_password(new, "other good words")
    assert await addresses.password_link("nobody@example.org") is None


async def test_nothing_is_sent_for_an_address_without_account(house: House) -> None:
    await account(house)
    await house.accounts.create("unclaimed@example.org", None, verified=True)
    addresses = house.members.addresses
    for email in ("nobody@example.org", "unclaimed@example.org"):
        await addresses.forgot(email, "10.0.0.1")
    await addresses.stop()
    for number in range(5):
        await addresses.forgot("a@example.org", f"10.0.1.{number}")
    await addresses.stop()
    await until(lambda: len(house.letterbox.mails) == 3)
    assert {mail.to for mail in house.letterbox.mails} == {"a@example.org"}
    for _ in range(8):
        await addresses.forgot("nobody@example.org", "10.0.0.1")
    with pytest.raises(LimitReached):
        await addresses.forgot("nobody@example.org", "10.0.0.1")
    with pytest.raises(ValidationFailed):
        await addresses.forgot("nonsense", "10.0.0.1")


async def test_a_link_does_one_thing(house: House) -> None:
    ann, addresses = await account(house), house.members.addresses
    await addresses.change(ann, "b@example.org", WORDS)
    token = await house.letterbox.token_to("b@example.org", EMAIL)
    with pytest.raises(LinkGone):
        await addresses.new_password(token, "other good words")
    assert await house.members.joining.look(token) is None
    await addresses.confirm(token)
