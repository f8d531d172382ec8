"""The documents, and what clients install, are part of what is installed, not only of a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import chamade_mcp
from tests.support.pip import INSTALL_S, UV

ROOT = Path(chamade_mcp.__file__).parents[1]
TELL = """
import hashlib
import chamade_mcp
from chamade_mcp.kit.registry import described
from chamade_mcp.web.client_files import ClientFiles
from chamade_mcp.web.docs.library import Library
document = {"tags": [], "paths": {}, "info": {"description": ""}}
files = ClientFiles("https://voice.example.net")
print(chamade_mcp.__file__)
for file in (files.bundle, files.shim):
    print(file.name, hashlib.sha256(file.body).hexdigest())
print(Library("https://voice.example.net", list(described().values()), lambda: document).whole())
"""


def told(package: Path) -> list[str]:
    """Where the package is that `package` provides, what it gives out to install, and all its pages."""
    command = [sys.executable, "-c", TELL]
    env = {**os.environ, "PYTHONPATH": str(package)}
    done = subprocess.run(command, cwd=package, env=env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_wheel_has_every_page(tmp_path: Path) -> None:
    build = [UV, "build", "-q", "--wheel", "-o", tmp_path, ROOT]
    subprocess.run(build, check=True, timeout=INSTALL_S)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    where, *pages = told(installed)
    assert where == str(installed / "chamade_mcp" / "__init__.py")
    assert len(pages) > 1000
    assert pages == told(ROOT)[1:]
