"""JSON becomes values, and what does not fit is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from chamade_mcp.client import CallDigit, OtherEvent, RecordingStopped, UnexpectedAnswer
from chamade_mcp.client.events import event
from chamade_mcp.client.reading import record


@dataclass(frozen=True, slots=True)
class Part:
    name: str


@dataclass(frozen=True, slots=True)
class Whole:
    text: str
    number: int
    share: float
    flag: bool
    at: datetime
    parts: tuple[Part, ...]
    by_name: Mapping[str, Part]
    state: Literal["on", "off"]
    anything: object
    perhaps: str | None
    more: str = "nothing"


GOOD: dict[str, Any] = {
    "text": "a", "number": 1, "share": 2, "flag": True, "at": "2026-11-21T10:00:00.5Z",
    "parts": [{"name": "b"}],
    "by_name": {"c": {"name": "d"}}, "state": "on", "anything": [1], "perhaps": None, "unknown": "member",
}  # fmt: skip


def test_every_kind_of_member_is_read() -> None:
    assert record(Whole, GOOD) == Whole(
        text="a",
        number=1,
        share=2.0,
        flag=True,
        at=datetime(2026, 11, 21, 10, 0, 0, 500_000, UTC),
        parts=(Part("b"),),
        by_name={"c": Part("d")},
        state="on",
        anything=[1],
        perhaps=None,
    )
    assert record(Whole, GOOD | {"more": "x", "perhaps": "y"}).perhaps == "y"


def test_a_word_of_a_newer_gateway_is_taken_as_it_is() -> None:
    assert record(Whole, GOOD | {"state": "broken"}).state == "broken"


@pytest.mark.parametrize(
    ("member", "value", "place"),
    [
        ("text", 1, "Whole.text"),
        ("number", "1", "Whole.number"),
        ("number", True, "Whole.number"),
        ("share", "x", "Whole.share"),
        ("flag", 1, "Whole.flag"),
        ("at", "yesterday", "Whole.at"),
        ("at", None, "Whole.at"),
        ("parts", {}, "Whole.parts"),
        ("parts", [1], "Whole.parts"),
        ("by_name", [], "Whole.by_name"),
        ("by_name", {"c": {}}, "Whole.by_name.c"),
        ("state", 1, "Whole.state"),
        ("perhaps", 1, "Whole.perhaps"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(member: str, value: object, place: str) -> None:
    with pytest.raises(UnexpectedAnswer, match=place):
        record(Whole, GOOD | {member: value})


def test_a_missing_member_is_told() -> None:
    with pytest.raises(UnexpectedAnswer, match="Part has no name"):
        record(Part, {})


def test_events_are_told_apart_by_their_type() -> None:
    pressed = {"type": "call_dtmf", "digit": "#", "sender": "Ann", "participant": "p1", "seq": 7}
    assert event(pressed) == CallDigit("#", "Ann", "p1", seq=7)
    stopped = {"type": "recording_stopped", "recording_id": "rec_1", "reason": "call_ended", "duration_ms": 5}
    assert event(stopped) == RecordingStopped("rec_1", "call_ended", 5)
    assert event({"type": "news"}) == OtherEvent("news", {"type": "news"})
