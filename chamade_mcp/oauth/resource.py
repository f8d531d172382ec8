"""The resource server's side of authentication: who calls, told before anything else is done for them.

A credential is an API key or an access token, as ``Authorization: Bearer`` (RFC 6750) or ``X-API-Key``. Where
OAuth is offered, a refusal tells where to begin (RFC 9728 section 5.1) and what to ask for.
"""

from collections.abc import Awaitable, Callable

from starlette.types import Receive, Scope, Send

from chamade_mcp.kit.credential import credential_in
from chamade_mcp.kit.problem import problem_response
from chamade_mcp.kit.request_id import request_id_of
from chamade_mcp.model.access import Caller, Permission, Principal
from chamade_mcp.model.errors import GatewayError, MissingPermission, Unauthenticated
from chamade_mcp.oauth.scopes import USUAL, to_text

Authenticate = Callable[[str], Awaitable[Principal]]
"""Credential to principal. Raises `model.errors.Unauthenticated`, or another `GatewayError`."""

CallerApp = Callable[[Caller, Scope, Receive, Send], Awaitable[None]]
"""An ASGI application that is told who calls. Until it answers, it may raise `MissingPermission`."""

MetadataUrl = Callable[[str], str]
"""From the `Host` of a request to the address of the RFC 9728 document for it."""


def challenge(
    metadata: str | None, *, error: str | None = None, scopes: frozenset[Permission] = USUAL
) -> str:
    """The ``WWW-Authenticate`` value (RFC 6750 section 3). Without `metadata` no OAuth is offered."""
    parameters: list[str] = []
    if error is not None:
        parameters.append(f'error="{error}"')
    if metadata is not None:
        parameters.append(f'resource_metadata="{metadata}"')
        parameters.append(f'scope="{to_text(scopes)}"')
    return "Bearer " + ", ".join(parameters) if parameters else "Bearer"


class ProtectedResource:
    """Authenticates every request. Without `metadata_url` it advertises no OAuth, though it takes the tokens.

    A tool that an API key may not use answers with a problem in its result, as any failure does: nothing that
    the client could do would give the key more. A client with an access token can get more from the person:
    it is told by 403 and a challenge with the scopes to come back with, those it has and the one it needs
    (MCP specification, authorization, scope challenge handling).
    """

    def __init__(
        self, inner: CallerApp, authenticate: Authenticate, *, metadata_url: MetadataUrl | None = None
    ) -> None:
        self._inner = inner
        self._authenticate = authenticate
        self._metadata_url = metadata_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = request_id_of(scope)
        credential = credential_in(headers)
        if credential is None:
            missing = Unauthenticated(code="MISSING_API_KEY")
            await self._refuse(missing, challenge(self._metadata(headers)), scope, receive, send)
            return
        try:
            principal = await self._authenticate(credential)
        except Unauthenticated as error:
            told = challenge(self._metadata(headers), error="invalid_token")
            await self._refuse(error, told, scope, receive, send)
            return
        caller = Caller(principal, credential, request_id, _text(headers, b"traceparent"))
        try:
            await self._inner(caller, scope, receive, send)
        except MissingPermission as error:
            needed = principal.permissions | {Permission(error.scope)}
            told = challenge(self._metadata(headers), error="insufficient_scope", scopes=needed)
            await self._refuse(error, told, scope, receive, send)

    def _metadata(self, headers: dict[bytes, bytes]) -> str | None:
        if self._metadata_url is None:
            return None
        return self._metadata_url(headers.get(b"host", b"").decode("latin-1"))

    async def _refuse(
        self, error: GatewayError, told: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        request_id = request_id_of(scope)
        headers = {"www-authenticate": told}
        await problem_response(error, request_id=request_id, headers=headers)(scope, receive, send)


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return value.decode("latin-1") if value else None
