"""Signing in at Discord: by that a person is tied to the gateway's bot, and adds it for themselves.

https://docs.discord.com/developers/topics/oauth2
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

import httpx2

from chamade_mcp.connectors.discord.client import TITLE
from chamade_mcp.connectors.discord.wire import Unreadable, User, read
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.http import Unanswered, unreachable
from chamade_mcp.kit.oauth import Asking, fetch_token
from chamade_mcp.model.errors import PlatformRefused

PERMISSIONS: Final = {
    "Add Reactions": 6,
    "View Channels": 10,
    "Send Messages": 11,
    "Attach Files": 15,
    "Read Message History": 16,
    "Connect": 20,
    "Speak": 21,
    "Send Messages in Threads": 38,
}
"""What a bot asks for when it is added to a server, by the number of the bit."""
_FOR_ONESELF: Final = 1
"""The bot is added for the person, who can then write to it without a server that both are on."""


def server_link(settings: Mapping[str, str]) -> str:
    asked = {
        "client_id": settings["app_id"],
        "scope": "bot applications.commands",
        "permissions": sum(1 << bit for bit in PERMISSIONS.values()),
    }
    return _page(settings, asked)


def authorize_url(settings: Mapping[str, str], asking: Asking) -> str:
    asked = {
        "response_type": "code",
        "client_id": settings["app_id"],
        "scope": "identify applications.commands",
        "integration_type": _FOR_ONESELF,
        "redirect_uri": asking.redirect_uri,
        "state": asking.state,
        "code_challenge": asking.challenge,
        "code_challenge_method": "S256",
    }
    return _page(settings, asked)


async def person_of(http: httpx2.AsyncClient, settings: Mapping[str, str], asking: Asking, code: str) -> User:
    """Who has agreed; their token is not kept. Raises as `fetch_token`, and `PlatformRefused`."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": asking.redirect_uri,
        "code_verifier": asking.verifier,
    }
    client = (settings["app_id"], settings["client_secret"])
    told = await fetch_token(http, TITLE, "/oauth2/token", form, client)
    if "identify" not in str(told.get("scope")).split():
        raise PlatformRefused("the person did not agree to tell who they are")
    try:
        with unreachable(TITLE):
            answer = await http.get("/users/@me", headers={"authorization": f"Bearer {told['access_token']}"})
        return read(User, answer.json())
    except (Unanswered, Unreadable, ValueError):
        raise PlatformUnavailable(f"{TITLE} does not tell who has agreed") from None


def _page(settings: Mapping[str, str], asked: Mapping[str, object]) -> str:
    """Beside the API, not below it."""
    parts = urlsplit(settings["api_url"])
    return f"{parts.scheme}://{parts.netloc}/oauth2/authorize?{urlencode(asked)}"
