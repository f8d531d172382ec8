"""Which platforms there are: our folders, and what other packages bring."""

import sys
from pathlib import Path

import pytest

from chamade_mcp.kit.registry import discover
from chamade_mcp.model.ids import Platform

MODULE = """
from chamade_mcp.kit.testing import ScriptedConnector
from chamade_mcp.model.ids import Platform

connector = ScriptedConnector(platform=Platform("{platform}"))
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """A package with an entry point, as pip leaves it."""
    module = f"a_connector_for_{platform}"
    (folder / f"{module}.py").write_text(MODULE.format(platform=platform))
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[chamade_mcp.connectors]\nx = {module}:connector\n")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


def test_every_folder_with_a_manifest_is_found() -> None:
    registry = discover()
    folders = Path(__file__).parents[3] / "chamade_mcp" / "connectors"
    assert set(registry.manifests) == {p.parent.name for p in folders.glob("*/manifest.toml")}
    assert set(registry.connectors) == {m.platform for m in registry.manifests.values() if m.available}


def test_another_package_brings_a_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "telex")
    registry = discover()
    assert registry.manifests[Platform("telex")].title == "Telex"
    assert Platform("telex") in registry.connectors


def test_another_package_brings_what_was_only_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = next(m.platform for m in discover().manifests.values() if not m.available)
    install(tmp_path, monkeypatch, described)
    assert discover().manifests[described].available


def test_two_connectors_for_one_platform_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = next(iter(discover().connectors))
    install(tmp_path, monkeypatch, taken)
    with pytest.raises(ValueError, match=f"there is a connector for '{taken}' already"):
        discover()
