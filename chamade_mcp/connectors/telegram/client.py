"""Telegram's Bot API over HTTP; its errors, told as ours."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import httpx2
from pydantic import ValidationError

from chamade_mcp.connectors.telegram.wire import UPDATES, User
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.form import FilePart, Form
from chamade_mcp.kit.http import Unanswered, repeatable, retry_after, unreachable
from chamade_mcp.kit.rates import Rate, Rates
from chamade_mcp.model.errors import Gone, PlatformRefused

TITLE: Final = "Telegram"
POLL_S: Final = 50
"""The longest that Telegram lets a request for updates wait."""
_BOT: Final = Rate(30, 1.0)
_CHAT: Final = Rate(3, 3.0)
"""One a second, with a few at once for an answer of several parts."""
_GROUP: Final = Rate(20, 60.0)
_CONFLICT_S: Final = 10.0
_BUSY_S: Final = 5.0
_READ_BYTES: Final = 256 * 1024
_UPLOAD_S: Final = 300.0


class Migrated(Exception):
    """The group was made a supergroup, which has another id."""

    def __init__(self, chat_id: str) -> None:
        super().__init__(chat_id)
        self.chat_id = chat_id


class BotApi:
    """One bot. Methods raise `AuthNeeded`, `PlatformUnavailable`, `PlatformRefused` or `Unanswered`."""

    def __init__(self, http: httpx2.AsyncClient, token: str, rates: Rates) -> None:
        self._http = http
        self._token = token
        self._rates = rates

    async def me(self) -> User:
        try:
            return User.model_validate(await self.call("getMe"))
        except ValidationError:
            raise PlatformUnavailable("The server at the address of Telegram's API is another") from None
        except Unanswered as error:
            raise PlatformUnavailable(str(error)) from None

    async def updates(self, offset: int) -> list[Any]:
        """Those from `offset` on, as soon as there are any; all before it are done with."""
        asked = {"offset": offset, "timeout": POLL_S, "allowed_updates": UPDATES}
        with repeatable():
            found = await self.call("getUpdates", asked, timeout_s=POLL_S + 10)
        return cast("list[Any]", found) if isinstance(found, list) else []

    async def say(
        self,
        method: str,
        chat_id: str,
        params: Mapping[str, object],
        files: Sequence[FilePart] = (),
    ) -> Any:
        """A method that shows something in a chat, when its turn has come. Raises `Migrated` besides."""
        group = ("group " + chat_id, _GROUP) if chat_id.startswith("-") else ("chat " + chat_id, _CHAT)
        await self._rates.turn(("bot", _BOT), group)
        timeout_s = _UPLOAD_S if files else None
        return await self.call(method, {"chat_id": chat_id, **params}, files, timeout_s=timeout_s)

    async def call(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        files: Sequence[FilePart] = (),
        *,
        timeout_s: float | None = None,
    ) -> Any:
        """The `result` of an answer that is `ok`."""
        fields = {name: _text(value) for name, value in (params or {}).items() if value is not None}
        timeout = httpx2.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s
        form = Form(fields, files) if files else None
        with unreachable(TITLE):
            answer = await self._http.post(
                f"/bot{self._token}/{method}",
                data=None if form else fields,
                content=form.chunks() if form else None,
                headers=form.headers if form else None,
                timeout=timeout,
            )
        return self._result(answer, str(fields.get("chat_id", "")))

    @asynccontextmanager
    async def download(self, file_id: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The bytes of a file that somebody sent. Raises `Gone`."""
        try:
            told = await self.call("getFile", {"file_id": file_id})
        except PlatformRefused as error:
            raise Gone(f"Telegram does not give it: {error.detail}") from None
        except Unanswered as error:
            raise PlatformUnavailable(str(error)) from None
        path = str(_object(told).get("file_path") or "")
        if path.startswith("/"):  # a Bot API server of one's own, on this machine (--local)
            yield _from_disk(Path(path))
            return
        if not path:
            raise Gone("Telegram gives bots no files over 20 MB")
        with unreachable(TITLE):
            async with self._http.stream("GET", f"/file/bot{self._token}/{path}") as answer:
                if answer.status_code != 200:
                    raise Gone(f"Telegram no longer has it (status {answer.status_code})")
                yield answer.aiter_bytes(_READ_BYTES)

    def _result(self, answer: httpx2.Response, chat_id: str) -> Any:
        try:
            body = _object(answer.json())
        except ValueError:
            body = {}
        if "ok" not in body:
            raise PlatformUnavailable(f"{TITLE} answers with status {answer.status_code}, and not in JSON")
        if body["ok"] is True:
            return body.get("result")
        raise self._refusal(answer, body, chat_id)

    def _refusal(self, answer: httpx2.Response, body: dict[str, Any], chat_id: str) -> Exception:
        """The table of Telegram's errors."""
        code, words = body.get("error_code", answer.status_code), str(body.get("description", ""))
        parameters = _object(body.get("parameters"))
        match code:
            case 401 | 404 if code == 401 or words == "Not Found":
                return AuthNeeded(words)
            case 409:
                return PlatformUnavailable(words, retry_after=_CONFLICT_S)
            case 429:
                told = parameters.get("retry_after")
                wait = float(told) if isinstance(told, int) else retry_after(answer.headers, _BUSY_S)
                # Telegram does not say whether a chat or the bot was too fast: the chat is the likelier.
                self._rates.hold(("group " if chat_id.startswith("-") else "chat ") + chat_id, wait)
                return PlatformUnavailable(words, retry_after=wait)
            case 500 | 504:
                return Unanswered(words)
            case _ if isinstance(code, int) and code > 500:
                return PlatformUnavailable(words, retry_after=_BUSY_S)
            case _ if "migrate_to_chat_id" in parameters:
                return Migrated(str(parameters["migrate_to_chat_id"]))
            case _:
                return PlatformRefused(words.removeprefix("Bad Request: ").removeprefix("Forbidden: "))


def _object(told: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _text(value: object) -> str:
    """As a form field: what is no text or number goes as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else json.dumps(value)


async def _from_disk(path: Path) -> AsyncIterator[bytes]:
    try:
        source = await asyncio.to_thread(path.open, "rb")
    except OSError:
        raise Gone("The Bot API server keeps it on a disk that the gateway cannot read") from None
    with source:
        while chunk := await asyncio.to_thread(source.read, _READ_BYTES):
            yield chunk
