"""Metrics for Prometheus, on a port of their own that only this machine reaches.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chamade_mcp.app.beside import served_beside
from chamade_mcp.core.engine import CallEngine
from chamade_mcp.core.gateway import Core

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Samples = Iterable[tuple[Mapping[str, str], float]]


@asynccontextmanager
async def metrics_served(core: Core, engine: CallEngine, port: int | None) -> AsyncGenerator[None]:
    """Inside, ``GET /metrics`` answers on loopback; without a port nothing does."""
    if port is None:
        yield
        return

    async def metrics(request: Request) -> Response:
        del request
        return Response(exposition(core, engine), media_type=MEDIA_TYPE)

    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    async with served_beside(Starlette(routes=[Route("/metrics", metrics)], middleware=[hosts]), port):
        yield


def exposition(core: Core, engine: CallEngine) -> str:
    seconds, underruns = engine.sound.read()
    links = Counter((c.platform, str(c.state)) for c in core.connections.every())
    families = (
        _family("calls", "gauge", "Calls that are alive.", [({}, engine.live_count)]),
        _family(
            "call_sockets",
            "gauge",
            "Call WebSockets of agents that are open.",
            [({}, engine.socket_count)],
        ),
        _family(
            "audio_seconds_total",
            "counter",
            "Seconds of sound since the start. side: agent (said by agents), said (by people), heard (by "
            "people); fate: pushed, pulled, dropped, trimmed, cleared, padded, stretched, shortened.",
            [({"side": side, "fate": fate}, value) for (side, fate), value in sorted(seconds.items())],
        ),
        _family(
            "audio_underruns_total",
            "counter",
            "How often a source of sound fell behind in mid-stream.",
            [({"side": side}, value) for side, value in sorted(underruns.items())],
        ),
        _family(
            "connections",
            "gauge",
            "Connections to platforms by their state.",
            [({"platform": p, "state": s}, count) for (p, s), count in sorted(links.items())],
        ),
        _family(
            "hooks_total",
            "counter",
            "Webhooks of platforms since the start. result: taken, refused (not signed by the platform), "
            "down (its link was).",
            [({"platform": p, "result": r}, n) for (p, r), n in sorted(core.hooks.counts.items())],
        ),
        _family(
            "disk_free_bytes",
            "gauge",
            "Free space where the gateway keeps its data.",
            [] if core.disk.free_bytes is None else [({}, core.disk.free_bytes)],
        ),
    )
    return "".join(families)


def _family(name: str, kind: str, text: str, samples: Samples) -> str:
    name = f"chamade_{name}"
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{told}}} {value:.10g}" if told else f"{name} {value:.10g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
