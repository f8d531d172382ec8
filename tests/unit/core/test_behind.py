"""What goes on while nobody waits for it."""

import asyncio

import pytest

from chamade_mcp.core.behind import Behind


async def test_what_fails_is_told_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise KeyError("on purpose")

    behind = Behind()
    behind.begin(fails())
    await behind.done()
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


async def test_it_is_waited_for_until_it_takes_too_long() -> None:
    done, may_end = list[str](), asyncio.Event()

    async def soon() -> None:
        await asyncio.sleep(0)
        done.append("soon")

    async def never() -> None:
        try:
            await may_end.wait()
        finally:
            done.append("given up")

    behind = Behind()
    behind.begin(soon())
    await behind.done()
    assert done == ["soon"]
    behind.begin(never())
    await behind.done(within_s=0.01)
    assert done == ["soon", "given up"]
    await behind.done()


async def test_what_is_dropped_goes_no_step_further() -> None:
    done = list[str]()

    async def work() -> None:
        done.append("begun")

    behind = Behind()
    behind.begin(work())
    await behind.drop()
    assert done == []
