"""Answers by hand: under the owner's name, and known to the agent."""

from dataclasses import replace
from functools import partial

import pytest

from chamade_mcp.core import dms
from chamade_mcp.core.by_hand import signed
from chamade_mcp.kit.registry import discover
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import Access
from chamade_mcp.model.errors import Forbidden
from chamade_mcp.model.ids import Platform
from chamade_mcp.store.schema import accounts
from tests.support.bots import connected
from tests.support.house import House


async def named(house: House, name: str = "Ada") -> tuple[Principal, Principal]:
    """The agent, and its owner in a browser."""
    agent = await house.owner()
    change = accounts.update().where(accounts.c.id == agent.account).values(name=name)
    await house.database.write(lambda conn: conn.execute(change).rowcount)
    return agent, replace(agent, browser="browser")


async def test_the_person_sees_who_answered_and_the_agent_knows(house: House) -> None:
    agent, owner = await named(house)
    await house.platform.write(agent.scope, "is anybody there?")
    cursor = await house.inbox.cursor(agent)
    async with house.hub.subscribe(agent.scope, after=None) as events:
        result = await house.inbox.send(owner, SCRIPTED, "I am")
        event = (await anext(events)).event.payload
    assert result.body["status"] == "delivered"
    ((_, outgoing),) = house.platform.delivered
    assert (outgoing.text, outgoing.sender_name, outgoing.by_hand) == ("I am", "Ada", True)
    assert {name: event[name] for name in ("type", "sender", "text", "from_owner", "message_id")} == {
        "type": "dm_answered",
        "sender": "Ada",
        "text": "I am",
        "from_owner": True,
        "message_id": result.body["message_id"],
    }
    (news,) = (await house.inbox.delta(agent, cursor))["conversations"]
    (message,) = news["messages"]
    assert (message["sender"], message["text"], message["from_owner"]) == ("Ada", "I am", True)
    assert house.inbox.waiting == 0


async def test_what_the_agent_says_bears_no_name(house: House) -> None:
    agent, _ = await named(house)
    await house.platform.write(agent.scope, "hello")
    cursor = await house.inbox.cursor(agent)
    await house.inbox.send(agent, SCRIPTED, "hi")
    ((_, outgoing),) = house.platform.delivered
    assert (outgoing.text, outgoing.sender_name, outgoing.by_hand) == ("hi", "", False)
    assert (await house.inbox.delta(agent, cursor))["conversations"] == []
    (whole,) = (await house.inbox.detail(agent, SCRIPTED))["conversations"]
    assert "from_owner" not in whole["messages"][-1]


@pytest.mark.parametrize("name", ["Gateway", " ", "\u202e"])
async def test_no_owner_looks_like_the_gateway_or_the_agent(house: House, name: str) -> None:
    agent, owner = await named(house, name)
    await house.platform.write(agent.scope, "hello")
    await house.inbox.send(owner, SCRIPTED, "hi")
    (whole,) = (await house.inbox.detail(agent, SCRIPTED))["conversations"]
    assert (whole["messages"][-1]["sender"], whole["messages"][-1]["from_owner"]) == ("Owner", True)


async def test_the_agent_does_not_change_what_its_owner_said(house: House) -> None:
    agent, owner = await named(house)
    await house.platform.write(agent.scope, "hello")
    said = (await house.inbox.send(owner, SCRIPTED, "hi")).body["message_id"]
    for change in (house.inbox.changes.edit(agent, said, "bye"), house.inbox.changes.delete(agent, said)):
        with pytest.raises(Forbidden, match="Only what the agent"):
            await change
    await house.inbox.changes.edit(owner, said, "good day")
    (whole,) = (await house.inbox.detail(agent, SCRIPTED))["conversations"]
    assert whole["messages"][-1]["text"] == "good day"


async def test_sent_again_it_is_signed_once(house: House) -> None:
    agent, owner = await named(house)
    listed = await connected(house, agent, access=Access.OPEN)
    await house.bots.write(listed.id, "hello")
    said = (await house.inbox.send(owner, BOTS, "hi")).body["message_id"]
    await house.database.write(partial(dms.change, message=said, status="failed"))
    first = house.bots.sent.pop()
    await house.inbox.retry(owner, said)
    (again,) = house.bots.sent
    assert first == again
    assert (again.message.text, again.message.by_hand) == ("**Ada:**\nhi", True)


def test_the_name_is_no_markup_and_stands_only_where_pages_do_not_show_it() -> None:
    manifests = discover().manifests
    slack, web = manifests[Platform("slack")], manifests[Platform("web")]
    assert signed(slack, "hi", "A*d*a <b>") == "**A\\*d\\*a \\<b\\>:**\nhi"
    assert signed(slack, "", "Ada") == "**Ada**"
    assert signed(web, "hi", "Ada") == "hi"
    assert signed(slack, "hi", "Gateway") == signed(slack, "hi", "") == "hi"
