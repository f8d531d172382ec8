"""Who looks at an agent's live calls: how loud everybody is, measured only while somebody looks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from chamade_mcp.audio.call import CallMixer
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.live import LiveCall
from chamade_mcp.core.pairings import Pairings
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import CallId, ParticipantRef


@dataclass(frozen=True, slots=True)
class Onlookers:
    calls: CallService
    pairings: Pairings

    def look(self, scope: Scope) -> "Onlooker":
        """To be closed."""
        return Onlooker(lambda: self.calls.alive(scope), lambda: self.pairings.changes(scope.account))


class Onlooker:
    def __init__(self, calls: Callable[[], list[LiveCall]], changes: Callable[[], int]) -> None:
        self._calls = calls
        self._changes = changes
        self._metered: dict[CallId, CallMixer] = {}

    def snapshot(self) -> dict[str, object]:
        """As JSON. Levels are RMS 0-1; those of a call that was not seen before come with the next one."""
        calls = self._calls()
        self._measure(calls)
        return {"type": "live", "calls": [_seen(live) for live in calls], "pairings": self._changes()}

    def close(self) -> None:
        self._measure([])

    def _measure(self, calls: list[LiveCall]) -> None:
        wanted = {live.record.id: live.mixer for live in calls if live.mixer is not None}
        for call in self._metered.keys() - wanted.keys():
            self._metered.pop(call).measure(wanted=False)
        for call in wanted.keys() - self._metered.keys():
            self._metered[call] = wanted[call]
            wanted[call].measure(wanted=True)


def _seen(live: LiveCall) -> dict[str, object]:
    levels = {} if live.mixer is None else live.mixer.levels()
    here, people = live.participants, [_person(ref, name, levels) for ref, name in live.participants.items()]
    agents = {agent.ref for agent in live.mixer.agents} if live.mixer else set[ParticipantRef]()
    # A platform with one mixed port tells nobody apart.
    room = [level for ref, level in levels.items() if ref not in here and ref not in agents]
    return {
        "call_id": live.record.id,
        "state": str(live.session.state),
        "agent": _shown(level for ref, level in levels.items() if ref in agents),
        "room": _shown(room),
        "people": people,
    }


def _person(ref: ParticipantRef, name: str, levels: Mapping[ParticipantRef, float]) -> dict[str, object]:
    return {"id": ref, "name": name, "level": _shown([levels.get(ref, 0.0)])}


def _shown(levels: Iterable[float]) -> float:
    return round(min(1.0, max(levels, default=0.0)), 2)
