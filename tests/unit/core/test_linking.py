"""Connecting by OAuth: the way to the platform and back, and what comes of it."""

import asyncio
import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from chamade_mcp.core.linking import NotLinked, Trouble
from chamade_mcp.core.ways import LIFE_S
from chamade_mcp.kit.connection import HandedOver
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.oauth import Agreed, Asking
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import ConnectionKind, ConnectionState, Identity
from chamade_mcp.model.errors import Forbidden, InvalidRequest, NotAvailable, PlatformRefused
from chamade_mcp.model.ids import COMMON, ConversationRef, Platform
from chamade_mcp.model.messages import Sender
from tests.support.bots import texts
from tests.support.house import PUBLIC_URL, House, open_house
from tests.support.oauth import parameters_of
from tests.support.waiting import Gate, until

ALICE = Sender("alice", "Alice")


def begin(house: House, owner: Principal) -> str:
    """The state."""
    return parameters_of(house.linking.begin(owner, BOTS))["state"]


def bot(house: House, name: str = "helper") -> Agreed:
    handed = HandedOver({"bot_token": house.bots.accept(name)}, Identity(name, f"@{name}\n", f"app-{name}"))
    return Agreed(ALICE, ConversationRef("alice"), handed)


async def trouble(house: House, owner: Principal, **told: str) -> Trouble:
    with pytest.raises(NotLinked) as caught:
        await house.linking.finish(owner, BOTS, told)
    return caught.value.trouble


async def test_a_bot_that_comes_of_it_hears_who_agreed_and_nobody_else(house: House) -> None:
    owner = await house.owner()
    url = house.linking.begin(owner, BOTS)
    told = parameters_of(url)
    assert url.startswith("https://bots.test/agree?client_id=ours&")
    assert told["redirect_uri"] == f"{PUBLIC_URL}/connect/{BOTS}/callback"
    assert (len(told["state"]), len(told["challenge"])) == (43, 43)
    house.bots.codes["c1"] = bot(house)
    listed = await house.linking.finish(owner, BOTS, {"state": told["state"], "code": "c1"})
    assert (listed.identity.name, listed.kind) == ("@helper", ConnectionKind.OWN)
    await until(lambda: listed.id in house.bots.links)
    # What belongs to the gateway's own app is told to this bot, and to none that people bring.
    assert house.bots.links[listed.id].ctx.settings["client_id"] == "ours"
    await house.bots.write(listed.id, "hello")
    await house.bots.write(listed.id, "let me in", sender="mallory")
    assert await texts(house, owner) == ["hello"]
    with pytest.raises(InvalidRequest) as caught:
        await house.connections.change(owner, listed.id, settings={"bot_token": "helper:other"})
    assert caught.value.code == "SIGN_IN_AGAIN"


async def test_who_agrees_to_the_shared_bot_is_tied_to_the_agent(database_path: Path) -> None:
    async with open_house(database_path, shared=True) as house:
        owner = await house.owner()
        for code in ("c1", "c2"):
            house.bots.codes[code] = Agreed(ALICE)
            await house.linking.finish(owner, BOTS, {"state": begin(house, owner), "code": code})
        (listed,) = house.connections.list(owner.scope)
        assert (listed.kind, listed.link) == (ConnectionKind.SHARED, COMMON)
        await house.bots.write(COMMON, "hello")
        assert await texts(house, owner) == ["hello"]


async def test_agreeing_again_renews_the_bot(house: House) -> None:
    owner = await house.owner()
    house.bots.codes["c1"] = bot(house)
    first = await house.linking.finish(owner, BOTS, {"state": begin(house, owner), "code": "c1"})
    await until(lambda: first.id in house.bots.links)
    token = house.bots.accept("helper", "another")
    await until(lambda: house.connections.get(owner.bounds, first.id).state is ConnectionState.AUTH_NEEDED)
    # Installed anew, a platform may call it otherwise; webhooks name it as before.
    handed = HandedOver({"bot_token": token}, Identity("helper", "@helper", "app-helper"))
    house.bots.codes["c2"] = Agreed(ALICE, None, handed)
    again = await house.linking.finish(owner, BOTS, {"state": begin(house, owner), "code": "c2"})
    assert again.id == first.id
    await until(lambda: house.connections.get(owner.bounds, first.id).state is ConnectionState.OK)


async def test_a_state_is_good_once_for_ten_minutes_and_for_its_platform(house: House) -> None:
    owner = await house.owner()
    house.bots.codes["c1"] = bot(house)
    state = begin(house, owner)
    await house.linking.finish(owner, BOTS, {"state": state, "code": "c1"})
    assert await trouble(house, owner, state=state, code="c1") is Trouble.EXPIRED
    assert await trouble(house, owner, state="guess", code="c1") is Trouble.EXPIRED
    assert await trouble(house, owner) is Trouble.EXPIRED
    late = begin(house, owner)
    await house.clock.advance(LIFE_S)
    assert await trouble(house, owner, state=late, code="c1") is Trouble.EXPIRED
    states = [begin(house, owner) for _ in range(21)]
    assert await trouble(house, owner, state=states[0], code="c1") is Trouble.EXPIRED
    assert await trouble(house, owner, state=states[1], code="wrong") is Trouble.REFUSED


async def test_it_comes_back_to_the_browser_that_began_it(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    here, there = replace(owner, browser="here"), replace(owner, browser="there")
    for back in (there, owner, replace(other, browser="here")):
        house.bots.codes["c1"] = bot(house)
        assert await trouble(house, back, state=begin(house, here), code="c1") is Trouble.EXPIRED
    assert house.connections.list(owner.scope) == house.connections.list(other.scope) == []
    # Begun with a key: in whatever browser is signed in to the account.
    assert await trouble(house, other, state=begin(house, owner), code="c1") is Trouble.EXPIRED
    listed = await house.linking.finish(there, BOTS, {"state": begin(house, owner), "code": "c1"})
    assert listed.scope == owner.scope


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AuthNeeded("invalid_code"), Trouble.REFUSED),
        (PlatformRefused("of no use"), Trouble.REFUSED),
        (PlatformUnavailable("down"), Trouble.UNAVAILABLE),
    ],
)
async def test_what_the_platform_does_not_give(house: House, error: Exception, expected: Trouble) -> None:
    owner = await house.owner()
    house.bots.codes["c1"] = error
    assert await trouble(house, owner, state=begin(house, owner), code="c1") is expected
    assert house.connections.list(owner.scope) == []


async def test_who_says_no_is_believed(house: House) -> None:
    owner = await house.owner()
    told = {"error": "access_denied", "code": "c1"}
    assert await trouble(house, owner, state=begin(house, owner), **told) is Trouble.DENIED
    assert await trouble(house, owner, state=begin(house, owner), error="server_error") is Trouble.REFUSED
    assert await trouble(house, owner, state=begin(house, owner)) is Trouble.REFUSED


async def test_a_bot_of_somebody_elses_stays_theirs(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    house.bots.codes |= {"c1": bot(house), "c2": bot(house)}
    listed = await house.linking.finish(owner, BOTS, {"state": begin(house, owner), "code": "c1"})
    assert await trouble(house, other, state=begin(house, other), code="c2") is Trouble.TAKEN
    await house.connections.remove(owner, listed.id)
    assert [settings["oauth"] for settings in house.bots.left] == ["yes"]


async def test_who_may_not_begin(house: House) -> None:
    with pytest.raises(Forbidden):
        house.linking.begin(await house.owner(verified=False), BOTS)
    with pytest.raises(NotAvailable, match="no app for signing in at Slack: connect a bot of your own"):
        house.linking.begin(await house.owner(), Platform("slack"))


async def test_a_platform_that_does_not_answer_is_given_up(house: House) -> None:
    owner = await house.owner()
    hold = house.bots.hold = Gate()
    told = {"state": begin(house, owner), "code": "c1"}
    waiting = asyncio.create_task(house.linking.finish(owner, BOTS, told))
    await until(hold.reached.is_set)
    await house.clock.advance(20)
    with pytest.raises(NotLinked) as caught:
        await waiting
    assert caught.value.trouble is Trouble.UNAVAILABLE
    house.bots.hold = None


def test_the_challenge_is_the_verifiers() -> None:
    asking = Asking("s", "https://gateway.test/", "v" * 43)
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).decode().rstrip("=")
    assert asking.challenge == digest
    assert "v" * 43 not in repr(asking)
