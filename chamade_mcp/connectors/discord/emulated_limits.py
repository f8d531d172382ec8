"""How fast bots may be at the emulated Discord."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chamade_mcp.connectors.discord.emulated_world import Bot, Refusal, World

_MOST: Final = 5
"""Requests of one route in one channel within `Limits.window_s`."""
_ALL: Final = 50
"""Requests of one bot within a second."""


@dataclass(slots=True)
class _Window:
    left: int
    ends_at: float


class Limits:
    def __init__(self, world: World) -> None:
        self._world = world
        self.window_s = 5.0
        self._windows: dict[tuple[str, str, str], _Window] = {}

    def count(self, bot: Bot, route: str, ids: Sequence[str]) -> dict[str, str]:
        """The headers that tell of the limit; raises the `Refusal` of who is over it."""
        now = self._world.clock.monotonic()
        whole = self._window((bot.id, "", ""), _ALL, 1.0)
        if whole.left <= 0:
            raise _too_fast(whole.ends_at - now, everywhere=True)
        whole.left -= 1
        place = ids[0] if "/channels/" in route and ids else ""
        channel = self._world.channels.get(place)
        if channel is not None and channel.flood_until > now:
            raise _too_fast(channel.flood_until - now)
        if not route.endswith("/messages"):
            return {}
        window = self._window((bot.id, route, place), _MOST, self.window_s)
        if window.left <= 0:
            raise _too_fast(window.ends_at - now)
        window.left -= 1
        left_s = window.ends_at - now
        return {
            "x-ratelimit-limit": str(_MOST),
            "x-ratelimit-remaining": str(window.left),
            "x-ratelimit-reset": str(self._world.clock.now().timestamp() + left_s),
            "x-ratelimit-reset-after": f"{left_s:.3f}",
            "x-ratelimit-bucket": "80c17d2f203122d936070c88c8d10f33",
        }

    def _window(self, key: tuple[str, str, str], most: int, length_s: float) -> _Window:
        now = self._world.clock.monotonic()
        window = self._windows.get(key)
        if window is None or now >= window.ends_at:
            window = self._windows[key] = _Window(most, now + length_s)
        return window


def _too_fast(seconds: float, *, everywhere: bool = False) -> Refusal:
    words = "You are being rate limited."
    return Refusal(429, 0, words, retry_after=round(seconds, 3), everywhere=everywhere)
