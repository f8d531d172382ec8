"""Every place for the bytes of files keeps the promises of `Blobs`."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chamade_mcp.store.blobs import Blobs, LocalBlobs
from chamade_mcp.store.bucket import BucketBlobs

KEY = "f_0123456789"
PLACES = ["folder", "bucket"]


@pytest.fixture(params=PLACES)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return LocalBlobs(tmp_path)
    return BucketBlobs(f"file://{tmp_path}")


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(blobs: Blobs, start: int, end: int) -> bytes:
    return b"".join([chunk async for chunk in blobs.read(KEY, start, end)])


async def test_what_is_written_is_read(blobs: Blobs) -> None:
    assert await blobs.size(KEY) is None
    body = bytes(range(256)) * 30_000
    assert await blobs.write(KEY, stream(body[:5], b"", body[5:])) == len(body)
    assert await blobs.size(KEY) == len(body)
    assert await read(blobs, 0, len(body)) == body
    assert await read(blobs, 1_300_000, 2_600_001) == body[1_300_000:2_600_001]
    assert await read(blobs, 7, 7) == b""


async def test_nothing_is_a_blob_too(blobs: Blobs) -> None:
    assert await blobs.write(KEY, stream()) == 0
    assert await blobs.size(KEY) == 0


async def test_what_breaks_off_is_no_blob(blobs: Blobs) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError

    with pytest.raises(LookupError):
        await blobs.write(KEY, breaks())
    assert await blobs.size(KEY) is None


async def test_deleting_what_is_there_and_what_is_not(blobs: Blobs) -> None:
    await blobs.write(KEY, stream(b"x"))
    await blobs.delete([KEY, "f_none"])
    await blobs.delete([KEY])
    assert await blobs.size(KEY) is None
    with pytest.raises(FileNotFoundError):
        await read(blobs, 0, 1)


async def test_a_whole_blob_is_never_tidied_away(blobs: Blobs) -> None:
    await blobs.write(KEY, stream(b"whole"))
    assert await blobs.tidy(datetime.now(UTC)) == 0
    assert await blobs.size(KEY) == 5
