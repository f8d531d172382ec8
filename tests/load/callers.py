"""Who asks a server as fast as it answers, on connections that stay open."""

import asyncio
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.I)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Target:
    """A way to say one message; `requests` gives each its own bytes."""

    name: str
    port: int
    pid: int
    requests: Callable[[], bytes]
    rates: list[float] = field(default_factory=list[float])
    cpu_us: list[float] = field(default_factory=list[float])
    waits_s: list[float] = field(default_factory=list[float])
    ratios: list[float] = field(default_factory=list[float])
    """To the rate of another, each time that both were asked."""

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


class Caller(asyncio.Protocol):
    """One keep-alive connection. With `on_idle` it asks when told to, else as soon as it is answered."""

    def __init__(self, target: Target, on_idle: "Callable[[Caller], None] | None" = None) -> None:
        self.answered = 0
        self.stopped = False
        self._target = target
        self._on_idle = on_idle
        self._buffer = bytearray()
        self._asked_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head)
        assert length is not None, "an answer without a length"
        if len(self._buffer) < head + 4 + int(length[1]):
            return
        assert self._buffer.startswith(b"HTTP/1.1 200"), bytes(self._buffer)
        self._target.waits_s.append(time.perf_counter() - self._asked_at)
        self._buffer.clear()
        self.answered += 1
        self._next()

    def ask(self) -> None:
        assert self._transport is not None
        self._asked_at = time.perf_counter()
        self._transport.write(self._target.requests())

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def _next(self) -> None:
        if self.stopped:
            self.close()
        elif self._on_idle is None:
            self.ask()
        else:
            self._on_idle(self)


async def flood(target: Target, seconds: float, connections: int) -> None:
    """As fast as it goes."""
    loop = asyncio.get_running_loop()
    cpu, started = target.cpu_s(), time.perf_counter()
    callers = [
        (await loop.create_connection(lambda: Caller(target), "127.0.0.1", target.port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    answered, spent = sum(c.answered for c in callers), time.perf_counter() - started
    target.rates.append(answered / spent)
    target.cpu_us.append((target.cpu_s() - cpu) / answered * 1e6)
    for caller in callers:
        caller.stopped = True
    await asyncio.sleep(0.05)
