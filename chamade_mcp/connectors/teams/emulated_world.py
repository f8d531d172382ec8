"""What the emulated Teams knows: organisations' people, bots, chats, files, and activities on their way."""

import asyncio
import itertools
import uuid
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from joserfc import jwt
from joserfc.jwk import RSAKey

from chamade_mcp.kit.clock import Clock

ISSUER: Final = "https://api.botframework.com"
_TOKEN_S: Final = 3600
_REPEAT_S: Final = (0.2, 0.4, 0.8)
_WINDOWS: Final = ((1.0, 7), (2.0, 8), (30.0, 60), (3600.0, 1800))
"""What a bot may say in one conversation: so many in so many seconds."""


class Refusal(Exception):
    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


@dataclass(slots=True)
class Person:
    name: str
    tenant: str
    aad: str
    refs: dict[str, str] = field(default_factory=dict[str, str])
    """What each bot knows this person by."""


@dataclass(slots=True)
class Bot:
    app_id: str
    secret: str
    tenant: str
    """Whose directory has it: one's id, or that of all."""
    name: str
    endpoint: str = ""
    queue: deque[tuple["Chat", dict[str, Any]]] = field(default_factory=deque[tuple["Chat", dict[str, Any]]])
    delivering: asyncio.Task[None] | None = None
    tokens: dict[str, float] = field(default_factory=dict[str, float])
    """Those that were given out, until when they are good."""
    answers: list[tuple[int, Any]] = field(default_factory=list[tuple[int, Any]])
    """What the endpoint said to the last activities."""

    @property
    def ref(self) -> str:
        return f"28:{self.app_id}"


@dataclass(slots=True)
class Chat:
    id: str
    kind: str
    """personal, groupChat or channel."""
    tenant: str
    bots: set[str] = field(default_factory=set[str])
    """Their app ids."""
    name: str = ""
    team: str = ""
    log: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Messages, of people and bots; of a channel with the post they stand below as ``thread``."""
    typing: int = 0
    said_at: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def find(self, ref: str) -> dict[str, Any] | None:
        return next((one for one in self.log if one["id"] == ref and not one.get("gone")), None)


class World:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.url = ""
        """Where it is served, without a trailing slash."""
        self.bots: dict[str, Bot] = {}
        self.people: list[Person] = []
        self.chats: dict[str, Chat] = {}
        self.files: dict[str, bytes] = {}
        """What lies at /files/<name>, and what was put to /upload/<name>."""
        self.ids = itertools.count(1000)
        self.kid = "key-1"
        self.key = RSAKey.generate_key(2048)
        self.endorsements = ["msteams", "webchat"]
        self._http: httpx2.AsyncClient | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """While activities go out."""
        async with httpx2.AsyncClient(timeout=15, trust_env=False) as self._http:
            try:
                yield
            finally:
                for bot in self.bots.values():
                    if bot.delivering is not None:
                        bot.delivering.cancel()
                self._http = None

    def new_id(self) -> str:
        """Milliseconds, as those of messages look."""
        return str(1_700_000_000_000 + next(self.ids))

    def new_guid(self) -> str:
        return str(uuid.UUID(int=next(self.ids)))

    @property
    def service_url(self) -> str:
        return f"{self.url}/emea/"

    # --- tokens --------------------------------------------------------------------------------------------

    def give_token(self, bot: Bot) -> str:
        now = int(self.clock.now().timestamp())
        claims = {"aud": ISSUER, "appid": bot.app_id, "iat": now, "exp": now + _TOKEN_S, "jti": self.new_id()}
        token = jwt.encode({"alg": "RS256", "kid": self.kid}, claims, self.key)
        bot.tokens[token] = self.clock.monotonic() + _TOKEN_S
        return token

    def holder_of(self, authorization: str) -> Bot:
        """Who calls. Raises `Refusal`."""
        token = authorization.removeprefix("Bearer ")
        for bot in self.bots.values():
            if bot.tokens.get(token, 0.0) > self.clock.monotonic():
                return bot
        raise Refusal(401, "BotNotRegistered", "Authorization has been denied for this request.")

    def signed(self, bot: Bot, **claims: Any) -> str:
        """The token with which Teams calls; `claims` take the place of its own."""
        now = int(self.clock.now().timestamp())
        told = {
            "serviceurl": self.service_url,
            "nbf": now,
            "exp": now + _TOKEN_S,
            "iss": ISSUER,
            "aud": bot.app_id,
            **claims,
        }
        header = {"typ": "JWT", "alg": "RS256", "kid": self.kid, "x5t": self.kid}
        return jwt.encode(header, told, self.key)

    def key_set(self) -> dict[str, Any]:
        public = self.key.as_dict(private=False)
        about = {"use": "sig", "kid": self.kid, "x5t": self.kid, "endorsements": self.endorsements}
        return {"keys": [{**public, **about}]}

    # --- activities ----------------------------------------------------------------------------------------

    def tell(self, bot: Bot, chat: Chat, person: Person, **about: Any) -> dict[str, Any]:
        """An activity on its way to one bot."""
        thread = about.pop("thread", "")
        conversation: dict[str, Any] = {
            "id": f"{chat.id};messageid={thread}" if thread else chat.id,
            "conversationType": chat.kind,
            "tenantId": chat.tenant,
        }
        data: dict[str, Any] = {"tenant": {"id": chat.tenant}}
        if chat.kind != "personal":
            conversation["isGroup"] = True
        if chat.kind == "groupChat" and chat.name:
            conversation["name"] = chat.name
        if chat.kind == "channel":
            data |= {"team": {"id": f"{chat.id}-team"}, "channel": {"id": chat.id}}
        activity = {
            "id": self.new_id(),
            "timestamp": self.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "channelId": "msteams",
            "serviceUrl": self.service_url,
            "from": {"id": self.ref(bot, person), "name": person.name, "aadObjectId": person.aad},
            "recipient": {"id": bot.ref, "name": bot.name},
            "conversation": conversation,
            "channelData": {**data, **about.pop("channelData", {})},
            **about,
        }
        bot.queue.append((chat, activity))
        if bot.endpoint and self._http and (bot.delivering is None or bot.delivering.done()):
            bot.delivering = asyncio.create_task(self._deliver(bot))
        return activity

    def ref(self, bot: Bot, person: Person) -> str:
        return person.refs.setdefault(bot.app_id, f"29:1{next(self.ids)}-{person.aad[-4:]}")

    async def post(self, bot: Bot, activity: Mapping[str, Any], token: str) -> httpx2.Response:
        assert self._http is not None, "running"
        headers = {"authorization": f"Bearer {token}"}
        return await self._http.post(bot.endpoint, json=dict(activity), headers=headers)

    async def _deliver(self, bot: Bot) -> None:
        failures = 0
        while bot.queue:
            _, activity = bot.queue[0]
            try:
                answer = await self.post(bot, activity, self.signed(bot))
                again = answer.status_code in (412, 429, 502, 503, 504)
            except httpx2.TransportError:
                answer, again = None, True
            if again and failures < len(_REPEAT_S):
                await self.clock.sleep(_REPEAT_S[failures])
                failures += 1
                continue
            bot.queue.popleft()
            failures = 0
            if answer is not None:
                body = answer.json() if answer.headers.get("content-type") == "application/json" else None
                bot.answers.append((answer.status_code, body))

    # --- rates ---------------------------------------------------------------------------------------------

    def count(self, bot: Bot, chat: Chat) -> None:
        """Raises `Refusal` when the bot says too much."""
        now, said = self.clock.monotonic(), chat.said_at[bot.app_id]
        while said and now - said[0] >= _WINDOWS[-1][0]:
            said.popleft()
        for span_s, most in _WINDOWS:
            if sum(1 for at in said if now - at < span_s) >= most:
                raise Refusal(429, "Throttled", "Too many requests.", {"retry-after": "1"})
        said.append(now)
