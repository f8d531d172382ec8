"""The one wire object of every error."""

import inspect

import pytest

from chamade_mcp.model import errors
from chamade_mcp.model.errors import (
    Action,
    FieldError,
    GatewayError,
    Internal,
    LimitReached,
    Outcome,
    PlatformRefused,
    Unauthenticated,
    ValidationFailed,
)
from tests.support.requirement import requirement

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, GatewayError)]
ALWAYS = {"type", "title", "status", "detail", "code", "action", "outcome"}


def test_a_bare_error_has_what_every_error_has() -> None:
    wire = LimitReached("Too many").to_wire()
    assert wire == {
        "type": "about:blank",
        "title": "Too many requests",
        "status": 429,
        "detail": "Too many",
        "code": "RATE_LIMITED",
        "action": "wait",
        "outcome": "not_done",
    }


def test_an_error_with_everything() -> None:
    error = GatewayError(
        "It broke",
        code="BROKEN",
        action=Action.ASK_HUMAN,
        outcome=Outcome.UNKNOWN,
        param="text",
        errors=[FieldError("text", "is odd")],
        platform="web",
        retry_after=1.5,
    )
    wire = error.to_wire()
    assert set(wire) == ALWAYS | {"param", "errors", "platform", "retry_after"}
    assert (wire["errors"], wire["retry_after"]) == ([{"field": "text", "message": "is odd"}], 1.5)
    assert str(error) == "It broke"


@requirement("R-003", "R-103")
def test_the_contracts_words() -> None:
    assert Unauthenticated().detail == "Invalid or missing API key"
    assert PlatformRefused().detail == "Failed to send message"
    assert errors.call_not_found().detail == "Call not found"
    assert errors.no_active_conversation("web").detail == "No active conversation"
    assert errors.bridge_not_ready().detail == "No active WebSocket connection"
    assert errors.speech_not_configured().detail == "Hosted TTS not configured"


def test_our_own_fault_leaves_the_outcome_open() -> None:
    assert Internal().to_wire()["outcome"] == "unknown"


def test_wrong_fields_are_all_named() -> None:
    wire = ValidationFailed([FieldError("a", "is short"), FieldError("b.0", "is long")]).to_wire()
    assert (wire["param"], wire["detail"]) == ("a", "a: is short; b.0: is long")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
def test_every_kind_is_complete(kind: type[GatewayError]) -> None:
    assert 400 <= kind.status < 600
    assert kind.default_code == kind.default_code.upper()
    assert kind.title[0].isupper()
    assert kind.__name__ in (errors.__doc__ or "")


def test_no_two_kinds_share_a_status() -> None:
    """Beside those that are a case of another."""
    statuses = [c.status for c in GatewayError.__subclasses__()]
    assert len(statuses) == len(set(statuses))
    assert {c.status for c in CLASSES} <= {500, *statuses}
