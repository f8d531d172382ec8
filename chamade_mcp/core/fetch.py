"""Files that a URL of another server names: fetched behind the guard, refused in words."""

import mimetypes
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from chamade_mcp.core.file_types import OCTETS
from chamade_mcp.core.limits import Attempts
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.outbound import BadUrl, Download, Failed, Outbound, Refused, TookTooLong
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import Action, FetchFailed, InvalidRequest, TimedOut

FETCHES_PER_MINUTE = 60
_EXTENDED = re.compile(r"(?:^|[;\s])filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^;\s]+)", re.I)
_PLAIN = re.compile(r"(?:^|[;\s])filename\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;\s]+))", re.I)


@dataclass(frozen=True, slots=True)
class Found:
    """A file of another server. Name and type are what that server says."""

    name: str
    mime: str
    chunks: AsyncIterator[bytes]


class Fetcher:
    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._attempts = Attempts(clock, limit=FETCHES_PER_MINUTE, window_s=60.0)

    @asynccontextmanager
    async def open(self, scope: Scope, url: str, *, field: str, timeout_s: float) -> AsyncGenerator[Found]:
        """All within `timeout_s`, reading included. `field` is where the URL stood.

        Raises `InvalidRequest`, `FetchFailed`, `TimedOut`, or `LimitReached` when the account asks for too
        many in a minute.
        """
        self._attempts.count(scope.account)
        try:
            async with self._outbound.download(url, timeout_s=timeout_s) as download:
                _require_success(download, field)
                yield _found(download)
        except BadUrl as error:
            raise InvalidRequest(f"{field}: {error}", code="INVALID_URL", param=field) from None
        except Refused as error:
            raise InvalidRequest(f"{field}: {error}", code="FETCH_REFUSED", param=field) from None
        except TookTooLong as error:
            raise TimedOut(f"{field}: {error}", param=field) from None
        except Failed as error:
            raise FetchFailed(f"{field}: {error}", action=Action.RETRY) from None


def _require_success(download: Download, field: str) -> None:
    if download.status == 200:
        return
    action = Action.RETRY if download.status in (408, 425, 429) or download.status >= 500 else None
    raise FetchFailed(f"{field}: {download.host} answers with status {download.status}", action=action)


def _found(download: Download) -> Found:
    last = unquote(urlsplit(download.url).path.rpartition("/")[2])
    name = name_in(download.headers.get("content-disposition", "")) or last or "file"
    mime = download.headers.get("content-type") or mimetypes.guess_type(name)[0] or OCTETS
    return Found(name, mime, download.chunks)


def name_in(disposition: str) -> str:
    """The file name in a `Content-Disposition`, its extended form first; empty without one. (RFC 6266)"""
    extended = _EXTENDED.search(disposition)
    if extended is not None:
        return unquote(extended[2], encoding=extended[1], errors="replace")
    plain = _PLAIN.search(disposition)
    if plain is None:
        return ""
    return re.sub(r"\\(.)", r"\1", plain[1]) if plain[1] is not None else plain[2]
