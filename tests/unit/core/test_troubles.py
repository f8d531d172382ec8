"""What needs the owner."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from chamade_mcp.core import dms
from chamade_mcp.core.calls import NewCall
from chamade_mcp.core.disk import Disk
from chamade_mcp.core.troubles import Troubles
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.connector import EndReason
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import InvalidRequest, NotFound, PlatformRefused, Unauthenticated
from tests.support.bots import connected
from tests.support.house import House
from tests.support.waiting import until


def troubles_of(house: House, disk: Disk | None = None) -> Troubles:
    roomy = Disk(house.clock, lambda: 10**12, lambda: 0)
    return Troubles(house.database, house.clock, house.platforms, house.roster, disk or roomy)


async def listed(house: House, owner: Principal) -> list[dict[str, Any]]:
    found: Any = (await troubles_of(house).page(owner, None, 50))["troubles"]
    return found


async def refused(house: House, owner: Principal, why: str) -> None:
    house.platform.script.send_error = PlatformRefused(why)
    with pytest.raises(PlatformRefused):
        await house.inbox.send(owner, SCRIPTED, "answer")
    house.platform.script.send_error = None


async def test_a_message_that_failed_is_listed_until_it_is_sent(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await refused(house, owner, "The person has blocked the bot")
    (trouble,) = await listed(house, owner)
    assert {name: trouble[name] for name in ("kind", "name", "detail", "fix", "platform", "lasting")} == {
        "kind": "message",
        "name": "Alice",
        "detail": "The person has blocked the bot",
        "fix": "send_again",
        "platform": SCRIPTED,
        "lasting": False,
    }
    assert await listed(house, await house.owner()) == []
    await house.inbox.retry(owner, trouble["id"])
    assert await listed(house, owner) == []


async def test_what_may_not_have_arrived_is_listed_for_a_week(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    said = (await house.inbox.send(owner, SCRIPTED, "answer")).body["message_id"]
    await house.database.write(partial(dms.change, message=said, status="unknown"))
    (trouble,) = await listed(house, owner)
    assert trouble["detail"] == "The platform did not confirm it in time"
    await house.clock.advance(timedelta(days=7).total_seconds() + 1)
    assert await listed(house, owner) == []


async def test_calls_that_failed_and_calls_that_nobody_answered(house: House) -> None:
    owner = await house.owner()
    await house.platform.ring(owner.scope, "Mira")
    await house.clock.advance(61)
    await until(lambda: house.engine.live_count == 0)
    (missed,) = await listed(house, owner)
    assert (missed["kind"], missed["name"], missed["fix"]) == ("call", "Mira", "ping")
    call = (await house.calls.create(owner, NewCall(SCRIPTED))).record
    await until(lambda: call.room in house.platform.legs)
    house.platform.legs[call.room].end(EndReason.DISCONNECTED)
    await until(lambda: house.engine.live_count == 0)
    broken, again = await listed(house, owner)
    assert (broken["id"], broken["fix"], again) == (call.id, "look", missed)
    assert broken["detail"].startswith("Bridge connection lost")
    well = (await house.calls.create(owner, NewCall(SCRIPTED))).record
    await house.calls.leave(owner, well.id)
    assert len(await listed(house, owner)) == 2


async def test_a_key_that_is_used_although_it_is_good_no_more(house: House) -> None:
    owner = await house.owner()
    revoked = await house.accounts.create_key(owner.scope, "laptop")
    await house.accounts.revoke_key(owner, revoked.id)
    expires = house.clock.now() + timedelta(hours=1)
    expired = await house.accounts.create_key(owner.scope, "old", expires_at=expires)
    await house.clock.advance(3601)
    assert await listed(house, owner) == []  # nobody has used them
    for key in (revoked, expired):
        await house.clock.advance(1)
        with pytest.raises(Unauthenticated):
            await house.accounts.authenticate(key.value)
    with pytest.raises(Unauthenticated):  # made up, by one who knows the key's name
        await house.accounts.authenticate(revoked.value[:-1] + "2")
    found = [(one["name"], one["detail"], one["fix"]) for one in await listed(house, owner)]
    assert found == [("old", "It has expired", "new_key"), ("laptop", "It was revoked", "new_key")]


async def test_a_bot_that_was_signed_out_comes_first_and_stays(house: House) -> None:
    owner = await house.owner()
    bot = await connected(house, owner)
    house.bots.accept("helper", "another secret")
    await until(lambda: bot.id not in house.bots.links)
    await house.platform.write(owner.scope, "hello")
    await refused(house, owner, "Not now")
    first, _ = await listed(house, owner)
    assert (first["id"], first["kind"], first["fix"], first["lasting"]) == (
        bot.id,
        "connection",
        "new_credentials",
        True,
    )
    with pytest.raises(NotFound):
        await troubles_of(house).put_aside(owner, bot.id)


async def test_what_was_seen_is_put_aside_and_comes_back_when_it_happens_again(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    troubles = troubles_of(house)
    key = await house.accounts.create_key(owner.scope, "laptop")
    await house.accounts.revoke_key(owner, key.id)
    with pytest.raises(Unauthenticated):
        await house.accounts.authenticate(key.value)
    for who, what in ((other, key.id), (owner, "msg_none")):
        with pytest.raises(NotFound):
            await troubles.put_aside(who, what)
    await house.clock.advance(1)
    await troubles.put_aside(owner, key.id)
    assert await listed(house, owner) == []
    await house.clock.advance(120)
    with pytest.raises(Unauthenticated):
        await house.accounts.authenticate(key.value)
    assert len(await listed(house, owner)) == 1
    await house.clock.advance(1)
    await troubles.put_aside(owner, key.id)
    assert await listed(house, owner) == []


async def test_a_message_that_fails_again_is_shown_again(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await refused(house, owner, "no such chat")
    (failed,) = await listed(house, owner)
    await house.clock.advance(1)
    await troubles_of(house).put_aside(owner, failed["id"])
    assert await listed(house, owner) == []
    house.platform.script.send_error = PlatformRefused("still no such chat")
    with pytest.raises(PlatformRefused):
        await house.inbox.retry(owner, failed["id"])
    assert [one["detail"] for one in await listed(house, owner)] == ["still no such chat"]


async def test_pages(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    for number in range(5):
        await house.clock.advance(1)
        await refused(house, owner, f"{number}")
    troubles = troubles_of(house)
    seen: list[str] = []
    before: Any = None
    for _ in range(3):
        page: Any = await troubles.page(owner, before, 2)
        seen += [one["detail"] for one in page["troubles"]]
        before = page["next"]
    assert (seen, before) == (["4", "3", "2", "1", "0"], None)
    with pytest.raises(InvalidRequest):
        await troubles.page(owner, "msg_none", 2)


async def test_a_disk_that_runs_full_is_told_to_the_gateways_owner_alone(house: House) -> None:
    await house.accounts.create("ann@example.org", "correct horse battery", verified=True)
    owner, other = await house.accounts.find_by_email("ann@example.org"), await house.owner()
    assert owner is not None
    free = [10**9]
    disk = Disk(house.clock, lambda: free[0], lambda: 0)
    troubles = troubles_of(house, disk)
    await disk.look()
    assert (await troubles.page(owner, None, 50))["troubles"] == []
    free[0] = 120_000_000
    await house.clock.advance(15)
    await disk.look()
    found: Any = (await troubles.page(owner, None, 50))["troubles"]
    (trouble,) = found
    assert (trouble["kind"], trouble["fix"], trouble["lasting"]) == ("disk", "make_room", True)
    assert trouble["at"] == iso(house.clock.now())
    assert trouble["detail"] == "Only 120 MB are free where the gateway keeps its data"
    with pytest.raises(NotFound):
        await troubles.put_aside(owner, trouble["id"])
    assert (await troubles.page(other, None, 50))["troubles"] == []
    free[0] = 10**9
    await disk.look()
    assert (await troubles.page(owner, None, 50))["troubles"] == []
