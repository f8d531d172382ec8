"""What is begun while an account goes does not outlive it."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from chamade_mcp.core.calls import NewCall
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.kit.ticker import Phase
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import Access
from chamade_mcp.model.ids import AccountId
from chamade_mcp.model.recording import RecordingFormat
from tests.support.bots import connected
from tests.support.house import House
from tests.support.tones import tone
from tests.support.waiting import until

PASSWORD = "a long enough password"


async def somebody(house: House) -> Principal:
    await house.accounts.create("somebody@example.org", PASSWORD, verified=True)
    found = await house.accounts.find_by_email("somebody@example.org")
    assert found is not None
    return found


def once(house: House, begin: Callable[[], Awaitable[None]]) -> None:
    """While the account goes, after everything of it has ended."""
    begun: list[object] = []

    async def leave(account: AccountId) -> None:
        if not begun:
            begun.append(account)
            await begin()

    house.accounts.on_delete(leave)


def bytes_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_file_that_came_meanwhile_leaves_no_bytes(house: House) -> None:
    going = await somebody(house)

    async def upload() -> None:
        await house.files.upload_base64(going.scope, "cHJpdmF0ZQ==", "a.txt", "text/plain")

    once(house, upload)
    await house.accounts.delete(going, PASSWORD)
    assert bytes_in(house.files_root) == []


async def test_a_bot_that_was_connected_meanwhile_is_let_go(house: House) -> None:
    going = await somebody(house)

    async def connect() -> None:
        await connected(house, going, access=Access.OPEN)

    once(house, connect)
    await house.accounts.delete(going, PASSWORD)
    assert house.bots.links == {}
    assert house.connections.every() == []


async def test_a_call_that_was_begun_meanwhile_ends(house: House) -> None:
    going = await somebody(house)

    async def call() -> None:
        await house.calls.create(going, NewCall(SCRIPTED, record_as=RecordingFormat.WAV))
        await until(lambda: house.platform.legs)

    once(house, call)
    await house.accounts.delete(going, PASSWORD)
    assert house.engine.live_count == 0
    assert bytes_in(house.files_root) == []
    assert bytes_in(house.files_root.parent / "recordings") == []


async def test_a_recording_that_was_made_meanwhile_leaves_no_bytes(house: House) -> None:
    going = await somebody(house)

    async def record() -> None:
        made = await house.calls.create(going, NewCall(SCRIPTED, record_as=RecordingFormat.WAV))
        live, sound = house.engine.find(going.scope, made.record.id), tone(440, 0.02)
        await until(lambda: live.recorder is not None)
        far = house.platform.legs[made.record.room].far
        hush = house.ticker.register(Phase.MIX, lambda at: far.push(sound, at))
        await until(lambda: live.recorder is not None and live.recorder.size_bytes > 10_000)
        hush()
        await house.calls.leave(going, made.record.id)
        await until(lambda: bytes_in(house.files_root))
        await until(lambda: not house.recordings.under_way)

    once(house, record)
    await house.accounts.delete(going, PASSWORD)
    assert bytes_in(house.files_root) == []
