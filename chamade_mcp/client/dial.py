"""Opening a call's WebSocket: what its refusals mean, and how long it is tried."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from chamade_mcp.client.errors import ChamadeError, Refused, Unreachable, refusal
from chamade_mcp.client.http import Http
from chamade_mcp.client.retry import pause
from chamade_mcp.model.errors import Action, Outcome

_OVER: Final = 1000
_TOO_LARGE: Final = 1009
_FROM_HTTP: Final = 4000
"""The close codes of the gateway's refusals are HTTP's plus this."""
_CODES: Final = {401: "INVALID_API_KEY", 403: "FORBIDDEN", 404: "CALL_NOT_FOUND", 410: "GONE"}


class _Connect(connect):
    """Follows no redirect: the key stands in a header, and is for the gateway alone."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


@asynccontextmanager
async def dial(http: Http, path: str, last_seq: int | None) -> AsyncGenerator[ClientConnection]:
    """An open socket. Raises `Refused` or `Unreachable`, also when it breaks within the block; leaves the
    block in peace when the call is over."""
    query = "" if last_seq is None else "?" + urlencode({"last_seq": last_seq})
    try:
        async with _Connect(
            f"ws{http.url.removeprefix('http')}{path}{query}",
            additional_headers=http.headers,
            compression=None,  # sound does not shrink
            max_size=None,
        ) as socket:
            yield socket
    except ConnectionClosed as closed:
        error = _closed(closed)
        if error is not None:
            raise error from closed
    except InvalidStatus as refused:
        status = refused.response.status_code
        transient = status in (429, 502, 503, 504)
        raise refusal(
            status,
            f"HTTP_{status}",
            "What answers there opens no WebSocket",
            action=Action.RETRY if transient else Action.GIVE_UP,
        ) from refused
    except InvalidURI as error:
        raise ValueError(str(error)) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise Unreachable(f"The gateway gives no answer: {error}") from error


def _closed(closed: ConnectionClosed) -> ChamadeError | None:
    code = closed.rcvd.code if closed.rcvd is not None else None
    reason = closed.rcvd.reason if closed.rcvd is not None else ""
    if code == _OVER:
        return None
    if code == _TOO_LARGE:
        return refusal(413, "BODY_TOO_LARGE", reason)
    status = (code or 0) - _FROM_HTTP
    if status in _CODES:
        return refusal(status, _CODES[status], reason or "Refused")
    return Unreachable("The connection to the gateway broke", outcome=Outcome.UNKNOWN)


class Patience:
    """Decides how long a broken socket is tried to be opened again."""

    def __init__(self, http: Http) -> None:
        self._retry = http.retry
        self._failures = 0
        self._lost_at: float | None = None
        self._was_open = False

    def restore(self) -> None:
        """It is open."""
        self._failures, self._lost_at, self._was_open = 0, None, True

    async def wait(self, error: ChamadeError) -> None:
        """Until the next attempt; raises `error` when there shall be none."""
        now, delays = asyncio.get_running_loop().time(), self._retry.delays_s
        if self._lost_at is None:
            self._lost_at = now
        late = now - self._lost_at >= self._retry.patience_s
        spent = late if self._was_open else self._failures >= len(delays)
        if spent or not delays or (isinstance(error, Refused) and error.action is not Action.RETRY):
            raise error
        await pause(delays[min(self._failures, len(delays) - 1)])
        self._failures += 1
