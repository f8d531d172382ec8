"""What channels, servers and people are called: Discord's events tell ids, mostly."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from typing import Final, Generic, TypeVar

from chamade_mcp.connectors.discord.client import RestApi
from chamade_mcp.connectors.discord.wire import (
    Channel,
    Guild,
    Unreadable,
    User,
    Wire,
    read,
)
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.http import Unanswered
from chamade_mcp.kit.recent import Recent
from chamade_mcp.model.errors import PlatformRefused

log = logging.getLogger(__name__)

T = TypeVar("T", bound=Wire)
A = TypeVar("A")

_KEPT_S: Final = 3600.0
_DENIED_S: Final = 60.0
"""What Discord does not tell is asked for again after this: each refusal counts against the whole machine."""
_MOST: Final = 5000
_PATIENCE_S: Final = 5.0
_MOST_NAMED: Final = 5
"""Channels in one text whose names are asked for."""


class _Known(Recent[str, tuple[T | None, float]], Generic[T]):
    """Answers of one kind, by id, and until when each is good."""


class Places:
    """Asked for once an hour each. What cannot be asked for goes by its id, or without a name."""

    def __init__(self, api: RestApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._channels = _Known[Channel](_MOST)
        self._guilds = _Known[Guild](_MOST)
        self._people = _Known[User](_MOST)

    async def title(self, channel: str) -> str:
        """``#general (Server)``, ``#general › Thread (Server)``; "" where nothing is known."""
        about = await self.channel(channel)
        if about is None or not about.name:
            return ""
        title = f"#{about.name}"
        if about.is_thread and about.parent_id:
            parent = await self.channel(about.parent_id)
            title = f"#{parent.name} › {about.name}" if parent and parent.name else about.name
        guild = await self.guild(about.guild_id) if about.guild_id else None
        return f"{title} ({guild.name})" if guild and guild.name else title

    async def channel(self, ref: str) -> Channel | None:
        return await self._asked(self._channels, ref, "/channels/{}", Channel)

    async def guild(self, ref: str) -> Guild | None:
        return await self._asked(self._guilds, ref, "/guilds/{}", Guild)

    async def person(self, ref: str) -> str:
        about = await self._asked(self._people, ref, "/users/{}", User)
        return about.name if about else ref

    async def names(self, channels: Iterable[str]) -> dict[str, str]:
        """Of those that are known, and of a few that are asked for."""
        found: dict[str, str] = {}
        for ref in list(channels)[:_MOST_NAMED]:
            about = await self.channel(ref)
            if about is not None and about.name:
                found[ref] = about.name
        return found

    async def _asked(self, known: _Known[T], ref: str, route: str, model: type[T]) -> T | None:
        value, until = known.get(ref, (None, 0.0))
        now = self._clock.monotonic()
        if now < until:
            return value
        kept_s = _KEPT_S
        try:
            value = read(model, await self._soon(self._api.call("GET", route, ref)))
        except (PlatformRefused, PlatformUnavailable, Unanswered, Unreadable, TimeoutError) as error:
            log.info("a name of Discord's could not be had: %s", type(error).__name__)
            kept_s = _DENIED_S
        known[ref] = value, now + kept_s
        return value

    @staticmethod
    async def _soon(asking: Awaitable[A]) -> A:
        async with asyncio.timeout(_PATIENCE_S):
            return await asking
