from datetime import UTC, datetime, timedelta

import pytest

from chamade_mcp.app.arguments import parse_expiry, parse_name, parse_permissions
from chamade_mcp.model.access import Permission

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30d", NOW + timedelta(days=30)),
        (" 12 H ", NOW + timedelta(hours=12)),
        ("90m", NOW + timedelta(minutes=90)),
        ("2w", NOW + timedelta(weeks=2)),
        ("1y", NOW + timedelta(days=365)),
        ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC)),
        ("2030-01-31T10:00:00+02:00", datetime(2030, 1, 31, 8, tzinfo=UTC)),
        ("2030-01-31T10:00:00Z", datetime(2030, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_a_span_or_a_moment(text: str, moment: datetime) -> None:
    assert parse_expiry(text, NOW) == moment


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("0d", "not in the future"),
        ("2020-01-01", "not in the future"),
        ("3q", "neither a span"),
        ("", "neither a span"),
        ("99999y", "too far ahead"),
        ("-3d", "neither a span"),
    ],
)
def test_a_wrong_expiry_says_what_it_should_be(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_expiry(text, NOW)


def test_permissions_are_a_list_and_all_without_one() -> None:
    assert parse_permissions(" read, MESSAGE ,") == {Permission.READ, Permission.MESSAGE}
    assert parse_permissions(None) == set(Permission)


@pytest.mark.parametrize(
    ("text", "part"), [("fly", "'fly' is no permission; there are read, "), (" ,", "name some")]
)
def test_a_wrong_permission_names_those_that_are(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_permissions(text)


def test_a_name_is_one_line() -> None:
    assert parse_name("  my\n key ") == "my key"
    for wrong in ("", " \n", "x" * 101):
        with pytest.raises(ValueError, match="1 to 100"):
            parse_name(wrong)
