"""Bots that people bring, as tests connect them."""

from chamade_mcp.core.roster import Listed
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import Access
from tests.support.house import House
from tests.support.waiting import until


async def connected(
    house: House, owner: Principal, bot: str = "helper", *, access: Access = Access.PAIRING
) -> Listed:
    """A bot of the owner's own, its link live."""
    token = house.bots.accept(bot)
    listed = await house.connections.register(owner, BOTS, {"bot_token": token}, access)
    await until(lambda: listed.id in house.bots.links)
    return listed


async def texts(house: House, owner: Principal) -> list[str]:
    """What people wrote, as the agent reads it."""
    snapshot = await house.inbox.snapshot(owner, status="active")
    found: list[str] = []
    for conversation in snapshot["conversations"]:
        whole = await house.inbox.conversation(owner, conversation["conversation_id"])
        found += [m["text"] for m in whole["messages"] if m["direction"] == "inbound"]
    return found
