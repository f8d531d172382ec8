"""Client ID metadata documents: a client whose id is the https URL of its description.

Fetched behind the guard of `kit.outbound`, kept as long as its headers allow and no longer than a day.
(draft-ietf-oauth-client-id-metadata-document)
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from chamade_mcp.core.clients import Client
from chamade_mcp.core.limits import Attempts
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.outbound import Failed, Fetched, Outbound, Refused
from chamade_mcp.kit.recent import Recent
from chamade_mcp.model.errors import LimitReached
from chamade_mcp.oauth import metadata
from chamade_mcp.oauth.metadata import BadMetadata
from chamade_mcp.oauth.wire import parse_object

MAX_URL_CHARS = 500
MAX_BYTES = 64 * 1024
TIMEOUT_S = 3.0
LONGEST_S = 24 * 3600.0
USUAL_S = 300.0
"""For a document whose headers say nothing."""
FAILURE_S = 30.0
_KEPT = 500
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,9})", re.I)
_NOT_KEPT = re.compile(r"(?:^|[,\s])no-(?:store|cache)\b", re.I)


class NoDocument(Exception):
    """The client cannot be known by its document; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class _Kept:
    found: Client | NoDocument
    until: float


def is_document_id(client_id: str) -> bool:
    """Whether `client_id` claims to be the URL of a document."""
    return client_id.startswith("https://")


class Documents:
    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._clock = clock
        self._kept: Recent[str, _Kept] = Recent(_KEPT)
        # A person's browser asks for one now and then; a flood of them would be ours towards others.
        self._fetches = Attempts(clock, limit=20, window_s=60)

    async def find(self, url: str, asker: str) -> Client:
        """The client at `url`, for `asker` (an account or address, counted). Raises `NoDocument`."""
        _check_url(url)
        kept = self._kept.get(url)
        if kept is None or kept.until <= self._clock.monotonic():
            kept = await self._fetch(url, asker)
        if isinstance(kept.found, NoDocument):
            raise kept.found
        return kept.found

    async def _fetch(self, url: str, asker: str) -> _Kept:
        try:
            self._fetches.count(asker)
        except LimitReached:
            raise NoDocument("Too many clients were asked for in a short time. Wait a minute.") from None
        found: Client | NoDocument
        try:
            answer = await self._outbound.get(
                url, accept="application/json", max_bytes=MAX_BYTES, timeout_s=TIMEOUT_S
            )
            found, life_s = _read(url, answer), _life_s(answer)
        except (Refused, Failed, BadMetadata) as error:
            found, life_s = NoDocument(f"The client's description cannot be used: {error}."), FAILURE_S
        kept = self._kept[url] = _Kept(found, self._clock.monotonic() + life_s)
        return kept


def _check_url(url: str) -> None:
    """Host and characters are the guard's business."""
    if len(url) > MAX_URL_CHARS:
        raise NoDocument("The client's id is too long.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise NoDocument("The client's id is not a URL.") from None
    words = parts.path.split("/")
    if parts.path in ("", "/") or "." in words or ".." in words or "#" in url or "@" in parts.netloc:
        raise NoDocument("The client's id must be a plain https URL with a path.")


def _read(url: str, answer: Fetched) -> Client:
    """Raises `BadMetadata`."""
    if answer.status != 200:
        raise BadMetadata("invalid_client_metadata", f"its address answers with status {answer.status}")
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise BadMetadata("invalid_client_metadata", "it is not JSON")
    document = parse_object(answer.body)
    if document is None:
        raise BadMetadata("invalid_client_metadata", "it is no JSON object")
    if document.get("client_id") != url:
        raise BadMetadata("invalid_client_metadata", "it describes a client of another id")
    if "client_secret" in document:
        raise BadMetadata("invalid_client_metadata", "it has a secret, and everybody can read it")
    told = metadata.parse(document, default_method="none")
    if told.auth_method != "none":
        raise BadMetadata("invalid_client_metadata", "it cannot have a secret of its own")
    host = urlsplit(url).netloc.lower()
    return Client(url, told.name, told.redirect_uris, told.auth_method, told.refreshes, host=host)


def _life_s(answer: Fetched) -> float:
    control = answer.headers.get("cache-control", "")
    if _NOT_KEPT.search(control):
        return 0.0
    told = _MAX_AGE.search(control)
    return USUAL_S if told is None else min(float(told[1]), LONGEST_S)
