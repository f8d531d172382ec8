"""Killed again and again amid webhooks: whatever was accepted from a person arrives, under one id."""

import random
import signal
import subprocess
import sys
from pathlib import Path

from chamade_mcp.store.migrate import migrate
from tests.chaos.scale import KILLS

SCRIPT = Path(__file__).with_name("webhooks_until_killed.py")
ROOT = Path(__file__).parents[2]


def life(database: Path, book: Path, first: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, SCRIPT, database, book, str(first)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    )


def accepted_before_death(process: "subprocess.Popen[str]", most: int) -> list[str]:
    """After `most` lines it is killed, and what it still said is read."""
    accepted: list[str] = []
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):
                accepted.append(line.strip())
            if len(accepted) == most:
                process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    return accepted


def test_killed_amid_webhooks(tmp_path: Path) -> None:
    database, book = tmp_path / "chamade.db", tmp_path / "receiver.log"
    migrate(database)
    chance = random.Random(20261121)
    accepted: list[str] = []
    for turn in range(KILLS):
        accepted += accepted_before_death(life(database, book, turn * 100_000), chance.randint(5, 80))
    with life(database, book, -1) as finishing:
        assert finishing.wait(60) == 0

    arrivals = [line.split() for line in book.read_text().splitlines()]
    taken = [(text, id_) for id_, _, text, status in arrivals if status == "200"]
    assert len(accepted) > KILLS * 5
    assert set(accepted) <= {text for text, _ in taken}, "what was accepted is lost"
    assert len({id_ for _, id_ in taken}) == len({text for text, _ in taken}), "one id for each message"
    # Four at most were on their way at each kill; the receiver knows them by their id.
    assert len(taken) - len(set(taken)) <= 4 * KILLS
    assert any(status == "500" for *_, status in arrivals)
