"""Packages of npm that tests drive: exact versions, below ``build/``, installed by one process at a time."""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

INSTALL_S = 300


def npm_installed(folder: Path, packages: Mapping[str, str]) -> Path:
    """The ``node_modules`` that holds `packages` (name to version). No lock file: it would go stale."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps({"private": True, "dependencies": dict(packages)}, sort_keys=True)
    done = folder / "installed.json"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.is_file() and done.read_text() == wanted):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "package.json").write_text(wanted)
            command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(command, cwd=folder, check=True, timeout=INSTALL_S)
            done.write_text(wanted)
    return folder / "node_modules"
