"""What people and channels are called: Slack's events tell their ids alone."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from chamade_mcp.connectors.slack.client import WebApi
from chamade_mcp.connectors.slack.wire import members
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.http import Unanswered
from chamade_mcp.kit.recent import Recent
from chamade_mcp.model.errors import PlatformRefused

_KEPT_S: Final = 3600.0
_MOST: Final = 10_000
_PATIENCE_S: Final = 1.0
"""Slack waits three seconds for an answer to an event."""


class Names:
    """Asked for once an hour each. Who cannot be asked about goes by the id."""

    def __init__(self, api: WebApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._known: Recent[str, tuple[str, float]] = Recent(_MOST)

    def person(self, user: str) -> Coroutine[Any, Any, str]:
        return self._named(user, self._ask_person)

    def channel(self, channel: str) -> Coroutine[Any, Any, str]:
        return self._named(channel, self._ask_channel)

    async def _ask_person(self, user: str) -> str:
        told = await self._api.call("users.info", {"user": user})
        about = members(told.get("user"))
        profile = members(about.get("profile"))
        names = (profile.get("display_name"), profile.get("real_name"), about.get("name"))
        return next((str(name) for name in names if name), user)

    async def _ask_channel(self, channel: str) -> str:
        told = await self._api.call("conversations.info", {"channel": channel})
        name = members(told.get("channel")).get("name")
        return f"#{name}" if name else ""

    async def _named(self, ref: str, ask: Callable[[str], Awaitable[str]]) -> str:
        known = self._known.get(ref)
        now = self._clock.monotonic()
        if known is not None and now - known[1] < _KEPT_S:
            return known[0]
        try:
            async with asyncio.timeout(_PATIENCE_S):
                name = await ask(ref)
        except (PlatformRefused, PlatformUnavailable, Unanswered, TimeoutError):
            return ref if known is None else known[0]
        self._known[ref] = name, now
        return name
