"""The WhatsApp Cloud API over HTTP; its errors, told as ours.

https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httpx2

from chamade_mcp.kit.connector import AuthNeeded, Content, PlatformUnavailable, WindowClosed
from chamade_mcp.kit.form import FilePart, Form
from chamade_mcp.kit.http import Unanswered, repeatable, unreachable
from chamade_mcp.kit.rates import Rate, Rates
from chamade_mcp.model.errors import Gone, PlatformRefused

TITLE: Final = "WhatsApp"
WINDOW_CLOSED: Final = 131047
NO_USER_ID: Final = 131062
_NUMBER: Final = Rate(80, 1.0)
_PAIR: Final = Rate(10, 60.0)
"""Between the same two Meta takes one in 6 s, or up to 45 at once, for which it then wants the time back that
they would have taken. Ten at once are the most that would make anybody wait for no more than a minute."""
_TOKEN: Final = frozenset({0, 190})
_SLOW: Final = {4: 60.0, 80007: 60.0, 130429: 5.0, 131056: 10.0, 131048: 300.0}
"""Rate limits, and how long to wait: Meta names no time."""
_LATER: Final = frozenset({1, 2, 131000, 131016, 131057})
_UPLOAD_S: Final = 300.0
_READ_BYTES: Final = 256 * 1024
_MEDIA_HOST: Final = ".fbsbx.com"


class RecipientRefused(PlatformRefused):
    """This template wants a telephone number."""


class CloudApi:
    """One business number. Methods raise `AuthNeeded`, `PlatformUnavailable`, `PlatformRefused`,
    `WindowClosed` or `Unanswered`."""

    def __init__(self, http: httpx2.AsyncClient, phone_number_id: str, rates: Rates) -> None:
        self._http = http
        self._id = phone_number_id
        self._rates = rates

    async def number(self) -> dict[str, Any]:
        """`display_phone_number` and `verified_name` of the number."""
        query = {"fields": "id,display_phone_number,verified_name"}
        with repeatable():
            return await self._ask("GET", f"/{self._id}", params=query)

    async def send(self, to: Mapping[str, str], message: Mapping[str, object], key: str) -> str:
        """Its id. `to` is ``{"to": number}`` or ``{"recipient": user id}``; `key` comes back in statuses."""
        whom = next(iter(to.values()))
        await self._rates.turn(("number", _NUMBER), (f"pair {whom}", _PAIR))
        body = {"messaging_product": "whatsapp", "recipient_type": "individual", **to, **message}
        if key:
            body["biz_opaque_callback_data"] = key
        answer = await self._ask("POST", f"/{self._id}/messages", json=body, whom=whom)
        sent = cast("list[dict[str, Any]]", answer.get("messages") or [{}])
        return str(sent[0].get("id", ""))

    async def read(self, message_id: str, *, typing: bool) -> None:
        """Tells the person that a message was read, and shows that somebody types for 25 s at most."""
        body: dict[str, object] = {"messaging_product": "whatsapp", "status": "read"}
        body["message_id"] = message_id
        if typing:
            body["typing_indicator"] = {"type": "text"}
        await self._ask("POST", f"/{self._id}/messages", json=body)

    async def upload(self, name: str, mime: str, content: Content) -> str:
        """The id of a file that messages may name for 30 days."""
        form = Form({"messaging_product": "whatsapp", "type": mime}, [FilePart("file", name, mime, content)])
        answer = await self._ask("POST", f"/{self._id}/media", form=form)
        return str(answer.get("id", ""))

    @asynccontextmanager
    async def download(self, media_id: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The bytes of what somebody sent. Raises `Gone`."""
        try:
            told = await self._ask("GET", f"/{media_id}", params={"phone_number_id": self._id})
        except PlatformRefused as error:
            raise Gone(f"WhatsApp does not give it: {error.detail}") from None
        except Unanswered as error:
            raise PlatformUnavailable(str(error)) from None
        url = str(told.get("url", ""))
        if not self._ours(url):
            raise Gone("WhatsApp names a place for it that is not its own")
        with unreachable(TITLE):
            async with self._http.stream("GET", url) as answer:
                if answer.status_code != 200:
                    raise Gone(f"WhatsApp no longer has it (status {answer.status_code})")
                yield answer.aiter_bytes(_READ_BYTES)

    def _ours(self, url: str) -> bool:
        """Whether `url` may be told the token: Meta's own host of media, or that of the API."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        api = self._http.base_url
        if (parts.scheme, parts.netloc) == (api.scheme, api.netloc.decode()):
            return True
        return parts.scheme == "https" and (parts.hostname or "").endswith(_MEDIA_HOST)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
        form: Form | None = None,
        whom: str = "",
    ) -> dict[str, Any]:
        with unreachable(TITLE):
            answer = await self._http.request(
                method,
                path,
                json=json,
                params=params,
                content=form.chunks() if form else None,
                headers=form.headers if form else None,
                timeout=_UPLOAD_S if form else httpx2.USE_CLIENT_DEFAULT,
            )
        try:
            raw = answer.json()
        except ValueError:
            raw = None
        body = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
        error = body.get("error")
        if isinstance(error, dict):
            raise self._refusal(answer.status_code, cast("dict[str, Any]", error), whom)
        if answer.is_success and isinstance(raw, dict):
            return body
        if answer.status_code in (500, 504):
            raise Unanswered(f"{TITLE} answers with status {answer.status_code}")
        raise PlatformUnavailable(f"{TITLE} answers with status {answer.status_code}, and not in JSON")

    def _refusal(self, status: int, error: dict[str, Any], whom: str) -> Exception:
        """The table of Meta's errors."""
        code, words = error.get("code"), _words(error)
        if not isinstance(code, int):
            return PlatformRefused(words)
        if code in _TOKEN and status in (400, 401, 403):
            return AuthNeeded(words)
        if code in _SLOW:
            wait = _SLOW[code]
            self._rates.hold(f"pair {whom}" if code == 131056 else "number", wait)
            return PlatformUnavailable(words, retry_after=wait)
        if code == WINDOW_CLOSED:
            return WindowClosed(words)
        if code in _LATER or error.get("is_transient") is True:
            return PlatformUnavailable(words)
        return RecipientRefused(words) if code == NO_USER_ID else PlatformRefused(words)


def _words(error: Mapping[str, Any]) -> str:
    data = error.get("error_data")
    details = cast("dict[str, Any]", data).get("details") if isinstance(data, dict) else None
    return str(details or error.get("message") or "refused")[:300]
