"""Which rooms the bot is in, and in which of them the agent may hear and speak."""

import asyncio
from collections.abc import Mapping
from typing import Final
from weakref import WeakValueDictionary

from chamade_mcp.connectors.nctalk.client import Cloud
from chamade_mcp.connectors.nctalk.wire import ONE_TO_ONE, Room

ACTIVE: Final = "I am listening here now. `/deactivate` makes me deaf again."
SILENT: Final = "I no longer listen here. `/activate` brings me back."
ALWAYS: Final = "Here I always listen to you."
TAKEN: Final = "Somebody else's agent is active in this room: it has to be deactivated there first."
_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
"""By Nextcloud: its list of rooms is one for all bots, and is written as a whole."""


class Rooms:
    def __init__(self, cloud: Cloud, place: str, owner: str) -> None:
        self._cloud = cloud
        self._owner = owner
        self._known: dict[str, Room] = {}
        self._authorized: frozenset[str] = frozenset()
        self._turn = _turns.setdefault(place, asyncio.Lock())

    async def refresh(self) -> list[Room]:
        """Asks which rooms there are."""
        found = await self._cloud.rooms()
        self._known = {room.token: room for room in found}
        return found

    async def authorize(self) -> None:
        """Asks the addon which of them the owner has activated."""
        self._authorized = self._mine(await self._cloud.authorized_rooms())

    async def find(self, token: str) -> Room | None:
        if token not in self._known:
            await self.refresh()
        return self._known.get(token)

    def known(self, token: str) -> Room | None:
        return self._known.get(token)

    def add(self, room: Room) -> None:
        self._known[room.token] = room

    def remove(self, token: str) -> None:
        self._known.pop(token, None)

    def hears(self, room: Room, sender: str) -> bool:
        """Whether what `sender` says there is for the agent. Alone with the bot there is but its owner."""
        if room.type == ONE_TO_ONE:
            return sender == f"users/{self._owner}"
        return room.token in self._authorized

    def active(self, room: Room) -> bool:
        return room.token in self._authorized

    async def command(self, room: Room, sender: str, command: str) -> str:
        """Does what the bot's owner asks for, and gives the answer; "" for anybody else."""
        if sender != f"users/{self._owner}":
            return ""
        if room.type == ONE_TO_ONE:
            return ALWAYS
        async with self._turn:
            rooms = await self._cloud.authorized_rooms()
            holder = rooms.get(room.token, self._owner)
            if command == "/activate":
                if holder != self._owner:
                    return TAKEN
                rooms[room.token] = self._owner
            elif holder == self._owner:
                rooms.pop(room.token, None)
            await self._cloud.authorize_rooms(rooms)
            self._authorized = self._mine(rooms)
        return ACTIVE if command == "/activate" else SILENT

    def _mine(self, rooms: Mapping[str, str]) -> frozenset[str]:
        return frozenset(room for room, owner in rooms.items() if owner == self._owner)
