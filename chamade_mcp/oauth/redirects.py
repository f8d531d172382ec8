"""Where an authorization code may be sent: rules for redirect URIs, pure.

Three kinds are safe enough to register (OAuth 2.1 section 2.3, RFC 8252 section 7): https, http on loopback,
and schemes that belong to one program. What a browser would run instead of opening never is.
"""

import re
from urllib.parse import SplitResult, quote, urlsplit

MAX_CHARS = 2000
MAX_COUNT = 10
LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})
PROGRAMS = frozenset(
    {
        "antigravity",
        "claude",
        "codeium",
        "cursor",
        "goose",
        "kiro",
        "lmstudio",
        "positron",
        "raycast",
        "trae",
        "vscode",
        "vscode-insiders",
        "vscodium",
        "warp",
        "windsurf",
        "zed",
    }
)
"""Schemes of known programs. Others need a dot: a reversed domain name of theirs (RFC 8252 section 7.1)."""

# The characters of RFC 3986: no blanks, quotes and backslashes, which browsers read in their own way.
_PLAIN = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_OWN_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+")


class BadRedirect(Exception):
    """The text says what is wrong, in words for a developer."""


def check(uri: str) -> None:
    """Whether `uri` may be registered. Raises `BadRedirect`."""
    if not uri or len(uri) > MAX_CHARS or _PLAIN.fullmatch(uri) is None:
        raise BadRedirect(f"must be a plain URI of at most {MAX_CHARS} characters")
    if "#" in uri:
        raise BadRedirect("must not have a fragment")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise BadRedirect("is not a URI") from None
    if parts.username is not None or parts.password is not None:
        raise BadRedirect("must not carry credentials")
    if port == 0:
        raise BadRedirect("names a port that nobody can listen on")
    if parts.scheme in ("http", "https"):
        _check_web(parts)
    elif parts.scheme not in PROGRAMS and _OWN_SCHEME.fullmatch(parts.scheme) is None:
        raise BadRedirect("must be https, http on loopback, or a program's scheme such as com.example.app")


def _check_web(parts: SplitResult) -> None:
    host = _host(parts)
    if host not in LOOPBACK and _HOST.fullmatch(host) is None:
        raise BadRedirect("must name a host")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise BadRedirect("must be https: plain http is for 127.0.0.1, [::1] and localhost")


def matches(asked: str, registered: str) -> bool:
    """Exact, but for the port on loopback: a program listens on any that is free (RFC 8252 section 7.3)."""
    if asked == registered:
        return True
    if not is_loopback(registered) or len(asked) > MAX_CHARS:
        return False
    try:
        check(asked)
    except BadRedirect:
        return False
    return _without_port(asked) == _without_port(registered)


def is_elsewhere(uri: str) -> bool:
    """Whether it leads to a web site, and not to a program on the person's own machine."""
    return urlsplit(uri).scheme in ("http", "https") and not is_loopback(uri)


def is_loopback(uri: str) -> bool:
    parts = urlsplit(uri)
    return parts.scheme == "http" and _host(parts) in LOOPBACK


def place(uri: str) -> str:
    """What a person is told of it: the host, or the scheme of the program."""
    parts = urlsplit(uri)
    return _host(parts) if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def form_action(uri: str) -> str:
    """A CSP source for `uri`: browsers check a form's redirects against ``form-action`` too."""
    parts = urlsplit(uri)
    host = _host(parts)
    if parts.scheme not in ("http", "https") or host.startswith("["):
        return f"{parts.scheme}:"  # CSP has no way to write an IPv6 address
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")


def with_parameters(uri: str, parameters: dict[str, str]) -> str:
    """`uri` with `parameters` behind those it has. They are encoded; `uri` stays as it was registered."""
    added = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    if "?" not in uri:
        return f"{uri}?{added}"
    return f"{uri}{added}" if uri.endswith(("?", "&")) else f"{uri}&{added}"


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _without_port(uri: str) -> tuple[str, str, str, str]:
    parts = urlsplit(uri)
    return parts.scheme, _host(parts), parts.path, parts.query
