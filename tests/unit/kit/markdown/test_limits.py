"""A message is as long as its platform says."""

import pytest

from chamade_mcp.kit.markdown.formats import Format, Unit
from chamade_mcp.kit.markdown.limits import length
from chamade_mcp.kit.markdown.render import render


@pytest.mark.parametrize(
    ("unit", "said", "long"),
    [
        (Unit.CHARACTERS, "na\u00efve 👍", 7),
        (Unit.UTF16, "na\u00efve 👍", 8),
        (Unit.BYTES, "na\u00efve 👍", 11),
        (Unit.UTF16, "\ud83d", 1),
        (Unit.BYTES, "", 0),
    ],
)
def test_the_unit_is_the_platforms(unit: Unit, said: str, long: int) -> None:
    assert length(said, Format.PLAIN, unit) == long


def test_telegram_counts_what_is_left_of_its_markup() -> None:
    said = render("**a < b** & [c](https://example.org/?a=1&b=%3E)", Format.TELEGRAM_HTML)
    assert "<b>" in said
    assert "&amp;" in said
    assert length(said, Format.TELEGRAM_HTML, Unit.UTF16) == len("a < b & c")
    assert length(said, Format.PLAIN, Unit.UTF16) == len(said)
