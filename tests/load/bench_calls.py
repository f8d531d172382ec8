"""How many two-way calls one process on one core carries: 48 kHz rooms, 24 kHz agents on WebSockets.

    .venv/bin/python tests/load/bench_calls.py [--calls 1 10 25 50 75 100 125] [--seconds 5] [--no-write]

Each agent speaks and hears 20 ms on every beat; its room says back what it hears. The floor is an application
that sends each frame back, on uvicorn as it comes, on the same core; they take turns by the second, so that
whatever else the machine does meets both. The same echo on the gateway's server tells what framing costs. The
goals at 100 calls: beats at most 10 ms late (p99), nothing dropped, and no more than twice the floor's
processor time. Puts the table and the plot into docs/performance.md, unless told not to.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx2
import numpy as np

from tests.load.calls_plot import draw

ROOT = Path(__file__).parents[2]
AGENT_HZ = 24_000
FRAME_BYTES = AGENT_HZ // 50 * 2
SETTLE_S = 3.0
TURN_S, LEAD_S = 1.0, 0.4
"""Of each turn the beginning is not measured: streams start then."""
CORE = 0
_PING = b"\x89\x04"
GOAL_LATE_MS, GOAL_FLOOR, GOAL_CALL_KB = 10.0, 2.0, 150.0


@dataclass(frozen=True, slots=True)
class Point:
    calls: int
    core_share: float
    """Of one core, by processor time."""
    floor_share: float
    echo_share: float
    """Of the same echo on the gateway's own HTTP server."""
    late_p50_ms: float
    late_p99_ms: float
    lost: int
    """Frames that should have come back and did not, and those the gateway counts as dropped."""


class Peer(asyncio.Protocol):
    """A WebSocket client that costs next to nothing: frames are prepared, what comes is counted."""

    def __init__(self, path: str) -> None:
        self.received = 0
        self.open = asyncio.get_running_loop().create_future()
        self._path = path
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self.open.done():
            self.received += len(data)
            if len(data) % (FRAME_BYTES + 4) == len(_PING) + 4:
                self._answer_ping(data)
            return
        self._head += data
        if b"\r\n\r\n" in self._head:
            assert self._head.startswith(b"HTTP/1.1 101"), self._head
            self.open.set_result(None)

    def _answer_ping(self, data: bytes) -> None:
        """Whoever does not is cut off after 40 s."""
        ping = data[:6] if data.startswith(_PING) else data[-6:]
        if ping.startswith(_PING):
            self.transport.write(b"\x8a\x84" + bytes(4) + ping[2:])
            self.received -= len(ping)


def frame_of(payload: bytes, *, text: bool = False) -> bytes:
    """A client's frame. The mask is zero, so that the payload may stay as it is."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return bytes([0x81 if text else 0x82]) + length + bytes(4) + payload


class Bench:
    """One server process on its core."""

    def __init__(self, what: str, data_dir: str) -> None:
        command = [
            sys.executable,
            str(Path(__file__).with_name("calls_server.py")),
            what,
            data_dir,
            str(CORE),
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        first = self.tell()
        self.port, self.key = int(first["port"]), str(first.get("key", ""))

    def tell(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self) -> dict[str, Any]:
        """How late each beat was since it was asked last."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.tell()

    def cpu_s(self) -> float:
        """Of all threads, to the nanosecond."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def rss_kb(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/status").read_text().split("VmRSS:")[1].split()[0])

    def close(self) -> None:
        """The end of its input ends it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


async def join(port: int, paths: list[str]) -> list[Peer]:
    loop = asyncio.get_running_loop()
    peers: list[Peer] = []
    for path in paths:
        _, peer = await loop.create_connection(lambda path=path: Peer(path), "127.0.0.1", port)
        await peer.open
        peers.append(peer)
    return peers


async def speak(peers: list[Peer], seconds: float) -> None:
    """Every peer a frame every 20 ms, spread over the beat as strangers' frames are."""
    loop = asyncio.get_running_loop()
    noise = np.random.default_rng(1).integers(-9_000, 9_000, FRAME_BYTES // 2).astype("<i2").tobytes()
    frame, slots, begun = frame_of(noise), 10, loop.time()
    for turn in range(round(seconds * 50) * slots):
        for peer in peers[turn % slots :: slots]:
            peer.transport.write(frame)
        await asyncio.sleep(max(0.0, begun + (turn + 1) * 0.02 / slots - loop.time()))


class Load:
    """The sockets of one server, and what it took to serve them while they spoke."""

    def __init__(self, bench: Bench, peers: list[Peer]) -> None:
        self.bench = bench
        self.peers = peers
        self.cpu_s = self.took_s = 0.0
        self.lost = 0
        """Frames that should have come back and did not."""
        self.late_ms: list[float] = []

    async def turn(self, seconds: float) -> None:
        speaking = asyncio.create_task(speak(self.peers, LEAD_S + seconds + 0.1))
        await asyncio.sleep(LEAD_S)
        await asyncio.to_thread(self.bench.ask)
        cpu_s, received = self.bench.cpu_s(), [peer.received for peer in self.peers]
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        took_s = asyncio.get_running_loop().time() - began
        self.cpu_s += self.bench.cpu_s() - cpu_s
        self.took_s += took_s
        came = [
            (peer.received - before) / (FRAME_BYTES + 4)
            for peer, before in zip(self.peers, received, strict=True)
        ]
        # Reading the counters takes a moment: two frames more or less are none lost.
        self.lost += sum(max(0, round(took_s * 50 - frames) - 2) for frames in came)
        self.late_ms += (await asyncio.to_thread(self.bench.ask))["late_ms"]
        await speaking

    def close(self) -> None:
        for peer in self.peers:
            peer.transport.close()


async def begin(bench: Bench, paths: list[str]) -> Load:
    peers = await join(bench.port, paths)
    for peer in peers:
        peer.transport.write(
            frame_of(b'{"type":"audio_config","sample_rate":24000,"receive":true}', text=True)
        )
    return Load(bench, peers)


async def measure(counts: list[int], seconds: float) -> tuple[list[Point], float]:
    points: list[Point] = []
    with tempfile.TemporaryDirectory() as folder:
        gateway = Bench("gateway", folder)
        echoes = [Bench("floor", folder), Bench("echo", folder)]
        try:
            headers = {"x-api-key": gateway.key}
            async with httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{gateway.port}", headers=headers, timeout=30
            ) as api:
                # First of all: later, what the loads have left would be used again.
                idle_kb = await idle_memory(gateway, api, 100)
                for calls in counts:
                    points.append(await compare(gateway, echoes, api, calls, seconds))
                    print(row(points[-1]), flush=True)
        finally:
            gateway.close()
            for echo in echoes:
                echo.close()
    return points, idle_kb


async def compare(
    gateway: Bench, echoes: list[Bench], api: httpx2.AsyncClient, calls: int, seconds: float
) -> Point:
    ids = [
        (await api.post("/api/call", json={"platform": "scripted"})).json()["call_id"] for _ in range(calls)
    ]
    ours = await begin(gateway, [f"/api/call/{one}/stream?api_key={gateway.key}" for one in ids])
    theirs = [await begin(echo, ["/"] * calls) for echo in echoes]
    await speak(ours.peers, SETTLE_S)
    for _ in range(max(1, round(seconds / TURN_S))):
        for load in (ours, *theirs):
            await load.turn(TURN_S)
    for one in ids:
        stats = (await api.get(f"/api/call/{one}")).json()["audio_stats"]
        ours.lost += sum(agent["dropped_ms"] + agent["unread_ms"] for agent in stats["agents"]) // 20
    for load in (ours, *theirs):
        load.close()
    for one in ids:
        await api.delete(f"/api/call/{one}")
    late = np.array(ours.late_ms)
    return Point(
        calls,
        ours.cpu_s / ours.took_s,
        theirs[0].cpu_s / theirs[0].took_s,
        theirs[1].cpu_s / theirs[1].took_s,
        float(np.percentile(late, 50)),
        float(np.percentile(late, 99)),
        ours.lost,
    )


async def idle_memory(gateway: Bench, api: httpx2.AsyncClient, calls: int) -> float:
    """Kilobytes per call that has an agent's socket, listening at 24 kHz, and in which nobody speaks."""
    before = gateway.rss_kb()
    ids = [
        (await api.post("/api/call", json={"platform": "scripted"})).json()["call_id"] for _ in range(calls)
    ]
    peers = await join(gateway.port, [f"/api/call/{one}/stream?api_key={gateway.key}" for one in ids])
    for peer in peers:
        peer.transport.write(
            frame_of(b'{"type":"audio_config","sample_rate":24000,"receive":true}', text=True)
        )
    await asyncio.sleep(2)
    grown = gateway.rss_kb() - before
    for peer in peers:
        peer.transport.close()
    for one in ids:
        await api.delete(f"/api/call/{one}")
    return grown / calls


def row(point: Point) -> str:
    each, ratio = point.core_share / point.calls, point.core_share / max(point.floor_share, 1e-9)
    return (
        f"{point.calls:5} calls: {point.core_share:6.1%} of a core ({each:.2%} each), "
        f"floor {point.floor_share:6.1%}, ratio {ratio:4.2f} (echo on our server {point.echo_share:6.1%}); "
        f"beats late p50 {point.late_p50_ms:.1f} ms, p99 {point.late_p99_ms:.1f} ms; {point.lost} frames lost"
    )


def write(points: list[Point], idle: str) -> None:
    page = ROOT / "docs/performance.md"
    begin, end = "<!-- bench:calls:begin -->", "<!-- bench:calls:end -->"
    head, _, rest = page.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    table = "\n".join([*map(row, points), idle])
    page.write_text(f"{head}{begin}\n```text\n{table}\n```\n{end}{tail}")
    (ROOT / "docs/img").mkdir(exist_ok=True)
    (ROOT / "docs/img/calls.svg").write_text(draw([asdict(point) for point in points]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 10, 25, 50, 75, 100, 125])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--no-write", dest="write", action="store_false")
    options = parser.parse_args()
    others = os.sched_getaffinity(0) - {CORE}
    if others:
        os.sched_setaffinity(0, others)  # what loads the core must not share it
    points, idle_kb = asyncio.run(measure(options.calls, options.seconds))
    idle = f"idle call: {idle_kb:.0f} kB with its socket (goal {GOAL_CALL_KB:.0f} kB)"
    print(idle)
    if options.write:
        write(points, idle)


if __name__ == "__main__":
    main()
