"""Who comes in by a call WebSocket: by a key or a session in the handshake, or by a token told first."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from starlette.types import Receive, Scope

from chamade_mcp.api.access import Gate
from chamade_mcp.api.socket_door import Refused, admit, last_of, shows_credentials
from chamade_mcp.core.calls import CallService
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.waiting import race
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.errors import Unauthenticated

AUTH_TIMEOUT = 4001
INVALID_AUTH = 4002
AUTH_FAILED = 4003

FIRST_MESSAGE_S = 10.0
_LONGEST_FIRST = 10_000


class Gone(Exception):
    """The peer has gone before it said who it is."""


@dataclass(frozen=True, slots=True)
class Entry:
    principal: Principal
    last_seq: object
    """As it was given; None: not at all."""
    by_token: bool


@dataclass(frozen=True, slots=True)
class Entrance:
    calls: CallService
    gate: Gate
    clock: Clock

    async def admit(self, scope: Scope, receive: Receive, call: str) -> Entry:
        """After the handshake. Raises `Refused` or `Gone`."""
        last_seq = last_of(scope, "last_seq")
        if shows_credentials(self.gate, scope):
            return Entry(await admit(self.gate, scope, Permission.CALL), last_seq, by_token=False)
        first = await self._first_message(receive)
        return Entry(self._by_token(first, call), first.get("last_seq", last_seq), by_token=True)

    def _by_token(self, first: Mapping[str, object], call: str) -> Principal:
        token = first.get("token")
        if not isinstance(token, str):
            raise Refused(INVALID_AUTH, 'The first message must be {"token": "..."}', "INVALID_AUTH")
        try:
            return self.calls.authenticate(token, call)
        except Unauthenticated as error:
            raise Refused(AUTH_FAILED, error.detail, error.code) from None

    async def _first_message(self, receive: Receive) -> Mapping[str, object]:
        told, _ = await race(receive(), self.clock.sleep(FIRST_MESSAGE_S))
        if told.cancelled():
            raise Refused(
                AUTH_TIMEOUT, f"No token within {FIRST_MESSAGE_S:.0f} seconds of connecting", "AUTH_TIMEOUT"
            )
        message = told.result()
        if message["type"] == "websocket.disconnect":
            raise Gone
        text = message.get("text")
        try:
            document: object = json.loads(text) if text and len(text) <= _LONGEST_FIRST else None
        except (ValueError, RecursionError):
            document = None
        return cast(dict[str, object], document) if isinstance(document, dict) else {}
