"""Imports point down only."""

import pytest
from importlinter.cli import lint_imports

from tests.architecture.sources import ROOT


def test_the_import_contracts_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    broken = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert broken == 0, capsys.readouterr().out
