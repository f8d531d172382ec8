"""Blobs in a bucket, through fsspec: S3 and what speaks like it, or any other storage it has a driver for."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from chamade_mcp.model.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

_PART_BYTES: Final = 5 * 1024 * 1024
"""S3 takes no smaller part, and each upload under way holds one in memory."""
_READ_BYTES: Final = 1024 * 1024
_THREADS: Final = 16
_OPTIONS: Final[dict[str, dict[str, object]]] = {
    "s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}}}
}
"""Without them a server that does not answer holds a thread for minutes."""


class _Upload(Protocol):
    def write(self, data: bytes) -> object: ...

    def close(self) -> None: ...

    def commit(self) -> None: ...

    def discard(self) -> None: ...


class _FileSystem(Protocol):
    """What we use of `fsspec.AbstractFileSystem`, which is untyped."""

    def open(self, path: str, mode: str, block_size: int, *, autocommit: bool) -> _Upload: ...

    def size(self, path: str) -> int | None: ...

    def cat_file(self, path: str, *, start: int, end: int) -> bytes: ...

    def rm_file(self, path: str) -> None: ...


class BucketBlobs:
    """Keys below one prefix, such as ``s3://bucket/folder``. Credentials, region and endpoint come from where
    the driver usually looks for them (for S3 ``AWS_ACCESS_KEY_ID`` and its like).

    An upload that breaks off is given up; what a crash leaves of one is no blob, and is the bucket's to
    remove: S3 has a lifecycle rule for incomplete uploads.
    """

    def __init__(self, url: str) -> None:
        """Connects to nothing yet. Raises what `driver` does."""
        self._fs, self._root = driver(url)
        # Of its own: a bucket that answers slowly must not hold up what other threads are for.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bucket")

    async def write(self, key: str, chunks: AsyncIterator[bytes]) -> int:
        size = 0
        upload = await self._run(partial(self._fs.open, self._path(key), "wb", _PART_BYTES, autocommit=False))
        try:
            async for chunk in chunks:
                size += len(chunk)
                await self._run(upload.write, chunk)
            await self._run(_commit, upload)
        except FileNotFoundError as error:
            raise _unavailable(error) from error  # the bucket itself
        except BaseException:
            # Not waited for: whoever gave up has done so, and the bucket may be what does not answer.
            self._threads.submit(_give_up, upload)
            raise
        return size

    async def adopt(self, key: str, source: Path) -> None:
        await self.write(key, _pieces(source))
        await asyncio.to_thread(source.unlink)

    async def size(self, key: str) -> int | None:
        try:
            return await self._run(self._fs.size, self._path(key))
        except FileNotFoundError:
            return None

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes]:
        path = self._path(key)
        while start < end:
            upto = min(start + _READ_BYTES, end)
            chunk = await self._run(partial(self._fs.cat_file, path, start=start, end=upto))
            if not chunk:
                return
            start += len(chunk)
            yield chunk

    async def delete(self, keys: Iterable[str]) -> None:
        paths = [self._path(key) for key in keys]
        await asyncio.gather(*(self._run(_remove, self._fs, path) for path in paths))

    async def tidy(self, before: datetime) -> int:
        return 0

    async def check(self) -> None:
        """Writes, reads and removes a blob. Raises `Unavailable` with the driver's own error as its cause."""
        key = f"check-{secrets.token_hex(8)}"
        await self.write(key, _once(b"?"))
        try:
            async for _ in self.read(key, 0, 1):
                pass
        finally:
            await self.delete([key])

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        """In a thread. Raises `Unavailable`, or `FileNotFoundError`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
        except FileNotFoundError:
            raise
        except Exception as error:
            # Each driver has errors of its own (botocore's are no OSError), and none of them is ours to mend.
            raise _unavailable(error) from error

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


def driver(url: str) -> tuple[_FileSystem, str]:
    """What reaches the storage, and the folder in it. Connects to nothing.

    Raises `ValueError` when no driver for such a URL is installed.
    """
    scheme = urlsplit(url).scheme
    try:
        from fsspec.core import url_to_fs  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

        # Listings that are kept would show what another process has removed.
        options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
        found = cast(tuple[_FileSystem, str], url_to_fs(url, **options, **_OPTIONS.get(scheme, {})))
    except (ImportError, ValueError) as error:
        extra = 'install it: pip install "chamade-mcp[s3]"' if scheme == "s3" else "install it"
        raise ValueError(f"there is no driver for {scheme}:// here ({error}); {extra}") from None
    return found[0], found[1].rstrip("/")


def _unavailable(error: Exception) -> Unavailable:
    log.warning("the bucket did not do what was asked: %r", error)
    return Unavailable("Files cannot be stored or read at the moment")


def _commit(upload: _Upload) -> None:
    upload.close()
    upload.commit()


def _give_up(upload: _Upload) -> None:
    try:
        upload.discard()
    except Exception:
        log.exception("what came of an upload that broke off stays in the bucket")


def _remove(filesystem: _FileSystem, path: str) -> None:
    try:
        filesystem.rm_file(path)
    except FileNotFoundError:
        return


async def _pieces(source: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(source.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, _PART_BYTES):
            yield piece


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
