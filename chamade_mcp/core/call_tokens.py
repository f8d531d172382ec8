"""Tokens that open one call's socket for a few minutes: for a page that shall not see an API key.

They are not stored: what they say is signed with the gateway's key. Calls do not outlive the process, so
what must be remembered of a token (that its holder was revoked) need not either.
"""

import base64
import binascii
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import Permission, Principal, Scope
from chamade_mcp.model.errors import Unauthenticated
from chamade_mcp.model.ids import AccountId, AgentId, CallId, GrantId, KeyId

PURPOSE = "call tokens"
PREFIX = "chmt_"
LIFE = timedelta(minutes=5)
_CARRIED = frozenset({Permission.CALL, Permission.MESSAGE})
_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class CallToken:
    value: str = field(repr=False)
    expires_at: datetime

    def to_wire(self) -> dict[str, object]:
        """The body of POST /api/call/{id}/token."""
        life_s = round(LIFE.total_seconds())
        return {"token": self.value, "expires_at": iso(self.expires_at), "expires_in": life_s}


class CallTokens:
    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock
        self._revoked: dict[str, datetime] = {}
        """Keys and grants that ended, until the last token of theirs has expired."""

    def issue(self, principal: Principal, call: CallId) -> CallToken:
        """Carries what `principal` may do in a call, and nothing else."""
        expires_at = self._clock.now() + LIFE
        claims = {
            "call": call,
            "account": principal.account,
            "agent": principal.scope.agent,
            "may": sorted(principal.permissions & _CARRIED),
            "verified": principal.email_verified,
            "key": principal.key,
            "grant": principal.grant,
            "browser": principal.browser,
            "until": expires_at.timestamp(),
        }
        body = _encode(json.dumps(claims, separators=(",", ":")).encode())
        return CallToken(f"{PREFIX}{body}.{self._sign(body)}", expires_at)

    def open(self, token: str, call: str) -> Principal:
        """Raises `Unauthenticated` for one that is wrong, expired, revoked or for another call, all alike."""
        claims = self._claims(token)
        if claims is None or claims["call"] != call or self._clock.now() >= _moment(claims["until"]):
            raise _refused()
        principal = Principal(
            Scope(AccountId(claims["account"]), AgentId(claims["agent"])),
            frozenset(Permission(word) for word in claims["may"]),
            claims["verified"],
            key=None if claims["key"] is None else KeyId(claims["key"]),
            grant=None if claims["grant"] is None else GrantId(claims["grant"]),
            browser=claims["browser"],
        )
        if self._revoked.keys() & {principal.key, principal.grant}:
            raise _refused()
        return principal

    def revoke(self, holder: KeyId | GrantId) -> None:
        """What this key or grant was given is void from now on."""
        now = self._clock.now()
        self._revoked = {one: until for one, until in self._revoked.items() if until > now}
        self._revoked[holder] = now + LIFE

    def _claims(self, token: str) -> dict[str, Any] | None:
        """What a token of ours says; whoever has the key wrote it, so its shape is right."""
        body, _, signature = token[:_LONGEST].removeprefix(PREFIX).partition(".")
        if not token.startswith(PREFIX) or not token.isascii():
            return None
        if not hmac.compare_digest(signature, self._sign(body)):
            return None
        try:
            return cast(dict[str, Any], json.loads(_decode(body)))
        except (binascii.Error, ValueError):
            return None

    def _sign(self, body: str) -> str:
        return _encode(hmac.digest(self._key, body.encode(), "sha256"))


def _refused() -> Unauthenticated:
    return Unauthenticated("The token is wrong, expired or for another call", code="AUTH_FAILED")


def _moment(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
