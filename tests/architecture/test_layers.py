"""Imports point down only."""

import subprocess
import sys

from tests.architecture.sources import ROOT


def test_the_import_contracts_are_kept() -> None:
    # In a process of its own: it sets up logging, and silences the loggers of every test that follows.
    command = [
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports;"
        "sys.exit(lint_imports(config_filename='pyproject.toml', no_cache=True))",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
