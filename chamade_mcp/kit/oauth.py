"""What a connector offers where people connect it by agreeing at the platform: OAuth 2, with a code.

The core makes the state and keeps it, the connector knows the platform's addresses and words.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast, runtime_checkable

import httpx2

from chamade_mcp.kit.connection import HandedOver
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.http import repeatable, retry_after, unreachable
from chamade_mcp.model.ids import ConversationRef
from chamade_mcp.model.messages import Sender

BY_OAUTH: Final = "oauth"
"""Among a bot's settings it says that the bot came by this way: its link is told what `oauth.needs` names."""
_TOO_MANY: Final = 429
_BUSY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Asking:
    """One person's way to the platform and back."""

    state: str
    """43 URL-safe characters."""
    redirect_uri: str
    """Where the platform sends the browser back to; it has to know the address before, to the letter."""
    verifier: str = field(repr=False)
    """Of PKCE, for a platform that was given the `challenge`."""

    @property
    def challenge(self) -> str:
        """By the method S256."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Agreed:
    """What somebody's agreeing has brought."""

    person: Sender
    """Who has agreed; by that they are paired with the agent."""
    conversation: ConversationRef | None = None
    """Where they are alone with the bot, if that is known."""
    bot: HandedOver | None = None
    """A bot for this agent alone. None: it is the gateway's shared one that the person writes to."""


@runtime_checkable
class SignsIn(Protocol):
    """A connector whose manifest has `oauth`. `settings` are those of who runs the gateway."""

    def authorize_url(self, settings: Mapping[str, str], asking: Asking) -> str:
        """Where the person's browser goes to be asked."""
        ...

    async def exchange(self, settings: Mapping[str, str], asking: Asking, code: str) -> Agreed:
        """There are 20 seconds, and a code works once.

        Raises `AuthNeeded` when the platform refuses it or the app's own credentials, `PlatformRefused` when
        what it gives is of no use, both in words for who runs the gateway, and `PlatformUnavailable`.
        """
        ...


async def fetch_token(
    http: httpx2.AsyncClient, title: str, url: str, form: Mapping[str, str], client: tuple[str, str]
) -> Mapping[str, Any]:
    """The answer of a token endpoint (RFC 6749, 4.1.3 and 5): `form` is what it is asked beside the
    `client`, its id and secret. Raises `AuthNeeded` with the platform's words, and `PlatformUnavailable`.
    """
    with repeatable(), unreachable(title):
        answer = await http.post(url, data=dict(form), auth=client, headers={"accept": "application/json"})
    try:
        told: Any = answer.json()
    except ValueError:
        told = None
    status = answer.status_code
    if not isinstance(told, dict) or status == _TOO_MANY or answer.is_server_error:
        wait = retry_after(answer.headers, _BUSY_S)
        raise PlatformUnavailable(f"{title} answers with status {status}", retry_after=wait)
    found = cast("dict[str, Any]", told)
    if answer.is_error or "error" in found or not isinstance(found.get("access_token"), str):
        words = (found.get("error"), found.get("error_description"))
        raise AuthNeeded(": ".join(str(word) for word in words if word) or f"status {status}")
    return found
