"""The Bot Connector over HTTP; its errors, told as ours.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from urllib.parse import quote

import httpx2

from chamade_mcp.connectors.teams.login import Login
from chamade_mcp.connectors.teams.places import Places
from chamade_mcp.connectors.teams.wire import in_thread
from chamade_mcp.kit.connector import AuthNeeded, Content, PlatformUnavailable
from chamade_mcp.kit.http import Unanswered, retry_after, unreachable
from chamade_mcp.kit.rates import Rate, Rates
from chamade_mcp.model.errors import Gone, PlatformRefused

TITLE: Final = "Microsoft Teams"
_BOT: Final = Rate(15, 1.0)
_CHAT: Final = Rate(5, 10 / 3)
_HOUR: Final = Rate(300, 720.0)
"""With these two no second has more than 7, no two have more than 8, no 30 more than 60, and no hour has more
than 1,800: what Teams lets a bot say in one conversation. In all of them it is 30 a second."""
_BUSY_S: Final = 2.0
_UPLOAD_S: Final = 300.0
_READ_BYTES: Final = 256 * 1024


class Missing(PlatformRefused):
    """What a request is about is no longer there."""


class BotConnector:
    """One bot. Methods raise `AuthNeeded`, `PlatformUnavailable`, `PlatformRefused` or `Unanswered`."""

    def __init__(
        self, http: httpx2.AsyncClient, login: Login, places: Places, rates: Rates, app_id: str
    ) -> None:
        self._http = http
        self._login = login
        self._places = places
        self._rates = rates
        self.me = f"28:{app_id}"

    async def say(self, place: str, thread: str | None, activity: Mapping[str, object]) -> str:
        """The id of what is said when its turn has come; in a thread, where there is one."""
        await self._turn(place)
        conversation = in_thread(place, thread) if thread else place
        body = {**activity, "from": {"id": self.me}, "conversation": {"id": conversation}}
        return str((await self._ask("POST", place, _activities(conversation), body)).get("id", ""))

    async def post(self, channel: str, activity: Mapping[str, object]) -> str:
        """The id of a new post in a channel, below which a thread can begin."""
        await self._turn(channel)
        tenant = self._places.tenant_of(channel)
        asked = {
            "isGroup": True,
            "bot": {"id": self.me},
            "tenantId": tenant,
            "channelData": {"channel": {"id": channel}, "tenant": {"id": tenant}},
            "activity": {**activity, "from": {"id": self.me}},
        }
        told = await self._ask("POST", channel, "/v3/conversations", asked)
        return str(told.get("activityId") or str(told.get("id", "")).partition(";messageid=")[2])

    async def change(self, place: str, ref: str, activity: Mapping[str, object]) -> None:
        await self._turn(place)
        body = {**activity, "id": ref, "from": {"id": self.me}, "conversation": {"id": place}}
        await self._ask("PUT", place, _activities(place, ref), body)

    async def delete(self, place: str, ref: str) -> None:
        await self._turn(place)
        await self._ask("DELETE", place, _activities(place, ref))

    async def react(self, place: str, ref: str, name: str, *, on: bool) -> None:
        await self._turn(place)
        path = f"{_activities(place, ref)}/reactions/{quote(name, safe='')}"
        await self._ask("PUT" if on else "DELETE", place, path)

    async def team(self, channel: str, team: str) -> tuple[str, dict[str, str]]:
        """The name of a team, and those of its channels by their ids; "" for one without."""
        path = f"/v3/teams/{quote(team, safe='')}"
        name = (await self._ask("GET", channel, path)).get("name")
        told: object = (await self._ask("GET", channel, f"{path}/conversations")).get("conversations")
        listed = cast("list[object]", told) if isinstance(told, list) else []
        channels = [cast("dict[str, Any]", one) for one in listed if isinstance(one, dict)]
        return str(name or ""), {str(one.get("id")): str(one.get("name") or "") for one in channels}

    async def upload(self, url: str, content: Content) -> None:
        """Puts a file where its receiver wants it; `url` is vouched for, and is asked without a token."""
        size = content.size_bytes
        headers = {
            "content-length": str(size),
            "content-range": f"bytes 0-{size - 1}/{size}",
            "content-type": "application/octet-stream",
        }
        with unreachable("Where Teams keeps files"):
            answer = await self._http.put(url, content=content.chunks, headers=headers, timeout=_UPLOAD_S)
        if not answer.is_success:
            raise PlatformRefused(f"Where Teams keeps files: status {answer.status_code}")

    @asynccontextmanager
    async def download(self, url: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """What lies at an address of Teams's own; pictures in a text take the bot's token. Raises `Gone`."""
        picture = self._places.is_service(url) and "/v3/attachments/" in url
        if not picture and not self._places.is_store(url):
            raise Gone("Teams names a place for it that is not its own")
        headers = {"authorization": f"Bearer {await self._login.token()}"} if picture else {}
        with unreachable(TITLE):
            async with self._http.stream("GET", url, headers=headers) as answer:
                if answer.status_code != 200:
                    raise Gone(f"Teams no longer gives it (status {answer.status_code})")
                yield answer.aiter_bytes(_READ_BYTES)

    # --- inside --------------------------------------------------------------------------------------------

    async def _turn(self, place: str) -> None:
        await self._rates.turn(("bot", _BOT), (f"chat {place}", _CHAT), (f"hour {place}", _HOUR))

    async def _ask(
        self, method: str, place: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """With a token that was refused, once more with a new one."""
        url, token = self._places.service_of(place) + path, await self._login.token()
        answer = await self._request(method, url, token, body)
        if answer.status_code == 401:
            answer = await self._request(method, url, await self._login.token(refused=token), body)
        try:
            raw: object = answer.json()
        except ValueError:
            raw = None
        told = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
        if answer.is_success:
            return told
        raise self._refusal(answer, told, place)

    async def _request(
        self, method: str, url: str, token: str, body: Mapping[str, object] | None
    ) -> httpx2.Response:
        headers = {"authorization": f"Bearer {token}"}
        with unreachable(TITLE):
            return await self._http.request(method, url, json=body, headers=headers)

    def _refusal(self, answer: httpx2.Response, told: dict[str, Any], place: str) -> Exception:
        """The table of Teams's errors."""
        error: object = told.get("error")
        about = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
        words = str(about.get("message") or about.get("code") or f"status {answer.status_code}")[:300]
        match answer.status_code:
            case 401:
                return AuthNeeded(words)
            case 429:
                wait = retry_after(answer.headers, _BUSY_S)
                self._rates.hold(f"chat {place}", wait)
                return PlatformUnavailable(words, retry_after=wait)
            case 404:
                return Missing(words)
            case 412 | 502 | 503:
                return PlatformUnavailable(words, retry_after=retry_after(answer.headers, _BUSY_S))
            case status if status >= 500:
                return Unanswered(words)
            case _:
                return PlatformRefused(words)


def _activities(conversation: str, ref: str = "") -> str:
    path = f"/v3/conversations/{quote(conversation, safe='')}/activities"
    return f"{path}/{quote(ref, safe='')}" if ref else path
