"""A Nextcloud over HTTP: Talk, files, shares and the addon; its errors, told as ours."""

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

import httpx2

from chamade_mcp.connectors.nctalk.wire import (
    Chat,
    Me,
    Posted,
    Room,
    Said,
    Unreadable,
    W,
    read,
    read_rooms_map,
)
from chamade_mcp.kit.connector import AuthNeeded, Content, PlatformUnavailable
from chamade_mcp.kit.http import Unanswered, retry_after, unreachable
from chamade_mcp.kit.rates import Rate, Rates
from chamade_mcp.kit.signature import hmac_sha256
from chamade_mcp.model.errors import Gone, PlatformRefused

TITLE: Final = "Nextcloud Talk"
RANDOM: Final = "x-maquisard-random"
SIGNATURE: Final = "x-maquisard-signature"
SPREED: Final = "/ocs/v2.php/apps/spreed/api"
SHARES: Final = "/ocs/v2.php/apps/files_sharing/api/v1/shares"
ADDON: Final = "/index.php/apps/chamade_talk"
_ROOM_SHARE: Final = 10
_ROOM: Final = Rate(10, 5.0)
_BOT: Final = Rate(40, 10.0)
"""Nextcloud names no limit for users who are signed in; its administrators are not to notice us."""
_BUSY_S: Final = 5.0
_UPLOAD_S: Final = 300.0
_READ_BYTES: Final = 256 * 1024
_PAGE: Final = 100
"""Messages, each of up to 32,000 characters, of each of the rooms that are read at a time."""


def sign(secret: str, random: str) -> str:
    """The addon's signature, both ways: of the random alone (CONTRACT section 11.1)."""
    return hmac_sha256(secret, random.encode())


def cloud_of(nc_url: str) -> str:
    """What tells one Nextcloud from another: host, port and path."""
    parts = urlsplit(nc_url)
    return f"{parts.netloc.lower()}{parts.path.rstrip('/')}"


@dataclass(frozen=True, slots=True)
class Page:
    said: list[Said]
    end: int
    """The number to go on from."""
    full: bool
    """There may be more."""


class Cloud:
    """One bot user. Methods raise `AuthNeeded`, `PlatformUnavailable`, `PlatformRefused` or `Unanswered`."""

    def __init__(self, http: httpx2.AsyncClient, settings: Mapping[str, str], rates: Rates) -> None:
        self._http = http
        self.login = settings["bot_login"]
        self._auth = (self.login, settings["bot_token"])
        self._secret = settings["api_secret"]
        self._rates = rates
        self._root = str(http.base_url).rstrip("/")
        self._dav = f"/remote.php/dav/files/{quote(self.login)}"

    # --- Talk ----------------------------------------------------------------------------------------------

    async def me(self) -> Me:
        return _as(Me, await self._asked("GET", "/ocs/v2.php/cloud/user"))

    async def rooms(self) -> list[Room]:
        """Those that the bot is in. One that cannot be read is left out."""
        told = await self._asked("GET", f"{SPREED}/v4/room", params={"noStatusUpdate": "1"})
        return _every(Room, told)

    async def room_with(self, owner: str) -> Room:
        """The conversation with a user alone, made if there is none."""
        asked = {"roomType": 1, "invite": owner}
        return _as(Room, await self._asked("POST", f"{SPREED}/v4/room", json=asked))

    async def newest(self, room: str, most: int = 20) -> list[Said]:
        """The newest first."""
        asked = {"lookIntoFuture": "0", "limit": str(most), "setReadMarker": "0"}
        told = await self._asked("GET", f"{SPREED}/v1/chat/{room}", params=asked, timeout_s=2.0)
        return _every(Said, told)

    async def since(self, room: str, last: int) -> Page:
        """What came after message `last`, oldest first."""
        # Put together by hand, and whole: it is asked for with every message, and the client would read the
        # address anew for `params`, and once more to join it to its own.
        asked = f"lookIntoFuture=1&lastKnownMessageId={last}&timeout=0&limit={_PAGE}&setReadMarker=0"
        answer = await self._answer("GET", f"{self._root}{SPREED}/v1/chat/{room}?{asked}")
        if answer.status_code == 304:
            return Page([], last, full=False)
        found, count = _chat(answer)
        given = answer.headers.get("x-chat-last-given", "")
        end = max([last, int(given) if given.isdecimal() else 0, *(one.id for one in found)])
        return Page(found, end, full=end > last and count >= _PAGE)

    async def say(self, room: str, message: str, **more: object) -> int:
        """When its turn has come; the message's number. `more` are fields of the API."""
        await self._turn(room)
        told = await self._asked("POST", f"{SPREED}/v1/chat/{room}", json={"message": message, **more})
        return _as(Posted, told).id

    async def edit(self, room: str, number: str, message: str) -> None:
        await self._turn(room)
        await self._asked("PUT", f"{SPREED}/v1/chat/{room}/{number}", json={"message": message})

    async def delete(self, room: str, number: str) -> None:
        await self._turn(room)
        await self._asked("DELETE", f"{SPREED}/v1/chat/{room}/{number}", fine=(404,))

    async def react(self, room: str, number: str, emoji: str, *, on: bool) -> None:
        await self._turn(room)
        path = f"{SPREED}/v1/reaction/{room}/{number}"
        await self._asked(
            "POST" if on else "DELETE", path, json={"reaction": emoji}, fine=() if on else (404,)
        )

    # --- files ---------------------------------------------------------------------------------------------

    async def upload(self, folder: str, name: str, content: Content) -> str:
        """Puts a file into a folder below Talk's, which is made; its path."""
        for made in ("Talk", f"Talk/{folder}"):
            await self._asked("MKCOL", f"{self._dav}/{made}", fine=(405,))
        path = f"/Talk/{folder}/{_file_name(name)}"
        await self._asked(
            "PUT",
            self._dav + quote(path),
            content=content.chunks,
            headers={"content-length": str(content.size_bytes)},
            timeout_s=_UPLOAD_S,
        )
        return path

    async def share(self, room: str, path: str, reference: str, meta: str) -> None:
        await self._turn(room)
        asked = {
            "shareType": _ROOM_SHARE,
            "shareWith": room,
            "path": path,
            "referenceId": reference,
            "talkMetaData": meta,
        }
        await self._asked("POST", SHARES, json=asked)

    @asynccontextmanager
    async def download(self, path: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Raises `Gone`, besides `AuthNeeded` and `PlatformUnavailable`."""
        with unreachable(TITLE):
            url = f"{self._dav}/{quote(path.lstrip('/'))}"
            async with self._http.stream("GET", url, auth=self._auth) as answer:
                if answer.status_code != 200:
                    _complain(answer, fine=(404, 403))
                    raise Gone(f"Nextcloud no longer has it (status {answer.status_code})")
                yield answer.aiter_bytes(_READ_BYTES)

    # --- the addon -----------------------------------------------------------------------------------------

    async def check_secret(self) -> None:
        await self._addon("GET", "/api/v1/config")

    async def authorized_rooms(self) -> dict[str, str]:
        told = await self._addon("GET", "/api/v1/authorized-rooms")
        try:
            return read_rooms_map(told.get("authorized_rooms"))
        except Unreadable:
            raise PlatformUnavailable("The addon's list of rooms cannot be read") from None

    async def authorize_rooms(self, rooms: Mapping[str, str]) -> None:
        """All that there are: what is not named is no longer authorized."""
        await self._addon("PUT", "/api/v1/authorized-rooms", {"authorized_rooms": dict(rooms)})

    async def remove_bot(self) -> None:
        await self._addon("DELETE", f"/api/v1/bot-users/{quote(self.login)}")

    async def set_avatar(self, png: bytes) -> None:
        picture = {"avatar": ("avatar.png", png, "image/png")}
        await self._addon("POST", f"/api/v1/bot-users/{quote(self.login)}/avatar", files=picture)

    async def _addon(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
    ) -> dict[str, Any]:
        random = secrets.token_hex(16)
        headers = {RANDOM: random, SIGNATURE: sign(self._secret, random)}
        with unreachable(TITLE):
            answer = await self._http.request(method, ADDON + path, json=body, files=files, headers=headers)
        if answer.status_code in (401, 403):
            raise AuthNeeded("The addon of this Nextcloud does not take the secret (Invalid HMAC)")
        if answer.status_code == 404 and method != "DELETE":
            raise AuthNeeded("This Nextcloud has no addon, or it is turned off")
        _complain(answer)
        return _object(_json(answer))

    # --- inside --------------------------------------------------------------------------------------------

    async def _turn(self, room: str) -> None:
        await self._rates.turn(("bot", _BOT), ("room " + room, _ROOM))

    async def _asked(self, method: str, path: str, **how: Any) -> Any:
        return _data(await self._answer(method, path, **how))

    async def _answer(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, object] | None = None,
        content: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        fine: tuple[int, ...] = (),
    ) -> httpx2.Response:
        with unreachable(TITLE):
            answer = await self._http.request(
                method,
                path,
                params=params,
                json=json,
                content=content,
                headers=headers,
                auth=self._auth,
                timeout=httpx2.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s,
            )
        if answer.status_code == 429:
            self._rates.hold("bot", retry_after(answer.headers, _BUSY_S))
        _complain(answer, fine)
        return answer


def _complain(answer: httpx2.Response, fine: tuple[int, ...] = ()) -> None:
    """The table of Nextcloud's errors."""
    status = answer.status_code
    if status < 300 or status == 304 or status in fine:
        return
    words = _words(answer)
    match status:
        case 401:
            raise AuthNeeded(words or "Nextcloud no longer takes the bot's password: the addon was removed")
        case 429:
            raise PlatformUnavailable("Nextcloud is asked too often", retry_after(answer.headers, _BUSY_S))
        case 503:
            raise PlatformUnavailable(
                words or "Nextcloud is in maintenance", retry_after(answer.headers, _BUSY_S)
            )
        case 502 | 504:
            raise Unanswered(f"{TITLE} answers with status {status}")
        case 413:
            raise PlatformRefused(words or "The message is too long for this Nextcloud")
        case 507:
            raise PlatformRefused("The bot's storage in Nextcloud is full")
        case _:
            raise PlatformRefused(f"Nextcloud answers with status {status}" + (f": {words}" if words else ""))


def _words(answer: httpx2.Response) -> str:
    if not answer.is_closed:  # of a download nothing is read for it
        return ""
    body = _object(_json(answer, {}))
    meta = _object(_object(body.get("ocs")).get("meta"))
    error = _object(_object(body.get("ocs")).get("data")).get("error") or body.get("error")
    return str(meta.get("message") or error or "")[:300]


def _json(answer: httpx2.Response, default: object = None) -> object:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        if default is not None:
            return default
        raise PlatformUnavailable(f"{TITLE} answers with status {answer.status_code}, not in JSON") from None


def _data(answer: httpx2.Response) -> Any:
    """What stands in an OCS envelope; None where there is none, as of WebDAV."""
    return _object(_object(_json(answer, {})).get("ocs")).get("data")


def _object(told: object) -> dict[str, Any]:
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _as(kind: type[W], told: object) -> W:
    try:
        return read(kind, told)
    except Unreadable:
        raise PlatformUnavailable(f"{TITLE} answers what cannot be read") from None


def _every(kind: type[W], told: object) -> list[W]:
    found: list[W] = []
    for one in cast("list[object]", told) if isinstance(told, list) else []:
        try:
            found.append(read(kind, one))
        except Unreadable:
            continue
    return found


def _chat(answer: httpx2.Response) -> tuple[list[Said], int]:
    """The messages that can be read, and how many there are in all. Mostly each can be: then the answer is
    read in one go, which takes a third of the time."""
    try:
        found = read(Chat, answer.content).ocs.data
    except Unreadable:
        told = _data(answer)
        return _every(Said, told), len(cast("list[object]", told)) if isinstance(told, list) else 0
    return found, len(found)


def _file_name(name: str) -> str:
    """One path segment that Nextcloud takes, however it is set up."""
    kept = "".join("_" if c in '\\/:*?"<>|' or c < " " else c for c in name).strip(". ")
    return kept[:200] or "file"
