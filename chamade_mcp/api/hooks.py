"""Where platforms call the gateway. Each request is verified by its platform's own rule, on the raw body."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from chamade_mcp.api.body import read_body
from chamade_mcp.api.fields import Wire
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Group, Method, Operation
from chamade_mcp.core.hooks import Hooks
from chamade_mcp.kit.connection import Hook

CAP_BYTES: Final = 4 << 20
"""Above the largest that any platform sends (3 MB)."""
_MOST_PARAMETERS: Final = 50
_NO_PARAMETERS: Final[Mapping[str, str]] = {}

ADDRESSES: Final[Mapping[str, tuple[str, str]]] = {
    "/api/slack/webhook": ("slack", "Slack's events"),
    "/api/nctalk/callback": ("nctalk", "Nextcloud Talk hands a bot over"),
    "/api/nctalk/chat": ("nctalk", "Nextcloud Talk: a message"),
    "/api/nctalk/probe": ("nctalk", "Nextcloud Talk: webhooks arrive"),
    "/api/nctalk/attendee-added": ("nctalk", "Nextcloud Talk: a bot is in a room"),
    "/api/nctalk/attendee-removed": ("nctalk", "Nextcloud Talk: a bot left a room"),
    "/api/nctalk/call-started": ("nctalk", "Nextcloud Talk: a call began"),
    "/api/nctalk/call-ended": ("nctalk", "Nextcloud Talk: a call is over"),
    "/api/nctalk/addon-disabled": ("nctalk", "Nextcloud Talk: the addon was turned off"),
    "/api/e2ee/heartbeat": ("nctalk", "Nextcloud Talk: the addon's encryption has changed"),
}
"""Those that platforms' own software has built in: the platform of each, and what comes there."""


@dataclass(frozen=True, slots=True)
class HookGroup:
    hooks: Hooks

    def common(self, asked: Asked[None, None]) -> Awaitable[Answer]:
        return self._deliver(asked, asked.ids["platform"], None)

    def own(self, asked: Asked[None, None]) -> Awaitable[Answer]:
        return self._deliver(asked, asked.ids["platform"], asked.ids["connection_id"])

    def fixed(self, asked: Asked[None, None]) -> Awaitable[Answer]:
        return self._deliver(asked, ADDRESSES[asked.scope["path"].rstrip("/")][0], None)

    def group(self) -> Group:
        return Group(
            "Webhooks of platforms",
            "Where platforms tell the gateway what people say. The platform's signature stands for a key.",
            (
                *self._at("/api/hooks/{platform}", "A platform's events", self.common),
                *self._at("/api/hooks/{platform}/{connection_id}", "The events of one bot", self.own),
                *(
                    self._operation("POST", path, summary, self.fixed)
                    for path, (_, summary) in ADDRESSES.items()
                ),
            ),
        )

    def _at(self, path: str, summary: str, handler: Any) -> tuple[AnyOperation, ...]:
        return (
            self._operation("GET", path, f"{summary}: is there anybody", handler),
            self._operation("POST", path, summary, handler),
        )

    @staticmethod
    def _operation(method: Method, path: str, summary: str, handler: Any) -> AnyOperation:
        return Operation(
            method,
            path,
            summary,
            handler,
            public=True,
            reply=Wire,
            errors={
                403: ("HOOK_REFUSED",),
                404: ("PLATFORM_NOT_FOUND", "CONNECTION_NOT_FOUND"),
                413: ("BODY_TOO_LARGE",),
                503: ("UNAVAILABLE", "RECONNECT_NEEDED"),
            },
            notes="Answered in the platform's own form, once what it says is stored.",
        )

    async def _deliver(self, asked: Asked[None, None], platform: str, connection: str | None) -> Answer:
        method: str = asked.scope["method"]
        body = b"" if method in ("GET", "HEAD") else await read_body(asked.receive, asked.headers, CAP_BYTES)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in asked.headers.items()}
        query = _parameters(asked.scope["query_string"])
        hook = Hook(method, asked.scope["path"], query, headers, body)
        return await self.hooks.deliver(platform, connection, hook)


def _parameters(query: bytes) -> Mapping[str, str]:
    if not query:
        return _NO_PARAMETERS
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return _NO_PARAMETERS
    return dict(pairs)
