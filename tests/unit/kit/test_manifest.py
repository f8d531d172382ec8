"""A manifest that is wrong says where."""

from pathlib import Path

import pytest

from chamade_mcp.kit.manifest import capability_list, parse_manifest, read_manifest
from chamade_mcp.model.capabilities import Capability

GOOD = """
platform = "fax"
title = "Fax"
capabilities = ["write", "audio_in", "read"]
sample_rate_hz = 8000
text_limit = 500
available = false
"""


def test_a_good_one_with_its_defaults() -> None:
    manifest = parse_manifest(GOOD)
    assert (manifest.platform, manifest.title, manifest.sample_rate_hz) == ("fax", "Fax", 8000)
    assert capability_list(manifest.capabilities) == ["audio_in", "read", "write"]
    assert (manifest.embedded, manifest.creates_rooms, manifest.inbox, manifest.files) == (False,) * 4
    assert manifest.needs_meeting_url
    assert manifest.status == "not_configured"
    assert manifest.unconnected.code == "PLATFORM_NOT_CONNECTED"
    assert manifest.unconnected.detail == "Fax is not connected"
    assert manifest.format == "plain"
    assert parse_manifest(GOOD + 'format = "mrkdwn"').format == "mrkdwn"
    with_files = parse_manifest(GOOD.replace('"read"', '"read", "files"'))
    assert with_files.files
    assert Capability.FILES in with_files.capabilities


@pytest.mark.parametrize("field", ["platform", "title", "capabilities", "available"])
def test_what_is_missing_is_named(field: str) -> None:
    text = "\n".join(line for line in GOOD.splitlines() if not line.startswith(field))
    with pytest.raises(ValueError, match=f"'{field}' is missing"):
        parse_manifest(text)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("available", "availible", "unknown field 'availible'"),
        ("= false", '= "no"', "'available' must be of type bool"),
        ("= 8000", "= true", "'sample_rate_hz' must be of type int"),
        ("= 8000", "= 8000.0", "'sample_rate_hz' must be of type int"),
        ("= 8000", "= 4000", "'sample_rate_hz' must be 8000-48000"),
        ('"Fax"', "7", "'title' must be of type str"),
        ('["write", "audio_in", "read"]', '"read"', "'capabilities' must be of type list"),
        ('"read"', '"smell"', "'capabilities' has the unknown 'smell'"),
        ('"read"', "7", "'capabilities' has the unknown 7"),
        ("sample_rate_hz = 8000", "", "'sample_rate_hz' stands exactly where there is audio"),
        ('"audio_in", ', "", "'sample_rate_hz' stands exactly where there is audio"),
        ("text_limit = 500", "", "'text_limit' stands exactly where messages can be written"),
        ("= false", "= false\nembedded = true", "'embedded' needs a connector"),
        ("= false", "= false\n[unconnected]\ncod = 'X'", "unknown field 'unconnected.cod'"),
        ("= false", "= false\n[unconnected]\ncode = 7", "'unconnected.code' must be of type str"),
        ("= false", "= false\nformat = 'rtf'", "'format' has the unknown 'rtf'"),
        (
            "= false",
            "= false\n[oauth]\nprovider = 'fax'\nneeds = ['id']",
            "'oauth.needs' names the unknown 'id'",
        ),
        ("= false", "= false\n[oauth]\nprovider = 'fax'\nneeds = []", "'oauth.needs' names nothing"),
        ("= false", "= false\n[oauth]\nneeds = ['id']\n[gateway]\nid = ''", "'oauth.provider' is missing"),
        ("= false", "=", "Invalid value"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, words: str) -> None:
    with pytest.raises(ValueError, match="manifest: .*" + words.replace(".", r"\.")):
        parse_manifest(GOOD.replace(old, new))


def test_how_people_sign_in_for_it() -> None:
    oauth = parse_manifest(GOOD + "[gateway]\nid = ''\n[oauth]\nprovider = 'faxes'\nneeds = ['id']").oauth
    assert oauth is not None
    assert (oauth.provider, oauth.needs) == ("faxes", ("id",))
    assert parse_manifest(GOOD).oauth is None


def test_the_folder_has_the_platforms_name(tmp_path: Path) -> None:
    for name in ("fax", "telex"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.toml").write_text(GOOD)
    assert read_manifest(tmp_path / "fax").platform == "fax"
    with pytest.raises(ValueError, match="'fax' stands in folder 'telex'"):
        read_manifest(tmp_path / "telex")
