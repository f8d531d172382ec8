"""Platforms are known by their connectors and nowhere below the web pages."""

from chamade_mcp.kit.registry import discover
from tests.architecture.sources import modules, strings

NAMELESS = ("core/", "sessions/", "store/", "model/", "audio/", "kit/", "oauth/", "speech/", "tools/")


def test_no_platform_is_named_in_code_that_serves_them_all() -> None:
    names = {str(name) for name in discover().manifests}
    names |= {m.title.lower() for m in discover().manifests.values()}
    found = [
        f"{path}:{line}: {text!r}"
        for path, tree in modules().items()
        if path.startswith(NAMELESS)
        for line, text in strings(tree)
        if text.lower() in names
    ]
    assert found == []


def test_no_name_says_nothing() -> None:
    vague = ("utils", "util", "helpers", "helper", "manager", "common", "misc")
    assert [path for path in modules() if path.rpartition("/")[2].removesuffix(".py") in vague] == []
