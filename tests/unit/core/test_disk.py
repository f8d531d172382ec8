"""Room on the disk: measured now and then, and told once it runs out."""

import logging

import pytest

from chamade_mcp.core.disk import NEARLY_FULL_BYTES, Disk, Room
from chamade_mcp.kit.testing import VirtualClock

PLENTY = NEARLY_FULL_BYTES * 100


class Drive:
    """A disk with so much room."""

    def __init__(self) -> None:
        self.free_bytes, self.refusals = PLENTY, 0
        self.is_there = True

    def measure(self) -> int:
        if not self.is_there:
            raise OSError("not there")
        return self.free_bytes

    def watched(self, clock: VirtualClock) -> Disk:
        return Disk(clock, self.measure, lambda: self.refusals)


async def test_it_is_nearly_full_until_there_is_room_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock, drive = VirtualClock(), Drive()
    disk = drive.watched(clock)
    assert (disk.room, disk.free_bytes) == (Room.ENOUGH, None)
    await disk.look()
    assert (disk.room, disk.free_bytes) == (Room.ENOUGH, PLENTY)
    assert caplog.text == ""
    drive.free_bytes = 120_500_000
    await clock.advance(15)
    for _ in range(2):
        await disk.look()
        assert (disk.room, disk.since) == (Room.LITTLE, clock.now())
    assert disk.words == "Only 120 MB are free where the gateway keeps its data"
    assert caplog.text.count(disk.words) == 1
    drive.free_bytes = PLENTY
    await disk.look()
    assert disk.room is Room.ENOUGH
    assert "has room again" in caplog.text


async def test_what_could_not_be_stored_is_told_for_ten_minutes() -> None:
    clock, drive = VirtualClock(), Drive()
    drive.refusals = 7  # before anybody looked
    disk = drive.watched(clock)
    await disk.look()
    assert disk.room is Room.ENOUGH
    drive.refusals += 1
    await disk.look()
    assert disk.room is Room.NONE
    assert disk.words.startswith("Something could not be stored: ")
    await clock.advance(599)
    await disk.look()
    assert disk.room is Room.NONE
    await clock.advance(1)
    drive.free_bytes = 0
    await disk.look()
    assert disk.room is Room.LITTLE


async def test_what_cannot_be_measured_is_as_it_was() -> None:
    drive = Drive()
    disk = drive.watched(VirtualClock())
    drive.is_there = False
    await disk.look()
    assert (disk.room, disk.free_bytes) == (Room.ENOUGH, None)
    drive.is_there, drive.free_bytes = True, 0
    await disk.look()
    drive.is_there = False
    await disk.look()
    assert (disk.room, disk.free_bytes) == (Room.LITTLE, 0)
