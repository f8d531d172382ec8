"""Who is asking: an API key in a header, or the dashboard's session cookie from our own pages."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from starlette.responses import Response

from chamade_mcp.kit.credential import credential_in
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Action, Conflict, Forbidden
from chamade_mcp.model.limits import SESSION_LIFE

_SHOWN = b"x-chamade-agent"
_SAFE = frozenset({"GET", "HEAD"})

Headers = Mapping[bytes, bytes]


class Accounts(Protocol):
    """What is needed of the core; both raise `Unauthenticated`."""

    def authenticate(self, key: str | None) -> Awaitable[Principal]: ...

    def authenticate_session(self, token: str) -> Awaitable[Principal]: ...


@dataclass(frozen=True, slots=True)
class Gate:
    accounts: Accounts
    cookie: bytes
    """Name of the session cookie."""
    public_origin: str
    """``scheme://host[:port]`` as browsers see us."""

    async def admit(self, headers: Headers, method: str) -> Principal:
        """Raises `Unauthenticated`, `Forbidden` for a cookie that another site's page sent, `Conflict` for
        a page that shows another agent than its browser does by now."""
        key = credential_in(headers)
        if key is None:
            token = self.session_of(headers)
            if token is not None:
                if method not in _SAFE:
                    self.require_same_origin(headers)
                person = await self.accounts.authenticate_session(token)
                shown = headers.get(_SHOWN)
                if shown is not None and shown.decode("latin-1") != person.scope.agent:
                    raise Conflict(
                        "Another agent was chosen in this browser: reload the page",
                        code="OTHER_AGENT_CHOSEN",
                        action=Action.ASK_HUMAN,
                    )
                return person
        return await self.accounts.authenticate(key)

    def session_of(self, headers: Headers) -> str | None:
        cookies = headers.get(b"cookie")
        if cookies is None or self.cookie not in cookies:
            return None
        for pair in cookies.split(b";"):
            name, _, value = pair.partition(b"=")
            if name.strip() == self.cookie:
                return value.strip().decode("latin-1") or None
        return None

    def let_in(self, response: Response, session: str) -> None:
        """The browser that gets `response` is signed in from then on."""
        self._set(response, session, int(SESSION_LIFE.total_seconds()))

    def let_out(self, response: Response) -> None:
        self._set(response, "", 0)

    def _set(self, response: Response, value: str, life_s: int) -> None:
        name = self.cookie.decode()
        response.set_cookie(
            name,
            value,
            max_age=life_s,
            path="/",
            secure=name.startswith("__Host-"),
            httponly=True,
            samesite="lax",
        )

    def require_same_origin(self, headers: Headers) -> None:
        """Cookies travel with any site's form; a request that changes something must come from ours."""
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin:
            host = headers.get(b"host", b"").decode("latin-1")
            if origin == self.public_origin or (host and origin.partition("://")[2] == host):
                return
        elif headers.get(b"sec-fetch-site") == b"same-origin":
            return
        raise Forbidden(
            "A session cookie is accepted from our own pages only; use an API key", code="CROSS_ORIGIN"
        )


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
