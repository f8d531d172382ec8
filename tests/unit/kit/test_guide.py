"""A connector's `connect.md` in ways, and what a person is asked for."""

from importlib.resources import files

import pytest

from chamade_mcp.connectors.slack.install import SCOPES
from chamade_mcp.kit.bot_fields import BotField, check
from chamade_mcp.kit.guide import WayKind, parse_guide
from chamade_mcp.kit.manifest import Manifest, described
from chamade_mcp.model.errors import ValidationFailed

TEXT = """# How

## Your own

<!-- way: bot -->
About it.

1. Do this
   and that.
2. Say so,
   twice.
   <!-- form: bot_token, app_token -->
   ```sh
   curl
   ```
3. Write.

## By a link

<!-- way: link -->
1. Make it.
   <!-- form -->
"""


def test_ways_are_read_with_their_steps() -> None:
    own, link = parse_guide(TEXT)
    assert (own.kind, own.title, own.number, own.step) == (WayKind.BOT, "Your own", 2, "Say so, twice.")
    assert own.before == "About it.\n\n1. Do this\n   and that."
    assert own.after == "3. Write."
    assert own.fields == ("bot_token", "app_token")
    assert own.text == "About it.\n\n1. Do this\n   and that.\n\n2. Say so, twice.\n\n3. Write."
    assert (link.kind, link.before, link.after, link.fields) == (WayKind.LINK, "", "", ())
    assert not own.is_called
    assert parse_guide(TEXT.replace("way: bot", "way: bot, called"))[0].is_called


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("way: link", "way: door", "'By a link' is of the unknown kind 'door'"),
        ("1. Make it.\n   <!-- form -->", "1. Make it.", "'By a link' has no step with a form"),
        ("1. Make it.\n   <!-- form -->", "<!-- form -->", "'By a link' has no step with a form"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_guide(TEXT.replace(old, new))


def test_values_that_cannot_be_right_are_named() -> None:
    fields = [
        BotField("token", "Token", required=True, pattern="[0-9]+", wrong="is no token"),
        BotField("way", "Way", required=False, choices={"a": "One", "b": "Other"}),
        BotField("name", "Name", required=False, pattern="[a-z]+"),
    ]
    check(fields, {"token": "12", "way": "b", "name": ""})
    with pytest.raises(ValidationFailed) as refused:
        check(fields, {"token": "12x", "way": "c", "name": "A"})
    assert [(e.field, e.message) for e in refused.value.errors] == [
        ("token", "is no token"),
        ("way", "must be one of a, b"),
        ("name", "cannot be right"),
    ]


@pytest.mark.parametrize(
    "manifest", [m for m in described().values() if m.available], ids=lambda m: m.platform
)
def test_every_platform_says_how_it_is_connected(manifest: Manifest) -> None:
    kinds = {way.kind for way in manifest.guide}
    assert manifest.about.endswith(".")
    assert manifest.guide
    assert (WayKind.BOT in kinds) == (manifest.bot is not None)
    assert (WayKind.OAUTH in kinds) == (manifest.oauth is not None)
    for field in manifest.bot.fields if manifest.bot else ():
        assert field.label != field.name.replace("_", " ").capitalize() or field.help, field.name
        assert not field.pattern or field.wrong, field.name


def test_the_manifest_that_is_pasted_at_slack_has_the_scopes_that_are_needed() -> None:
    guide = files("chamade_mcp.connectors.slack").joinpath("connect.md").read_text("utf-8")
    for scope in SCOPES:
        assert guide.count(f'"{scope}"') == 2, scope
