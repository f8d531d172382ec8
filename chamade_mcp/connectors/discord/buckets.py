"""Keeping to the limits that Discord tells of with every answer.

https://docs.discord.com/developers/topics/rate-limits
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.rates import Rate, Rates
from chamade_mcp.kit.recent import Recent

_BOT: Final = Rate(50, 1.0)
"""All requests of a bot together."""
_ALL: Final = "bot"
_PATIENCE_S: Final = 3.0
"""Who would wait longer is told when to come again: the outbox has other things to do."""
_MOST: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    most: int
    left: int
    resets_at: float
    period_s: float


class Buckets:
    """Turns to ask. Which routes share a bucket, and how much is left in it, only Discord's answers tell.

    A `route` is a method and a path without ids; `place` is the channel or server, whose limits are apart.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rates = Rates(clock)
        self._names: dict[str, str] = {}
        """Of the bucket that a route is in."""
        self._buckets: Recent[tuple[str, str], _Bucket] = Recent(_MOST)

    async def turn(self, route: str, place: str, *, counted: bool = True) -> None:
        """Returns when the request may go out. Raises `PlatformUnavailable` with the time to wait when that
        is long. Not `counted` are those that Discord leaves out of the limit for all."""
        while (wait := self._take(self._key(route, place))) > 0:
            if wait > _PATIENCE_S:
                raise PlatformUnavailable("Discord's rate limit is reached", retry_after=wait)
            await self._clock.sleep(wait)
        if counted:
            await self._rates.turn((_ALL, _BOT))

    def told(self, route: str, place: str, headers: Mapping[str, str]) -> None:
        """What the headers of an answer say of the bucket."""
        try:
            most, left = int(headers["x-ratelimit-limit"]), int(headers["x-ratelimit-remaining"])
            reset_s = float(headers["x-ratelimit-reset-after"])
        except (KeyError, ValueError):
            return
        if name := headers.get("x-ratelimit-bucket"):
            self._names[route] = name
        key, now = self._key(route, place), self._clock.monotonic()
        known = self._buckets.get(key)
        if known is not None and now < known.resets_at:
            left = min(left, known.left)  # others are under way that Discord has not counted yet
        period_s = max(reset_s, known.period_s if known else 0.0)
        self._buckets[key] = _Bucket(most, left, now + reset_s, period_s)

    def refused(self, route: str, place: str, seconds: float, *, everywhere: bool) -> None:
        """Discord has said when to come again."""
        if everywhere:
            self._rates.hold(_ALL, seconds)
        else:
            self._buckets[self._key(route, place)] = _Bucket(1, 0, self._clock.monotonic() + seconds, 0.0)

    def _key(self, route: str, place: str) -> tuple[str, str]:
        return self._names.get(route, route), place

    def _take(self, key: tuple[str, str]) -> float:
        """Seconds to wait; 0 when there was one left, which is taken."""
        bucket, now = self._buckets.get(key), self._clock.monotonic()
        if bucket is None:
            return 0.0
        if now >= bucket.resets_at:
            bucket.left, bucket.resets_at = bucket.most, now + bucket.period_s
        if bucket.left <= 0:
            return bucket.resets_at - now
        bucket.left -= 1
        return 0.0
