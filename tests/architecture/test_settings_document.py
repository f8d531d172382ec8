"""docs/settings.md and the code tell the same settings."""

import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from chamade_mcp.app.settings import (
    CLIENT_VARIABLES,
    VARIABLES,
    Settings,
    field_of,
    platform_settings,
    variable_of,
)
from chamade_mcp.kit.manifest import described

DOCUMENT = (Path(__file__).parents[2] / "docs/settings.md").read_text(encoding="utf-8")
ROWS = {name: cell.strip() for name, cell in re.findall(r"^\| `(CHAMADE_\w+)` \|(.*?)\|", DOCUMENT, re.M)}


def test_every_setting_has_its_row_in_the_order_of_the_code() -> None:
    platforms = [
        variable_of(field_of(platform, name))
        for platform, names in platform_settings().items()
        for name in names
    ]
    assert list(ROWS) == [*(variable_of(name) for name in VARIABLES), *platforms]


def test_defaults_of_platforms_are_those_of_their_manifests() -> None:
    for platform, manifest in described().items():
        for name, default in manifest.gateway.defaults.items():
            told = ROWS[variable_of(field_of(platform, name))]
            assert told == (f"`{default}`" if default else "")


def test_plain_defaults_are_those_of_the_code() -> None:
    for name in VARIABLES:
        field = Settings.model_fields[name]
        if field.default is PydanticUndefined or field.default is None:
            continue
        default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        assert ROWS[variable_of(name)] == f"`{default}`"


def test_the_variables_of_clients_are_named() -> None:
    for name in CLIENT_VARIABLES:
        assert f"`{name}`" in DOCUMENT
