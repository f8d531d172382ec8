"""Microsoft Teams on the stage of `chamade sandbox`."""

from collections.abc import Mapping, Sequence
from typing import Any

from chamade_mcp.connectors.teams.emulated_world import Person
from chamade_mcp.connectors.teams.emulator import TENANT, TeamsEmulator
from chamade_mcp.kit.sandbox import Line, Stage


class TeamsStage:
    def __init__(self) -> None:
        self._emulator = TeamsEmulator()
        self._people: dict[str, Person] = {}
        self._bot = self._emulator.new_bot()
        self.app = self._emulator.app
        self.running = self._emulator.running

    def settings(self, url: str) -> Mapping[str, str]:
        self._emulator.at(url)
        return {"api_url": f"{url}/teams", "login_url": url, "files_enable": "true"}

    def bot(self) -> Mapping[str, str]:
        bot = self._emulator.bot(self._bot)
        return {"bot_token": bot.secret, "app_id": bot.app_id, "tenant_id": TENANT, "bot_name": bot.name}

    async def connected(self, hook_url: str) -> None:
        self._emulator.set_endpoint(self._bot, hook_url)

    def write(self, person: str, text: str) -> None:
        self._emulator.write(self._bot, self._person(person), text)

    def lines(self, person: str) -> Sequence[Line]:
        chat = self._emulator.direct(self._bot, self._person(person))
        return [_line(one) for one in chat.log if not one.get("gone")]

    def _person(self, name: str) -> Person:
        if name not in self._people:
            self._people[name] = self._emulator.person(name)
        return self._people[name]


def _line(message: Mapping[str, Any]) -> Line:
    attachments: list[dict[str, Any]] = message.get("attachments") or []
    cards = [
        one["content"]["fallbackText"] for one in attachments if "fallbackText" in one.get("content", {})
    ]
    text = "\n".join([text for text in (message.get("text"), *cards) if text])
    files = tuple(str(one["name"]) for one in attachments if one.get("name"))
    return Line(message.get("author", ""), text, files)


def stage() -> Stage:
    return TeamsStage()
