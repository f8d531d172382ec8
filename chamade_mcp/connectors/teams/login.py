"""The bot's own token, which Microsoft gives for its secret."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

import httpx2

from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.http import repeatable, retry_after, unreachable

_EARLY_S: Final = 300.0
"""Before it runs out, so that no request is under way with one that just has."""
_BUSY_S: Final = 5.0
_OURS: Final = frozenset({"invalid_client", "unauthorized_client", "invalid_request", "invalid_grant"})
"""What only other credentials mend."""


class Login:
    def __init__(self, http: httpx2.AsyncClient, settings: Mapping[str, str], clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._url = f"{settings['login_url'].rstrip('/')}/{settings['tenant_id']}/oauth2/v2.0/token"
        self._form = {
            "grant_type": "client_credentials",
            "client_id": settings["app_id"],
            "client_secret": settings["bot_token"],
            "scope": f"{settings['issuer'].rstrip('/')}/.default",
        }
        self._token = ""
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def token(self, refused: str = "") -> str:
        """One that is good for a while; another than `refused`, which was taken for none.

        Raises `AuthNeeded` in Microsoft's words, or `PlatformUnavailable`.
        """
        async with self._asking:
            if not self._token or self._token == refused or self._clock.monotonic() >= self._until:
                self._token, life_s = await self._ask()
                self._until = self._clock.monotonic() + max(life_s - _EARLY_S, life_s / 2)
            return self._token

    async def _ask(self) -> tuple[str, float]:
        with repeatable(), unreachable("Microsoft's login"):
            answer = await self._http.post(self._url, data=self._form)
        try:
            raw: object = answer.json()
        except ValueError:
            raw = None
        told = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
        token, life_s = told.get("access_token"), told.get("expires_in")
        if answer.is_success and isinstance(token, str) and token and token.isascii():
            return token, float(life_s) if isinstance(life_s, int) and life_s > 0 else _EARLY_S
        if told.get("error") in _OURS:
            # What follows is about the request: a trace, a time stamp.
            words = str(told.get("error_description") or told["error"]).splitlines()[0]
            raise AuthNeeded(words.split(" Trace ID:")[0][:300])
        raise PlatformUnavailable(
            f"Microsoft's login answers with status {answer.status_code}",
            retry_after=retry_after(answer.headers, _BUSY_S),
        )
