"""Handing out links for people: private chats and rooms."""

from pathlib import Path

import pytest

from chamade_mcp.core.links import CHAT_LIFE
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.connector import InviteKind
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.model.errors import InvalidRequest, NotAvailable, ValidationFailed
from tests.support.house import House, open_house


async def test_a_chat_is_a_link_that_can_be_revoked(house: House) -> None:
    owner = await house.owner()
    made = await house.invites.invite(owner, SCRIPTED, "Ada")
    (listed,) = await house.links.list(owner.account)
    assert (made["id"], made["kind"], made["agent_name"]) == (listed["id"], "chat", "Ada")
    assert made["expires_at"] == listed["expires_at"] == iso(house.clock.now() + CHAT_LIFE)


async def test_a_room_that_its_platform_keeps_is_no_link_of_ours(house: House) -> None:
    owner = await house.owner()
    made = await house.invites.invite(owner, SCRIPTED, "Ada", InviteKind.ROOM)
    assert (made["id"], made["kind"], made["expires_at"]) == (None, "room", None)
    assert str(made["url"]).startswith("https://")
    assert await house.links.list(owner.account) == []


async def test_what_a_platform_cannot_do_is_refused(database_path: Path) -> None:
    bare = ScriptedConnector(creates_rooms=False, inbox=False)
    async with open_house(database_path, platform=bare) as house:
        owner = await house.owner()
        for kind in InviteKind:
            with pytest.raises(InvalidRequest) as refused:
                await house.invites.invite(owner, SCRIPTED, "Ada", kind)
            assert refused.value.code == "CAPABILITY_MISSING"
        with pytest.raises(NotAvailable):
            await house.invites.invite(owner, "telegram", "Ada")
        with pytest.raises(ValidationFailed):
            await house.invites.invite(owner, "nowhere", "Ada")
