"""The list of conversations: pages that chain while people write, and the search."""

import json
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection

from chamade_mcp.core import dms, listing
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import InvalidRequest
from chamade_mcp.model.folding import fold
from chamade_mcp.store.schema import conversations, messages
from tests.support.house import House

MANY = 10_000


async def names(house: House, owner: Principal, **how: str) -> list[str]:
    return [c["remote_name"] for c in (await house.inbox.snapshot(owner, **how))["conversations"]]  # pyright: ignore[reportArgumentType]


async def people(house: House, owner: Principal, found: Sequence[str]) -> None:
    for name in found:
        await house.clock.advance(1)
        await house.platform.write(owner.scope, "hello", conversation=name)


async def test_pages_chain_though_a_conversation_moves_up_between_them(house: House) -> None:
    owner = await house.owner()
    await people(house, owner, ["ann", "ben", "cleo", "dan", "eve"])
    first = await house.inbox.snapshot(owner, limit=2)
    assert [c["remote_name"] for c in first["conversations"]] == ["Eve", "Dan"]
    await people(house, owner, ["dan"])
    second = await house.inbox.snapshot(owner, limit=2, before=first["next"])
    assert [c["remote_name"] for c in second["conversations"]] == ["Cleo", "Ben"]
    third = await house.inbox.snapshot(owner, limit=2, before=second["next"])
    assert [c["remote_name"] for c in third["conversations"]] == ["Ann"]
    assert third["next"] is None


async def test_those_of_one_moment_are_each_on_one_page(house: House) -> None:
    owner = await house.owner()
    for name in ("ann", "ben", "cleo"):
        await house.platform.write(owner.scope, "hello", conversation=name)
    seen: list[str] = []
    before: str | None = None
    for _ in range(3):
        page = await house.inbox.snapshot(owner, limit=1, before=before)
        seen += [c["remote_name"] for c in page["conversations"]]
        before = page["next"]
    assert sorted(seen) == ["Ann", "Ben", "Cleo"]
    assert before is None


async def test_who_waits_is_who_was_not_answered(house: House) -> None:
    owner, other = await house.owner(), await house.owner()

    async def waiting(whose: Principal) -> int:
        return await house.database.read(partial(listing.waiting, scope=whose.scope))

    assert await waiting(owner) == 0
    await people(house, owner, ["ann", "ben", "cleo"])
    assert (await waiting(owner), await waiting(other)) == (3, 0)
    found = {c["remote_name"]: c for c in (await house.inbox.snapshot(owner))["conversations"]}
    ben = found["Ben"]["conversation_id"]
    await house.inbox.send(owner, SCRIPTED, "answer", conversation_id=ben)
    assert await waiting(owner) == 2
    # What the gateway itself says is no answer, and what is said to it is no question.
    last = found["Cleo"]["last_message"]["id"]
    notice = {"direction": dms.OUTBOUND, "sender_name": dms.GATEWAY}
    await people(house, owner, ["cleo"])
    newest = {c["remote_name"]: c for c in (await house.inbox.snapshot(owner))["conversations"]}
    await house.database.write(partial(dms.change, message=newest["Cleo"]["last_message"]["id"], **notice))
    assert await waiting(owner) == 2
    await house.database.write(partial(dms.change, message=last, status=dms.ASIDE))
    assert await waiting(owner) == 1
    await house.inbox.send(owner, SCRIPTED, "answer", conversation_id=ben)
    assert await waiting(owner) == 1


@pytest.mark.parametrize("before", ["x", "|conv_1", "99999-01-01|conv_1", "0001-01-01T00:00:00+14:00|c"])
async def test_what_is_no_cursor_is_refused(house: House, before: str) -> None:
    owner = await house.owner()
    with pytest.raises(InvalidRequest) as refused:
        await house.inbox.snapshot(owner, before=before)
    assert (refused.value.code, refused.value.param) == ("INVALID_CURSOR", "before")


async def test_a_search_is_for_all_its_words_in_name_or_platform(house: House) -> None:
    owner = await house.owner()
    await people(house, owner, ["zoë müller", "zoe smith", "100% real_name"])
    assert await names(house, owner, search="ZOE") == ["Zoe Smith", "Zoë Müller"]
    assert await names(house, owner, search="  mull   zo ") == ["Zoë Müller"]
    assert await names(house, owner, search=f"zoe {SCRIPTED} smi") == ["Zoe Smith"]
    assert await names(house, owner, search="zoe telegram") == []
    # Nothing in it is a pattern.
    assert await names(house, owner, search="0% R") == ["100% Real_Name"]
    assert await names(house, owner, search="%") == ["100% Real_Name"]
    assert await names(house, owner, search="_name") == ["100% Real_Name"]
    assert await names(house, owner, search="' OR 1=1 --") == []
    assert len(await names(house, owner, search=" ")) == 3


async def test_a_new_name_is_found_and_the_old_one_is_not(house: House) -> None:
    owner = await house.owner()
    for name in ("Sales", "Support"):
        await house.platform.write(owner.scope, "hello", conversation="c1", group=name)
    assert await names(house, owner, search="support") == ["Support"]
    assert await names(house, owner, search="sales") == []


def test_folding() -> None:
    assert fold(" ＺＯË \n müller ") == "zoe muller"
    assert fold("Straße İstanbul") == "strasse istanbul"


async def store_many(house: House, owner: Principal) -> None:
    """In bulk: a conversation with one message each, a second apart."""
    start, scope = house.clock.now(), owner.scope

    def insert(conn: Connection) -> int:
        people_: list[dict[str, object]] = []
        said: list[dict[str, object]] = []
        for number in range(MANY):
            at, name = start + timedelta(seconds=number), f"Person {number:05}"
            about: dict[str, object] = {"id": f"conv_{number}", "account_id": scope.account, "created_at": at}
            more: dict[str, object] = {
                "platform": SCRIPTED,
                "ref": f"r{number}",
                "status": dms.ACTIVE,
                "last_message_at": at,
            }
            whose: dict[str, object] = {
                "agent_id": scope.agent,
                "last_seq": number,
                "remote_name": name,
                "folded_name": fold(name),
            }
            people_.append(about | more | whose)
            text: dict[str, object] = {
                "direction": dms.INBOUND,
                "ref": "1",
                "sender_name": name,
                "text": "x" * 200,
            }
            where: dict[str, object] = {
                "id": f"msg_{number}",
                "conversation_id": f"conv_{number}",
                "seq": number,
            }
            told: dict[str, object] = {
                "account_id": scope.account,
                "attachments": [],
                "status": "received",
                "created_at": at,
            }
            said.append(text | where | told)
        conn.execute(conversations.insert(), people_)
        return conn.execute(messages.insert(), said).rowcount

    assert await house.database.write(insert) == MANY


async def took_ms(house: House, owner: Principal, **how: str) -> float:
    """The best of five: others use this machine, too."""
    took: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        await house.inbox.snapshot(owner, **how)  # pyright: ignore[reportArgumentType]
        took.append((time.perf_counter() - began) * 1000)
    return min(took)


async def test_ten_thousand_conversations(house: House) -> None:
    owner = await house.owner()
    await store_many(house, owner)
    first = await house.inbox.snapshot(owner)
    assert [c["remote_name"] for c in first["conversations"][:2]] == ["Person 09999", "Person 09998"]
    deep = f"{iso(house.clock.now() + timedelta(seconds=50))}|conv_50"
    assert (await names(house, owner, before=deep))[:2] == ["Person 00049", "Person 00048"]
    assert await names(house, owner, search="00007 person") == ["Person 00007"]
    took = {
        "first": await took_ms(house, owner),
        "deep": await took_ms(house, owner, before=deep),
        "search": await took_ms(house, owner, search="person 0000"),
        "nothing": await took_ms(house, owner, search="nobody"),
    }
    print(json.dumps({name: round(ms, 1) for name, ms in took.items()}))
    # 50 ms is promised; what this machine has to do beside it may cost as much again.
    assert max(took.values()) < 100, took
