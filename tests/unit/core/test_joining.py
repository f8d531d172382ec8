"""How people come to an account: the links, how often and how long they work, and what is told to whom."""

import asyncio

import pytest

from chamade_mcp.core.account_links import LinkGone
from chamade_mcp.core.joining import Joining
from chamade_mcp.core.letters import WELCOME, Letters
from chamade_mcp.core.sign_ins import NO_DEVICE
from chamade_mcp.kit.mail import MailFailed
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Conflict, Forbidden, LimitReached, NotFound, ValidationFailed
from tests.support.house import House
from tests.support.waiting import until

PASSWORD = "a few good words"


async def owner_of(house: House, email: str = "owner@example.org") -> Principal:
    await house.accounts.create(email, PASSWORD, verified=True, name="Olga")
    owner = await house.accounts.find_by_email(email)
    assert owner is not None
    return owner


async def test_the_owner_invites_and_the_link_works_once(house: House) -> None:
    owner, joining = await owner_of(house), house.members.joining
    made = await joining.invite(owner, "Ben@example.org")
    assert (made["email"], made["link"]) == ("ben@example.org", None)
    token = await house.letterbox.token_to("ben@example.org", WELCOME)
    assert "Olga invites you" in house.letterbox.mails[-1].text
    (listed,) = await joining.invitations(owner)
    assert token not in str(listed)
    opened = await joining.look(token)
    assert opened is not None
    assert (opened.email, opened.account) == ("ben@example.org", None)
    session = await joining.join(token, "other@example.org", "Ben", PASSWORD, NO_DEVICE)
    ben = await house.accounts.authenticate_session(session)
    assert ben.email_verified
    assert (await house.accounts.profile(ben))["email"] == "ben@example.org"
    with pytest.raises(LinkGone):
        await joining.join(token, "", "Ben", PASSWORD, NO_DEVICE)
    assert await joining.invitations(owner) == []
    with pytest.raises(Forbidden) as caught:
        await joining.invite(ben, "cleo@example.org")
    assert caught.value.code == "NOT_OWNER"


async def test_two_who_follow_one_link_at_once_make_one_account(house: House) -> None:
    owner, joining = await owner_of(house), house.members.joining
    await joining.invite(owner, "ben@example.org")
    token = await house.letterbox.token_to("ben@example.org", WELCOME)
    both = await asyncio.gather(
        *(joining.join(token, "", "", PASSWORD, NO_DEVICE) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in both) == ["LinkGone", "str"]


async def test_an_invitation_is_replaced_withdrawn_and_ends(house: House) -> None:
    owner, joining = await owner_of(house), house.members.joining
    tokens: list[str] = []
    for _ in range(2):
        await joining.invite(owner, "ben@example.org")
        await until(lambda: len(house.letterbox.mails) == len(tokens) + 1)
        tokens.append(await house.letterbox.token_to("ben@example.org", WELCOME))
    assert await joining.look(tokens[0]) is None
    (listed,) = await joining.invitations(owner)
    other = await house.owner()
    with pytest.raises(NotFound):
        await joining.withdraw(other, str(listed["id"]))
    house.clock.jump(7 * 86400 - 1)
    assert await joining.look(tokens[1]) is not None
    await joining.withdraw(owner, str(listed["id"]))
    assert await joining.look(tokens[1]) is None
    await joining.invite(owner, "cleo@example.org")
    token = await house.letterbox.token_to("cleo@example.org", WELCOME)
    house.clock.jump(7 * 86400)
    assert await joining.look(token) is None
    assert await joining.invitations(owner) == []


async def test_nobody_is_invited_who_has_an_account(house: House) -> None:
    owner = await owner_of(house)
    with pytest.raises(Conflict) as caught:
        await house.members.joining.invite(owner, "OWNER@example.org")
    assert caught.value.code == "EMAIL_TAKEN"
    with pytest.raises(ValidationFailed):
        await house.members.joining.invite(owner, "nonsense\r\nBcc: x@example.org")


async def test_whoever_asks_for_an_account_is_answered_alike(house: House) -> None:
    await owner_of(house)
    joining, box = house.members.joining, house.letterbox
    assert await joining.ask("owner@example.org", "10.0.0.1") is None
    assert await joining.ask("new@example.org", "10.0.0.1") is None
    token = await box.token_to("new@example.org", WELCOME)
    await box.link_to("owner@example.org", "/sign-in")
    assert box.subjects("owner@example.org") == ["You have an account on Chamade"]
    house.clock.jump(86400 - 1)
    session = await joining.join(token, "", "", PASSWORD, NO_DEVICE)
    new = await house.accounts.authenticate_session(session)
    with pytest.raises(Forbidden):
        await joining.invite(new, "friend@example.org")


async def test_a_mailbox_is_not_filled_and_its_owner_not_told_on(house: House) -> None:
    joining, box = house.members.joining, house.letterbox
    for number in range(5):
        assert await joining.ask("new@example.org", f"10.0.0.{number}") is None
    await joining.stop()
    await until(lambda: len(box.mails) == 3)
    for _ in range(10):
        await joining.ask("other@example.org", "10.0.1.1")
    with pytest.raises(LimitReached) as caught:
        await joining.ask("third@example.org", "10.0.1.1")
    assert caught.value.retry_after == 3600


async def test_closed_means_closed(house: House) -> None:
    members = house.members
    closed = Joining(house.database, house.clock, house.accounts, members.letters, is_open=False)
    with pytest.raises(Forbidden) as caught:
        await closed.ask("new@example.org", "")
    assert caught.value.code == "SIGN_UP_CLOSED"


async def test_a_password_that_cannot_be_chosen_uses_no_link_up(house: House) -> None:
    owner, joining = await owner_of(house), house.members.joining
    await joining.invite(owner, "ben@example.org")
    token = await house.letterbox.token_to("ben@example.org", WELCOME)
    for password in ("short", "password", "benjamin99"):
        with pytest.raises(ValidationFailed):
            await joining.join(token, "", "Benjamin", password, NO_DEVICE)
    await joining.join(token, "", "Benjamin", PASSWORD, NO_DEVICE)


async def test_a_taken_address_makes_nobody_the_owner(house: House) -> None:
    await house.accounts.create("owner@localhost", None, verified=True)
    await house.accounts.create("ben@example.org", PASSWORD, verified=True)
    joining = house.members.joining
    link = await joining.claim_link()
    assert link is not None
    token = link.rpartition("/")[2]
    with pytest.raises(Conflict):
        await joining.join(token, "ben@example.org", "", PASSWORD, NO_DEVICE)
    assert await joining.unclaimed()
    await joining.join(token, "olga@example.org", "", PASSWORD, NO_DEVICE)
    olga = await house.accounts.find_by_email("olga@example.org")
    assert olga is not None
    assert not olga.email_verified  # a mail is on its way
    await house.members.addresses.confirm(await house.letterbox.token_to("olga@example.org", "/new-email"))
    olga = await house.accounts.find_by_email("olga@example.org")
    assert olga is not None
    assert olga.email_verified


async def test_without_a_mail_server_the_link_is_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for url, shown in (("http://127.0.0.1:8000", True), ("https://voice.example.org", False)):
        letters = Letters(None, url, house.clock)
        joining = Joining(house.database, house.clock, house.accounts, letters, is_open=True)
        link = await joining.ask("new@example.org", "")
        await joining.stop()
        assert (link is not None) is shown
        assert f"for new@example.org: {link or url}" in caplog.text
    here = Letters(None, "http://localhost:8000", house.clock)
    await house.accounts.create("a@example.org", PASSWORD, verified=True)
    joining = Joining(house.database, house.clock, house.accounts, here, is_open=True)
    assert await joining.ask("a@example.org", "") == "http://localhost:8000/sign-in"


async def test_a_mail_that_is_not_taken_is_tried_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    box, letters = house.letterbox, house.members.letters
    box.refusals += [MailFailed("451", again=True)] * 3
    letters.prove("a@example.org", "http://gateway.test/new-email/secret-token")
    for pause_s in (5, 60, 600):
        await house.clock.advance(pause_s)
    await until(lambda: len(box.mails) == 1)
    box.refusals.append(MailFailed("550", again=False))
    letters.prove("b@example.org", "http://gateway.test/new-email/secret-token")
    await until(lambda: not box.refusals)
    await letters.stop()
    assert len(box.mails) == 1
    assert "550" in caplog.text
    assert "secret-token" not in caplog.text
