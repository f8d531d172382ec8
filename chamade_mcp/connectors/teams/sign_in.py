"""A person says to Microsoft who they are: then the bot for everybody knows whose agent they write to.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urlencode

import httpx2

from chamade_mcp.kit.oauth import Agreed, Asking, fetch_token
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.messages import Sender

_TITLE: Final = "Microsoft's login"
_SCOPE: Final = "openid profile"
_EVERY_BOT: Final = "botframework.com"
_EVERYBODY: Final = "organizations"


def authorize_url(settings: Mapping[str, str], asking: Asking) -> str:
    about = {
        "client_id": settings["app_id"],
        "response_type": "code",
        "response_mode": "query",
        "redirect_uri": asking.redirect_uri,
        "scope": _SCOPE,
        "state": asking.state,
        "code_challenge": asking.challenge,
        "code_challenge_method": "S256",
        "prompt": "select_account",
    }
    return f"{_base(settings)}/authorize?{urlencode(about)}"


async def exchange(
    http: httpx2.AsyncClient,
    settings: Mapping[str, str],
    asking: Asking,
    code: str,
    tenants: frozenset[str],
) -> Agreed:
    """Raises as `fetch_token`, and `PlatformRefused` for somebody of an organisation that is not let in."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": asking.redirect_uri,
        "code_verifier": asking.verifier,
        "scope": _SCOPE,
    }
    client = (settings["app_id"], settings["bot_token"])
    told = await fetch_token(http, _TITLE, f"{_base(settings)}/token", form, client)
    # Microsoft itself has just said it, over TLS: a signature would add nothing (OpenID Connect, 3.1.3.7).
    claims = _claims(told.get("id_token"))
    person, tenant = str(claims.get("oid", "")).lower(), str(claims.get("tid", "")).lower()
    if claims.get("aud") != settings["app_id"] or not person:
        raise PlatformRefused("Microsoft does not say who has signed in")
    if tenants and tenant not in tenants:
        raise PlatformRefused("whoever signed in is of an organisation that this bot is not for")
    return Agreed(Sender(person, str(claims.get("name") or claims.get("preferred_username") or person)))


def _base(settings: Mapping[str, str]) -> str:
    tenant = settings["tenant_id"]
    tenant = _EVERYBODY if tenant == _EVERY_BOT else tenant
    return f"{settings['login_url'].rstrip('/')}/{tenant}/oauth2/v2.0"


def _claims(token: object) -> dict[str, Any]:
    try:
        raw = str(token).split(".")[1]
        told: object = json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    except (ValueError, IndexError):
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}
