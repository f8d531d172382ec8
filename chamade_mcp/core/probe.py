"""The self-test: does anybody answer? A message that looks like a person's, and leaves nothing behind.

A probe goes to whoever listens now, and once to each credential that polls while it lasts. It creates no
contact and no conversation, and lives in memory: a restart ends it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.mcp_sessions import credential_of
from chamade_mcp.core.neighbours import Neighbours
from chamade_mcp.core.notices import Kind, Notice
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import Bounds, Principal, Scope
from chamade_mcp.model.errors import FieldError, NotFound, ValidationFailed, no_active_conversation
from chamade_mcp.model.events import Event, EventType
from chamade_mcp.model.ids import AccountId, AgentId, Platform, new_id

PROBE: Final = Platform("chamade_probe")
"""Stands where a platform and a conversation would; no connector has this name."""
SENDER: Final = "Chamade Dashboard"
TEXT: Final = (
    "This is a check by the owner of this gateway. Please answer with chamade_dm_chat, "
    'platform "chamade_probe" and any text.'
)
ANSWER_S: Final = 30.0
_KEPT_S: Final = 600.0
"""How long the result can be read."""
_RECENT: Final = timedelta(minutes=10)

Listed = Sequence[Mapping[str, Any]]
"""Keys or grants as the API lists them; here `id`, `agent_id` and `last_used_at` matter."""
Credentials = Callable[[Bounds], Awaitable[Listed]]


class Presence(Protocol):
    """Whether a push session that was opened with this key or grant has its stream open now."""

    def live(self, credential: str) -> bool: ...


class Verdict(StrEnum):
    WAITING = "waiting"
    REPLIED = "replied"
    CONNECTED_SILENT = "connected_silent"
    """The probe reached it, by a live stream or a poll, and there was no answer."""
    USED_RECENTLY = "used_recently"
    """Nothing listened with it, but something has used it in the last ten minutes."""
    NOT_CONNECTED = "not_connected"


@dataclass(slots=True)
class _Probe:
    id: str
    bounds: Bounds
    """One agent is asked, or all of the account."""
    at: datetime
    ends: float
    """By the monotonic clock."""
    replies: dict[str, float] = field(default_factory=dict[str, float])
    """Seconds until each credential's first answer."""
    reached: set[str] = field(default_factory=set[str])
    polled: set[str] = field(default_factory=set[str])
    result: dict[str, Any] | None = None
    """What was told after the end: it does not change any more."""


class Probes:
    """`presence` is set once there is one: what answers it is built on top of this."""

    def __init__(
        self,
        hub: EventHub,
        neighbours: Neighbours,
        clock: Clock,
        *,
        keys: Credentials,
        grants: Credentials,
    ) -> None:
        self._hub = hub
        self._neighbours = neighbours
        neighbours.on(Kind.REACHED, self._reached)
        self._clock = clock
        self._keys = keys
        self._grants = grants
        self._probes: dict[str, _Probe] = {}
        self.presence: Presence | None = None

    # --- the owner's side ----------------------------------------------------------------------------------

    async def start(self, principal: Principal) -> tuple[bool, dict[str, Any]]:
        """The probe as `view` gives it, and whether it is new: one that is under way is not disturbed."""
        now = self._clock.monotonic()
        self._probes = {i: p for i, p in self._probes.items() if now < p.ends + _KEPT_S}
        bounds = principal.bounds
        under_way = (p for p in self._probes.values() if p.bounds == bounds and self._waiting(p))
        probe = next(under_way, None)
        fresh = probe is None
        if probe is None:
            probe = _Probe(new_id("probe"), bounds, self._clock.now(), now + ANSWER_S)
            self._probes[probe.id] = probe
            for agent in await self._listeners(principal):
                event = Event(bounds.account, agent, EventType.DM_CHAT, _event(probe))
                self._hub.tell(event)
                told = {"agent": event.agent, "payload": event.payload}
                await self._neighbours.tell(event.account, Kind.PROBE, probe.id, told)
        return fresh, await self._told(probe)

    async def _listeners(self, principal: Principal) -> set[AgentId]:
        """Whoever listens does so by a key or a grant."""
        bounds = principal.bounds
        credentials = [*await self._keys(bounds), *await self._grants(bounds)]
        return {principal.scope.agent, *(one["agent_id"] for one in credentials)}

    async def view(self, principal: Principal, probe_id: str) -> dict[str, Any]:
        """`waiting`, and one verdict for each key and grant that works. Raises `NotFound`."""
        probe = self._probes.get(probe_id)
        if probe is None or not principal.bounds.covers(probe.bounds):
            raise NotFound("Ping not found", code="PING_NOT_FOUND")
        return await self._told(probe)

    async def forget(self, account: AccountId) -> None:
        """The account goes."""
        self._probes = {i: p for i, p in self._probes.items() if p.bounds.account != account}

    async def _told(self, probe: _Probe) -> dict[str, Any]:
        if probe.result is not None:
            return probe.result
        keys = await self._keys(probe.bounds)
        grants = await self._grants(probe.bounds)
        told: dict[str, Any] = {
            "ping_id": probe.id,
            "waiting": self._waiting(probe),
            "started_at": iso(probe.at),
            "ends_at": iso(probe.at + timedelta(seconds=ANSWER_S)),
            "keys": [self._judged(probe, one, "name") for one in keys],
            "grants": [self._judged(probe, one, "client_name") for one in grants],
        }
        if not told["waiting"]:
            probe.result = told
        return told

    def _judged(self, probe: _Probe, one: Mapping[str, Any], name: str) -> dict[str, Any]:
        after_s = probe.replies.get(one["id"])
        return {
            "id": one["id"],
            "name": one[name],
            "verdict": str(self._verdict(probe, one)),
            "replied_after_s": None if after_s is None else round(after_s, 1),
        }

    def _verdict(self, probe: _Probe, one: Mapping[str, Any]) -> Verdict:
        credential: str = one["id"]
        if credential in probe.replies:
            return Verdict.REPLIED
        if self.presence is not None and self.presence.live(credential):
            probe.reached.add(credential)
        if self._waiting(probe):
            return Verdict.WAITING
        if credential in probe.reached:
            return Verdict.CONNECTED_SILENT
        used = one["last_used_at"]
        if used is not None and datetime.fromisoformat(used) >= probe.at - _RECENT:
            return Verdict.USED_RECENTLY
        return Verdict.NOT_CONNECTED

    async def _reached(self, notice: Notice) -> None:
        """Told by a process whose streams the probe came to."""
        probe = self._probes.get(notice.subject)
        if probe is not None:
            probe.reached.update(notice.body)

    # --- the agents' side ----------------------------------------------------------------------------------

    def shown(self, principal: Principal) -> dict[str, Any] | None:
        """The probe under way as a conversation of the inbox."""
        probe = self._active(principal.scope)
        if probe is None:
            return None
        probe.reached.add(credential_of(principal))
        return _conversation(probe)

    def polled(self, principal: Principal, platform: str | None) -> list[dict[str, Any]]:
        """What a poll of `platform` (None: all) finds: the probe under way, once for each credential, as a
        poll that always finds something would never wait."""
        probe = self._active(principal.scope)
        credential = credential_of(principal)
        if probe is None or platform not in (None, PROBE):
            return []
        if credential in probe.polled or credential in probe.replies:
            return []
        probe.polled.add(credential)
        probe.reached.add(credential)
        return [_conversation(probe)]

    def answer(self, principal: Principal, text: str) -> dict[str, Any]:
        """An agent's reply, counted for the credential it came with. Raises `NotFound` when nothing asks."""
        self._require(principal)
        if not text.strip():
            raise ValidationFailed([FieldError("text", "must not be empty")])
        for probe in self._asking(principal.scope):
            after_s = ANSWER_S - (probe.ends - self._clock.monotonic())
            probe.replies.setdefault(credential_of(principal), after_s)
        return {"status": "delivered", "message_id": new_id("probe"), "delivery": "sync"}

    def typing(self, principal: Principal) -> None:
        """Accepted. Raises `NotFound` when nothing asks."""
        self._require(principal)

    def _require(self, principal: Principal) -> _Probe:
        probe = self._active(principal.scope)
        if probe is None:
            raise no_active_conversation(PROBE)
        return probe

    def _active(self, scope: Scope) -> _Probe | None:
        return next(iter(self._asking(scope)), None)

    def _asking(self, scope: Scope) -> list[_Probe]:
        """Its own key may ask an agent while the account's owner asks all of them."""
        return [p for p in self._probes.values() if p.bounds.holds(scope) and self._waiting(p)]

    def _waiting(self, probe: _Probe) -> bool:
        return self._clock.monotonic() < probe.ends


def _event(probe: _Probe) -> dict[str, Any]:
    return {
        "type": str(EventType.DM_CHAT),
        "platform": PROBE,
        "conversation_id": PROBE,
        "message_id": probe.id,
        "sender": SENDER,
        "text": TEXT,
        "attachments": [],
        "timestamp": iso(probe.at),
    }


def _conversation(probe: _Probe) -> dict[str, Any]:
    at = iso(probe.at)
    return {
        "conversation_id": PROBE,
        "platform": PROBE,
        "remote_name": SENDER,
        "status": "active",
        "created_at": at,
        "last_message_at": at,
        "messages": [
            {
                "id": probe.id,
                "direction": "inbound",
                "sender": SENDER,
                "text": TEXT,
                "attachments": [],
                "status": "received",
                "timestamp": at,
            }
        ],
    }
