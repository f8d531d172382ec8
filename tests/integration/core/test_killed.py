"""Killed again and again amid sends: nothing accepted is lost, order is kept, what came twice is counted."""

import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from chamade_mcp.store.database import sqlite_engine
from chamade_mcp.store.migrate import migrate
from chamade_mcp.store.schema import messages

KILLS = 15
SCRIPT = Path(__file__).with_name("sends_until_killed.py")
ROOT = Path(__file__).parents[3]


def life(*arguments: Path | str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, SCRIPT, *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    )


def accepted_before_death(process: "subprocess.Popen[str]", most: int) -> Iterator[str]:
    """The first line says that it lives; after `most` lines it is killed, and what it still said is read."""
    with process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout, 1):
            if count == most:
                process.send_signal(signal.SIGKILL)
            if line.endswith("\n"):
                yield line.strip()
        assert process.wait(30) == -signal.SIGKILL


def test_killed_amid_sends(tmp_path: Path) -> None:
    database, book = tmp_path / "chamade.db", tmp_path / "platform.log"
    migrate(database)
    chance = random.Random(20261121)
    accepted: list[str] = []
    for _ in range(KILLS):
        accepted += accepted_before_death(life(database, book), chance.randint(1, 60))
    with life(database, book, "finish") as finishing:
        assert finishing.wait(60) == 0

    attempts = book.read_text().split()
    first = list(dict.fromkeys(attempts))
    engine = sqlite_engine(database)
    with engine.connect() as conn:
        rows = conn.execute(
            select(messages.c.id, messages.c.conversation_id, messages.c.status)
            .where(messages.c.direction == "outbound")
            .order_by(messages.c.seq)
        ).all()
    engine.dispose()
    assert len(accepted) > KILLS
    assert set(accepted) <= set(first), "what was accepted is lost"
    assert {row.status for row in rows} == {"delivered"}
    assert {row.id for row in rows} == set(first), "what was stored goes out, accepted or not"
    where = {row.id: row.conversation_id for row in rows}
    for conversation in set(where.values()):
        wanted = [row.id for row in rows if row.conversation_id == conversation]
        assert [key for key in first if where[key] == conversation] == wanted
    again = {key: count for key, count in Counter(attempts).items() if count > 1}
    # Under the same key, so that the platform shows it once: at most one message per conversation and kill.
    assert len(attempts) - len(first) <= KILLS * len(set(where.values())), again
