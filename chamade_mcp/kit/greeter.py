"""What a bot for everybody says to those who come by a link, and to those who come without one."""

from typing import Final

from chamade_mcp.kit.connection import People
from chamade_mcp.kit.recent import Recent
from chamade_mcp.model.ids import ConversationRef
from chamade_mcp.model.messages import Sender

_WELCOME: Final = "You are connected: what you write here goes to the agent."
_SPENT: Final = "This link has expired or was used. Ask for a new one."
_ASK: Final = "Ask whoever runs yours for a link to open."
_MOST: Final = 1000
"""Strangers who are remembered as told."""


class Greeter:
    """`itself` is what it calls itself: "This bot"."""

    def __init__(self, people: People, itself: str) -> None:
        self._people = people
        self._stranger = f"{itself} speaks for agents of a gateway. {_ASK}"
        self._told: Recent[str, None] = Recent(_MOST)

    async def redeem(self, token: str, sender: Sender, place: ConversationRef) -> str:
        """What to tell somebody who brings a link's token."""
        scope = await self._people.redeem(token, sender, place)
        return _SPENT if scope is None else _WELCOME

    def turn_away(self, sender: Sender) -> str:
        """What to tell a stranger of how to get in; "" for one who was told."""
        if sender.ref in self._told:
            return ""
        self._told[sender.ref] = None
        return self._stranger
