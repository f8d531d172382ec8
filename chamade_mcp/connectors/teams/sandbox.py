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
        self._own = ""
        self._everybodys = self._emulator.new_bot("Chamade")
        self._person("Ann")
        self.app = self._emulator.app
        self.running = self._emulator.running

    def settings(self, url: str, gateway_url: str) -> Mapping[str, str]:
        self._emulator.at(url)
        self._emulator.login.redirect_uris.add(f"{gateway_url}/connect/teams/callback")
        self._emulator.set_endpoint(self._everybodys, f"{gateway_url}/api/hooks/teams")
        places = {"api_url": f"{url}/teams", "login_url": url}
        return {**places, "files_enable": "true", **self._credentials(self._everybodys)}

    def bot(self) -> Mapping[str, str]:
        self._own = self._emulator.new_bot()
        return self._credentials(self._own)

    async def connected(self, hook_url: str) -> None:
        self._emulator.set_endpoint(self._own, hook_url)

    def write(self, person: str, text: str) -> None:
        who = self._person(person)
        self._emulator.write(self._bot(who), who, text)

    def lines(self, person: str) -> Sequence[Line]:
        who = self._person(person)
        chat = self._emulator.direct(self._bot(who), who)
        return [_line(one) for one in chat.log if not one.get("gone")]

    def _credentials(self, app_id: str) -> dict[str, str]:
        bot = self._emulator.bot(app_id)
        return {"bot_token": bot.secret, "app_id": app_id, "tenant_id": TENANT, "bot_name": bot.name}

    def _bot(self, person: Person) -> str:
        """Whoever has signed in writes to the bot for everybody."""
        return self._everybodys if person.aad in self._emulator.login.known else self._own

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
