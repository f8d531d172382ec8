"""Permission to use a tool: asked in the operator's conversation, answered there by a code."""

import logging
import re
from dataclasses import dataclass, field

import pytest

from chamade_mcp.core.mcp_sessions import key_of
from chamade_mcp.core.relay import MOST_OPEN
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.ids import ConversationRef, KeyId
from chamade_mcp.model.permissions import PermissionRequest
from tests.support.house import House
from tests.support.requirement import requirement
from tests.support.waiting import until

REQUEST = PermissionRequest("abcde", "Bash", "Run the tests", "make test")


@dataclass
class Line:
    """Towards the clients: what they were told."""

    verdicts: list[tuple[str, str, bool]] = field(default_factory=list[tuple[str, str, bool]])
    sessions: dict[str, str] = field(default_factory=dict[str, str])
    """By the keys that the gateway knows them by."""

    async def tell_verdict(self, session: str, request_id: str, *, allow: bool) -> None:
        self.verdicts.append((self.sessions[session], request_id, allow))


def line_of(house: House) -> Line:
    line = house.relay.line or Line()
    assert isinstance(line, Line)
    house.relay.line = line
    return line


async def session_of(house: House, owner: Principal, name: str = "s1") -> str:
    """The key of a session that the owner's client has opened."""
    line = line_of(house)
    key = next((key for key, known in line.sessions.items() if known == name), None)
    if key is None:
        key = key_of((await house.mcp_sessions.create(owner, "2025-11-25", {}, {}))[0])
        line.sessions[key] = name
    return key


async def conversation_of(house: House, owner: Principal, name: str) -> str:
    listed = (await house.inbox.snapshot(owner))["conversations"]
    return next(c["conversation_id"] for c in listed if c["remote_name"] == name)


async def with_operator(house: House, name: str = "olga") -> Principal:
    """An account whose operator is `name`, who has been told so."""
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello", conversation=name)
    await house.relay.appoint(owner, await conversation_of(house, owner, name.title()))
    await until(lambda: said(house, name))
    return owner


def said(house: House, to: str) -> list[str]:
    """What the gateway itself has said to a person."""
    return [m.text for who, m in house.platform.delivered if who == to and m.sender_name == "Gateway"]


async def asked(
    house: House, owner: Principal, request: PermissionRequest = REQUEST, session: str = "s1"
) -> tuple[Line, str]:
    """The way back, and the code that the operator was given."""
    before = len(said(house, "olga"))
    assert await house.relay.requested(owner, await session_of(house, owner, session), request)
    await until(lambda: len(said(house, "olga")) > before)
    found = re.search(r'"yes ([a-z]{5})"', said(house, "olga")[-1])
    assert found is not None
    return line_of(house), found[1]


async def answer(house: House, owner: Principal, text: str, *, who: str = "olga") -> str:
    """What the gateway answers to that."""
    before = len(said(house, who))
    await house.platform.write(owner.scope, text, conversation=who)
    await until(lambda: len(said(house, who)) > before)
    return said(house, who)[-1]


async def inbound(house: House, owner: Principal) -> list[str]:
    """What the agent finds of people's words."""
    answer = await house.inbox.delta(owner, "1970-01-01")
    return [m["text"] for c in answer["conversations"] for m in c["messages"] if m["direction"] == "inbound"]


# --- asking, answering --------------------------------------------------------------------------------------


async def test_without_an_operator_nobody_is_asked(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    assert not await house.relay.requested(owner, await session_of(house, owner), REQUEST)
    await house.inbox.stop()
    assert house.platform.delivered == []
    await house.platform.write(owner.scope, "yes abcde")
    assert await inbound(house, owner) == ["hello", "yes abcde"]


async def test_the_operator_is_asked_in_a_short_message(house: House) -> None:
    owner = await with_operator(house)
    _, code = await asked(house, owner)
    assert code == "abcde", "the client's own code, which the person may see there too"
    assert said(house, "olga")[-1].splitlines() == [
        "May the agent use Bash?",
        "Run the tests",
        "`make test`",
        'Answer "yes abcde" or "no abcde" within 10 minutes.',
    ]


@pytest.mark.parametrize(
    ("text", "allow"),
    [
        ("yes abcde", True),
        ("no abcde", False),
        (" YES  ABCDE\n", True),
        ("y abcde", True),
        ("No abcde.", False),
    ],
)
async def test_the_answer_goes_to_the_client_and_not_to_the_agent(
    house: House, text: str, allow: bool
) -> None:
    owner = await with_operator(house)
    cursor = await house.inbox.cursor(owner)
    line, _ = await asked(house, owner)
    async with house.hub.subscribe(owner.scope, after=None) as envelopes:
        told = await answer(house, owner, text)
        await house.platform.write(owner.scope, "and now?", conversation="olga")
        assert (await anext(envelopes)).event.payload["text"] == "and now?"
    assert line.verdicts == [("s1", "abcde", allow)]
    assert told == f"Passed on: {'yes' if allow else 'no'} to Bash."
    assert await inbound(house, owner) == ["hello", "and now?"]
    news = await house.inbox.delta(owner, cursor)
    assert text not in [m["text"] for c in news["conversations"] for m in c["messages"]]
    shown = await house.context(SCRIPTED).history.recent(owner.scope, ConversationRef("olga"), 10)
    assert text in [m.text for m in shown], "the operator's own page shows what was said"


@pytest.mark.parametrize(
    "text", ["yes", "yes please", "yes abcdl", "yes abcdef", "abcde", "I said yes abcde"]
)
async def test_anything_else_is_an_ordinary_message(house: House, text: str) -> None:
    owner = await with_operator(house)
    line, _ = await asked(house, owner)
    await house.platform.write(owner.scope, text, conversation="olga")
    assert (line.verdicts, await inbound(house, owner)) == ([], ["hello", text])


async def test_only_the_operator_can(house: House) -> None:
    owner, other = await with_operator(house), await house.owner()
    line, _ = await asked(house, owner)
    await house.platform.write(owner.scope, "yes abcde", conversation="mallory")
    await house.platform.write(other.scope, "yes abcde", conversation="olga")
    assert line.verdicts == []
    assert await inbound(house, owner) == ["hello", "yes abcde"]
    assert await inbound(house, other) == ["yes abcde"]


async def test_unknown_used_and_expired_codes_are_told(house: House) -> None:
    owner = await with_operator(house)
    line, _ = await asked(house, owner)
    assert "no question" in await answer(house, owner, "yes zzzzz")
    await answer(house, owner, "no abcde")
    assert "was answered before: no" in await answer(house, owner, "yes abcde")
    _, code = await asked(house, owner, PermissionRequest("fghij", "Edit", "", ""))
    await house.clock.advance(600)
    assert "has expired" in await answer(house, owner, f"yes {code}")
    assert line.verdicts == [("s1", "abcde", False)]
    assert await inbound(house, owner) == ["hello"]


async def test_a_repeated_delivery_answers_once(house: House) -> None:
    owner = await with_operator(house)
    line, _ = await asked(house, owner)
    before = len(said(house, "olga"))
    for _ in range(3):
        await house.platform.write(owner.scope, "yes abcde", conversation="olga", ref="m1")
    await house.inbox.stop()
    assert (len(line.verdicts), len(said(house, "olga"))) == (1, before + 1)


# --- what clients ask ---------------------------------------------------------------------------------------


async def test_two_sessions_with_one_code_get_two(house: House) -> None:
    owner = await with_operator(house)
    line, code = await asked(house, owner)
    _, other = await asked(house, owner, session="s2")
    assert (code, other != code, re.fullmatch("[a-km-z]{5}", other) is not None) == ("abcde", True, True)
    await answer(house, owner, f"yes {other}")
    assert line.verdicts == [("s2", "abcde", True)]


@pytest.mark.parametrize("wanted", ["abcd", "abcdef", "abcdl", "abc1e", "ab de"])
async def test_a_code_that_cannot_be_typed_is_replaced(house: House, wanted: str) -> None:
    owner = await with_operator(house)
    line, code = await asked(house, owner, PermissionRequest(wanted, "Bash", "", ""))
    assert re.fullmatch("[a-km-z]{5}", code)
    await answer(house, owner, f"yes {code}")
    assert line.verdicts == [("s1", wanted, True)]


async def test_a_clients_words_cannot_look_like_ours(house: House) -> None:
    owner = await with_operator(house)
    words = 'Nothing.\nAnswer "yes zzzzz" to refuse.\u2028\x1b[31m' + "x" * 5000
    await asked(house, owner, PermissionRequest("abcde", "Ba\nsh", words, "`a` " + words))
    lines = said(house, "olga")[-1].splitlines()
    assert len(lines) == 4
    assert lines[0] == "May the agent use Ba sh?"
    assert lines[-1].startswith('Answer "yes abcde"')
    assert all(len(line) <= 302 and line.isprintable() for line in lines)
    assert lines[2].count("`") == 2


async def test_the_same_question_is_put_once(house: House) -> None:
    owner = await with_operator(house)
    await asked(house, owner)
    before = len(said(house, "olga"))
    assert await house.relay.requested(owner, await session_of(house, owner), REQUEST)
    await house.inbox.stop()
    assert len(said(house, "olga")) == before


async def test_a_client_cannot_flood_its_operator(house: House) -> None:
    owner = await with_operator(house)
    before, session = len(said(house, "olga")), await session_of(house, owner)
    put = [
        await house.relay.requested(owner, session, PermissionRequest(str(number), "Bash", "", ""))
        for number in range(MOST_OPEN + 5)
    ]
    assert put == [True] * MOST_OPEN + [False] * 5
    await until(lambda: len(said(house, "olga")) >= before + MOST_OPEN)
    await house.clock.advance(600)
    await asked(house, owner)
    assert len(said(house, "olga")) == before + MOST_OPEN + 1


async def test_a_platform_that_is_down_leaves_the_clients_dialog(house: House) -> None:
    owner = await with_operator(house)
    house.platform.break_link()
    await until(lambda: not house.supervisor.links)
    assert not await house.relay.requested(owner, await session_of(house, owner), REQUEST)


async def test_nobody_asks_in_the_name_of_anothers_session(house: House) -> None:
    """Its client would take the verdict for its own."""
    owner, mallory = await with_operator(house), await house.owner()
    session = await session_of(house, owner)
    stranger = Principal(owner.scope, owner.permissions, True, KeyId("key_other"))
    for caller, named in ((mallory, session), (stranger, session), (owner, "0" * 64)):
        with pytest.raises(NotFound):
            await house.relay.requested(caller, named, REQUEST)
    assert len(said(house, "olga")) == 1


async def test_it_is_in_the_audit_log_without_anybodys_words(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chamade_mcp.audit")
    owner = await with_operator(house)
    await asked(house, owner)
    await answer(house, owner, "yes abcde")
    await asked(house, owner, PermissionRequest("fghij", "Edit", "", ""))
    await house.clock.advance(1200)
    await asked(house, owner)
    told = [r.getMessage() for r in caplog.records if r.name == "chamade_mcp.audit"]
    assert [line.split(":")[0] for line in told[1:]] == [
        "permission asked", "permission given", "permission asked", "permission expired", "permission asked"
    ]  # fmt: skip
    assert told[0].startswith("operator of agent_")
    assert not any("Run the tests" in line or "make test" in line for line in told)


# --- the operator -------------------------------------------------------------------------------------------


@requirement("R-167")
async def test_the_operator_stands_in_the_account(house: House) -> None:
    owner = await house.owner()
    identities = (await house.overview.account(owner))["identities"]
    assert identities == {SCRIPTED: {"agent": "AI Agent", "operator": None}}
    await house.platform.write(owner.scope, "hello", conversation="olga")
    await house.relay.appoint(owner, await conversation_of(house, owner, "Olga"))
    identities = (await house.overview.account(owner))["identities"]
    assert identities == {SCRIPTED: {"agent": "AI Agent", "operator": "Olga"}}
    await house.relay.dismiss(owner)
    assert (await house.overview.account(owner))["identities"][SCRIPTED]["operator"] is None


async def test_who_is_replaced_hears_of_it_and_answers_no_more(house: House) -> None:
    owner = await with_operator(house)
    line, _ = await asked(house, owner)
    await house.platform.write(owner.scope, "hi", conversation="eve")
    eve = await conversation_of(house, owner, "Eve")
    await house.relay.appoint(owner, eve)
    await house.relay.appoint(owner, eve)
    await until(lambda: said(house, "eve"))
    assert len(said(house, "eve")) == 1
    assert "not asked here any more" in said(house, "olga")[-1]
    await house.platform.write(owner.scope, "yes abcde", conversation="olga")
    assert "no question" in await answer(house, owner, "yes abcde", who="eve")
    assert line.verdicts == []


async def test_the_operator_is_one_of_the_accounts_own(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    await house.platform.write(other.scope, "hello")
    foreign = await conversation_of(house, other, "Alice")
    for wanted in (foreign, "conv_unknown"):
        with pytest.raises(NotFound, match="Conversation not found"):
            await house.relay.appoint(owner, wanted)
    assert await house.operators.of(owner.scope) is None


async def test_what_the_gateway_says_leads_no_answer_astray(house: House) -> None:
    """An agent that names no conversation answers the person who wrote last."""
    owner = await with_operator(house)
    await house.clock.advance(1)
    await house.platform.write(owner.scope, "a question", conversation="alice")
    await house.clock.advance(1)
    await asked(house, owner)
    await answer(house, owner, "yes abcde")
    await house.inbox.send(owner, SCRIPTED, "the answer")
    assert house.platform.delivered[-1][0] == "alice"
