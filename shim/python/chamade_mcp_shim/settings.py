"""What the environment and the command line ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

DEFAULT_URL = "https://chamade.io"
_HOSTED = "chamade.io"
_LOOPBACK = ("localhost", "127.", "::1")


class BadSetting(Exception):
    """One sentence for the person who set it."""


@dataclass(frozen=True, slots=True)
class Settings:
    url: str
    """The MCP endpoint."""
    api_key: str
    warning: str | None = None


def read(environment: Mapping[str, str], *, stateful: bool) -> Settings:
    """Raises `BadSetting`."""
    api_key = _api_key(environment.get("CHAMADE_API_KEY", "").strip())
    explicit = environment.get("CHAMADE_MCP_URL", "").strip()
    if explicit:
        parts = _split("CHAMADE_MCP_URL", explicit)
    else:
        given = environment.get("CHAMADE_URL", "").strip() or DEFAULT_URL
        parts = endpoint_of(_split("CHAMADE_URL", given))
    if stateful and "stateful" not in dict(parse_qsl(parts.query, keep_blank_values=True)):
        parts = parts._replace(query=f"{parts.query}&stateful" if parts.query else "stateful")
    host = parts.hostname or ""
    warning = None
    if parts.scheme == "http" and not host.startswith(_LOOPBACK):
        warning = f"the key goes to {host} unencrypted, because the URL begins with http://"
    return Settings(urlunsplit(parts._replace(fragment="")), api_key, warning)


def endpoint_of(parts: SplitResult) -> SplitResult:
    """The MCP endpoint of a gateway's URL: ``mcp.<host>/mcp/`` for chamade.io, ``<url>/mcp/`` elsewhere.

    Only the hosted service is known to have a host of its own for MCP; a gateway that somebody runs answers
    at ``/mcp/`` of the URL it is reached at. A URL that ends in ``/mcp`` already is the endpoint.
    """
    host = parts.hostname or ""
    netloc = parts.netloc
    if (host == _HOSTED or host.endswith(f".{_HOSTED}")) and not host.startswith("mcp."):
        netloc = f"mcp.{netloc}"
    path = parts.path.rstrip("/")
    if not path.endswith("/mcp"):
        path += "/mcp"
    return parts._replace(netloc=netloc, path=f"{path}/")


def _api_key(value: str) -> str:
    # A host that knows no value for its own placeholder passes the placeholder on.
    if not value or value.startswith("${"):
        raise BadSetting("CHAMADE_API_KEY is not set; make a key on the gateway's dashboard and set it")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise BadSetting("CHAMADE_API_KEY holds characters that no key has; copy the key again")
    return value


def _split(name: str, value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        bad, parts = True, urlsplit("")
    if bad or not value.isascii() or any(ch <= " " for ch in value):
        raise BadSetting(f"{name} is no URL that begins with https:// or http://")
    if "@" in parts.netloc:
        raise BadSetting(f"{name} must not hold a user or a password; the key goes into CHAMADE_API_KEY")
    return parts
