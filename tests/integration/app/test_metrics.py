"""Metrics on a port of their own, as Prometheus reads them."""

import asyncio
import re
from pathlib import Path

import httpx2

from tests.demo.gateway import free_port
from tests.support.gateway_process import gateway_process

LINE = re.compile(r'(chamade_\w+)(?:\{((?:\w+="[^"]*",?)+)\})? (\S+)')


def parse(text: str) -> dict[tuple[str, str], float]:
    """Every line is a comment or a sample; every sample has its type."""
    typed = set(re.findall(r"^# TYPE (\w+) (?:gauge|counter)$", text, re.M))
    found: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            sample = LINE.fullmatch(line)
            assert sample is not None, line
            assert sample[1] in typed
            found[sample[1], sample[2] or ""] = float(sample[3])
    return found


async def test_calls_and_webhooks_are_counted(tmp_path: Path) -> None:
    port = free_port()
    async with (
        gateway_process(tmp_path / "data", CHAMADE_METRICS_PORT=str(port)) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, headers={"x-api-key": gateway.key}) as api,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as prometheus,
    ):
        before = await prometheus.get("/metrics")
        assert before.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert parse(before.text)["chamade_calls", ""] == 0
        called = await api.post("/api/call", json={"platform": "web"})
        assert called.status_code == 200
        assert (await api.post("/api/hooks/telegram", content=b"{}")).status_code == 403
        told: dict[tuple[str, str], float] = {}
        async with asyncio.timeout(10):
            while ("chamade_audio_seconds_total", 'side="heard",fate="pushed"') not in told:
                told = parse((await prometheus.get("/metrics")).text)
        assert told["chamade_calls", ""] == 1
        assert told["chamade_hooks_total", 'platform="telegram",result="refused"'] == 1
        assert told["chamade_disk_free_bytes", ""] > 0
        assert (await prometheus.get("/metrics", headers={"host": "evil.example"})).status_code == 400
        assert (await api.get("/metrics")).status_code == 404
