"""What channels are called: activities tell only their ids."""

import asyncio
import logging
from typing import Final

from chamade_mcp.connectors.teams.client import BotConnector
from chamade_mcp.connectors.teams.wire import Activity
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.http import Unanswered
from chamade_mcp.kit.recent import Recent
from chamade_mcp.model.errors import PlatformRefused

log = logging.getLogger(__name__)

_REMEMBERED: Final = 2000
_FRESH_S: Final = 24 * 3600.0
_AGAIN_S: Final = 300.0
_PATIENCE_S: Final = 3.0
"""Teams waits for an answer to the activity meanwhile."""
_GENERAL: Final = "General"
"""The first channel of every team; it has no name of its own."""


class Names:
    def __init__(self, api: BotConnector, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._known: Recent[str, tuple[str, float]] = Recent(_REMEMBERED)
        """With the moment at which it is to be looked up again."""

    async def group_of(self, activity: Activity) -> str | None:
        """As `Activity.group`; of a channel its team and itself, as far as Teams says."""
        if activity.group != "" or not activity.team:
            return activity.group
        name, until = self._known.get(activity.place, ("", float("-inf")))
        if self._clock.monotonic() >= until:
            found = await self._look_up(activity.place, activity.team)
            name, life_s = (found, _FRESH_S) if found else (name, _AGAIN_S)
            self._known[activity.place] = name, self._clock.monotonic() + life_s
        return name

    async def _look_up(self, channel: str, team: str) -> str:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                name, channels = await self._api.team(channel, team)
        except (PlatformRefused, PlatformUnavailable, Unanswered, AuthNeeded, TimeoutError) as error:
            log.info("Teams does not say what a channel is called: %s", type(error).__name__)
            return ""
        return " / ".join(part for part in (name, channels.get(channel, "") or _GENERAL) if part)
