"""Whatever happens between two polls: a chain of cursors misses nothing and repeats nothing."""

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.errors import NotFound
from tests.support.house import House, open_house
from tests.support.requirement import requirement

PEOPLE = st.sampled_from(["alice", "bob", "carol"])
READER = st.integers(0, 2)


class Polling(RuleBasedStateMachine):
    """Three readers poll as they like while people and the agent write."""

    blank: ClassVar[Path]

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "chamade.db"
        shutil.copyfile(self.blank, path)
        self.stack = AsyncExitStack()
        self.house: House = self.runner.run(self.stack.enter_async_context(open_house(path)))
        self.owner = self.runner.run(self.house.owner())
        self.written: list[str] = []
        self.refs: list[tuple[str, str]] = []
        start = self.runner.run(self.house.inbox.cursor(self.owner))
        self.cursors = [start] * 3
        self.seen: list[list[str]] = [[], [], []]

    @rule(person=PEOPLE)
    def receive(self, person: str) -> None:
        text = f"{len(self.written)} from {person}"
        ref = f"ref {len(self.written)}"
        self.runner.run(self.house.platform.write(self.owner.scope, text, conversation=person, ref=ref))
        self.written.append(text)
        self.refs.append((person, ref))

    @rule(data=st.data())
    def receive_again(self, data: st.DataObject) -> None:
        if self.refs:
            person, ref = data.draw(st.sampled_from(self.refs))
            again = self.house.platform.write(self.owner.scope, "again", conversation=person, ref=ref)
            self.runner.run(again)

    @rule()
    def send(self) -> None:
        try:
            self.runner.run(self.house.inbox.send(self.owner, SCRIPTED, "mine"))
        except NotFound:
            assert not self.written

    @rule(seconds=st.sampled_from([-3600, -1, 1, 60]))
    def set_the_wall_clock(self, seconds: int) -> None:
        self.house.clock.jump(seconds)

    @rule(reader=READER, limit=st.integers(1, 4))
    def poll(self, reader: int, limit: int) -> None:
        answer = self._poll(reader, limit)
        assert self._poll(reader, limit) == answer, "the answer may have been lost on its way"
        assert "reset" not in answer
        self._take(reader, answer)

    @rule(reader=READER, seconds=st.integers(-100_000, 100_000))
    def lose_the_cursor(self, reader: int, seconds: int) -> None:
        moment = self.house.clock.now() + timedelta(seconds=seconds)
        self.cursors[reader] = f"{iso(moment)}|msg_lost"
        answer = self._poll(reader, 50)
        assert answer["reset"]
        newest = [c["last_message"]["text"] for c in answer["conversations"] if c["last_message"]]
        assert set(newest) <= {*self.written, "mine"}
        self.cursors[reader] = answer["last_message_cursor"]
        self.seen[reader] = list(self.written)

    def _poll(self, reader: int, limit: int) -> dict[str, Any]:
        return self.runner.run(self.house.inbox.delta(self.owner, self.cursors[reader], limit=limit))

    @rule(reader=READER)
    def take_over_the_cursor_of_the_account(self, reader: int) -> None:
        self.cursors[reader] = self.runner.run(self.house.inbox.cursor(self.owner))
        self.seen[reader] = list(self.written)

    def _take(self, reader: int, answer: dict[str, Any]) -> None:
        self.cursors[reader] = answer["last_message_cursor"]
        news = [
            m["text"] for c in answer["conversations"] for m in c["messages"] if m["direction"] == "inbound"
        ]
        self.seen[reader] += sorted(news, key=lambda text: int(text.split()[0]))

    def teardown(self) -> None:
        for reader in range(3):
            while True:
                before = self.cursors[reader]
                self.poll(reader, 2)
                if self.cursors[reader] == before:
                    break
            assert self.seen[reader] == self.written
        self.runner.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()


@requirement("R-091")
def test_a_chain_of_cursors(blank_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Polling, "blank", blank_database, raising=False)
    run_state_machine_as_test(
        Polling,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
