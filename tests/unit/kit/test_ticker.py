"""The audio clock, on a loop whose time is virtual."""

import asyncio
from collections.abc import Callable

import pytest

from chamade_mcp.audio.frame import FRAME_S
from chamade_mcp.kit.ticker import Phase, Ticker
from tests.support.virtual_loop import run_virtual, virtual_loop


async def beats(count: float) -> None:
    await asyncio.sleep(count * FRAME_S)


def test_phases_come_in_order_whatever_the_order_of_registration() -> None:
    async def main() -> None:
        ticker, log = Ticker(), list[tuple[str, float]]()
        for phase in (Phase.DELIVER, Phase.GATHER, Phase.MIX, Phase.GATHER):
            ticker.register(phase, lambda due, name=phase.name: log.append((name, round(due, 6))))
        await beats(3.5)
        names = ["GATHER", "GATHER", "MIX", "DELIVER"]
        assert [name for name, _ in log] == names * 3
        assert [due for _, due in log] == [1000.02] * 4 + [1000.04] * 4 + [1000.06] * 4

    run_virtual(main())


def test_it_does_not_drift() -> None:
    async def main() -> None:
        ticker, dues = Ticker(), list[float]()
        ticker.register(Phase.MIX, dues.append)
        await beats(1000.5)
        assert len(dues) == 1000
        assert dues[-1] == pytest.approx(1020.0, abs=1e-6)
        assert (ticker.stats.beats, ticker.stats.skipped) == (1000, 0)

    run_virtual(main())


def test_a_beat_that_fails_is_dropped_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        ticker, failed, heard = Ticker(), list[float](), list[float]()

        def fails(due: float) -> None:
            failed.append(due)
            raise ValueError("on purpose")

        ticker.register(Phase.GATHER, fails)
        ticker.register(Phase.GATHER, heard.append)
        ticker.register(Phase.MIX, heard.append)
        await beats(3.5)
        assert (len(failed), len(heard)) == (1, 6)

    run_virtual(main())
    assert caplog.text.count("audio beat failed") == 1


def test_it_stops_when_nobody_listens_and_starts_again() -> None:
    async def main() -> None:
        ticker, heard = Ticker(), list[float]()
        cancel = ticker.register(Phase.MIX, heard.append)
        await beats(2.5)
        cancel()
        cancel()
        await beats(10)
        assert (len(heard), ticker.stats.beats) == (2, 2)
        ticker.register(Phase.MIX, heard.append)
        await beats(2.5)
        assert len(heard) == 4

    run_virtual(main())


def test_one_that_is_cancelled_by_another_is_not_called() -> None:
    async def main() -> None:
        ticker, heard = Ticker(), list[float]()
        cancels: list[Callable[[], None]] = []
        ticker.register(Phase.MIX, lambda _: cancels[0]())
        cancels.append(ticker.register(Phase.MIX, heard.append))
        await beats(2.5)
        assert heard == []

    run_virtual(main())


def test_a_short_stall_is_caught_up_and_a_long_one_skipped() -> None:
    async def main() -> None:
        ticker, dues = Ticker(), list[float]()
        ticker.register(Phase.MIX, dues.append)
        await beats(1.5)
        virtual_loop().stall(5 * FRAME_S)
        await beats(1)
        assert len(dues) == 7
        assert ticker.stats.skipped == 0
        virtual_loop().stall(100 * FRAME_S)
        await beats(1)
        assert ticker.stats.skipped >= 98
        assert len(dues) <= 10
        assert ticker.stats.late_max_s >= 100 * FRAME_S - FRAME_S
        on_time = len(dues)
        await beats(10)
        assert len(dues) == on_time + 10

    run_virtual(main())
