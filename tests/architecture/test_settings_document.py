"""docs/settings.md and the code tell the same settings."""

import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from chamade_mcp.app.settings import CLIENT_VARIABLES, Settings, variable_of

DOCUMENT = (Path(__file__).parents[2] / "docs/settings.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(CHAMADE_\w+)` \| (.*?) \|", DOCUMENT, re.M))


def test_every_setting_has_its_row_in_the_order_of_the_code() -> None:
    assert list(ROWS) == [variable_of(name) for name in Settings.model_fields]


def test_plain_defaults_are_those_of_the_code() -> None:
    for name, field in Settings.model_fields.items():
        if field.default is PydanticUndefined or field.default is None:
            continue
        default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        assert ROWS[variable_of(name)] == f"`{default}`"


def test_the_variables_of_clients_are_named() -> None:
    for name in CLIENT_VARIABLES:
        assert f"`{name}`" in DOCUMENT
