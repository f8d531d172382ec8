"""The first look at an HTTP request for MCP: is it meant for us, and does a foreign page send it?

Host and Origin are checked against DNS rebinding (MCP specification, transports, security warning). Header
values lose surrounding blanks: httptools keeps trailing ones, and the MCP header checks must not see them.
"""

import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chamade_mcp.kit.problem import problem_response
from chamade_mcp.kit.request_id import request_id_of
from chamade_mcp.model.errors import Action, Forbidden, GatewayError, Internal

log = logging.getLogger(__name__)

LOOPBACK_HOSTS = ("localhost:*", "127.0.0.1:*", "[::1]:*")
LOOPBACK_ORIGINS = tuple(f"{scheme}://{host}" for scheme in ("http", "https") for host in LOOPBACK_HOSTS)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Misdirected(GatewayError):
    """RFC 9110 section 15.5.20."""

    status, title, default_code, default_action = 421, "Misdirected request", "FOREIGN_HOST", Action.GIVE_UP


def hosts_for(public_url: str) -> tuple[str, ...]:
    """Host patterns for a gateway at `public_url`: itself, its ``mcp.`` twin and loopback on any port."""
    parts = urlsplit(public_url)
    host = parts.hostname or "localhost"
    literal = f"[{host}]" if ":" in host else host
    names = [literal]
    if "." in host and not host.replace(".", "").isdigit():
        names.append(f"mcp.{literal}")
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 80)
    bare = parts.port is None or port == _DEFAULT_PORTS.get(parts.scheme)
    patterns = [f"{name}:{port}" for name in names] + (names if bare else [])
    return (*patterns, *LOOPBACK_HOSTS)


def origins_for(public_url: str) -> tuple[str, ...]:
    """Origin patterns: the gateway's own pages and pages on loopback."""
    parts = urlsplit(public_url)
    return (f"{parts.scheme}://{parts.netloc}", *LOOPBACK_ORIGINS)


class Edge:
    """Lets through what names one of our hosts and comes from no foreign web page.

    A pattern is an exact value, or ends in ``:*`` for any port or none. Every answer gets an `x-request-id`,
    which the request brought or gets here; an exception from within becomes a problem object.
    """

    def __init__(
        self, inner: ASGIApp, *, allowed_hosts: Iterable[str], allowed_origins: Iterable[str]
    ) -> None:
        self._inner = inner
        self._hosts = _Patterns(allowed_hosts)
        self._origins = _Patterns(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[tuple[bytes, bytes]] = [(name, value.strip()) for name, value in scope["headers"]]
        host = origin = ""
        for name, value in headers:
            if name == b"host":
                host = value.decode("latin-1").lower()
            elif name == b"origin":
                origin = value.decode("latin-1").lower()
        request_id = request_id_of(scope)
        answer = _Answer(send, request_id)
        inner_scope = {**scope, "headers": headers}
        try:
            self._check(host, origin)
            await self._inner(inner_scope, receive, answer)
        except GatewayError as error:
            await answer.refuse(error, inner_scope, receive)
        except Exception:
            log.exception("request %s failed", request_id)
            await answer.refuse(Internal(), inner_scope, receive)

    def _check(self, host: str, origin: str) -> None:
        if host not in self._hosts:
            raise Misdirected("This gateway does not answer for that host name")
        if origin and origin not in self._origins:
            raise Forbidden(
                "Requests from that web page are refused", code="FOREIGN_ORIGIN", action=Action.GIVE_UP
            )


class _Answer:
    """The way out: adds the request id once."""

    __slots__ = ("_request_id", "_send", "_started")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self._started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            if all(name != b"x-request-id" for name, _ in headers):
                headers.append((b"x-request-id", self._request_id.encode("ascii")))
                message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, error: GatewayError, scope: Scope, receive: Receive) -> None:
        """An answer that has begun cannot be taken back."""
        if not self._started:
            await problem_response(error, request_id=self._request_id)(scope, receive, self)


class _Patterns:
    def __init__(self, patterns: Iterable[str]) -> None:
        given = [pattern.lower() for pattern in patterns]
        any_port = {pattern[:-2] for pattern in given if pattern.endswith(":*")}
        self._exact = frozenset(pattern for pattern in given if not pattern.endswith(":*")) | any_port
        self._any_port = frozenset(any_port)

    def __contains__(self, value: str) -> bool:
        if value in self._exact:
            return True
        base, colon, port = value.rpartition(":")
        return bool(colon) and port.isdigit() and base in self._any_port
