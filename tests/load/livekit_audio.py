"""What LiveKit's own audio classes need for one beat of bench_audio.py's call, as JSON: microseconds, the
best of seven runs. To be run by an interpreter that has `livekit`.

The same work: the agent's 24 kHz up to 48, mixed with the room's, and the room's down to 24 kHz.
"""

# pyright: basic, reportMissingImports=false
# The package is in an environment of its own, where no type checker looks.

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable

import numpy as np
from livekit import rtc

BEATS = 500


def frame(rate_hz: int) -> rtc.AudioFrame:
    noise = np.random.default_rng(1).integers(-9_000, 9_000, rate_hz // 50).astype(np.int16)
    return rtc.AudioFrame(noise.tobytes(), rate_hz, 1, rate_hz // 50)


async def converted(beats: int) -> AsyncGenerator[rtc.AudioFrame]:
    up, said = rtc.AudioResampler(24_000, 48_000), frame(24_000)
    for _ in range(beats):
        for out in up.push(said):
            yield out


async def room(beats: int) -> AsyncGenerator[rtc.AudioFrame]:
    down, heard = rtc.AudioResampler(48_000, 24_000), frame(48_000)
    for _ in range(beats):
        down.push(heard)
        yield heard


async def both(block: int) -> float:
    mixer = rtc.AudioMixer(48_000, 1, blocksize=block)
    mixer.add_stream(converted(BEATS))
    mixer.add_stream(room(BEATS))
    mixer.end_input()
    started, samples = time.perf_counter(), 0
    async for mixed in mixer:
        samples += mixed.samples_per_channel
    assert samples >= 0.95 * BEATS * 960
    return (time.perf_counter() - started) / BEATS * 1e6


async def conversion() -> float:
    started = time.perf_counter()
    for stream in (converted(BEATS), room(BEATS)):
        async for _ in stream:
            pass
    return (time.perf_counter() - started) / BEATS * 1e6


def best(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(7))


print(
    json.dumps(
        {
            "conversion alone": best(lambda: asyncio.run(conversion())),
            "with the mixer, 20 ms": best(lambda: asyncio.run(both(960))),
            "with the mixer, 100 ms": best(lambda: asyncio.run(both(0))),
        }
    )
)
