"""Lines of standard input and output, by two threads: asyncio cannot wait for pipes on every system.

The threads use file descriptors, not Python's buffered files, whose locks would hang the end of the program.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import CancelledError
from typing import Final

_PIECE: Final = 256 * 1024
_MOST_AHEAD: Final = 64
"""Lines read before anybody wanted them."""


async def lines(fd: int) -> AsyncGenerator[bytes]:
    """Lines without their ends; only a line feed ends one. Over at the end of the file."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_AHEAD)

    def read() -> None:
        def hand_on(line: bytes | None) -> None:
            asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()

        # The loop may be gone by the time something comes.
        with contextlib.suppress(RuntimeError, OSError, CancelledError):
            pieces: list[bytes] = []
            while piece := os.read(fd, _PIECE):
                *whole, rest = piece.split(b"\n")
                for line in whole:
                    hand_on(b"".join((*pieces, line)))
                    pieces = []
                pieces.append(rest)
            hand_on(b"".join(pieces))
            hand_on(None)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while (line := await queue.get()) is not None:
        if line := line.strip(b" \t\r"):
            yield line


class Writer:
    """Whole lines, in order. A reader that is slow slows the writers down, never the event loop."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._turn = asyncio.Lock()
        self.closed = asyncio.Event()
        """Set once nobody reads any more."""

    async def write(self, line: bytes) -> None:
        # Shielded: half a line would spoil all that follow.
        await asyncio.shield(asyncio.ensure_future(self._write(line)))

    async def _write(self, line: bytes) -> None:
        async with self._turn:
            if self.closed.is_set():
                return
            written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            threading.Thread(target=self._put, args=(line, written), name="stdout", daemon=True).start()
            if not await written:
                self.closed.set()

    def _put(self, line: bytes, written: "asyncio.Future[bool]") -> None:
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
            whole = True
        except OSError:
            whole = False
        with contextlib.suppress(RuntimeError):
            written.get_loop().call_soon_threadsafe(_settle, written, whole)


def _settle(future: "asyncio.Future[bool]", value: bool) -> None:
    if not future.done():
        future.set_result(value)
