"""Bots that people bring, and the agent's connections (CONTRACT sections 1.5, 6.3 and 6.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, LiteralString

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Body, PlatformName, Secret, Setting, Wire
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Group, Operation
from chamade_mcp.api.routing import PATH_IDS
from chamade_mcp.core.connections import Connections
from chamade_mcp.core.overview import Overview
from chamade_mcp.model.access import Permission
from chamade_mcp.model.connections import Access, ConnectionKind
from chamade_mcp.model.errors import NotFound

_BESIDE: Final[Mapping[LiteralString, LiteralString]] = {
    "discord": "discord_app_id",
    "slack": "slack_signing_secret",
}
"""What these two may have beside the token, and must have there or among the settings."""


def _rule(platform: str, name: str) -> JsonDict:
    beside: JsonDict = {"required": [name], "properties": {name: {"type": "string"}}}
    among: JsonDict = {"required": ["settings"], "properties": {"settings": {"required": [name]}}}
    return {"if": {"properties": {"platform": {"const": platform}}}, "then": {"anyOf": [beside, among]}}


_BOT_RULES: JsonDict = {"allOf": [_rule(platform, name) for platform, name in _BESIDE.items()]}

_AccessField = Annotated[
    Access,
    Field(
        description="Who may write to the agent: `open` anybody; `allowlist` people who are paired;"
        " `pairing` the same, and a stranger gets a code that the owner can approve",
        strict=False,
    ),
]


class _Credentials(Body):
    discord_app_id: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[0-9]{15,22}$")] | None, Field(description="Discord only")
    ] = None
    slack_signing_secret: Annotated[Secret | None, Field(description="Slack only")] = None
    settings: Annotated[
        dict[str, Setting],
        Field(max_length=20, description="What else a bot takes, by name: `GET /api/platforms/{platform}`"),
    ] = Field(default_factory=dict[str, str])

    def credentials(self, bot_token: str | None) -> dict[str, str]:
        named = {
            "bot_token": bot_token,
            "discord_app_id": self.discord_app_id,
            "slack_signing_secret": self.slack_signing_secret,
        }
        return {**self.settings, **{name: value for name, value in named.items() if value is not None}}


class BotBody(_Credentials):
    model_config = ConfigDict(json_schema_extra=_BOT_RULES)

    platform: PlatformName
    bot_token: Secret
    access: _AccessField = Access.PAIRING

    @model_validator(mode="after")
    def _complete(self) -> "BotBody":
        for platform, name in _BESIDE.items():
            if self.platform == platform and name not in self.credentials(None):
                raise PydanticCustomError(f"field:{name}", f"is required for {platform}")
        return self


class ConnectionChangeBody(_Credentials):
    """New credentials of the same bot, or who may write to it."""

    bot_token: Secret | None = None
    access: _AccessField | None = None


class ConnectionWire(Wire):
    id: str
    platform: str
    kind: Annotated[str, Field(description="`own`, or `shared` for people on the gateway's shared bot")]
    name: Annotated[str, Field(description="The bot, as its platform calls it")]
    status: Annotated[str, Field(description="`connecting`, `ok`, `unavailable` or `auth_needed`")]
    detail: Annotated[str | None, Field(description="The platform's words when it is not `ok`")]
    access: Access
    embedded: bool
    by_oauth: Annotated[bool, Field(description="By `POST /api/oauth/start/{provider}`, which renews it")]
    created_at: str


class WaitingWire(ConnectionWire):
    waiting: Annotated[int, Field(description="Messages that have not gone out over it yet")]


class ConnectionsWire(Wire):
    connections: list[WaitingWire]


class BotsWire(Wire):
    bot_tokens: list[ConnectionWire]


class TestWire(Wire):
    status: str
    name: str
    sent: Annotated[bool, Field(description="A message went to the agent's operator, who uses this bot")]


@dataclass(frozen=True, slots=True)
class ConnectionGroup:
    connections: Connections
    overview: Overview

    async def every(self, asked: Asked[None, None]) -> Answer:
        return {"connections": await self.overview.connections(asked.principal)}

    async def bots(self, asked: Asked[None, None]) -> Answer:
        mine = self.connections.list(asked.principal.scope)
        return {"bot_tokens": [c.to_wire() for c in mine if c.kind is ConnectionKind.OWN]}

    async def add_bot(self, asked: Asked[BotBody, None]) -> Answer:
        body = asked.body
        made = await self.connections.register(
            asked.principal, body.platform, body.credentials(body.bot_token), body.access
        )
        return made.to_wire()

    async def remove_bot(self, asked: Asked[None, None]) -> Answer:
        try:
            await self.connections.remove(asked.principal, asked.ids["bot_id"])
        except NotFound:
            raise PATH_IDS["bot_id"]() from None
        return {"status": "ok"}

    async def get(self, asked: Asked[None, None]) -> Answer:
        return self.connections.get(asked.principal.bounds, asked.ids["connection_id"]).to_wire()

    async def change(self, asked: Asked[ConnectionChangeBody, None]) -> Answer:
        body = asked.body
        changed = await self.connections.change(
            asked.principal,
            asked.ids["connection_id"],
            access=body.access,
            settings=body.credentials(body.bot_token),
        )
        return changed.to_wire()

    async def disconnect(self, asked: Asked[None, None]) -> Answer:
        await self.connections.remove(asked.principal, asked.ids["connection_id"])
        return {"status": "ok"}

    async def test(self, asked: Asked[None, None]) -> Answer:
        return await self.connections.test(asked.principal, asked.ids["connection_id"])

    def group(self) -> Group:
        return Group(
            "Connections",
            "The agent's ties to platforms: bots of its own, and what the shared bot carries for it.",
            (*self._bots(), *self._connections()),
        )

    def _bots(self) -> tuple[AnyOperation, ...]:
        manage = Permission.MANAGE
        return (
            Operation(
                "GET", "/api/bot-tokens", "List the agent's own bots", self.bots, manage, reply=BotsWire
            ),
            Operation(
                "POST",
                "/api/bot-tokens",
                "Register a bot",
                self.add_bot,
                manage,
                body=BotBody,
                reply=ConnectionWire,
                errors={
                    400: ("INVALID_SETTINGS", "CREDENTIALS_REFUSED"),
                    403: ("EMAIL_NOT_VERIFIED",),
                    409: ("BOT_ALREADY_CONNECTED",),
                    429: ("RATE_LIMITED", "CONNECTION_LIMIT_REACHED"),
                    501: ("NOT_AVAILABLE",),
                    503: ("UNAVAILABLE",),
                },
                notes="The credentials are tried at the platform before they are kept, sealed; they are never"
                " told again.",
            ),
            Operation(
                "DELETE",
                "/api/bot-tokens/{bot_id}",
                "Remove a bot",
                self.remove_bot,
                manage,
                reply=OkWire,
                errors={409: ("EMBEDDED_PLATFORM",)},
            ),
        )

    def _connections(self) -> tuple[AnyOperation, ...]:
        manage, path = Permission.MANAGE, "/api/connections/{connection_id}"
        embedded = {409: ("EMBEDDED_PLATFORM",)}
        asking = {
            400: ("INVALID_SETTINGS", "CREDENTIALS_REFUSED"),
            429: ("RATE_LIMITED",),
            501: ("NOT_AVAILABLE",),
            503: ("UNAVAILABLE", "RECONNECT_NEEDED"),
        }
        return (
            Operation(
                "GET",
                "/api/connections",
                "The agent's connections, and what waits in them",
                self.every,
                manage,
                reply=ConnectionsWire,
                notes="Not those to platforms that are part of the gateway.",
            ),
            Operation("GET", path, "One connection", self.get, manage, reply=ConnectionWire, errors=embedded),
            Operation(
                "PATCH",
                path,
                "Change a connection",
                self.change,
                manage,
                body=ConnectionChangeBody,
                reply=ConnectionWire,
                errors={**asking, 409: ("EMBEDDED_PLATFORM", "OTHER_BOT", "BOT_ALREADY_CONNECTED")},
                notes="New credentials must be of the same bot; its link is opened anew with them. Settings"
                " that are not named stay.",
            ),
            Operation(
                "DELETE",
                path,
                "Disconnect a platform",
                self.disconnect,
                manage,
                reply=OkWire,
                errors=embedded,
                notes="Its conversations stay to be read; nobody can be written to in them any more.",
            ),
            Operation(
                "POST",
                f"{path}/test",
                "Test a connection",
                self.test,
                manage,
                reply=TestWire,
                errors={**asking, **embedded, 502: ("SEND_FAILED",)},
                notes="Asks the platform who the bot is, and sends a message to the agent's operator when"
                " they use it. A refusal carries the platform's own words.",
            ),
        )
