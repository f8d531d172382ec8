"""A call's life as a state machine (CONTRACT section 2). No I/O: facts, verbs and times in, effects out.

    outbound:  connecting -> active -> ended | disconnected
               connecting -> ended | disconnected
    inbound:   ringing -> active -> ended | disconnected
               ringing -> refused | missed

No state leaves a terminal one; recovery is a new call. Each step returns the next session, so that a caller
can store the change first and adopt it after.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from chamade_mcp.kit.connector import EndReason
from chamade_mcp.model.errors import Conflict, GatewayError, call_not_found
from chamade_mcp.model.limits import RING_S

"""Seconds a call rings before it counts as missed."""

BRIDGE_LOST_CODE = "bridge_disconnected"
"""In small letters, unlike every other code: the public contract has it so."""
AGENT_GONE_CODE = "AGENT_GONE"
AGENT_GONE = "The agent's socket was lost, and nobody came back in time"
BRIDGE_LOST = "Bridge connection lost. Use chamade_call_join with the same meeting_url to reconnect."


class CallState(StrEnum):
    CONNECTING = "connecting"
    RINGING = "ringing"
    ACTIVE = "active"
    REFUSED = "refused"
    MISSED = "missed"
    ENDED = "ended"
    DISCONNECTED = "disconnected"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL = frozenset({CallState.REFUSED, CallState.MISSED, CallState.ENDED, CallState.DISCONNECTED})


class Direction(StrEnum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"


class Verb(StrEnum):
    """What an agent asks for."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Entered:
    """Effect: tell everybody that the call is now in `state`."""

    state: CallState


@dataclass(frozen=True, slots=True)
class Failed:
    """Effect: tell everybody what went wrong, before the state that follows from it."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class JoinRoom:
    """Effect: go to the platform's room."""


@dataclass(frozen=True, slots=True)
class LeaveRoom:
    """Effect: leave the platform's room, or stop trying to get in."""


@dataclass(frozen=True, slots=True)
class Decline:
    """Effect: tell the platform that nobody will answer."""


Effect = Entered | Failed | JoinRoom | LeaveRoom | Decline


@dataclass(frozen=True, slots=True)
class Step:
    session: "CallSession"
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class CallSession:
    state: CallState
    deadline: float | None = None
    """When `expired` must be called, on the monotonic clock; None while nothing is waited for. A call that
    rings waits for an answer, another one for its agent to come back."""

    @staticmethod
    def outbound() -> "Step":
        return Step(CallSession(CallState.CONNECTING), (JoinRoom(),))

    @staticmethod
    def inbound(now: float, *, auto_answer: bool) -> "Step":
        if auto_answer:
            return Step(CallSession(CallState.ACTIVE), (Entered(CallState.ACTIVE), JoinRoom()))
        return Step(CallSession(CallState.RINGING, now + RING_S))

    # --- what the platform said ---------------------------------------------------------------------------

    def joined(self) -> Step:
        """The leg is in the room."""
        if self.state is CallState.CONNECTING:
            active = self._enter(CallState.ACTIVE)
            return replace(active, session=replace(active.session, deadline=self.deadline))
        return Step(self)

    def join_failed(self, error: GatewayError | str) -> Step:
        """The leg could not get in: an outbound call is over, an accepted one lost its caller."""
        if self.state.terminal:
            return Step(self)
        message = error.detail if isinstance(error, GatewayError) else error
        code = error.code if isinstance(error, GatewayError) else "JOIN_FAILED"
        return self._enter(CallState.ENDED, before=(Failed(code, message),))

    def leg_ended(self, reason: EndReason) -> Step:
        """The platform side is over. Of a call that rings, nobody can answer it any more."""
        if self.state.terminal:
            return Step(self)
        if self.state is CallState.RINGING:
            return self._enter(CallState.MISSED, after=(Decline(),))
        if reason is EndReason.DISCONNECTED:
            return self._enter(CallState.DISCONNECTED, before=(Failed(BRIDGE_LOST_CODE, BRIDGE_LOST),))
        return self._enter(CallState.ENDED)

    def caller_gave_up(self) -> Step:
        if self.state is CallState.RINGING:
            return self._enter(CallState.MISSED)
        return Step(self)

    def expired(self, now: float) -> Step:
        """Time passed; `deadline` may or may not have come."""
        if self.deadline is None or now < self.deadline:
            return Step(self)
        if self.state is CallState.RINGING:
            return self._enter(CallState.MISSED, after=(Decline(),))
        return self._enter(
            CallState.ENDED, before=(Failed(AGENT_GONE_CODE, AGENT_GONE),), after=(LeaveRoom(),)
        )

    # --- where the agent is -------------------------------------------------------------------------------

    def agent_lost(self, until: float) -> Step:
        """The last socket broke. Its call goes on until then, on the monotonic clock."""
        if self.state.terminal or self.state is CallState.RINGING:
            return Step(self)
        return Step(replace(self, deadline=until))

    def agent_back(self) -> Step:
        if self.state is CallState.RINGING:
            return Step(self)
        return Step(replace(self, deadline=None))

    # --- what the agent wants -----------------------------------------------------------------------------

    def request(self, verb: Verb) -> Step:
        """Raises `NotFound` on a call that is over, `Conflict` where the state does not allow `verb`."""
        if self.state.terminal:
            raise call_not_found()
        if verb is Verb.LEAVE:
            if self.state is CallState.RINGING:
                return self._enter(CallState.REFUSED, after=(Decline(),))
            return self._enter(CallState.ENDED, after=(LeaveRoom(),))
        if self.state is not CallState.RINGING:
            raise Conflict(f"The call is not ringing: it is {self.state}", code="CALL_NOT_RINGING")
        if verb is Verb.ACCEPT:
            return self._enter(CallState.ACTIVE, after=(JoinRoom(),))
        return self._enter(CallState.REFUSED, after=(Decline(),))

    def _enter(
        self, state: CallState, *, before: tuple[Effect, ...] = (), after: tuple[Effect, ...] = ()
    ) -> Step:
        return Step(replace(self, state=state, deadline=None), (*before, Entered(state), *after))
