"""The page's loudspeaker: its worklet in Node, under a clock of its own."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chamade_mcp import web

RATE_HZ = 48_000
COUNT = 960
WORKLET = Path(web.__file__).with_name("static") / "playback-worklet.js"


@dataclass
class Played:
    sound: NDArray[np.int16]
    left_out_ms: float
    buffered_ms: float
    underruns: int
    dropped: int


def play(sound: NDArray[np.int16], stalls: dict[int, float], seconds: float) -> Played:
    """`sound` in frames of 20 ms, in time; from a stall's frame on nothing comes for so many seconds, and
    then all of it."""
    frames: list[dict[str, object]] = []
    comes = 0.0
    for number in range(len(sound) // COUNT):
        due = 0.02 * number
        comes = max(comes, due + stalls.get(number, 0.0), due)
        pcm = sound[number * COUNT : (number + 1) * COUNT].astype("<i2").tobytes()
        frames.append({"at": comes, "pcm": base64.b64encode(pcm).decode()})
    plan = {"worklet": str(WORKLET), "rate_hz": RATE_HZ, "frames": frames, "seconds": seconds}
    ran = subprocess.run(
        ["node", str(Path(__file__).with_name("play.mjs"))],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = json.loads(ran.stdout)
    report = told["report"]
    return Played(
        np.frombuffer(base64.b64decode(told["pcm"]), "<i2"),
        report["left_out_ms"],
        report["buffered_ms"],
        report["underruns"],
        report["dropped"],
    )


def tone(hz: float, seconds: float) -> NDArray[np.int16]:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.rint(9_000 * np.sin(2 * np.pi * hz * at)).astype(np.int16)


def vowel(pitch_hz: float, seconds: float) -> NDArray[np.int16]:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = sum(np.cos(2 * np.pi * pitch_hz * k * at + 0.7 * k) / k for k in range(1, 12))
    return np.rint(5_000 * wave).astype(np.int16)


def noise(seconds: float) -> NDArray[np.int16]:
    return np.random.default_rng(1).integers(-9_000, 9_000, round(seconds * RATE_HZ)).astype(np.int16)


STALLS = {50: 0.06, 55: 0.06, 60: 0.06, 65: 0.06, 70: 0.06}
"""Each grows the delay by what the buffer does not hold."""


@pytest.mark.parametrize("pitch_hz", [90.0, 140.0, 220.0])
def test_the_delay_that_stalls_have_left_goes_while_a_voice_sounds(pitch_hz: float) -> None:
    played = play(vowel(pitch_hz, 8.0), STALLS, 8.0)
    assert played.left_out_ms > 20
    assert played.buffered_ms < 55
    assert played.dropped == 0


def test_a_period_is_left_out_without_a_click_or_another_pitch() -> None:
    sound = vowel(140.0, 8.0)
    played = play(sound, STALLS, 7.9)
    assert played.left_out_ms > 20
    steepest = np.abs(np.diff(sound.astype(int))).max()
    begun = np.flatnonzero(played.sound)[0] + RATE_HZ * 2  # past the stalls, whose gaps cannot be helped
    later = played.sound[begun:].astype(int)
    assert np.abs(np.diff(later)).max() <= steepest + 2
    spectrum = np.abs(np.fft.rfft(later * np.hanning(len(later))))
    bins_hz = len(later) / RATE_HZ
    voiced = sum(
        spectrum[round(140 * k * bins_hz) - 25 : round(140 * k * bins_hz) + 26].sum() for k in range(1, 12)
    )
    assert voiced > 0.97 * spectrum.sum()


def test_nothing_is_left_out_of_noise_nor_of_sound_that_comes_in_time() -> None:
    assert play(noise(5.0), STALLS, 5.0).left_out_ms == 0
    in_time = play(vowel(140.0, 5.0), {}, 5.0)
    assert (in_time.left_out_ms, in_time.underruns, in_time.dropped) == (0, 0, 0)


def test_sound_that_comes_in_time_is_played_as_it_is() -> None:
    sound = tone(440.0, 3.0)
    played = play(sound, {}, 3.0).sound
    begun = int(np.flatnonzero(played)[0]) - 1
    assert 0 < begun < RATE_HZ // 20
    assert np.array_equal(played[begun:], sound[: len(played) - begun])
