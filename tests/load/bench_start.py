"""How long `chamade serve` takes until it is ready, and what it weighs idle.

    .venv/bin/python tests/load/bench_start.py

The goals are 3 s and 150 MB. The baseline of the same run is an interpreter that imports the same server and
framework and serves one empty route.
"""

import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.demo.gateway import free_port

BASELINE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
async def ready(_): return JSONResponse({})
uvicorn.run(Starlette(routes=[Route("/readyz", ready)]), port=int(sys.argv[1]), log_level="error")
"""
ROUNDS = 3
GIVE_UP_S = 30.0


def wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise TimeoutError("not ready")


def rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def measure(command: list[str], port: int) -> tuple[float, float]:
    """Seconds to ready, and MB after a second of nothing."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port)
        took = time.monotonic() - began
        time.sleep(1.0)
        return took, rss_mb(process.pid)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="chamade-bench-") as data:
        chamade = str(Path(sys.executable).parent / "chamade")
        first: tuple[float, float] | None = None
        ours: list[tuple[float, float]] = []
        bare: list[tuple[float, float]] = []
        for _ in range(ROUNDS + 1):
            port = free_port()
            found = measure([chamade, "serve", "--port", str(port), "--data-dir", data], port)
            if first is None:
                first = found
                continue
            ours.append(found)
            port = free_port()
            bare.append(measure([sys.executable, "-c", BASELINE, str(port)], port))
    assert first is not None
    start, weight = (statistics.median(x) for x in zip(*ours, strict=True))
    start0, weight0 = (statistics.median(x) for x in zip(*bare, strict=True))
    print(
        f"ready after {start:.2f} s, {start / start0:.1f} of a bare Starlette; first start {first[0]:.2f} s"
    )
    print(f"idle {weight:.0f} MB, {weight / weight0:.1f} of a bare Starlette; first start {first[1]:.0f} MB")


if __name__ == "__main__":
    main()
