"""kill -9 in the middle of writing loses nothing that was acknowledged."""

import sqlite3
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("writes_until_killed.py")


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    acknowledged: list[int] = []
    with subprocess.Popen([sys.executable, SCRIPT, path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while len(acknowledged) < 300:
            acknowledged.append(int(process.stdout.readline()))
        process.kill()
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    conn = sqlite3.connect(path)
    kept = {n for (n,) in conn.execute("SELECT n FROM t")}
    assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    conn.close()
    assert set(acknowledged) <= kept
