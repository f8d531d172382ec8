"""Who is in the room: clocks that are off, networks that stall and lose, other devices, sentences at once."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from chamade_mcp.audio.frame import Samples
from tests.soak.world import Agent, Life, Stream

_CHUNKS_S = (0.01, 0.02, 0.06)
_SPEECH_S = 60


@dataclass(frozen=True, slots=True)
class Weather:
    """How sound comes from a producer that never stops. Chances are per chunk."""

    ppm: float
    """How much faster its clock runs than ours."""
    jitter_s: float = 0.003
    chunk_s: float = 0.02
    loss_begins: float = 0.0
    """Gilbert and Elliott: chance that a chunk is the first of a lost row,"""
    loss_ends: float = 0.3
    """and that a row ends with it."""
    stall_every_s: float = inf
    """Mean time between moments from which nothing comes for a while, and then all of it."""
    stall_s: float = 0.3
    device_every_s: float = inf
    """Mean time until another device speaks: with other chunks, and a pause before."""


def speech(rate_hz: int, seed: int) -> Samples:
    """A minute of something like it: three seconds of a voice, one of near silence."""
    chance = np.random.default_rng(seed)
    at = np.arange(_SPEECH_S * rate_hz) / rate_hz
    pitch_hz = 110 + 15 * seed
    voice = sum(np.sin(2 * np.pi * pitch_hz * k * at + k) / k for k in range(1, 9))
    loud = np.where(at % 4 < 3, 5_000.0, 5.0)
    return np.rint(voice * loud + chance.normal(0, 3, len(at))).astype(np.int16)


def producer(
    weather: Weather, rate_hz: int, stream: Stream, push: Callable[[Samples], None], seed: int
) -> Life:
    chance, voice = random.Random(seed), speech(rate_hz, seed)
    due = comes = chance.random() * 0.02
    chunk_s, place, losing = weather.chunk_s, 0, False
    stall_at = device_at = inf
    if weather.stall_every_s < inf:
        stall_at = chance.expovariate(1 / weather.stall_every_s)
    if weather.device_every_s < inf:
        device_at = chance.expovariate(1 / weather.device_every_s)
    while True:
        if due >= device_at:
            stream.harm += 1
            chunk_s, due = chance.choice(_CHUNKS_S), due + chance.uniform(0.05, 2.0)
            device_at = due + chance.expovariate(1 / weather.device_every_s)
        comes = max(comes, due + chance.random() * weather.jitter_s)
        if due >= stall_at:
            stream.harm += 1
            comes = max(comes, due + chance.uniform(0.05, weather.stall_s))
            stall_at = due + chance.expovariate(1 / weather.stall_every_s)
        yield comes
        size = round(chunk_s * rate_hz)
        if losing:
            losing = chance.random() >= weather.loss_ends
        elif chance.random() < weather.loss_begins:
            losing = True
            stream.harm += 1
        if not losing:
            push(voice[place : place + size])
        place = (place + size) % (len(voice) - rate_hz)
        due += size / rate_hz / (1 + weather.ppm * 1e-6)


@dataclass
class Said:
    """What a speaker of whole sentences has done."""

    marks: int = 0
    clears: int = 0


def sentences(agent: Agent, rate_hz: int, said: Said, seed: int) -> Life:
    """Up to 10 s at once, and sometimes another before the first is over. One in five is cut off."""
    chance, voice = random.Random(seed), speech(rate_hz, seed)
    while True:
        yield agent.world.now + chance.expovariate(1 / 16.0)
        first = chance.randrange(0, (_SPEECH_S - 10) * rate_hz)
        sentence = voice[first : first + round(chance.uniform(0.3, 10.0) * rate_hz)]
        agent.audio.push_at(sentence.tobytes(), rate_hz, agent.world.now)
        agent.stream.harm += 1
        if agent.audio.stats.marks < 200:
            agent.audio.mark(str(said.marks))
            said.marks += 1
        if chance.random() < 0.2:
            yield agent.world.now + chance.uniform(0.05, 5.0)
            agent.audio.clear()
            said.clears += 1
