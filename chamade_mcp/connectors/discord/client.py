"""Discord's REST API; its errors, told as ours."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote, urlsplit

import httpx2

from chamade_mcp import __version__
from chamade_mcp.connectors.discord.buckets import Buckets
from chamade_mcp.connectors.discord.wire import (
    Application,
    Entrance,
    Message,
    Unreadable,
    User,
    Wire,
    members,
    read,
)
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.form import Form
from chamade_mcp.kit.http import Unanswered, retry_after, unreachable
from chamade_mcp.model.errors import Gone, PlatformRefused

T = TypeVar("T", bound=Wire)

TITLE: Final = "Discord"
USER_AGENT: Final = f"DiscordBot (chamade_mcp, {__version__})"
"""Discord's rule: who has no such header is turned away before it is read."""
_CDN: Final = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
_PLACES: Final = frozenset({"channels", "guilds"})
"""The first part of a path after which an id has limits of its own."""
_READ_BYTES: Final = 256 * 1024
_UPLOAD_S: Final = 300.0
_BUSY_S: Final = 5.0
_BANNED_S: Final = 60.0
UNKNOWN_MESSAGE: Final = 10008
_WORDS: Final = {
    10003: "The channel is gone",
    UNKNOWN_MESSAGE: "The message is gone",
    10014: "Discord knows no such emoji",
    20016: "Slow mode is on in this channel",
    30010: "The message has as many emoji as Discord allows",
    40005: "Discord takes no file this large",
    50001: "The bot cannot see this channel",
    50005: "The bot may change its own messages only",
    50007: "This person takes no direct messages from the bot",
    50013: "The bot has not the permission for this in this channel",
    50083: "The thread is archived",
    50278: "The bot shares no server with this person",
    90001: "The person has blocked the bot",
    160002: "The bot may not read the history of this channel, so it cannot reply there",
    160005: "The thread is locked",
}


class RestApi:
    """One bot. Methods raise `AuthNeeded`, `PlatformUnavailable`, `PlatformRefused` or `Unanswered`."""

    def __init__(self, http: httpx2.AsyncClient, token: str, buckets: Buckets) -> None:
        self._http = http
        self._authorization = {"authorization": f"Bot {token}"}
        self._buckets = buckets

    @property
    def unencrypted(self) -> bool:
        """Who runs the gateway has set an address on the same machine, of an emulator's say."""
        return self._http.base_url.scheme == "http"

    async def me(self) -> User:
        return await self._known("/users/@me", User)

    async def application(self) -> Application:
        return await self._known("/applications/@me", Application)

    async def entrance(self) -> Entrance:
        return await self._known("/gateway/bot", Entrance)

    async def direct(self, user: str) -> str:
        """The channel between the bot and somebody; it is made where there is none."""
        told = await self.call("POST", "/users/@me/channels", json={"recipient_id": user})
        return str(told.get("id", ""))

    async def call(
        self,
        method: str,
        route: str,
        *ids: str,
        json: Mapping[str, object] | None = None,
        form: Form | None = None,
        fine: int = 0,
        counted: bool = True,
    ) -> dict[str, Any]:
        """A JSON object, empty where Discord has nothing to say, or does so by the error code `fine`.

        `route` is a path with ``{}`` for each of the `ids`.
        """
        name = f"{method} {route}"
        place = ids[0] if ids and route.split("/")[1] in _PLACES else ""
        await self._buckets.turn(name, place, counted=counted)
        with unreachable(TITLE):
            answer = await self._http.request(
                method,
                route.format(*(quote(one, safe="@:") for one in ids)),
                json=json,
                content=form.chunks() if form else None,
                headers={**self._authorization, **(form.headers if form else {})},
                timeout=_UPLOAD_S if form else httpx2.USE_CLIENT_DEFAULT,
            )
        self._buckets.told(name, place, answer.headers)
        return self._told(answer, name, place, fine)

    @asynccontextmanager
    async def download(self, ref: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The bytes of a file: `ref` is its channel, message and id. Raises `Gone`.

        Its address is good for a day only, so the message is asked for again.
        """
        channel, message, attachment = [*ref.split("/"), "", ""][:3]
        try:
            told = read(Message, await self.call("GET", "/channels/{}/messages/{}", channel, message))
        except PlatformRefused as error:
            raise Gone(f"{TITLE} does not give it: {error.detail}") from None
        except Unanswered as error:
            raise PlatformUnavailable(str(error)) from None
        except Unreadable:
            raise Gone(f"{TITLE} no longer has it") from None
        url = next((file.url for file in told.files if file.id == attachment), "")
        if not self._keeps_files(url):
            raise Gone(f"{TITLE} no longer has it")
        with unreachable(TITLE):
            async with self._http.stream("GET", url) as answer:
                if answer.status_code != 200:
                    raise Gone(f"{TITLE} no longer has it (status {answer.status_code})")
                yield answer.aiter_bytes(_READ_BYTES)

    # --- inside --------------------------------------------------------------------------------------------

    async def _known(self, route: str, kind: type[T]) -> T:
        """Asks for what every bot can know."""
        try:
            return read(kind, await self.call("GET", route))
        except Unanswered as error:
            raise PlatformUnavailable(str(error)) from None
        except (PlatformRefused, Unreadable):
            raise PlatformUnavailable("The server at the address of Discord's API is another") from None

    def _keeps_files(self, url: str) -> bool:
        asked, own = urlsplit(url), self._http.base_url
        if (asked.scheme, asked.netloc) == (own.scheme, own.netloc.decode()):
            return True
        return asked.scheme == "https" and asked.netloc in _CDN

    def _told(self, answer: httpx2.Response, route: str, place: str, fine: int) -> dict[str, Any]:
        """The table of Discord's errors."""
        status = answer.status_code
        if status == 204:
            return {}
        try:
            body: object = answer.json()
        except ValueError:
            body = None
        about = members(body)
        code, words = about.get("code"), str(about.get("message", ""))
        if 200 <= status < 300 and isinstance(body, dict):
            return about
        if status == 401:
            raise AuthNeeded(words or "401: Unauthorized")
        if status == 429:
            raise self._too_fast(answer, about, route, place)
        if status in (500, 502, 504) or status > 519:
            raise Unanswered(f"{TITLE} answers with status {status}")
        if status == 413:
            raise PlatformRefused(_WORDS[40005])
        if status >= 500 or not about:
            raise PlatformUnavailable(f"{TITLE} answers with status {status}", retry_after=_BUSY_S)
        if fine and code == fine:
            return {}
        if isinstance(code, int) and code in _WORDS:
            raise PlatformRefused(f"{_WORDS[code]} ({code})")
        raise PlatformRefused("; ".join([words, *_faults(about.get("errors"))]))

    def _too_fast(
        self, answer: httpx2.Response, about: Mapping[str, Any], route: str, place: str
    ) -> PlatformUnavailable:
        told = about.get("retry_after")
        if isinstance(told, int | float) and not isinstance(told, bool):
            wait = max(0.0, float(told))
            everywhere = about.get("global") is True
        else:  # not Discord but the guard before it, which keeps the whole machine out
            wait, everywhere = retry_after(answer.headers, _BANNED_S), True
        self._buckets.refused(route, place, wait, everywhere=everywhere)
        return PlatformUnavailable(str(about.get("message") or "Too many requests"), retry_after=wait)


def _faults(errors: object, path: str = "") -> list[str]:
    """What is wrong with which field: ``{"content": {"_errors": [{"code": ..., "message": ...}]}}``."""
    found: list[str] = []
    for name, inner in list(members(errors).items())[:10]:
        if name == "_errors":
            listed = cast("list[object]", inner) if isinstance(inner, list) else []
            found += [f"{path}: {members(one).get('message', '')}" for one in listed[:3]]
        elif path.count(".") < 5:
            found += _faults(inner, f"{path}.{name}" if path else name)
    return found[:5]
