"""How much of what waits is there only because something stalled, and was not queued on purpose."""

from math import inf

from chamade_mcp.audio.frame import FRAME_S

_STALL_S = 0.4
"""What a producer has not pushed for longer than this it does not owe: it had nothing to say."""
_FORGET_SHARE = 0.01
"""Of the time: how fast a lead is forgotten. More than any two clocks differ by."""


class Lateness:
    """Watches one buffer. Counts are samples, times seconds on the caller's monotonic clock.

    A live producer that stalls pushes afterwards what it owes, and is then where it was; what it has missed
    waits in the buffer for ever, as delay. One that pushes a sentence at once goes ahead of real time, and so
    its backlog tells nothing of lateness.
    """

    __slots__ = (
        "_largest",
        "_lead_s",
        "_lowest",
        "_newest_at",
        "_rate_hz",
        "_window_end",
        "_window_s",
        "excess",
        "since",
    )

    def __init__(self, rate_hz: int, window_s: float) -> None:
        self._rate_hz = rate_hz
        self._window_s = window_s
        self._newest_at: float | None = None
        self._lead_s = 0.0
        self.reset(-inf)

    @property
    def lead_s(self) -> float:
        """By how much the producer was ahead of real time at its last push; negative when it owes."""
        return self._lead_s

    def reset(self, at: float) -> None:
        """Playout starts anew."""
        self.excess = 0.0
        """Samples that may be left out: what the least delay of the last window was over its limit."""
        self.since: float | None = None
        """Since when there has been an excess."""
        self._begin(at)

    def pushed(self, count: int, at: float) -> None:
        owed_s = 0.0 if self._newest_at is None else (at - self._newest_at) * (1 + _FORGET_SHARE)
        self._newest_at = at
        self._largest = max(self._largest, count)
        self._lead_s = max(self._lead_s - owed_s, -_STALL_S) + count / self._rate_hz

    def left_out(self, count: int) -> None:
        self.excess -= count
        self._lowest -= count

    def watch(self, held: int, count: int, at: float, over_s: float, *, ahead: bool) -> None:
        """Before a pull of `count` of the `held` samples. `over_s`: delay that may stay, on top of what the
        phase of pushes and beats makes."""
        if ahead or self._newest_at is None:
            self._lowest = -inf
        else:
            # Held samples alone jump by a frame when pushes come to fall just before the beat.
            behind = (at - self._newest_at) * self._rate_hz + held - count
            self._lowest = min(self._lowest, held, behind)
        if at < self._window_end - 1e-6:
            return
        phase_s = max(FRAME_S / 2, self._largest / self._rate_hz)
        self.excess = self._lowest - (phase_s + over_s) * self._rate_hz
        if self.excess <= 0:
            self.since = None
        elif self.since is None:
            self.since = at - self._window_s
        self._begin(at)

    def _begin(self, at: float) -> None:
        self._window_end = at + self._window_s
        self._lowest = inf
        self._largest = 0
