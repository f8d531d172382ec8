"""HTTP/1.1 as far as Streamable HTTP needs it, over asyncio's streams.

Why not a library: those worth having cost more start-up time than the whole shim, and none says the one thing
that decides about sending again: whether a request can have left before it failed.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from chamade_mcp_shim.failures import broken, unreachable

CONNECT_S: Final = 10.0
SILENCE_S: Final = 300.0
"""The longest wait for the next piece of an answer."""
_REUSE_S: Final = 4.0
"""Servers close idle connections after 5 s and more; a request must not cross that on its way."""
_MOST_IDLE: Final = 4
_MOST_HEAD: Final = 256 * 1024
_PIECE: Final = 256 * 1024
_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
_LOST = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)


class Answer:
    """Status and headers (names in lower case); the body comes by `piece` or `read`."""

    def __init__(self, connection: "_Connection", status: int, headers: dict[str, str], length: int | None):
        self.status = status
        self.headers = headers
        self._connection = connection
        self._left = length
        self._chunked = length is None and "chunked" in headers.get("transfer-encoding", "").lower()
        self.done = length == 0

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        pieces: list[bytes] = []
        while piece := await self.piece():
            pieces.append(piece)
        return b"".join(pieces)

    async def piece(self, within_s: float = SILENCE_S) -> bytes:
        """The next piece, empty at the end. Raises `Failed` when the end does not come in order."""
        if self.done:
            return b""
        try:
            async with asyncio.timeout(within_s):
                return await self._piece(self._connection.reader)
        except TimeoutError as error:
            raise broken(self._connection.where, f"silent for {within_s:g} s") from error
        except _LOST as error:
            raise broken(self._connection.where, "the answer broke off") from error

    async def _piece(self, reader: asyncio.StreamReader) -> bytes:
        if self._chunked and self._left is None:
            size = int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16)
            if size == 0:
                while await reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                self.done = True
                return b""
            self._left = size
        piece = await reader.read(_PIECE if self._left is None else min(self._left, _PIECE))
        if self._left is None:
            # Neither length nor chunks: the end of the connection is the end of the body.
            self.done = not piece
            return piece
        if not piece:
            raise EOFError
        self._left -= len(piece)
        if self._left == 0 and self._chunked:
            await reader.readexactly(2)
            self._left = None
        elif self._left == 0:
            self.done = True
        return piece


class Http:
    """Requests to one URL."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self.where = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"host": parts.netloc, "accept-encoding": "identity", **headers}
        self._idle: list[tuple[float, _Connection]] = []
        self._context: ssl.SSLContext | None = None

    @asynccontextmanager
    async def request(
        self, method: str, headers: dict[str, str], body: bytes = b""
    ) -> AsyncGenerator[Answer]:
        """Raises `Failed`, from which one can tell whether the server can have seen the request."""
        connection = self._rested() or await self._connect()
        reusable = False
        try:
            fields = self._headers | headers
            if method == "POST":
                fields["content-length"] = str(len(body))
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            start = f"{method} {self._target} HTTP/1.1\r\n{head}\r\n".encode("latin-1")
            # Not waiting for the body to leave lets a refusal that comes before its end be read.
            connection.writer.write(start + body)
            answer = await connection.answer()
            yield answer
            reusable = answer.done and connection.may_stay(answer)
        finally:
            if reusable and len(self._idle) < _MOST_IDLE:
                self._idle.append((asyncio.get_running_loop().time(), connection))
            else:
                connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def _rested(self) -> "_Connection | None":
        now = asyncio.get_running_loop().time()
        while self._idle:
            since, connection = self._idle.pop()
            if now - since < _REUSE_S and not connection.gone:
                return connection
            connection.close()
        return None

    async def _connect(self) -> "_Connection":
        if self._tls and self._context is None:
            self._context = ssl.create_default_context()
            self._context.set_alpn_protocols(["http/1.1"])
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    self._host, self._port, ssl=self._context, limit=_MOST_HEAD, happy_eyeballs_delay=0.25
                )
        except TimeoutError as error:
            raise unreachable(self.where, f"no connection within {CONNECT_S:g} s") from error
        except ssl.SSLCertVerificationError as error:
            reason = f"its certificate is not trusted ({error.verify_message})"
            raise unreachable(self.where, reason, for_good=True) from error
        except ssl.SSLError as error:
            reason = f"no TLS connection ({error.reason}); does it speak http:// only?"
            raise unreachable(self.where, reason) from error
        except socket.gaierror as error:
            raise unreachable(self.where, f"the name {self._host} is not known") from error
        except ConnectionRefusedError as error:
            raise unreachable(self.where, "connection refused") from error
        except (OSError, EOFError, UnicodeError) as error:
            # Several addresses that were tried give one long sentence without a number.
            several = "Connect call failed" in str(error)
            reason = "connection refused" if several else str(error)[:120] or type(error).__name__
            raise unreachable(self.where, reason) from error
        return _Connection(self.where, reader, writer)


class _Connection:
    def __init__(self, where: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.where = where
        self.reader = reader
        self.writer = writer
        raw = writer.get_extra_info("socket")
        if raw is not None:
            # A peer that is silently gone is noticed within 30 s.
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for name, value in _KEEP_ALIVE:
                    if hasattr(socket, name):
                        raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    @property
    def gone(self) -> bool:
        return self.reader.at_eof() or self.writer.is_closing()

    def close(self) -> None:
        # Whoever comes here has all it wants; TLS farewells would only delay.
        self.writer.transport.abort()

    def may_stay(self, answer: Answer) -> bool:
        unsent = self.writer.transport.get_write_buffer_size()
        return answer.headers.get("connection", "").lower() != "close" and not unsent and not self.gone

    async def answer(self) -> Answer:
        try:
            async with asyncio.timeout(SILENCE_S):
                while True:
                    status, headers = _head(await self.reader.readuntil(b"\r\n\r\n"))
                    if status >= 200:
                        break
        except TimeoutError as error:
            raise broken(self.where, f"no answer within {SILENCE_S:g} s") from error
        except _LOST as error:
            raise broken(self.where, "the connection broke before the answer") from error
        length = headers.get("content-length")
        if status in (204, 304):
            return Answer(self, status, headers, 0)
        if "transfer-encoding" in headers or length is None or not length.isdigit():
            return Answer(self, status, headers, None)
        return Answer(self, status, headers, int(length))


def _head(data: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers. Raises `ValueError` for what is not HTTP/1."""
    first, *rest = data.decode("latin-1").split("\r\n")
    protocol, status, *_ = first.split(" ")
    if not protocol.startswith("HTTP/1."):
        raise ValueError(first)
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.lower()] = value.strip()
    if protocol == "HTTP/1.0":
        headers.setdefault("connection", "close")
    return int(status), headers
