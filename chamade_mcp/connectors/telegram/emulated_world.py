"""What the emulated Telegram knows: bots, chats, files, and updates on their way."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.rates import Rate

DEFAULT_UPDATES: Final = frozenset({"message", "edited_message", "channel_post", "edited_channel_post"})
_GROUP: Final = Rate(20, 60.0)
_REPEAT_S: Final = (0.0, 0.2, 0.4, 0.8)
"""Telegram tries a webhook again at once, then after 2, 4, 8 s; here ten times as fast."""


class Refusal(Exception):
    def __init__(self, code: int, words: str, **parameters: object) -> None:
        super().__init__(words)
        self.code = code
        self.words = words
        self.parameters = parameters


@dataclass(slots=True)
class Person:
    id: int
    first_name: str
    username: str = ""

    def to_wire(self) -> dict[str, Any]:
        wire = {"id": self.id, "is_bot": False, "first_name": self.first_name, "language_code": "en"}
        return wire | ({"username": self.username} if self.username else {})


@dataclass(slots=True)
class Bot:
    id: int
    token: str
    username: str
    queue: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    allowed: frozenset[str] = DEFAULT_UPDATES
    webhook: str = ""
    secret: str = ""
    polling: asyncio.Event | None = None
    """Set when another request for updates takes over."""
    delivering: asyncio.Task[None] | None = None
    last_error: str = ""
    actions: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def to_wire(self) -> dict[str, Any]:
        return {"id": self.id, "is_bot": True, "first_name": self.username, "username": self.username}


@dataclass(slots=True)
class ChatState:
    wire: dict[str, Any]
    messages: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    reactions: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    """Those of the bot, by message."""
    blocked: bool = False
    moved_to: int | None = None
    flood_until: float = 0.0
    sent_at: list[float] = field(default_factory=list[float])
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def id(self) -> int:
        return self.wire["id"]


class World:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.bots: dict[str, Bot] = {}
        """By token."""
        self.chats: dict[tuple[int, int], ChatState] = {}
        """By bot and chat."""
        self.files: dict[str, tuple[bytes, str]] = {}
        """Content and path, by file id."""
        self.numbers = itertools.count(1000)
        self._http: httpx2.AsyncClient | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """While webhooks go out."""
        async with httpx2.AsyncClient(timeout=10, trust_env=False) as self._http:
            try:
                yield
            finally:
                for bot in self.bots.values():
                    if bot.delivering is not None:
                        bot.delivering.cancel()
                self._http = None

    def now(self) -> int:
        """As Telegram stamps."""
        return int(self.clock.now().timestamp())

    def authorised(self, token: str) -> Bot:
        number, colon, secret = token.partition(":")
        if not colon or not number.isdigit() or number.startswith("0") or not secret or len(token) > 80:
            raise Refusal(401, "Unauthorized: invalid token specified")
        bot = self.bots.get(token)
        if bot is None:
            raise Refusal(401, "Unauthorized")
        return bot

    def message(self, chat: ChatState, author: dict[str, Any]) -> dict[str, Any]:
        number = next(chat.numbers)
        return {"message_id": number, "date": self.now(), "chat": chat.wire, "from": author}

    def keep(self, body: bytes, kind: str) -> str:
        number = next(self.numbers)
        self.files[f"AgAC{kind}{number}"] = (body, f"{kind}s/file_{number}")
        return f"AgAC{kind}{number}"

    def tell(self, token: str, kind: str, what: dict[str, Any]) -> None:
        bot = self.bots[token]
        if kind in bot.allowed:
            bot.queue.append({"update_id": next(self.numbers), kind: what})
            bot.wake.set()
            self.deliver_soon(bot)

    def deliver_soon(self, bot: Bot) -> None:
        if bot.webhook and self._http is not None and (bot.delivering is None or bot.delivering.done()):
            bot.delivering = asyncio.create_task(self._deliver(bot))

    async def _deliver(self, bot: Bot) -> None:
        """In order, each until a 2xx comes."""
        assert self._http is not None, "running"
        failures = 0
        while bot.queue and bot.webhook:
            headers = {"content-type": "application/json"}
            if bot.secret:
                headers["x-telegram-bot-api-secret-token"] = bot.secret
            try:
                answer = await self._http.post(bot.webhook, content=json.dumps(bot.queue[0]), headers=headers)
                delivered = 200 <= answer.status_code < 300
                words = f"Wrong response from the webhook: {answer.status_code} {answer.reason_phrase}"
            except httpx2.TransportError:
                delivered, words = False, "Connection refused"
            if delivered:
                bot.queue.pop(0)
                failures = 0
            else:
                bot.last_error = words
                await self.clock.sleep(_REPEAT_S[min(failures, len(_REPEAT_S) - 1)])
                failures += 1

    def count(self, chat: ChatState) -> None:
        """Telegram's own patience: 20 a minute in a group, and what a test says of a chat."""
        now = self.clock.monotonic()
        wait = chat.flood_until - now
        if chat.id < 0:
            chat.sent_at = [at for at in chat.sent_at if at > now - _GROUP.per_s]
            if len(chat.sent_at) >= _GROUP.most + 1:
                wait = max(wait, chat.sent_at[0] + _GROUP.per_s - now)
        if wait > 0:
            seconds = int(wait) + 1
            raise Refusal(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        chat.sent_at.append(now)
