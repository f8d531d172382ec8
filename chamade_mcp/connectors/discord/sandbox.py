"""Discord on the stage of `chamade sandbox`."""

from collections.abc import Mapping, Sequence

from chamade_mcp.connectors.discord.emulated_world import Person
from chamade_mcp.connectors.discord.emulator import DiscordEmulator
from chamade_mcp.kit.sandbox import Line, Stage


class DiscordStage:
    def __init__(self) -> None:
        self._emulator = DiscordEmulator()
        self._people: dict[str, Person] = {}
        self._own = ""
        self._everybodys = self._emulator.new_bot("chamade", content=False)
        self._server = self._emulator.new_guild(self._everybodys, "Chamade")
        self._person("Ann")
        self.app = self._emulator.app
        self.running = self._emulator.running

    def settings(self, url: str, gateway_url: str) -> Mapping[str, str]:
        token = self._everybodys
        secret = self._emulator.publish(token, f"{gateway_url}/connect/discord/callback")
        app = {"app_id": self._emulator.bot(token).app_id, "client_secret": secret}
        return {"api_url": f"{url}/api/v10", "bot_token": token, **app}

    def bot(self) -> Mapping[str, str]:
        self._own = self._emulator.new_bot("sandbox")
        self._server = self._emulator.new_guild(self._own, "Sandbox", *self._people.values())
        return {"bot_token": self._own, "discord_app_id": self._emulator.bot(self._own).app_id}

    async def connected(self, hook_url: str) -> None:
        """It hears by then."""

    def write(self, person: str, text: str) -> None:
        who = self._person(person)
        self._emulator.say(who, self._emulator.direct(self._token(who), who), text)

    def lines(self, person: str) -> Sequence[Line]:
        who = self._person(person)
        token = self._token(who)
        bot = self._emulator.bot(token).id
        return [
            Line(
                "" if message["author"]["id"] == bot else person,
                message["content"],
                tuple(str(file["filename"]) for file in message["attachments"]),
            )
            for message in self._emulator.messages(self._emulator.direct(token, who))
        ]

    def _token(self, person: Person) -> str:
        """Whoever has agreed writes to the bot for everybody."""
        agreed = person.id in self._emulator.bot(self._everybodys).added_by
        return self._everybodys if agreed else self._own

    def _person(self, name: str) -> Person:
        """Somebody on the bot's server: Discord lets nobody else be written to."""
        if name not in self._people:
            self._people[name] = self._emulator.person(name)
            self._server.members[self._people[name].id] = None
        return self._people[name]


def stage() -> Stage:
    return DiscordStage()
