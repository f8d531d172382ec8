"""Whether an activity is from Teams: the token that comes with it, checked with Microsoft's published keys.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication
"""

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connection import HookRefused
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.http import Unanswered, unreachable
from chamade_mcp.kit.recent import Recent

log = logging.getLogger(__name__)

METADATA_PATH: Final = "/v1/.well-known/openidconfiguration"
_LEEWAY_S: Final = 300
_FRESH_S: Final = 24 * 3600.0
_PAUSE_S: Final = 60.0
"""Between two looks for a key that nobody knows: who sends rubbish must not make us ask each time."""
_DOWN_S: Final = 1.0
_LONGEST: Final = 8192
_REMEMBERED: Final = 100
"""Tokens of a bot whose signature was found right: Microsoft signs with one for an hour."""


@dataclass(frozen=True, slots=True)
class Key:
    rsa: RSAKey
    endorsements: frozenset[str]
    """The channels it may speak for."""


class Keys:
    """Microsoft's, by their ids. They are kept for a day, and while they cannot be had anew."""

    def __init__(self, http: httpx2.AsyncClient, metadata_url: str, clock: Clock) -> None:
        self._http = http
        self._url = metadata_url
        self._clock = clock
        self._keys: Mapping[str, Key] = {}
        self._got_at = self._tried_at = float("-inf")
        self._getting = asyncio.Lock()

    async def get(self, kid: str) -> Key | None:
        """Raises `PlatformUnavailable` when there are no keys at all."""
        if kid not in self._keys or self._clock.monotonic() - self._got_at > _FRESH_S:
            await self._renew(kid)
        return self._keys.get(kid)

    async def _renew(self, kid: str) -> None:
        async with self._getting:
            now = self._clock.monotonic()
            if kid in self._keys and now - self._got_at <= _FRESH_S:
                return  # another request has just brought it
            if now - self._tried_at < (_PAUSE_S if self._keys else _DOWN_S):
                if self._keys:
                    return
                raise PlatformUnavailable("Microsoft's keys are not to be had")
            self._tried_at = now
            try:
                self._keys = await self._fetch()
            except (PlatformUnavailable, Unanswered) as error:
                if not self._keys:
                    raise PlatformUnavailable(str(error)) from None
                log.warning("Microsoft's keys cannot be had anew: %s", error)
                return
            self._got_at = now

    async def _fetch(self) -> dict[str, Key]:
        metadata = await self._document(self._url)
        keys = (await self._document(str(metadata.get("jwks_uri")))).get("keys")
        found = dict(filter(None, map(_key, cast("list[object]", keys)))) if isinstance(keys, list) else {}
        if not found:
            raise PlatformUnavailable("Microsoft publishes no keys")
        return found

    async def _document(self, url: str) -> dict[str, Any]:
        try:
            with unreachable("Microsoft"):
                answer = await self._http.get(url)
            told: object = answer.json() if answer.is_success else None
        except (ValueError, httpx2.InvalidURL, httpx2.UnsupportedProtocol):
            told = None
        if not isinstance(told, dict):
            raise PlatformUnavailable("Microsoft's keys are not to be had")
        return cast("dict[str, Any]", told)


@dataclass(frozen=True, slots=True)
class Vouched:
    """What Microsoft says of a request."""

    channels: frozenset[str]
    """Those that its key may speak for."""
    service_url: str
    """Where it is answered."""


@dataclass(frozen=True, slots=True)
class _Proved:
    """A token that was found to be Microsoft's, and for the bot: neither can change."""

    kid: str
    key: Key
    """The one that proved it: what is published anew, under the same name, has to prove it again."""
    ends: float
    vouched: Vouched


class Guard:
    """At the door of one bot."""

    def __init__(self, keys: Keys, app_id: str, issuer: str, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock.now().timestamp()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "values": [app_id, f"api://{app_id}", f"api://botid-{app_id}"]},
            exp={"essential": True},
        )
        self._known: Recent[str, _Proved] = Recent(_REMEMBERED)
        """To prove one takes longer than all else that is done for an activity."""

    async def admit(self, authorization: str) -> Vouched:
        """Raises `HookRefused` unless Microsoft says that it is for the bot; `PlatformUnavailable` when it
        cannot be asked for its keys."""
        token = bearer(authorization)
        known = self._known.get(token)
        kid = known.kid if known is not None else _part(token, 0).get("kid")
        key = await self._keys.get(kid) if isinstance(kid, str) else None
        if key is None or not isinstance(kid, str):
            raise HookRefused
        if known is None or known.key is not key:
            known = self._known[token] = self._prove(token, kid, key)
        if known.ends <= self._clock.now().timestamp() - _LEEWAY_S:
            raise HookRefused
        return known.vouched

    def _prove(self, token: str, kid: str, key: Key) -> _Proved:
        try:
            claims = jwt.decode(token, key.rsa, algorithms=["RS256"]).claims
            self._claims.validate(claims)
        except (JoseError, ValueError, TypeError, OverflowError):
            raise HookRefused from None
        told = claims.get("serviceurl")
        if not isinstance(told, str) or not told:
            raise HookRefused
        return _Proved(kid, key, claims["exp"], Vouched(key.endorsements, told.rstrip("/")))


def bearer(authorization: str) -> str:
    """Raises `HookRefused`."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST or not token.isascii():
        raise HookRefused
    return token


def audience(authorization: str) -> str:
    """The bot that a token says it is for: nothing of it is verified. Raises `HookRefused`."""
    return _audience(bearer(authorization))


@lru_cache(_REMEMBERED)
def _audience(token: str) -> str:
    told = _part(token, 1).get("aud")
    return told.removeprefix("api://").removeprefix("botid-").lower() if isinstance(told, str) else ""


def _part(token: str, number: int) -> dict[str, Any]:
    """The header or the claims. Raises `HookRefused`."""
    try:
        raw = token.split(".")[number]
        told: object = json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    except (ValueError, binascii.Error, IndexError, RecursionError):
        raise HookRefused from None
    if not isinstance(told, dict):
        raise HookRefused
    return cast("dict[str, Any]", told)


def _key(raw: object) -> tuple[str, Key] | None:
    """One that signs; None for anything else in the list."""
    if not isinstance(raw, dict):
        return None
    told = cast("dict[str, Any]", raw)
    kid, endorsed = told.get("kid"), told.get("endorsements")
    if not isinstance(kid, str) or told.get("kty") != "RSA":
        return None
    names = [str(one) for one in cast("list[object]", endorsed)] if isinstance(endorsed, list) else []
    try:
        rsa = RSAKey.import_key({name: str(told[name]) for name in ("kty", "n", "e")})
    except (JoseError, ValueError, KeyError):
        return None
    return kid, Key(rsa, frozenset(names))
