"""Keeping to a platform's rate limits before it has to say so."""

from dataclasses import dataclass
from typing import Final

from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import PlatformUnavailable

_PATIENCE_S: Final = 3.0
"""Who would wait longer is told when to come again: the outbox has other things to do."""
_MOST_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`most` in `per_s` seconds: that many at once, then evenly."""

    most: int
    per_s: float

    @property
    def step_s(self) -> float:
        return self.per_s / self.most


class Rates:
    """Turns to speak, each under a number of limits: a chat's, a bot's.

    Generic cell rate: of each limit only the moment is kept at which it will be unused again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unused_at: dict[str, float] = {}
        self._held: dict[str, float] = {}

    def __len__(self) -> int:
        """How many limits are remembered."""
        return len(self._unused_at)

    async def turn(self, *limits: tuple[str, Rate]) -> None:
        """Returns when all of `limits`, each with a name of its own, let this one pass.

        Raises `PlatformUnavailable` with the time to wait when that is long; nothing is used up then.
        """
        while (wait := self._wait(limits)) > 0:
            if wait > _PATIENCE_S:
                raise PlatformUnavailable("The platform's rate limit is reached", retry_after=wait)
            await self._clock.sleep(wait)
        now = self._clock.monotonic()
        for name, rate in limits:
            self._unused_at[name] = max(self._unused_at.get(name, now), now) + rate.step_s
        if len(self._unused_at) > _MOST_KEYS:
            self._unused_at = {name: at for name, at in self._unused_at.items() if at > now}

    def hold(self, name: str, seconds: float) -> None:
        """The platform has said when to come again."""
        now = self._clock.monotonic()
        self._held = {held: until for held, until in self._held.items() if until > now}
        self._held[name] = max(self._held.get(name, 0.0), now + seconds)

    def _wait(self, limits: tuple[tuple[str, Rate], ...]) -> float:
        now = self._clock.monotonic()
        wait = 0.0
        for name, rate in limits:
            full = self._unused_at.get(name, now) - now - (rate.per_s - rate.step_s)
            wait = max(wait, full, self._held.get(name, now) - now)
        # Floating point must not let anybody wait for a nanosecond for ever.
        return wait if wait > 1e-6 else 0.0
