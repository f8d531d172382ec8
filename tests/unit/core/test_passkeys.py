"""Questions to passkeys: for one thing, for a while, once; and whatever a stranger may send instead."""

import base64
import json
from typing import Any

import pytest

from chamade_mcp.core.passkey_proofs import LIFE_S, Challenges, Known, ProofRefused, Site
from chamade_mcp.core.passkeys import Passkeys, site_of
from chamade_mcp.core.sign_ins import NO_DEVICE
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.errors import Forbidden, NotAvailable, NotFound, Unauthenticated
from tests.support.house import House

KEY, SITE = b"k" * 32, Site("localhost", "http://localhost:8000")


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def answer_to(challenge: bytes, **client_data: object) -> dict[str, Any]:
    told = {"type": "webauthn.get", "challenge": text(challenge), "origin": SITE.origin, **client_data}
    return {
        "id": "AAAA",
        "rawId": "AAAA",
        "type": "public-key",
        "response": {"clientDataJSON": text(json.dumps(told).encode()), "signature": "AAAA"},
    }


def test_a_question_is_answered_once() -> None:
    clock = VirtualClock()
    challenges = Challenges(KEY, clock)
    asked = challenges.make("sign in")
    assert challenges.take(answer_to(asked), "sign in") == asked
    with pytest.raises(ProofRefused):
        challenges.take(answer_to(asked), "sign in")


def test_a_question_is_good_for_one_thing_and_for_five_minutes() -> None:
    clock = VirtualClock()
    challenges = Challenges(KEY, clock)
    asked = challenges.make("confirm a")
    for purpose in ("confirm b", "sign in", ""):
        with pytest.raises(ProofRefused):
            challenges.take(answer_to(asked), purpose)
    clock.jump(LIFE_S - 1)
    challenges.take(answer_to(asked), "confirm a")
    late = challenges.make("confirm a")
    clock.jump(LIFE_S)
    with pytest.raises(ProofRefused):
        challenges.take(answer_to(late), "confirm a")


def test_nobody_else_asks() -> None:
    challenges = Challenges(KEY, VirtualClock())
    foreign = Challenges(b"x" * 32, VirtualClock()).make("sign in")
    own = challenges.make("sign in")
    for asked in (foreign, b"", own[:-1], own + b"x", bytes(len(own)), own[:-1] + bytes([own[-1] ^ 1])):
        with pytest.raises(ProofRefused):
            challenges.take(answer_to(asked), "sign in")


NONSENSE: list[dict[str, Any]] = [
    {},
    {"response": None},
    {"response": []},
    {"response": {"clientDataJSON": 7}},
    {"response": {"clientDataJSON": "é"}},
    {"response": {"clientDataJSON": text(b"[]")}},
    {"response": {"clientDataJSON": text(b'{"challenge": {}}')}},
    {"response": {"clientDataJSON": text(b"\xff")}},
    {"response": {"clientDataJSON": text(b"9" * 5000)}},
]


@pytest.mark.parametrize("credential", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_is_refused(credential: dict[str, Any]) -> None:
    challenges = Challenges(KEY, VirtualClock())
    with pytest.raises(ProofRefused):
        challenges.take(credential, "sign in")
    with pytest.raises(ProofRefused):
        SITE.added(credential, b"c" * 56)
    with pytest.raises(ProofRefused):
        SITE.shown(credential, b"c" * 56, Known("AAAA", b"", 0))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://localhost:8000", "localhost"),
        ("http://gateway.localhost", "gateway.localhost"),
        ("https://voice.example.org", "voice.example.org"),
        ("https://voice.example.org:8443", "voice.example.org"),
        ("http://voice.example.org", None),
        ("http://127.0.0.1:8000", None),
        ("https://192.0.2.1", None),
        ("http://[::1]:8000", None),
    ],
)
def test_where_browsers_give_passkeys(url: str, host: str | None) -> None:
    site = site_of(url)
    assert (site.host if site else None) == host
    assert site is None or site.origin == url


async def test_nobody_gets_in_without_a_passkey(house: House) -> None:
    owner = await house.owner()
    members = house.members
    here = Passkeys(
        house.database, house.clock, house.accounts, members.letters, public_url="http://localhost", key=KEY
    )
    options = await here.to_sign_in()
    assert options["rpId"] == "localhost"
    assert options["userVerification"] == "required"
    assert not options.get("allowCredentials")
    for credential in ({}, {"id": 7}, {"id": "AAAA"}, answer_to(b"")):
        with pytest.raises(Unauthenticated):
            await here.sign_in(credential, NO_DEVICE)
        with pytest.raises(Forbidden):
            await here.confirm(owner, credential)
        with pytest.raises(Forbidden):
            await here.add(owner, "a name", credential, [])
    with pytest.raises(NotFound):
        await here.to_confirm(owner)
    with pytest.raises(NotFound):
        await here.rename(owner, "pass_1", "a name")
    with pytest.raises(NotFound):
        await here.remove(owner, "pass_1")
    assert not await here.has_any(owner)
    with pytest.raises(NotAvailable):
        await members.passkeys.to_sign_in()
