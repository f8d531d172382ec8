"""Tokens that end after twelve hours, where an app has token rotation on: another is asked for in time.

https://docs.slack.dev/authentication/using-token-rotation
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from chamade_mcp.connectors.slack.client import PASSING, TITLE
from chamade_mcp.kit.connector import AuthNeeded, Context, PlatformUnavailable
from chamade_mcp.kit.http import platform_client
from chamade_mcp.kit.oauth import fetch_token

log = logging.getLogger(__name__)

_LIFE_S: Final = 43_200.0
_LEAD_S: Final = 7200.0
"""So long before its end a token is replaced: there is time to try again."""
_AGAIN_S: Final = 60.0


def kept(told: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """The settings that an answer of ``oauth.v2.access`` makes."""
    settings = {"bot_token": str(told["access_token"])}
    if not told.get("refresh_token"):
        return settings
    life_s = float(told.get("expires_in") or _LIFE_S)
    renew_at = now + timedelta(seconds=life_s - min(_LEAD_S, life_s / 2))
    return {**settings, "refresh_token": str(told["refresh_token"]), "renew_at": renew_at.isoformat()}


def due_s(ctx: Context) -> float | None:
    """How long until the token has to be replaced; None for one that has no end."""
    renew_at = ctx.settings.get("renew_at")
    if not renew_at:
        return None
    return max(0.0, (datetime.fromisoformat(renew_at) - ctx.clock.now()).total_seconds())


async def renew(ctx: Context) -> None:
    """Asks for another token, and leaves it with the gateway, which opens the link anew with it.

    Raises `AuthNeeded` when Slack has none for us any more, and `PlatformUnavailable`.
    """
    assert ctx.connection is not None, "it came by somebody's agreeing"
    settings = ctx.settings
    form = {"grant_type": "refresh_token", "refresh_token": settings["refresh_token"]}
    client = (settings["client_id"], settings["client_secret"])
    async with platform_client(settings["api_url"]) as http:
        try:
            told = await fetch_token(http, TITLE, "/oauth.v2.access", form, client)
        except AuthNeeded as error:
            if str(error).partition(":")[0] in PASSING:
                raise PlatformUnavailable(f"{TITLE} gives no token at the moment: {error}") from None
            raise
    # Slack has forgotten the old refresh token by now: nothing may come between this and keeping the new one.
    await ctx.connection.renew(kept(told, ctx.clock.now()))


async def in_time(ctx: Context) -> None:
    """Beside a link: replaces its token when it is time to."""
    left_s = due_s(ctx)
    while left_s is not None:
        await ctx.clock.sleep(left_s)
        try:
            await renew(ctx)
            return
        except PlatformUnavailable as error:
            log.warning("a token of Slack's could not be renewed yet: %s", error)
            left_s = _AGAIN_S
