"""Text before audio, nothing without bound."""

import asyncio

import pytest

from chamade_mcp.kit import outbox
from chamade_mcp.kit.outbox import TEXT_MESSAGES, Outbox

AUDIO_FRAMES = 15


async def test_text_goes_before_audio_and_the_welcome_before_all() -> None:
    box = Outbox(AUDIO_FRAMES)
    box.put_audio(b"1")
    box.put_newest("old levels")
    box.put("chat")
    box.put_newest("levels")
    box.put_first("welcome")
    assert [await box.next() for _ in range(4)] == ["welcome", "chat", "levels", b"1"]


async def test_old_audio_is_dropped_and_counted() -> None:
    box = Outbox(AUDIO_FRAMES)
    for n in range(AUDIO_FRAMES + 3):
        box.put_audio(bytes([n]))
    assert box.audio_dropped == 3
    assert [await box.next() for _ in range(AUDIO_FRAMES)] == [bytes([n]) for n in range(3, AUDIO_FRAMES + 3)]


async def test_a_queue_of_text_over_its_budget_overflows_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    by_count = Outbox(AUDIO_FRAMES)
    assert all(by_count.put("x") for _ in range(TEXT_MESSAGES))
    assert not by_count.put("x")
    assert not by_count.put("x")
    monkeypatch.setattr(outbox, "TEXT_CHARS", 100)
    by_size = Outbox(AUDIO_FRAMES)
    by_size.put_first("w" * 1000)
    assert by_size.put("x" * 1000)
    assert not by_size.put("x")
    flowing = Outbox(AUDIO_FRAMES)
    for _ in range(1000):
        assert flowing.put("x" * 60)
        assert await flowing.next() == "x" * 60


async def test_the_writer_wakes_for_what_comes() -> None:
    box = Outbox(AUDIO_FRAMES)
    waiting = asyncio.create_task(box.next())
    await asyncio.sleep(0)
    box.put_audio(b"1")
    assert await waiting == b"1"


async def test_after_the_end_only_text_comes() -> None:
    box = Outbox(AUDIO_FRAMES)
    box.put_audio(b"1")
    box.put("last words")
    box.end()
    assert [await box.next() for _ in range(3)] == ["last words", None, None]


async def test_text_in_its_order_overtakes_no_audio_and_the_audio_before_it_stays() -> None:
    box = Outbox(2)
    for frame in (b"lost", b"1", b"2"):
        box.put_audio(frame)
    assert box.put_in_order("from here on")
    for frame in (b"lost", b"3", b"4"):
        box.put_audio(frame)
    box.put("chat")
    assert [await box.next() for _ in range(6)] == [b"1", b"2", "from here on", "chat", b"3", b"4"]
    assert box.audio_dropped == 2


def test_text_in_its_order_keeps_no_more_than_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "TEXT_CHARS", 100)
    box = Outbox(AUDIO_FRAMES)
    box.put_audio(bytes(200))
    assert not box.put_in_order("x")
    assert not box.put_in_order("x")


async def test_audio_passes_an_idle_writer_and_nobody_else() -> None:
    passed: list[bytes] = []
    takes = True

    def write(frame: bytes) -> bool:
        if takes:
            passed.append(frame)
        return takes

    box = Outbox(AUDIO_FRAMES, write)
    box.put_audio(b"before there is a writer")
    assert await box.next() == b"before there is a writer"
    box.put_audio(b"while it writes")
    assert await box.next() == b"while it writes"
    writer = asyncio.create_task(box.next())
    await asyncio.sleep(0)
    box.put_audio(b"1")
    box.put_audio(b"2")
    takes = False
    box.put_audio(b"3")
    takes = True
    box.put_audio(b"4")
    assert passed == [b"1", b"2"]
    assert [await writer, await box.next()] == [b"3", b"4"]


async def test_no_audio_passes_text_that_is_not_yet_written() -> None:
    passed: list[bytes] = []
    box = Outbox(AUDIO_FRAMES, lambda frame: passed.append(frame) is None)
    writer = asyncio.create_task(box.next())
    await asyncio.sleep(0)
    box.put("who speaks")
    box.put_audio(b"sound")
    assert await writer == "who speaks"
    box.put_audio(b"more of it")
    assert [await box.next(), await box.next()] == [b"sound", b"more of it"]
    assert passed == []


async def test_nothing_is_written_past_a_writer_who_has_gone() -> None:
    passed: list[bytes] = []
    box = Outbox(AUDIO_FRAMES, lambda frame: passed.append(frame) is None)
    writer = asyncio.create_task(box.next())
    await asyncio.sleep(0)
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    box.put_audio(b"1")
    assert passed == []
