"""The gateway's own Slack app, installed by whoever wants it.

https://docs.slack.dev/authentication/installing-with-oauth
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import httpx2

from chamade_mcp.connectors.slack.client import TITLE, WebApi
from chamade_mcp.connectors.slack.rotation import kept
from chamade_mcp.connectors.slack.wire import members
from chamade_mcp.kit.connection import HandedOver
from chamade_mcp.kit.oauth import Agreed, Asking, fetch_token
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.ids import ConversationRef
from chamade_mcp.model.messages import Sender

SCOPES: Final = (
    "chat:write", "im:history", "im:read", "im:write", "mpim:history", "mpim:read", "channels:history",
    "channels:read", "groups:history", "groups:read", "users:read", "files:read", "files:write",
    "reactions:read", "reactions:write", "app_mentions:read",
)  # fmt: skip


def authorize_url(settings: Mapping[str, str], asking: Asking) -> str:
    about = {
        "client_id": settings["client_id"],
        "scope": ",".join(SCOPES),
        "redirect_uri": asking.redirect_uri,
        "state": asking.state,
    }
    return f"{settings['api_url'].removesuffix('/api')}/oauth/v2/authorize?{urlencode(about)}"


async def token_of(
    http: httpx2.AsyncClient, settings: Mapping[str, str], asking: Asking, code: str
) -> Mapping[str, Any]:
    """Of the app in a workspace. Raises as `fetch_token`, and `PlatformRefused`."""
    client = (settings["client_id"], settings["client_secret"])
    form = {"code": code, "redirect_uri": asking.redirect_uri}
    told = await fetch_token(http, TITLE, "/oauth.v2.access", form, client)
    if told.get("is_enterprise_install"):
        raise PlatformRefused("the app was installed for a whole organisation, not in a workspace")
    missing = set(SCOPES) - set(str(told.get("scope")).split(","))
    if missing:
        raise PlatformRefused(f"the app was not given {', '.join(sorted(missing))}")
    return told


async def agreed(api: WebApi, told: Mapping[str, Any], now: datetime) -> Agreed:
    """Who installed the app, and their way to it."""
    me, user = await api.me(), str(members(told.get("authed_user")).get("id", ""))
    person = members((await api.call("users.info", {"user": user})).get("user"))
    direct = members((await api.call("conversations.open", {"users": user})).get("channel"))
    bot = HandedOver(kept(told, now), Identity(me.user, me.name, hook_ref=me.address))
    sender = Sender(user, str(person.get("real_name") or person.get("name") or user))
    return Agreed(sender, ConversationRef(str(direct["id"])) if direct.get("id") else None, bot)
