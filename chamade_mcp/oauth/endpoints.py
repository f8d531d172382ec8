"""The endpoints for programs: registration (RFC 7591), tokens (RFC 6749), revocation (RFC 7009)."""

import base64
import binascii
import ipaddress
import math
from collections.abc import Mapping
from datetime import UTC
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.core.clients import Client, ClientRegistry
from chamade_mcp.core.grants import Grants
from chamade_mcp.core.limits import Attempts
from chamade_mcp.core.tokens import Issued, Redemption, TokenRefused
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Permission
from chamade_mcp.model.errors import LimitReached
from chamade_mcp.oauth import metadata, scopes
from chamade_mcp.oauth.documents import MAX_URL_CHARS, is_document_id
from chamade_mcp.oauth.metadata import GRANT_TYPES, SECRET_METHODS, BadMetadata, ClientMetadata
from chamade_mcp.oauth.places import REGISTER, REVOKE, TOKEN, Places
from chamade_mcp.oauth.scopes import UnknownScope
from chamade_mcp.oauth.wire import ANY_METHOD, OAuthError, answer, guarded, read_form, read_json

_REGISTRATIONS, _REGISTRATIONS_S = 60, 600.0
"""Of one address. Clients of a service come from few addresses, and each of its users is a registration."""


class AuthorizationServer:
    """What `Places` names, but for the pages, which are `web.consent`'s."""

    def __init__(self, places: Places, registry: ClientRegistry, grants: Grants, clock: Clock) -> None:
        self._places = places
        self._registry = registry
        self._grants = grants
        self._clock = clock
        self._registrations = Attempts(clock, limit=_REGISTRATIONS, window_s=_REGISTRATIONS_S)

    def routes(self) -> list[BaseRoute]:
        return [
            Route(TOKEN, guarded(self._token), methods=ANY_METHOD),
            Route(REGISTER, guarded(self._register), methods=ANY_METHOD),
            Route(REVOKE, guarded(self._revoke), methods=ANY_METHOD),
        ]

    # --- registration --------------------------------------------------------------------------------------

    async def _register(self, request: Request) -> Response:
        try:
            self._registrations.count(_neighbourhood(request))
        except LimitReached as error:
            wait = {"retry-after": str(math.ceil(error.retry_after or 60))}
            raise OAuthError("invalid_request", error.detail, status=429, headers=wait) from None
        document = await read_json(request)
        try:
            told = metadata.parse(document, default_method="client_secret_basic")
        except BadMetadata as error:
            raise OAuthError(error.code, str(error)) from None
        client, secret = await self._registry.register(
            name=told.name,
            redirect_uris=told.redirect_uris,
            auth_method=told.auth_method,
            refreshes=told.refreshes,
            confidential=told.auth_method in SECRET_METHODS,
        )
        issued_at = int(self._clock.now().astimezone(UTC).timestamp())
        return answer(_registered(client, told, secret, issued_at), status=201)

    # --- tokens --------------------------------------------------------------------------------------------

    async def _token(self, request: Request) -> Response:
        form = await read_form(request)
        client_id = await self._client_of(request, form)
        resource = form.get("resource")
        if resource is not None and not self._places.is_ours(resource):
            raise OAuthError("invalid_target", "this server issues tokens for its own MCP endpoint only")
        kind = _required(form, "grant_type")
        try:
            if kind == "authorization_code":
                return _tokens(await self._redeem(form, client_id))
            if kind == "refresh_token":
                wanted = _wanted(form.get("scope"))
                token = _required(form, "refresh_token")
                return _tokens(await self._grants.renew(token, client_id, wanted))
        except TokenRefused as refused:
            raise OAuthError(refused.code, str(refused)) from None
        raise OAuthError("unsupported_grant_type", "use authorization_code or refresh_token")

    async def _redeem(self, form: Mapping[str, str], client_id: str) -> Issued:
        code, verifier = _required(form, "code"), _required(form, "code_verifier")
        return await self._grants.redeem(Redemption(code, client_id, verifier, form.get("redirect_uri")))

    async def _revoke(self, request: Request) -> Response:
        form = await read_form(request)
        client_id = await self._client_of(request, form)
        try:
            await self._grants.revoke_token(_required(form, "token"), client_id)
        except TokenRefused as refused:
            raise OAuthError(refused.code, str(refused)) from None
        return answer({})

    async def _client_of(self, request: Request, form: Mapping[str, str]) -> str:
        """The client that asks, with its secret proved if it has one (RFC 6749 section 2.3)."""
        authorization = request.headers.get("authorization")
        client_id, secret = form.get("client_id"), form.get("client_secret")
        challenge: dict[str, str] = {}
        if authorization is not None:
            challenge["www-authenticate"] = 'Basic realm="chamade"'
            shown = _basic(authorization)
            if shown is None:
                raise OAuthError("invalid_client", "use Basic", status=401, headers=challenge)
            if secret is not None or client_id not in (None, shown[0]):
                raise OAuthError("invalid_request", "show who you are in one way, not in two")
            client_id, secret = shown
        if client_id is None:
            raise OAuthError("invalid_request", "client_id is required")
        unknown = OAuthError("invalid_client", "unknown client", status=401, headers=challenge)
        if is_document_id(client_id):
            # It has no secret, and what it gets hangs on a code or token that was issued to this very id.
            if secret or len(client_id) > MAX_URL_CHARS:
                raise unknown
            return client_id
        client = await self._registry.find(client_id)
        if client is None or not client.proves(secret or None):
            raise unknown
        return client.id


def _registered(
    client: Client, told: ClientMetadata, secret: str | None, issued_at: int
) -> Mapping[str, object]:
    """RFC 7591 section 3.2.1: everything as it is remembered now."""
    known: dict[str, object] = {
        "client_id": client.id,
        "client_id_issued_at": issued_at,
        "client_name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "grant_types": list(GRANT_TYPES if told.refreshes else GRANT_TYPES[:1]),
        "response_types": ["code"],
        "token_endpoint_auth_method": told.auth_method,
    }
    if secret is not None:
        known |= {"client_secret": secret, "client_secret_expires_at": 0}
    return known


def _tokens(issued: Issued) -> Response:
    body: dict[str, object] = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in_s,
        "scope": scopes.to_text(issued.permissions),
    }
    if issued.refresh_token is not None:
        body["refresh_token"] = issued.refresh_token
    return answer(body)


def _required(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if value is None:
        raise OAuthError("invalid_request", f"{name} is required")
    return value


def _wanted(scope: str | None) -> frozenset[Permission] | None:
    """None: all that was granted."""
    try:
        return scopes.parse(scope or "") or None
    except UnknownScope as error:
        raise OAuthError("invalid_scope", str(error)) from None


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        return None
    return (unquote_plus(name), unquote_plus(secret)) if colon and name else None


def _neighbourhood(request: Request) -> str:
    """The peer's address; of IPv6 the network, of which one has as many addresses as one likes."""
    host = request.client.host if request.client is not None else "-"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
