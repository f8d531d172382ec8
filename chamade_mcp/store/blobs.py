"""Where the bytes of files lie: behind a small interface, so that a bucket can take the folder's place."""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from chamade_mcp.model.errors import Unavailable

log = logging.getLogger(__name__)

_READ_BYTES = 256 * 1024
_PART = ".part"


class Blobs(Protocol):
    """Keys are ids of ours. A blob is there as a whole or not at all, and never changes."""

    async def write(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        """The size in bytes, once they are kept. When it ends early nothing stays.

        Raises `Unavailable`, and what `chunks` raises.
        """
        ...

    async def adopt(self, key: str, source: Path) -> None:
        """Takes over a file of this machine, which goes from where it was. Raises `Unavailable`."""
        ...

    async def size(self, key: str) -> int | None:
        """In bytes; None when there is no such blob."""
        ...

    def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` up to, not including, `end`. Raises `FileNotFoundError`."""
        ...

    async def delete(self, keys: Iterable[str]) -> None:
        """Missing ones are no error."""
        ...

    async def tidy(self, before: datetime) -> int:
        """Removes what writes left behind that broke off before then; how many."""
        ...


class LocalBlobs:
    """A folder, with a level of folders in it so that none gets too full."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def write(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        path, size = self._path(key), 0
        part = path.with_suffix(_PART)
        try:
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
            with await asyncio.to_thread(part.open, "wb") as out:
                async for chunk in chunks:
                    size += len(chunk)
                    await asyncio.to_thread(out.write, chunk)
                await asyncio.to_thread(_flush, out)
            await asyncio.to_thread(part.rename, path)
        except OSError as error:
            _unlink([part])
            log.exception("a file could not be stored")
            raise Unavailable("Files cannot be stored at the moment") from error
        except BaseException:
            _unlink([part])
            raise
        return size

    async def adopt(self, key: str, source: Path) -> None:
        try:
            await asyncio.to_thread(_move, source, self._path(key))
        except OSError as error:
            log.exception("a file could not be taken over")
            raise Unavailable("Files cannot be stored at the moment") from error

    async def size(self, key: str) -> int | None:
        try:
            return (await asyncio.to_thread(self._path(key).stat)).st_size
        except FileNotFoundError:
            return None

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes]:
        with await asyncio.to_thread(self._path(key).open, "rb") as source:
            source.seek(start)
            while start < end:
                chunk = await asyncio.to_thread(source.read, min(_READ_BYTES, end - start))
                if not chunk:
                    return
                start += len(chunk)
                yield chunk

    async def delete(self, keys: Iterable[str]) -> None:
        await asyncio.to_thread(_unlink, [self._path(key) for key in keys])

    async def tidy(self, before: datetime) -> int:
        return await asyncio.to_thread(self._tidy, before.timestamp())

    def _tidy(self, before: float) -> int:
        old = [part for part in self._root.glob(f"*/*{_PART}") if _written_at(part) < before]
        _unlink(old)
        return len(old)

    def _path(self, key: str) -> Path:
        return self._root / key[-2:] / key


def _flush(out: BinaryIO) -> None:
    """To the disk: what is answered for must outlast a power cut."""
    out.flush()
    os.fsync(out.fileno())


def _move(source: Path, path: Path) -> None:
    """Within one file system without a copy: also where the disk is full."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as file:
        os.fsync(file.fileno())
    if source.stat().st_dev == path.parent.stat().st_dev:
        source.rename(path)
    else:
        part = path.with_suffix(_PART)
        shutil.copyfile(source, part)
        part.rename(path)
        source.unlink()


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _written_at(path: Path) -> float:
    """Infinite when it has gone meanwhile: then nothing is left to do."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
