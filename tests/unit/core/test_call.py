"""The state machine of a call: every state with every input."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.core.call import (
    AGENT_GONE,
    BRIDGE_LOST,
    CallSession,
    CallState,
    Decline,
    Effect,
    Entered,
    Failed,
    JoinRoom,
    LeaveRoom,
    Step,
    Verb,
)
from chamade_mcp.kit.connector import EndReason
from chamade_mcp.model.errors import Conflict, NotFound, PlatformRefused
from chamade_mcp.model.limits import RING_S
from tests.support.requirement import requirement

S = CallState
NOW = 500.0
LOST = Failed("bridge_disconnected", BRIDGE_LOST)
REFUSAL = PlatformRefused("The room is locked")

Input = Callable[[CallSession], Step]
INPUTS: dict[str, Input] = {
    "joined": lambda s: s.joined(),
    "join_failed": lambda s: s.join_failed(REFUSAL),
    "leg_ended": lambda s: s.leg_ended(EndReason.ENDED),
    "leg_lost": lambda s: s.leg_ended(EndReason.DISCONNECTED),
    "caller_gave_up": lambda s: s.caller_gave_up(),
    "too_early": lambda s: s.expired(NOW - 0.001),
    "expired": lambda s: s.expired(NOW),
    "accept": lambda s: s.request(Verb.ACCEPT),
    "refuse": lambda s: s.request(Verb.REFUSE),
    "leave": lambda s: s.request(Verb.LEAVE),
    "agent_back": lambda s: s.agent_back(),
}
SESSIONS = {state: CallSession(state, NOW if state is S.RINGING else None) for state in S}
LIVE = [state for state in S if not state.terminal]

# What an input makes of a state: the next one with the effects, or the error. Not listed: nothing happens.
EXPECTED: dict[tuple[CallState, str], tuple[CallState, tuple[Effect, ...]] | type[Exception]] = {
    (S.CONNECTING, "joined"): (S.ACTIVE, (Entered(S.ACTIVE),)),
    (S.CONNECTING, "join_failed"): (
        S.ENDED,
        (Failed("SEND_FAILED", "The room is locked"), Entered(S.ENDED)),
    ),
    (S.CONNECTING, "leg_ended"): (S.ENDED, (Entered(S.ENDED),)),
    (S.CONNECTING, "leg_lost"): (S.DISCONNECTED, (LOST, Entered(S.DISCONNECTED))),
    (S.CONNECTING, "accept"): Conflict,
    (S.CONNECTING, "refuse"): Conflict,
    (S.CONNECTING, "leave"): (S.ENDED, (Entered(S.ENDED), LeaveRoom())),
    (S.RINGING, "join_failed"): (
        S.ENDED,
        (Failed("SEND_FAILED", "The room is locked"), Entered(S.ENDED)),
    ),
    (S.RINGING, "leg_ended"): (S.MISSED, (Entered(S.MISSED), Decline())),
    (S.RINGING, "leg_lost"): (S.MISSED, (Entered(S.MISSED), Decline())),
    (S.RINGING, "caller_gave_up"): (S.MISSED, (Entered(S.MISSED),)),
    (S.RINGING, "expired"): (S.MISSED, (Entered(S.MISSED), Decline())),
    (S.RINGING, "accept"): (S.ACTIVE, (Entered(S.ACTIVE), JoinRoom())),
    (S.RINGING, "refuse"): (S.REFUSED, (Entered(S.REFUSED), Decline())),
    (S.RINGING, "leave"): (S.REFUSED, (Entered(S.REFUSED), Decline())),
    (S.ACTIVE, "join_failed"): (
        S.ENDED,
        (Failed("SEND_FAILED", "The room is locked"), Entered(S.ENDED)),
    ),
    (S.ACTIVE, "leg_ended"): (S.ENDED, (Entered(S.ENDED),)),
    (S.ACTIVE, "leg_lost"): (S.DISCONNECTED, (LOST, Entered(S.DISCONNECTED))),
    (S.ACTIVE, "accept"): Conflict,
    (S.ACTIVE, "refuse"): Conflict,
    (S.ACTIVE, "leave"): (S.ENDED, (Entered(S.ENDED), LeaveRoom())),
}


@requirement("R-042", "R-043", "R-044", "R-052", "R-054")
@pytest.mark.parametrize(("state", "name"), list(itertools.product(LIVE, INPUTS)))
def test_every_live_state_with_every_input(state: CallState, name: str) -> None:
    session, expected = SESSIONS[state], EXPECTED.get((state, name))
    if isinstance(expected, type):
        with pytest.raises(expected):
            INPUTS[name](session)
    elif expected is None:
        assert INPUTS[name](session) == Step(session)
    else:
        step = INPUTS[name](session)
        assert (step.session, step.effects) == (CallSession(expected[0]), expected[1])


@pytest.mark.parametrize(("state", "name"), list(itertools.product([s for s in S if s.terminal], INPUTS)))
def test_nothing_leaves_a_terminal_state(state: CallState, name: str) -> None:
    session = SESSIONS[state]
    if name in ("accept", "refuse", "leave"):
        with pytest.raises(NotFound, match="Call not found"):
            INPUTS[name](session)
    else:
        assert INPUTS[name](session) == Step(session)


@requirement("R-021")
def test_an_outbound_call_connects_first() -> None:
    assert CallSession.outbound() == Step(CallSession(S.CONNECTING), (JoinRoom(),))


@requirement("R-050", "R-053")
def test_an_inbound_call_rings_for_a_minute() -> None:
    assert RING_S == 60
    step = CallSession.inbound(NOW, auto_answer=False)
    assert step == Step(CallSession(S.RINGING, NOW + RING_S))
    assert step.session.expired(NOW + 59.999) == Step(step.session)
    assert step.session.expired(NOW + 60).session.state is S.MISSED


@requirement("R-051")
def test_an_inbound_call_can_be_answered_at_once() -> None:
    step = CallSession.inbound(NOW, auto_answer=True)
    assert step == Step(CallSession(S.ACTIVE), (Entered(S.ACTIVE), JoinRoom()))


def test_a_failure_to_join_without_a_code_of_its_own() -> None:
    step = CallSession.outbound().session.join_failed("no route to the room")
    assert step.effects[0] == Failed("JOIN_FAILED", "no route to the room")


@pytest.mark.parametrize("state", [S.CONNECTING, S.ACTIVE])
def test_a_call_ends_whose_agent_does_not_come_back(state: CallState) -> None:
    away = CallSession(state).agent_lost(NOW)
    assert away == Step(CallSession(state, NOW))
    assert away.session.expired(NOW - 0.001) == Step(away.session)
    over = away.session.expired(NOW)
    assert over.session == CallSession(S.ENDED)
    assert over.effects == (Failed("AGENT_GONE", AGENT_GONE), Entered(S.ENDED), LeaveRoom())


@pytest.mark.parametrize("state", [S.CONNECTING, S.ACTIVE])
def test_an_agent_that_comes_back_keeps_its_call(state: CallState) -> None:
    back = CallSession(state).agent_lost(NOW).session.agent_back()
    assert back == Step(CallSession(state))
    assert back.session.expired(NOW + 1_000) == Step(back.session)


def test_an_agent_that_is_lost_while_its_call_connects_is_waited_for_no_longer() -> None:
    away = CallSession.outbound().session.agent_lost(NOW).session.joined()
    assert away == Step(CallSession(S.ACTIVE, NOW), (Entered(S.ACTIVE),))


@pytest.mark.parametrize("state", [state for state in S if state not in (S.CONNECTING, S.ACTIVE)])
def test_sockets_decide_nothing_of_a_call_that_rings_or_is_over(state: CallState) -> None:
    session = SESSIONS[state]
    assert session.agent_lost(NOW + 5) == Step(session)
    assert session.agent_back() == Step(session)


STARTS = st.sampled_from(
    [
        CallSession.outbound(),
        CallSession.inbound(NOW - RING_S, auto_answer=False),
        CallSession.inbound(NOW, auto_answer=True),
    ]
)


ANYTHING: dict[str, Input] = {**INPUTS, "agent_lost": lambda s: s.agent_lost(NOW)}


@given(STARTS, st.lists(st.sampled_from(sorted(ANYTHING))))
def test_any_sequence_keeps_the_invariants(start: Step, names: list[str]) -> None:
    session, effects = start.session, list(start.effects)
    for name in names:
        before = session
        try:
            step = ANYTHING[name](session)
        except (NotFound, Conflict):
            continue
        session = step.session
        entered = [e.state for e in step.effects if isinstance(e, Entered)]
        # Each change is told once, and nothing is told without one.
        assert entered == ([session.state] if session.state is not before.state else [])
        assert bool(step.effects) == bool(entered)
        assert not before.state.terminal or session == before
        assert session.deadline is not None or session.state is not S.RINGING
        assert session.deadline is None or not session.state.terminal
        effects += step.effects
    # Somebody is let into the room at most once, and nobody is both let in and declined.
    assert effects.count(JoinRoom()) <= 1
    assert not (JoinRoom() in effects and Decline() in effects)
    assert effects.count(Decline()) <= 1
    assert effects.count(LeaveRoom()) <= 1
