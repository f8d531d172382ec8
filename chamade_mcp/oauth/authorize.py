"""An authorization request (OAuth 2.1 section 4.1.1), read in the order in which it may be trusted.

Until the client and the redirect URI are known to belong together, an error is told to the person alone; from
then on it goes back to the client (RFC 9700 section 4.11).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from chamade_mcp.core.clients import Client, ClientRegistry
from chamade_mcp.core.consents import ConsentRequest
from chamade_mcp.oauth import redirects, scopes
from chamade_mcp.oauth.documents import Documents, NoDocument, is_document_id
from chamade_mcp.oauth.places import Places
from chamade_mcp.oauth.scopes import USUAL, UnknownScope
from chamade_mcp.oauth.wire import OAuthError, single

MAX_QUERY_CHARS = 3900
"""Room for the way over the sign-in page, which takes an address of 4,000."""
_MAX_STATE_CHARS = 2000
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_PROMPTS = frozenset({"login", "consent", "select_account", "none"})


class Untrusted(Exception):
    """Nobody can be told but the person; the text is for them."""


class SentBack(Exception):
    """Told to the client at its redirect URI. `code` is an error of RFC 6749 section 4.1.2.1."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose client and redirect URI belong together; the rest is not looked at yet."""

    client: Client
    redirect_uri: str
    parameters: Mapping[str, str]
    resources: tuple[str, ...]

    @property
    def silently(self) -> bool:
        """Whether the client wants no page to be shown."""
        return "none" in self.parameters.get("prompt", "").split()


def parameters_of(query: str) -> Mapping[str, str]:
    """Raises `Untrusted`."""
    if len(query) > MAX_QUERY_CHARS:
        raise Untrusted("The request is too long.")
    try:
        return single(query, repeatable=frozenset({"resource"}))
    except OAuthError as error:
        raise Untrusted(f"The request cannot be read: {error.description}.") from None


async def find_client(client_id: str, registry: ClientRegistry, documents: Documents, asker: str) -> Client:
    """Raises `Untrusted`."""
    if is_document_id(client_id):
        try:
            return await documents.find(client_id, asker)
        except NoDocument as error:
            raise Untrusted(str(error)) from None
    client = await registry.find(client_id)
    if client is None:
        raise Untrusted("The program that sent you here is not registered (any more). Connect it anew.")
    return client


def trusted(client: Client, query: str, parameters: Mapping[str, str]) -> Asked:
    """Raises `Untrusted`."""
    uri = parameters.get("redirect_uri")
    if uri is None and len(client.redirect_uris) == 1:
        uri = client.redirect_uris[0]
    if uri is None or not any(redirects.matches(uri, one) for one in client.redirect_uris):
        raise Untrusted("The program that sent you here wants the answer at an address that is not its own.")
    pairs = parse_qsl(query, keep_blank_values=True)
    return Asked(client, uri, parameters, tuple(v for n, v in pairs if n == "resource" and v))


def read(asked: Asked, places: Places) -> ConsentRequest:
    """Raises `SentBack`."""
    given, client = asked.parameters, asked.client
    for unsupported in ("request", "request_uri"):
        if unsupported in given:
            raise SentBack(f"{unsupported}_not_supported", f"{unsupported} is not supported")
    if given.get("response_type") != "code":
        raise SentBack("unsupported_response_type", "response_type must be code")
    if given.get("response_mode", "query") != "query":
        raise SentBack("invalid_request", "response_mode must be query")
    challenge = given.get("code_challenge", "")
    if given.get("code_challenge_method") != "S256" or _CHALLENGE.fullmatch(challenge) is None:
        raise SentBack("invalid_request", "PKCE is required: code_challenge with code_challenge_method S256")
    if len(given.get("state", "")) > _MAX_STATE_CHARS:
        raise SentBack("invalid_request", f"state may have {_MAX_STATE_CHARS} characters")
    if not set(given.get("prompt", "").split()) <= _PROMPTS:
        raise SentBack("invalid_request", "unknown prompt")
    if not all(map(places.is_ours, asked.resources)):
        raise SentBack("invalid_target", f"this server issues tokens for {places.resource} only")
    try:
        permissions = scopes.parse(given.get("scope", "")) or USUAL
    except UnknownScope as error:
        raise SentBack("invalid_scope", str(error)) from None
    return ConsentRequest(
        client_id=client.id,
        client_name=client.name,
        client_host=client.host,
        redirect_uri=asked.redirect_uri,
        state=given.get("state"),
        permissions=permissions,
        challenge=challenge,
        refreshes=client.refreshes,
    )


def refusal_location(asked: Asked, error: SentBack, places: Places) -> str:
    told = {"error": error.code, "error_description": str(error)}
    state = asked.parameters.get("state")
    if state is not None and len(state) <= _MAX_STATE_CHARS:
        told["state"] = state
    return redirects.with_parameters(asked.redirect_uri, {**told, "iss": places.issuer})


def answer_location(request: ConsentRequest, told: Mapping[str, str], places: Places) -> str:
    """Where the person's browser goes with the answer; `iss` guards against mix-ups (RFC 9207)."""
    state = {} if request.state is None else {"state": request.state}
    return redirects.with_parameters(request.redirect_uri, {**told, **state, "iss": places.issuer})
