"""Slack on the stage of `chamade sandbox`."""

from collections.abc import Mapping, Sequence

from chamade_mcp.connectors.slack.emulated_world import Person
from chamade_mcp.connectors.slack.emulator import SlackEmulator
from chamade_mcp.connectors.slack.text import plain
from chamade_mcp.kit.sandbox import Line, Stage


class SlackStage:
    def __init__(self) -> None:
        self._emulator = SlackEmulator()
        self._people: dict[str, Person] = {}
        self._own = ""
        self._everybodys = self._emulator.publish("Chamade")
        self._gateway_url = ""
        self._person("Ann")
        self.app = self._emulator.app
        self.running = self._emulator.running

    def settings(self, url: str, gateway_url: str) -> Mapping[str, str]:
        app, self._gateway_url = self._everybodys, gateway_url
        app.redirect_urls = (f"{gateway_url}/connect/slack/callback",)
        secrets = {"client_secret": app.client_secret, "signing_secret": app.signing_secret}
        return {"api_url": f"{url}/api", "client_id": app.client_id, **secrets}

    def bot(self) -> Mapping[str, str]:
        """Over Socket Mode, as on a laptop."""
        self._own = self._emulator.new_app("sandbox")
        app = self._emulator.bot(self._own).app
        secrets = {"slack_signing_secret": app.signing_secret, "app_token": app.app_token}
        return {"bot_token": self._own, **secrets}

    async def connected(self, hook_url: str) -> None:
        """It hears by then; the app for everybody is told where."""
        await self._emulator.listen(self._everybodys, f"{self._gateway_url}/api/slack/webhook")

    def write(self, person: str, text: str) -> None:
        self._emulator.say(self._token, self._person(person), text)

    def lines(self, person: str) -> Sequence[Line]:
        return [
            Line(
                "" if "bot_id" in message else person,
                plain(message["text"], {}),
                tuple(str(file["name"]) for file in message.get("files", ())),
            )
            for message in self._emulator.messages(self._emulator.direct(self._token, self._person(person)))
        ]

    @property
    def _token(self) -> str:
        """Of the app that was installed last, else of the owner's own."""
        return (self._emulator.installed(self._everybodys) or [self._own])[-1]

    def _person(self, name: str) -> Person:
        if name not in self._people:
            self._people[name] = self._emulator.person(name)
        return self._people[name]


def stage() -> Stage:
    return SlackStage()
