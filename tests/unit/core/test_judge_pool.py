import threading

import numpy as np
import pytest

from chamade_mcp.audio.frame import Samples
from chamade_mcp.core.judge_pool import MOST_FREE, JudgePool
from tests.support.waiting import until


class Made:
    window = 320

    def __init__(self) -> None:
        self.maker = threading.get_ident()
        self.resets = 0

    def hears_speech(self, window: Samples) -> bool:
        return bool(np.any(window))

    def reset(self) -> None:
        self.resets += 1


async def test_judges_are_made_beside_the_event_loop_and_before_they_are_needed() -> None:
    pool = JudgePool(Made)
    assert pool.take() is None
    taken: list[Made] = []

    def took() -> bool:
        judge = pool.take()
        if isinstance(judge, Made):
            taken.append(judge)
        return len(taken) == 2

    await until(took)
    assert all(judge.maker != threading.get_ident() for judge in taken)
    assert taken[0] is not taken[1]


async def test_a_judge_is_used_again_and_remembers_nothing() -> None:
    pool, judge = JudgePool(Made), Made()
    pool.give(judge)
    assert judge.resets == 1
    assert pool.take() is judge


async def test_few_are_kept() -> None:
    made = 0

    def make() -> Made:
        nonlocal made
        made += 1
        return Made()

    pool = JudgePool(make)
    given = [Made() for _ in range(MOST_FREE * 3)]
    for judge in given:
        pool.give(judge)
    kept = [pool.take() for _ in range(MOST_FREE)]
    assert None not in kept
    assert pool.take() is None
    await until(lambda: made == 1)


async def test_a_detector_that_cannot_be_made_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tried = 0

    def broken() -> Made:
        nonlocal tried
        tried += 1
        raise RuntimeError("no model")

    pool = JudgePool(broken)
    pool.prepare()
    await until(lambda: caplog.records)
    for _ in range(3):
        assert pool.take() is None
    assert tried == 1
    assert [record.getMessage() for record in caplog.records] == [
        "speech cannot be told from other sounds: no speech events"
    ]
