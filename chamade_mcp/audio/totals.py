"""What became of all sound of a process: every source that there is and was, in seconds."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Final

from chamade_mcp.audio.playout import PlayoutStats

_COUNTED: Final = tuple(f.name for f in fields(PlayoutStats) if f.name not in ("underruns", "buffered"))


class SoundTotals:
    """Sources are `open`ed and `close`d; nothing is done on a beat."""

    def __init__(self) -> None:
        self._open: dict[object, tuple[str, int, Callable[[], PlayoutStats]]] = {}
        self._seconds: dict[tuple[str, str], float] = defaultdict(float)
        self._underruns: dict[str, int] = defaultdict(int)

    def open(self, source: object, side: str, rate_hz: int, stats: Callable[[], PlayoutStats]) -> None:
        """`source` is its key; `side` says whose sound it is."""
        self._open[source] = side, rate_hz, stats

    def close(self, source: object) -> None:
        """Its counts are final. Closing one that is not open is harmless."""
        found = self._open.pop(source, None)
        if found is not None:
            _add(self._seconds, self._underruns, *found)

    def read(self) -> tuple[Mapping[tuple[str, str], float], Mapping[str, int]]:
        """Seconds by side and fate (the names of `PlayoutStats`), and underruns by side."""
        seconds, underruns = defaultdict(float, self._seconds), defaultdict(int, self._underruns)
        for found in list(self._open.values()):
            _add(seconds, underruns, *found)
        return seconds, underruns


def _add(
    seconds: dict[tuple[str, str], float],
    underruns: dict[str, int],
    side: str,
    rate_hz: int,
    stats: Callable[[], PlayoutStats],
) -> None:
    counted = stats()
    for fate in _COUNTED:
        seconds[side, fate] += getattr(counted, fate) / rate_hz
    underruns[side] += counted.underruns
