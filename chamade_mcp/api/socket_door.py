"""Who opens a WebSocket. Refusals are told by close codes, after the handshake, because a client sees
nothing of a refused handshake."""

from typing import Final
from urllib.parse import parse_qs

from starlette.types import Scope

from chamade_mcp.api.access import Gate
from chamade_mcp.core.keys import require
from chamade_mcp.kit.credential import credential_in
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.errors import Forbidden, Unauthenticated

BAD_KEY: Final = 4401
FORBIDDEN: Final = 4403


class Refused(Exception):
    """Closes the socket with `code`; a `name` and the reason are to be told in a message before that."""

    def __init__(self, code: int, reason: str, name: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.name = name


async def admit(gate: Gate, scope: Scope, permission: Permission) -> Principal:
    """By ``?api_key=``, the headers of REST, or the session cookie from our own pages. Raises `Refused`."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    key = last_of(scope, "api_key") or credential_in(headers)
    session = gate.session_of(headers)
    try:
        if key is None and session is not None:
            # A handshake carries cookies from any site's page.
            gate.require_same_origin(headers)
            principal = await gate.accounts.authenticate_session(session)
        else:
            principal = await gate.accounts.authenticate(key)
        require(principal, permission)
    except Unauthenticated as error:
        raise Refused(BAD_KEY, error.detail) from None
    except Forbidden as error:
        raise Refused(FORBIDDEN, error.detail) from None
    return principal


def shows_credentials(gate: Gate, scope: Scope) -> bool:
    """Whether the handshake has anything by which `admit` could know who it is, be it wrong or empty."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return "api_key" in query or credential_in(headers) is not None or gate.session_of(headers) is not None


def last_of(scope: Scope, name: str) -> str | None:
    """A parameter of the query; of a repeated one the last."""
    given = parse_qs(scope["query_string"].decode("latin-1")).get(name)
    return given[-1] if given else None
