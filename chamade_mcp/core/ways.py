"""People on their way to a platform and back: each known by a state, once, within ten minutes."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.ids import AccountId

T = TypeVar("T")

LIFE_S: Final = 600.0
MOST_OPEN: Final = 20
"""Of one account; the oldest make room."""


@dataclass(frozen=True, slots=True)
class _Way(Generic[T]):
    account: AccountId
    what: T
    until: float


class Ways(Generic[T]):
    """Kept in memory: after a restart of the gateway a person begins again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: OrderedDict[str, _Way[T]] = OrderedDict()
        """By state, the oldest first."""

    def open(self, account: AccountId, what: T) -> str:
        """The state, of 43 URL-safe characters."""
        now = self._clock.monotonic()
        gone = [state for state, way in self._open.items() if way.until <= now]
        mine = [state for state, way in self._open.items() if way.account == account]
        for state in {*gone, *mine[: max(0, len(mine) + 1 - MOST_OPEN)]}:
            del self._open[state]
        state = secrets.token_urlsafe(32)
        self._open[state] = _Way(account, what, now + LIFE_S)
        return state

    def take(self, state: str) -> T | None:
        """None for a state that is unknown, used or expired: told alike, on purpose."""
        way = self._open.pop(state, None)
        return None if way is None or way.until <= self._clock.monotonic() else way.what
