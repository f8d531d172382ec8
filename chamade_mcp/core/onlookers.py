"""Who looks at an agent's live calls: how loud everybody is, measured only while somebody looks."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypedDict

from chamade_mcp.audio.call import CallMixer
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.live import LiveCall
from chamade_mcp.core.pairings import Pairings
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import CallId, ParticipantRef


class SeenPerson(TypedDict):
    id: str
    name: str
    level: float


class SeenCall(TypedDict):
    """Levels are RMS from 0 to 1."""

    call_id: str
    state: str
    agent: float
    room: float
    """Of all whom the platform does not tell apart."""
    people: list[SeenPerson]


class Snapshot(TypedDict):
    """As `GET /api/live` tells it."""

    type: Literal["live"]
    calls: list[SeenCall]
    pairings: int
    """As `Pairings.changes`."""


@dataclass(frozen=True, slots=True)
class Onlookers:
    calls: CallService
    pairings: Pairings

    def look(self, scope: Scope) -> "Onlooker":
        """To be closed."""
        return Onlooker(self.calls, self.pairings, scope)


class Onlooker:
    def __init__(self, calls: CallService, pairings: Pairings, scope: Scope) -> None:
        self._calls = calls
        self._pairings = pairings
        self._scope = scope
        self._metered: dict[CallId, CallMixer] = {}

    def snapshot(self) -> Snapshot:
        """Levels of a call that was not seen before come with the next one."""
        calls = self._calls.alive(self._scope)
        self._measure(calls)
        changes = self._pairings.changes(self._scope.account)
        return {"type": "live", "calls": [_seen(live) for live in calls], "pairings": changes}

    def close(self) -> None:
        self._measure([])

    def _measure(self, calls: list[LiveCall]) -> None:
        wanted = {live.record.id: live.mixer for live in calls if live.mixer is not None}
        for call in self._metered.keys() - wanted.keys():
            self._metered.pop(call).measure(wanted=False)
        for call in wanted.keys() - self._metered.keys():
            self._metered[call] = wanted[call]
            wanted[call].measure(wanted=True)


def _seen(live: LiveCall) -> SeenCall:
    here = live.participants
    levels = {} if live.mixer is None else live.mixer.levels()
    agents = set[ParticipantRef]() if live.mixer is None else {agent.ref for agent in live.mixer.agents}
    return {
        "call_id": live.record.id,
        "state": str(live.session.state),
        "agent": _loudest(level for ref, level in levels.items() if ref in agents),
        # A platform with one mixed port tells nobody apart.
        "room": _loudest(level for ref, level in levels.items() if ref not in here and ref not in agents),
        "people": [
            {"id": ref, "name": name, "level": _loudest([levels.get(ref, 0.0)])} for ref, name in here.items()
        ],
    }


def _loudest(levels: Iterable[float]) -> float:
    return round(min(1.0, max(levels, default=0.0)), 2)
