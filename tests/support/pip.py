"""Packages of Python that tests drive in an environment of their own: exact versions, below ``build/``."""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

INSTALL_S = 300
UV = Path(sys.executable).with_name("uv")


def pip_installed(folder: Path, packages: Sequence[str]) -> Path:
    """The interpreter that has `packages`. What they need in turn is not locked: it is not ours."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted = "\n".join(packages)
    done, python = folder / "installed.txt", folder / "bin" / "python"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.is_file() and done.read_text() == wanted):
            shutil.rmtree(folder, ignore_errors=True)
            for command in (
                [UV, "venv", "-q", "--python", sys.executable, folder],
                [UV, "pip", "install", "-q", "--python", python, *packages],
            ):
                subprocess.run(command, check=True, timeout=INSTALL_S)
            done.write_text(wanted)
    return python
