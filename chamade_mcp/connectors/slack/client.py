"""Slack's Web API over HTTP; its errors, told as ours."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from chamade_mcp.connectors.slack.wire import members
from chamade_mcp.kit.connector import AuthNeeded, Content, PlatformUnavailable
from chamade_mcp.kit.http import Unanswered, repeatable, retry_after, unreachable
from chamade_mcp.kit.rates import Rate, Rates
from chamade_mcp.model.errors import Gone, PlatformRefused

TITLE: Final = "Slack"
_CHANNEL: Final = Rate(3, 3.0)
"""One post a second in a channel, with a few at once for an answer of several parts."""
_TIERS: Final = {2: Rate(20, 60.0), 3: Rate(50, 60.0), 4: Rate(100, 60.0)}
_TIER_OF: Final = {
    "chat.update": 3,
    "chat.delete": 3,
    "reactions.add": 3,
    "reactions.remove": 2,
    "conversations.info": 3,
    "files.getUploadURLExternal": 4,
    "files.completeUploadExternal": 4,
    "files.info": 4,
    "users.info": 4,
    "bots.info": 3,
}
"""https://docs.slack.dev/apis/web-api/rate-limits; each counts for itself. Those left out have limits of
their own, or are asked once."""
_BUSY_S: Final = 30.0
_READ_BYTES: Final = 256 * 1024
_UPLOAD_S: Final = 300.0

_NO_TOKEN: Final = frozenset(
    {"not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired", "ekm_access_denied"}
    | {"not_allowed_token_type"}
)
_LATER: Final = frozenset(
    {"ratelimited", "rate_limited", "service_unavailable", "team_added_to_org", "org_login_required"}
)
_MAYBE: Final = frozenset({"internal_error", "fatal_error", "request_timeout"})
""""Some aspect of the operation may have succeeded", as Slack says."""
PASSING: Final = _LATER | _MAYBE
"""Errors that say nothing of what was asked."""
_WORDS: Final = {
    "channel_not_found": "The channel is gone, or the app is not in it",
    "not_in_channel": "The app is not in this channel: invite it there",
    "is_archived": "The channel is archived",
    "messages_tab_disabled": "The app's Messages Tab is off: turn it on in the app's settings, App Home",
    "msg_too_long": "Slack takes no message this long",
    "msg_blocks_too_long": "Slack takes no message this long",
    "restricted_action": "The workspace does not allow it",
    "user_disabled": "This person's account is closed",
    "message_not_found": "The message is gone",
    "cant_update_message": "The app may change its own messages only",
    "cant_delete_message": "The app may delete its own messages only",
    "edit_window_closed": "The workspace no longer lets it be changed",
    "invalid_name": "Slack has no emoji of this name",
    "too_many_emoji": "The message has as many emoji as Slack allows",
    "too_many_reactions": "The message has as many reactions as Slack allows",
}


@dataclass(frozen=True, slots=True)
class Me:
    """The app as the workspace has it."""

    user: str
    bot: str
    name: str
    team: str
    app: str

    @property
    def address(self) -> str:
        return f"{self.app}/{self.team}"


class WebApi:
    """One token. Methods raise `AuthNeeded`, `PlatformUnavailable`, `PlatformRefused` or `Unanswered`."""

    def __init__(self, http: httpx2.AsyncClient, token: str, rates: Rates) -> None:
        self._http = http
        self._authorization = {"authorization": f"Bearer {token}"}
        self._rates = rates

    async def me(self) -> Me:
        try:
            told = await self.call("auth.test")
            profile = members((await self.call("bots.info", {"bot": told.get("bot_id")})).get("bot"))
        except Unanswered as error:
            raise PlatformUnavailable(str(error)) from None
        except PlatformRefused as error:
            raise AuthNeeded(error.detail) from None
        names = (told.get("user_id"), told.get("bot_id"), told.get("user"), told.get("team_id"))
        user, bot, name, team = map(str, names)
        return Me(user, bot, f"@{name} ({told.get('team', team)})", team, str(profile.get("app_id", "")))

    async def socket_url(self) -> str:
        """Of Socket Mode; for a token of the app itself. It is good for one connection."""
        try:
            told = await self.call("apps.connections.open")
        except Unanswered as error:
            raise PlatformUnavailable(str(error)) from None
        except PlatformRefused as error:
            raise AuthNeeded(f"Socket Mode: {error.detail}") from None
        url = str(told.get("url", ""))
        if not self._ours(url.replace("ws", "http", 1)):
            raise PlatformUnavailable(f"{TITLE} names another server for Socket Mode")
        return url

    async def call(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        *,
        channel: str = "",
        fine: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        """An answer that is ``ok``, or whose error is one of `fine`. With `channel`, a post there."""
        limit = (f"post {channel}", _CHANNEL) if channel else (method, _TIERS.get(_TIER_OF.get(method, 0)))
        name, rate = limit
        if rate is not None:
            await self._rates.turn((name, rate))
        fields = {key: _text(value) for key, value in (params or {}).items() if value is not None}
        if channel:
            fields["channel"] = channel
        with unreachable(TITLE):
            answer = await self._http.post(f"/{method}", data=fields, headers=self._authorization)
        return self._told(answer, name, fine)

    async def upload(self, name: str, content: Content) -> str:
        """The id of a file that nobody sees yet."""
        with repeatable():
            asked = {"filename": name, "length": content.size_bytes}
            place = await self.call("files.getUploadURLExternal", asked)
            url = str(place.get("upload_url", ""))
            if not self._ours(url):
                raise PlatformUnavailable(f"{TITLE} names another server for files")
            headers = {
                "content-type": "application/octet-stream",
                "content-length": str(content.size_bytes),
            }
            with unreachable(TITLE):
                answer = await self._http.post(
                    url, content=content.chunks, headers=headers, timeout=_UPLOAD_S
                )
        if answer.status_code != 200:
            raise PlatformUnavailable(f"{TITLE} did not take the file (status {answer.status_code})")
        return str(place.get("file_id", ""))

    @asynccontextmanager
    async def download(self, file_id: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The bytes of a file that somebody sent. Raises `Gone`."""
        try:
            told = members((await self.call("files.info", {"file": file_id})).get("file"))
        except PlatformRefused as error:
            raise Gone(f"{TITLE} does not give it: {error.detail}") from None
        except Unanswered as error:
            raise PlatformUnavailable(str(error)) from None
        url = str(told.get("url_private_download") or told.get("url_private") or "")
        if not self._ours(url):
            raise Gone(f"{TITLE} does not keep it")  # and another server is not told the token
        with unreachable(TITLE):
            async with self._http.stream("GET", url, headers=self._authorization) as answer:
                # Whom Slack does not let in it sends to its page for signing in, by a redirect or at once.
                page = answer.headers.get("content-type", "").startswith("text/html")
                if answer.status_code != 200 or (page and told.get("mimetype") != "text/html"):
                    raise Gone(f"{TITLE} no longer gives it (status {answer.status_code})")
                yield answer.aiter_bytes(_READ_BYTES)

    def _ours(self, url: str) -> bool:
        """Whether `url` is at the address that was set, or at one below Slack's own name."""
        asked, own = urlsplit(url), urlsplit(str(self._http.base_url))
        if (asked.scheme, asked.netloc) == (own.scheme, own.netloc):
            return True
        return asked.scheme == "https" and f".{asked.hostname or ''}".endswith(f".{own.hostname}")

    def _told(self, answer: httpx2.Response, limit: str, fine: frozenset[str]) -> dict[str, Any]:
        """The table of Slack's errors."""
        try:
            body = members(answer.json())
        except ValueError:
            body = {}
        error = str(body.get("error", "unknown_error"))
        if answer.status_code == 429 or error in _LATER:
            wait = retry_after(answer.headers, _BUSY_S)
            self._rates.hold(limit, wait)
            raise PlatformUnavailable(f"{TITLE}: {error}", retry_after=wait)
        if answer.status_code in (500, 504) or error in _MAYBE:
            raise Unanswered(f"{TITLE}: {error}")
        if "ok" not in body:
            raise PlatformUnavailable(f"{TITLE} answers with status {answer.status_code}, and not in JSON")
        if body["ok"] is True or error in fine:
            return body
        if error in _NO_TOKEN:
            raise AuthNeeded(error)
        if error == "missing_scope":
            raise PlatformRefused(
                f"The app has not the scope {body.get('needed')}: add it and install it anew"
            )
        raise PlatformRefused(f"{_WORDS[error]} ({error})" if error in _WORDS else error)


async def shared_as(api: WebApi, file_id: str, channel: str) -> str:
    """The message that a file stands in; "" while there is none."""
    told = members((await api.call("files.info", {"file": file_id})).get("file"))
    for places in members(told.get("shares")).values():
        for share in members(places).get(channel, ()):
            if ts := members(share).get("ts"):
                return str(ts)
    return ""


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
