"""The voices of the demo and what can be measured of them.

A voice is a tone with a pause every two seconds and a click every 250 ms. The tone's phase tells of lost or
repeated audio (a whole number of its cycles does not fit into 20 ms, so a missing frame is a jump); a click's
times tell the latency.
"""

import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SENTENCE_S = 2.0
SPOKEN_S = 1.7
CLICK_EVERY_S = 0.25
CLICK_S = 0.0004
CLICK_LEVEL = 0.9
CLICK_HEARD = 0.5
TONE_LEVEL = 0.2
TONE_FRAMES = 50
"""A second of tone within a sentence is what frequency and level are taken from."""
JUMP_RAD = 0.5
"""A frame lost from a 1,010 or 1,510 Hz tone turns its phase by 1.26 rad."""

Samples = NDArray[np.int16]


def voice(rate_hz: int, seconds: float, tone_hz: float) -> Samples:
    """Loops without a seam when `seconds` is a multiple of `SENTENCE_S`."""
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    sound = TONE_LEVEL * np.sin(2 * np.pi * tone_hz * time)
    sound[time % SENTENCE_S >= SPOKEN_S] = 0
    sound[time % CLICK_EVERY_S < CLICK_S] = CLICK_LEVEL
    return np.round(sound * 32767).astype(np.int16)


def write_wav(path: Path, samples: Samples, rate_hz: int) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.tobytes())


@dataclass(slots=True)
class Ear:
    """Listens to one voice in pieces of any length."""

    rate_hz: int
    tone_hz: float
    clicks: list[float] = field(default_factory=list[float])
    """When each click was heard, on the wall clock."""
    jumps: int = 0
    """Places where the tone's phase breaks while it sounds: audio lost, repeated or padded."""
    samples: int = 0
    _run: list[Samples] = field(default_factory=list[Samples])
    _longest: list[Samples] = field(default_factory=list[Samples])
    _pending: Samples = field(default_factory=lambda: np.zeros(0, np.int16))
    _phase: float | None = None
    _frames_heard: int = 0
    _quiet_until: int = 0

    def hear(self, piece: Samples, at: float) -> None:
        """`at` is when the piece came, in seconds on the wall clock."""
        self._listen_for_clicks(piece, at)
        self._pending = np.concatenate((self._pending, piece))
        frame = self.rate_hz // 50
        while len(self._pending) >= frame:
            self._follow(self._pending[:frame])
            self._pending = self._pending[frame:]
        self.samples += len(piece)

    @property
    def tone(self) -> tuple[float, float]:
        """Frequency in Hz and RMS level (0-1) of the last whole sentence; zeros when there was none."""
        if not self._longest:
            return 0.0, 0.0
        sound = np.concatenate(self._longest).astype(np.float64) / 32768
        sound = np.where(np.abs(sound) > TONE_LEVEL * 1.5, 0.0, sound)  # without the clicks
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        peak = int(np.argmax(spectrum[1:-1])) + 1
        left, mid, right = np.log(spectrum[peak - 1 : peak + 2] + 1e-12)
        offset = 0.5 * (left - right) / (left - 2 * mid + right)
        return (peak + offset) * self.rate_hz / len(sound), float(np.sqrt(np.mean(sound**2)))

    def _listen_for_clicks(self, piece: Samples, at: float) -> None:
        loud = np.flatnonzero(np.abs(piece.astype(np.int32)) > CLICK_HEARD * 32767)
        for index in loud:
            if self.samples + int(index) >= self._quiet_until:
                self._quiet_until = self.samples + int(index) + round(CLICK_EVERY_S * self.rate_hz / 2)
                self.clicks.append(at)

    def _follow(self, frame: Samples) -> None:
        start = self._frames_heard * len(frame)
        self._frames_heard += 1
        turns = np.exp(-2j * np.pi * self.tone_hz * (start + np.arange(len(frame))) / self.rate_hz)
        beat = complex(np.mean(frame * turns) / 32768)
        if abs(beat) < TONE_LEVEL * 0.3:  # silence, or the edge of a sentence
            self._phase = None
            self._run = []
            return
        self._run.append(frame)
        if len(self._run) >= TONE_FRAMES:
            self._longest = self._run[-TONE_FRAMES:]
        phase = float(np.angle(beat))
        if self._phase is not None and abs(np.angle(np.exp(1j * (phase - self._phase)))) > JUMP_RAD:
            self.jumps += 1
        self._phase = phase


@dataclass(frozen=True, slots=True)
class Latency:
    """One-way, in milliseconds."""

    count: int
    p50: float
    p99: float
    worst: float


def latency(sent: list[float], heard: list[float]) -> Latency:
    """Pairs each click heard with the last one sent before it, within half the interval."""
    delays = [
        1000 * (there - max(earlier))
        for there in heard
        if (earlier := [here for here in sent if 0 <= there - here < CLICK_EVERY_S * 0.8])
    ]
    if not delays:
        return Latency(0, float("nan"), float("nan"), float("nan"))
    return Latency(
        len(delays), float(np.percentile(delays, 50)), float(np.percentile(delays, 99)), max(delays)
    )
