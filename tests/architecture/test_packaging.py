"""The locks, the Makefile and pyproject.toml fit together."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import chamade_mcp
from chamade_mcp.web.docs.contents import ATTACHED, CHAPTERS

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.lock", "requirements-dev.lock")


def locked(name: str) -> dict[str, str]:
    """Package -> version; one that differs by platform appears with its last."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", text, re.M))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0].lower() for one in requirements}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    assert len(blocks) > 30
    for block in blocks:
        assert "--hash=sha256:" in block, block[:60]


def test_no_other_lock_is_kept() -> None:
    # uv.lock records where each file was found, which is nobody else's business.
    assert "uv.lock" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_the_locks_hold_what_the_project_asks_for() -> None:
    run, dev = locked(LOCKS[0]), locked(LOCKS[1])
    assert names(PROJECT["project"]["dependencies"]) <= set(run)
    assert names(PROJECT["dependency-groups"]["dev"]) <= set(dev)
    assert {name: dev.get(name) for name in run} == run


def test_the_version_is_told_alike() -> None:
    assert PROJECT["project"]["version"] == chamade_mcp.__version__


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.M)
    assert phony is not None
    assert set(phony[1].split()) == set(re.findall(r"^([a-z]+):.*## \S", text, re.M))


def test_what_is_served_is_in_the_wheel() -> None:
    included: dict[str, str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for source, place in included.items():
        assert place == f"chamade_mcp/documents/{source}"
    for chapter in CHAPTERS:
        for entry in chapter.entries:
            assert any(entry.source.startswith(source) for source in included), entry.source
    for folder in ATTACHED:
        assert folder.rstrip("/") in included
