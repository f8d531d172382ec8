"""Discord on the stage of `chamade sandbox`."""

from collections.abc import Mapping, Sequence

from chamade_mcp.connectors.discord.emulated_world import Person
from chamade_mcp.connectors.discord.emulator import DiscordEmulator
from chamade_mcp.kit.sandbox import Line, Stage


class DiscordStage:
    def __init__(self) -> None:
        self._emulator = DiscordEmulator()
        self._people: dict[str, Person] = {}
        self._token = self._emulator.new_bot("sandbox")
        self._server = self._emulator.new_guild(self._token, "Sandbox")
        self.app = self._emulator.app
        self.running = self._emulator.running

    def settings(self, url: str) -> Mapping[str, str]:
        return {"api_url": f"{url}/api/v10"}

    def bot(self) -> Mapping[str, str]:
        return {"bot_token": self._token, "discord_app_id": self._emulator.bot(self._token).app_id}

    async def connected(self, hook_url: str) -> None:
        """It hears by then."""

    def write(self, person: str, text: str) -> None:
        who = self._person(person)
        self._emulator.say(who, self._emulator.direct(self._token, who), text)

    def lines(self, person: str) -> Sequence[Line]:
        bot = self._emulator.bot(self._token).id
        return [
            Line(
                "" if message["author"]["id"] == bot else person,
                message["content"],
                tuple(str(file["filename"]) for file in message["attachments"]),
            )
            for message in self._emulator.messages(self._emulator.direct(self._token, self._person(person)))
        ]

    def _person(self, name: str) -> Person:
        """Somebody on the bot's server: Discord lets nobody else be written to."""
        if name not in self._people:
            self._people[name] = self._emulator.person(name)
            self._server.members[self._people[name].id] = None
        return self._people[name]


def stage() -> Stage:
    return DiscordStage()
