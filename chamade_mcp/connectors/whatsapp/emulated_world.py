"""What the emulated WhatsApp knows: numbers, people, files, and webhooks on their way."""

import asyncio
import hashlib
import hmac
import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from chamade_mcp.kit.clock import Clock

WINDOW_S: Final = 24 * 3600.0
_PAIR_S: Final = 6.0
_BURST: Final = 45
"""Between the same two: one message in so many seconds, and so many at once that are borrowed from later."""
_REPEAT_S: Final = (0.2, 0.4, 0.8)
"""Meta tries a webhook again for a week; here from the start, and faster."""


class Refusal(Exception):
    def __init__(self, status: int, code: int, message: str, details: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details


@dataclass(slots=True)
class Person:
    user_id: str
    wa_id: str
    """"" for somebody with a user name, whose number is not told."""
    name: str

    def to_contact(self) -> dict[str, Any]:
        contact: dict[str, Any] = {"profile": {"name": self.name}, "user_id": self.user_id}
        return contact | ({"wa_id": self.wa_id} if self.wa_id else {})


@dataclass(slots=True)
class Number:
    id: str
    display: str
    token: str
    app_secret: str
    callback: str = ""
    verify_token: str = ""
    queue: list[bytes] = field(default_factory=list[bytes])
    delivering: asyncio.Task[None] | None = None
    chats: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    """All that was said, by the person's user id."""
    heard_at: dict[str, float] = field(default_factory=dict[str, float])
    owed_until: dict[str, float] = field(default_factory=dict[str, float])
    """When as many seconds have passed as the messages to a person are worth, by user id."""
    read: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    """Messages marked as read, and whether typing was shown."""


class World:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.numbers: dict[str, Number] = {}
        self.people: dict[str, Person] = {}
        """By user id and by number."""
        self.media: dict[str, tuple[bytes, str]] = {}
        """Content and type."""
        self.urls: dict[str, tuple[str, float]] = {}
        """Media and the time of expiry, by what the URL says."""
        self.templates: set[str] = {"agent_followup"}
        self.ids = itertools.count(1000)
        self._http: httpx2.AsyncClient | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """While webhooks go out."""
        async with httpx2.AsyncClient(timeout=10, trust_env=False) as self._http:
            try:
                yield
            finally:
                for number in self.numbers.values():
                    if number.delivering is not None:
                        number.delivering.cancel()
                self._http = None

    def new_id(self, kind: str) -> str:
        return f"{kind}{next(self.ids)}"

    def now(self) -> str:
        return str(int(self.clock.now().timestamp()))

    def open_window(self, number: Number, person: Person) -> bool:
        heard = number.heard_at.get(person.user_id)
        return heard is not None and self.clock.monotonic() - heard < WINDOW_S

    def count(self, number: Number, person: Person) -> None:
        now = self.clock.monotonic()
        owed = max(0.0, number.owed_until.get(person.user_id, now) - now)
        if owed > (_BURST - 1) * _PAIR_S:
            raise Refusal(
                400,
                131056,
                "(#131056) (Business Account, Consumer Account) pair rate limit hit",
                "Message failed to send because there were too many messages sent from this phone number to"
                " the same phone number in a short period of time",
            )
        number.owed_until[person.user_id] = now + owed + _PAIR_S

    def tell(self, number: Number, person: Person, **about: Any) -> bytes:
        """A webhook about a person, on its way; its body."""
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": number.display, "phone_number_id": number.id},
            "contacts": [person.to_contact()],
            **about,
        }
        change = {"field": "messages", "value": value}
        told = {
            "object": "whatsapp_business_account",
            "entry": [{"id": "102290129340398", "changes": [change]}],
        }
        body = json.dumps(told).encode()  # non-ASCII as \u escapes, as Meta signs it
        number.queue.append(body)
        if number.callback and self._http and (number.delivering is None or number.delivering.done()):
            number.delivering = asyncio.create_task(self._deliver(number))
        return body

    def signed(self, number: Number, body: bytes) -> dict[str, str]:
        signature = hmac.digest(number.app_secret.encode(), body, hashlib.sha256).hex()
        return {"content-type": "application/json", "x-hub-signature-256": f"sha256={signature}"}

    async def subscribe(self, number: Number) -> bool:
        """Whether the callback answers as Meta's dashboard wants it."""
        assert self._http is not None, "running"
        asked = {
            "hub.mode": "subscribe",
            "hub.verify_token": number.verify_token,
            "hub.challenge": "1158201444",
        }
        answer = await self._http.get(number.callback, params=asked)
        return answer.status_code == 200 and answer.text == "1158201444"

    async def _deliver(self, number: Number) -> None:
        assert self._http is not None, "running"
        failures = 0
        while number.queue:
            body = number.queue[0]
            try:
                answer = await self._http.post(
                    number.callback, content=body, headers=self.signed(number, body)
                )
                delivered = answer.status_code == 200
            except httpx2.TransportError:
                delivered = False
            if delivered:
                number.queue.pop(0)
                failures = 0
            else:
                await self.clock.sleep(_REPEAT_S[min(failures, len(_REPEAT_S) - 1)])
                failures += 1
