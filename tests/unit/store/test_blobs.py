"""Bytes in a folder: whole or not at all."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chamade_mcp.model.errors import Unavailable
from chamade_mcp.store.blobs import LocalBlobs

KEY = "f_0123456789"


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def lying(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


async def test_a_file_lies_in_a_folder_of_its_last_letters(tmp_path: Path) -> None:
    await LocalBlobs(tmp_path / "files").write(KEY, stream(b"x"))
    assert lying(tmp_path) == [f"files/89/{KEY}"]


async def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError

    blobs = LocalBlobs(tmp_path)
    with pytest.raises(LookupError):
        await blobs.write(KEY, breaks())
    assert await blobs.size(KEY) is None
    assert lying(tmp_path) == []


async def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    in_the_way = tmp_path / "files"
    in_the_way.write_text("no folder")
    with pytest.raises(Unavailable):
        await LocalBlobs(in_the_way).write(KEY, stream(b"x"))


async def test_only_old_halves_are_tidied_away(tmp_path: Path) -> None:
    blobs, now = LocalBlobs(tmp_path), datetime(2026, 1, 1, tzinfo=UTC)
    await blobs.write(KEY, stream(b"whole"))
    halves = [tmp_path / "89" / f"{name}.part" for name in ("old", "new")]
    for half, age in zip(halves, (timedelta(hours=2), timedelta(minutes=2)), strict=True):
        half.write_bytes(b"half")
        written_at = (now - age).timestamp()
        os.utime(half, (written_at, written_at))
    os.utime(tmp_path / "89" / KEY, (0, 0))
    assert await blobs.tidy(now - timedelta(hours=1)) == 1
    assert lying(tmp_path) == [f"89/{KEY}", "89/new.part"]
