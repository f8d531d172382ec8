"""Links that let people in."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from chamade_mcp.core.invitations import CHAT_LIFE, ROOM_LIFE
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.connector import Invite, InviteKind
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import InvalidRequest, NotAvailable, NotFound, ValidationFailed
from chamade_mcp.model.ids import Platform
from tests.support.house import House, open_house
from tests.support.waiting import BOUND_S

ROOM, CHAT = InviteKind.ROOM, InviteKind.CHAT


async def issue(house: House, owner: Principal, kind: InviteKind = ROOM) -> tuple[str, Invite]:
    return await house.invitations.of(SCRIPTED).issue(owner.scope, kind, title="Room", agent_name="Bea")


async def link_id(house: House, owner: Principal) -> str:
    return str((await house.invitations.list(owner.scope))[0]["id"])


@pytest.mark.parametrize(("kind", "life"), [(ROOM, ROOM_LIFE), (CHAT, CHAT_LIFE)])
async def test_a_link_opens_until_it_expires(house: House, kind: InviteKind, life: timedelta) -> None:
    owner, invites = await house.owner(), house.invitations.of(SCRIPTED)
    token, invite = await issue(house, owner, kind)
    assert await invites.admit(token) == invite
    assert (invite.scope, invite.kind, invite.expires_at) == (owner.scope, kind, house.clock.now() + life)
    house.clock.jump(life.total_seconds() - 1)
    assert await invites.admit(token) == invite
    house.clock.jump(1)
    assert await invites.admit(token) is None
    assert await house.invitations.list(owner.scope) == []


async def test_unknown_revoked_and_foreign_links_are_told_alike(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    token, _ = await issue(house, owner)
    assert await house.invitations.of(SCRIPTED).admit("nonsense") is None
    assert await house.invitations.of(Platform("another")).admit(token) is None
    link = await link_id(house, owner)
    with pytest.raises(NotFound):
        await house.invitations.revoke(other.bounds, link)
    await house.invitations.revoke(owner.bounds, link)
    assert await house.invitations.of(SCRIPTED).admit(token) is None
    with pytest.raises(NotFound):
        await house.invitations.revoke(owner.bounds, link)


async def test_the_list_tells_no_token(house: House) -> None:
    owner = await house.owner()
    token, invite = await issue(house, owner)
    await house.clock.advance(1)
    await issue(house, owner, CHAT)
    listed = await house.invitations.list(owner.scope)
    assert [one["kind"] for one in listed] == ["chat", "room"]
    assert token not in str(listed)
    assert invite.ref not in str(listed)
    assert await house.invitations.list((await house.owner()).scope) == []


async def test_whoever_watches_is_told_of_a_revocation(house: House) -> None:
    owner, invites = await house.owner(), house.invitations.of(SCRIPTED)
    token, _ = await issue(house, owner)
    other, _ = await issue(house, owner, CHAT)
    async with invites.watch(token) as gone, invites.watch(other) as kept:
        ending, staying = asyncio.ensure_future(gone), asyncio.ensure_future(kept)
        await house.clock.advance(3600)
        assert not ending.done()
        room = next(one for one in await house.invitations.list(owner.scope) if one["kind"] == "room")
        await house.invitations.revoke(owner.bounds, str(room["id"]))
        await asyncio.wait_for(ending, BOUND_S)
        assert not staying.done()
    assert house.clock.sleeping == 0


async def test_whoever_watches_is_told_of_the_end(house: House) -> None:
    owner, invites = await house.owner(), house.invitations.of(SCRIPTED)
    token, invite = await issue(house, owner)
    async with invites.watch(token) as gone:
        ending = asyncio.ensure_future(gone)
        await house.clock.advance(ROOM_LIFE.total_seconds() - 1)
        assert not ending.done()
        await house.clock.advance(1)
        assert house.clock.now() == invite.expires_at
        assert ending.done()


async def test_a_wall_clock_set_forward_ends_a_link_soon(house: House) -> None:
    owner, invites = await house.owner(), house.invitations.of(SCRIPTED)
    token, _ = await issue(house, owner)
    async with invites.watch(token) as gone:
        ending = asyncio.ensure_future(gone)
        await house.clock.advance(1)
        house.clock.jump(ROOM_LIFE.total_seconds())
        await house.clock.advance(600)
        assert ending.done()


async def test_watching_what_is_not_there_ends_at_once(house: House) -> None:
    async with house.invitations.of(SCRIPTED).watch("nonsense") as gone:
        await asyncio.wait_for(asyncio.ensure_future(gone), BOUND_S)


async def test_all_links_of_an_account_go_at_once(house: House) -> None:
    owner, other, invites = await house.owner(), await house.owner(), house.invitations.of(SCRIPTED)
    first, _ = await issue(house, owner)
    for _ in range(205):
        await issue(house, owner)
    foreign, _ = await issue(house, other)
    async with invites.watch(first) as gone:
        await house.invitations.revoke_all(owner.account)
        await asyncio.wait_for(asyncio.ensure_future(gone), BOUND_S)
    assert await house.invitations.list(owner.scope) == []
    assert await invites.admit(foreign) is not None


async def test_a_chat_is_a_link_that_can_be_revoked(house: House) -> None:
    owner = await house.owner()
    made = await house.invitations.invite(owner, SCRIPTED, "Bea")
    (listed,) = await house.invitations.list(owner.scope)
    assert (made["id"], made["kind"], made["agent_name"]) == (listed["id"], "chat", "Bea")
    assert made["expires_at"] == listed["expires_at"] == iso(house.clock.now() + CHAT_LIFE)


async def test_a_room_that_its_platform_keeps_is_no_link_of_ours(house: House) -> None:
    owner = await house.owner()
    made = await house.invitations.invite(owner, SCRIPTED, "Bea", ROOM)
    assert (made["id"], made["kind"], made["expires_at"]) == (None, "room", None)
    assert str(made["url"]).startswith("https://")
    assert await house.invitations.list(owner.scope) == []


async def test_what_a_platform_cannot_do_is_refused(database_path: Path) -> None:
    bare = ScriptedConnector(creates_rooms=False, inbox=False)
    async with open_house(database_path, platform=bare) as house:
        owner = await house.owner()
        for kind in InviteKind:
            with pytest.raises(InvalidRequest) as refused:
                await house.invitations.invite(owner, SCRIPTED, "Bea", kind)
            assert refused.value.code == "CAPABILITY_MISSING"
        with pytest.raises(NotAvailable):
            await house.invitations.invite(owner, "telegram", "Bea")
        with pytest.raises(ValidationFailed):
            await house.invitations.invite(owner, "nowhere", "Bea")
