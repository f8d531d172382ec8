"""What the documents name is there."""

import re
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGE, ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(PACKAGE.rglob("README.md"))]
_LINK = re.compile(r"\]\((?!https?:|mailto:|#|/)([^)#\s]+)")
_FIRST_CELL = re.compile(r"^\|\s*`([\w./-]+\.(?:py|js|toml|html|css|md))`", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [link for link in _LINK.findall(text) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_tables_of_files_are_true(page: Path) -> None:
    """A table whose rows begin with a file's name speaks of files beside it, or of paths from the root."""
    named = _FIRST_CELL.findall(page.read_text(encoding="utf-8"))
    places = (page.parent, PACKAGE, ROOT)
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
