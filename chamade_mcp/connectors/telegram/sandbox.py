"""Telegram on the stage of `chamade sandbox`."""

from collections.abc import Mapping, Sequence

from chamade_mcp.connectors.telegram.emulated_world import Person
from chamade_mcp.connectors.telegram.emulator import TelegramEmulator
from chamade_mcp.kit.sandbox import Line, Stage

_KINDS = ("document", "audio", "voice", "video")


class TelegramStage:
    def __init__(self) -> None:
        self._emulator = TelegramEmulator()
        self._people: dict[str, Person] = {}
        self._token = ""
        self._made = 0
        self.app = self._emulator.app
        self.running = self._emulator.running

    def settings(self, url: str, gateway_url: str) -> Mapping[str, str]:
        del gateway_url
        return {"api_url": url}

    def bot(self) -> Mapping[str, str]:
        self._made += 1
        self._token = self._emulator.new_bot(f"sandbox{'' if self._made == 1 else self._made}_bot")
        return {"bot_token": self._token}

    async def connected(self, hook_url: str) -> None:
        """The bot asks for updates itself."""

    def write(self, person: str, text: str) -> None:
        self._emulator.say(self._token, self._person(person), text)

    def lines(self, person: str) -> Sequence[Line]:
        who = self._person(person)
        return [
            Line(
                "" if message["from"]["is_bot"] else person,
                message.get("text") or message.get("caption") or "",
                tuple(str(message[kind].get("file_name")) for kind in _KINDS if kind in message)
                + (("photo.jpg",) if "photo" in message else ()),
            )
            for message in self._emulator.messages(self._token, who.id)
        ]

    def _person(self, name: str) -> Person:
        if name not in self._people:
            self._people[name] = self._emulator.person(name)
        return self._people[name]


def stage() -> Stage:
    return TelegramStage()
