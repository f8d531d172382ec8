"""The addresses of the authorization server and of what it guards; pure."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from chamade_mcp.model.access import Permission
from chamade_mcp.oauth.scopes import OFFLINE, USUAL, to_text

MCP_PATH = "/mcp"
AUTHORIZE, TOKEN, REGISTER, REVOKE = "/authorize", "/token", "/register", "/revoke"
CONSENT = "/mcp-auth/consent"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Places:
    """`public_url` is scheme, host and port, without a trailing slash: it is the issuer as it stands."""

    def __init__(self, public_url: str) -> None:
        parts = urlsplit(public_url)
        self.issuer = public_url
        self.resource = f"{public_url}{MCP_PATH}"
        """What every access token is for: one audience, whatever name of ours a client used."""
        twins = [f"mcp.{parts.netloc}"]
        if parts.scheme == "http" and (parts.hostname or "") in _LOOPBACK:
            # On one's own machine one types what comes to mind.
            port = "" if parts.port is None else f":{parts.port}"
            twins = [f"[{name}]{port}" if ":" in name else f"{name}{port}" for name in _LOOPBACK]
        self._twins = {netloc: f"{parts.scheme}://{netloc}" for netloc in twins}
        self._ours = {_authority(url) for url in (public_url, *self._twins.values())}

    def base(self, host: str) -> str:
        """How a client sees us: under a twin of our name if its `Host` says so, else the public URL.

        The twin of a public name starts with ``mcp.``, those of a name on loopback are the others there.
        """
        return self._twins.get(host.lower(), self.issuer)

    def metadata_url(self, host: str) -> str:
        return f"{self.base(host)}/.well-known/oauth-protected-resource{MCP_PATH}"

    def is_ours(self, resource: str) -> bool:
        """Whether a ``resource`` parameter (RFC 8707) means our MCP endpoint, by any of its spellings."""
        if len(resource) > 500 or "#" in resource:
            return False
        try:
            parts = urlsplit(resource)
            authority = _authority(resource)
        except ValueError:
            return False
        if parts.username is not None or parts.path.rstrip("/") != MCP_PATH or parts.path.endswith("//"):
            return False
        return authority in self._ours and parts.query.partition("=")[0] in ("", "stateful")

    def protected_resource(self, host: str) -> Mapping[str, object]:
        """RFC 9728. Scopes are what a client should ask for at first; more comes by step-up."""
        return {
            "resource": f"{self.base(host)}{MCP_PATH}",
            "authorization_servers": [self.issuer],
            "scopes_supported": to_text(USUAL).split(),
            "bearer_methods_supported": ["header"],
            "resource_name": "Chamade",
        }

    def authorization_server(self) -> Mapping[str, object]:
        """RFC 8414, RFC 9207 and client ID metadata documents; also read as OpenID discovery."""
        methods = ["none", "client_secret_basic", "client_secret_post"]
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}{AUTHORIZE}",
            "token_endpoint": f"{self.issuer}{TOKEN}",
            "registration_endpoint": f"{self.issuer}{REGISTER}",
            "revocation_endpoint": f"{self.issuer}{REVOKE}",
            "scopes_supported": [*(str(permission) for permission in Permission), OFFLINE],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported": methods,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "client_id_metadata_document_supported": True,
        }


def _authority(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    port = parts.port if parts.port is not None else _DEFAULT_PORTS.get(parts.scheme, 0)
    return parts.scheme, parts.hostname or "", port
