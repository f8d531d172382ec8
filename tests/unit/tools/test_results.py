"""One line of text that a model can act on, whatever the problem object holds."""

import pytest

from chamade_mcp.model.errors import Action, LimitReached, Outcome, PlatformRefused
from chamade_mcp.tools.client import JsonObject
from chamade_mcp.tools.results import one_line

CASES: list[tuple[JsonObject, str]] = [
    (LimitReached("Too many requests", retry_after=2.5).to_wire(), "Try again in 2.5 s."),
    (PlatformRefused(outcome=Outcome.UNKNOWN).to_wire(), "look before you try again."),
    (PlatformRefused().to_wire(), "Change the arguments before you call again."),
    ({"detail": "Odd", "code": "ODD"}, "Do not try again unchanged."),
    ({"detail": "Odd", "code": "ODD", "action": "dance"}, "Do not try again unchanged."),
]


@pytest.mark.parametrize(("problem", "ending"), CASES)
def test_the_line_ends_with_what_to_do(problem: JsonObject, ending: str) -> None:
    line = one_line(problem)
    assert line.startswith(f"{problem['detail']} ({problem['code']}). ")
    assert line.endswith(ending)


@pytest.mark.parametrize("action", Action)
def test_every_action_has_words(action: Action) -> None:
    line = one_line({"detail": "No", "code": "X", "action": str(action)})
    assert not line.endswith("unchanged.")


def test_it_stays_one_line_whatever_the_detail() -> None:
    assert "\n" not in one_line({"detail": "first\nsecond.\n", "code": "X"})
    assert one_line({}) == "It failed (UNKNOWN). Do not try again unchanged."
