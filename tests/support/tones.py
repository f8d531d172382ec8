"""Tones, and how to find them again."""

import io

import av
import numpy as np

from chamade_mcp.audio.frame import Samples


def tone(hz: float, seconds: float, rate_hz: int = 48_000, amplitude: float = 8000) -> Samples:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * hz * t)).astype(np.int16)


def decoded(data: bytes) -> tuple[int, Samples]:
    """The rate and all samples of a file, by FFmpeg."""
    with av.open(io.BytesIO(data), "r") as container:
        frames = list(container.decode(audio=0))
    rate_hz = frames[0].sample_rate
    sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    if sound.dtype == np.int16:
        return rate_hz, sound.astype(np.int16)
    return rate_hz, np.clip(sound * 32768, -32768, 32767).astype(np.int16)


def share(sound: Samples, hz: float, rate_hz: int = 48_000) -> float:
    """The share of the energy that is at `hz`, 0-1."""
    wave = sound.astype(np.float64) * np.hanning(len(sound))
    power = np.abs(np.fft.rfft(wave)) ** 2
    at = round(hz * len(sound) / rate_hz)
    return float(power[max(0, at - 3) : at + 4].sum() / max(1.0, power.sum()))


def rms(sound: Samples) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


def onset_s(sound: Samples, rate_hz: int = 48_000, threshold: int = 500) -> float:
    """When the first loud sample is."""
    return float(np.argmax(np.abs(sound.astype(np.int32)) > threshold)) / rate_hz
