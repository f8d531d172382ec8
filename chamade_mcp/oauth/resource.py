"""The resource server's side of authentication: who calls, told before anything else is done for them.

A credential is an API key or an access token, as ``Authorization: Bearer`` (RFC 6750) or ``X-API-Key``.
"""

from collections.abc import Awaitable, Callable

from starlette.types import Receive, Scope, Send

from chamade_mcp.kit.problem import problem_response
from chamade_mcp.model.access import Caller, Principal
from chamade_mcp.model.errors import Unauthenticated

Authenticate = Callable[[str], Awaitable[Principal]]
"""Credential to principal. Raises `model.errors.Unauthenticated`, or another `GatewayError`."""

CallerApp = Callable[[Caller, Scope, Receive, Send], Awaitable[None]]
"""An ASGI application that is told who calls."""


def challenge(resource_metadata: str | None, *, rejected: bool) -> str:
    """The ``WWW-Authenticate`` value (RFC 6750 section 3, RFC 9728 section 5.1)."""
    parameters: list[str] = []
    if rejected:
        parameters.append('error="invalid_token"')
    if resource_metadata is not None:
        parameters.append(f'resource_metadata="{resource_metadata}"')
    return "Bearer " + ", ".join(parameters) if parameters else "Bearer"


class ProtectedResource:
    """Authenticates every request. `resource_metadata` is the URL of the RFC 9728 document, if any."""

    def __init__(
        self, inner: CallerApp, authenticate: Authenticate, *, resource_metadata: str | None = None
    ) -> None:
        self._inner = inner
        self._authenticate = authenticate
        self._resource_metadata = resource_metadata

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id: str | None = scope.get("chamade.request_id")
        credential = _credential(headers)
        if credential is None:
            await self._challenge(Unauthenticated(code="MISSING_API_KEY"), request_id, scope, receive, send)
            return
        try:
            principal = await self._authenticate(credential)
        except Unauthenticated as error:
            await self._challenge(error, request_id, scope, receive, send)
            return
        caller = Caller(principal, credential, request_id, _text(headers, b"traceparent"))
        await self._inner(caller, scope, receive, send)

    async def _challenge(
        self, error: Unauthenticated, request_id: str | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        rejected = error.code != "MISSING_API_KEY"
        headers = {"www-authenticate": challenge(self._resource_metadata, rejected=rejected)}
        await problem_response(error, request_id=request_id, headers=headers)(scope, receive, send)


def _credential(headers: dict[bytes, bytes]) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and token.strip():
        return token.strip().decode("latin-1")
    key = headers.get(b"x-api-key", b"").strip()
    return key.decode("latin-1") if key else None


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return value.decode("latin-1") if value else None
