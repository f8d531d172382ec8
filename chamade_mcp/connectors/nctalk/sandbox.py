"""Nextcloud Talk on the stage of `chamade sandbox`."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from chamade_mcp.connectors.nctalk.emulated_world import RoomState
from chamade_mcp.connectors.nctalk.emulator import TalkEmulator
from chamade_mcp.kit.sandbox import Line, Stage

_OWNER = "owner"


class TalkStage:
    """Each person has a room with the bot, in which its owner, whom nobody plays, has activated it."""

    def __init__(self) -> None:
        self._emulator = TalkEmulator()
        self._bot = ""
        self._rooms: dict[str, RoomState] = {}
        self.app = self._emulator.app
        self.running = self._emulator.running

    def settings(self, url: str, gateway_url: str) -> Mapping[str, str]:
        del gateway_url
        self._emulator.serve_at(url)
        return {"hosts": urlsplit(url).netloc, "updates": "polling"}

    def bot(self) -> Mapping[str, str]:
        settings = self._emulator.settings(_OWNER)
        self._bot = settings["bot_login"]
        return settings

    async def connected(self, hook_url: str) -> None:
        """It looks for itself."""

    def write(self, person: str, text: str) -> None:
        if person not in self._rooms:
            self._emulator.user(person)
            self._rooms[person] = room = self._emulator.group(person, person, _OWNER, self._bot)
            self._emulator.say(_OWNER, room, "/activate")
        self._emulator.say(person, self._rooms[person], text)

    def lines(self, person: str) -> Sequence[Line]:
        room = self._rooms.get(person)
        return [
            _line(message, "" if message["actorId"] == self._bot else person)
            for message in (room.messages if room else ())
            if message["actorId"] in (person, self._bot) and message["messageType"] == "comment"
            if not message["silent"]
        ]


def _line(message: Mapping[str, Any], author: str) -> Line:
    files = [p["name"] for p in dict(message["messageParameters"] or {}).values() if p["type"] == "file"]
    return Line(author, message["message"].replace("{file}", "").strip(), tuple(files))


def stage() -> Stage:
    return TalkStage()
