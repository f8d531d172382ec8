"""WhatsApp on the stage of `chamade sandbox`."""

from collections.abc import Mapping, Sequence
from typing import Any

from chamade_mcp.connectors.whatsapp.emulated_world import Person
from chamade_mcp.connectors.whatsapp.emulator import VERSION, WhatsAppEmulator
from chamade_mcp.kit.sandbox import Line, Stage


class WhatsAppStage:
    def __init__(self) -> None:
        self._emulator = WhatsAppEmulator()
        self._people: dict[str, Person] = {}
        self._number = ""
        self.app = self._emulator.app
        self.running = self._emulator.running

    def settings(self, url: str, gateway_url: str) -> Mapping[str, str]:
        del gateway_url
        return {"api_url": f"{url}/{VERSION}"}

    def bot(self) -> Mapping[str, str]:
        self._number = self._emulator.new_number()
        return {
            "bot_token": "EAAG-token",
            "phone_number_id": self._number,
            "app_secret": "app-secret",
            "verify_token": "sandbox",
        }

    async def connected(self, hook_url: str) -> None:
        await self._emulator.subscribe(self._number, hook_url, "sandbox")

    def write(self, person: str, text: str) -> None:
        self._emulator.write(self._number, self._person(person), text)

    def lines(self, person: str) -> Sequence[Line]:
        return [
            _line(message, "" if message["mine"] else person)
            for message in self._emulator.messages(self._number, self._person(person))
            if message["type"] != "reaction"
        ]

    def _person(self, name: str) -> Person:
        if name not in self._people:
            self._people[name] = self._emulator.person(name)
        return self._people[name]


def _line(message: Mapping[str, Any], author: str) -> Line:
    kind: str = message["type"]
    content: dict[str, Any] = message[kind]
    if kind == "template":
        return Line(author, f"[template {content['name']}]")
    text = content.get("body") or content.get("caption") or ""
    return Line(author, text, () if kind == "text" else (str(content.get("filename", kind)),))


def stage() -> Stage:
    return WhatsAppStage()
