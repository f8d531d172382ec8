"""Tracks on disk: what is heard in them, at which moment, and what a crash leaves."""

import contextlib
import resource
import signal
import wave
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from chamade_mcp.audio.frame import Samples
from chamade_mcp.model.recording import RecordingFormat
from chamade_mcp.store.tapes import open_tape, settle
from tests.support.tones import decoded, rms, share, tone

BOTH = pytest.mark.parametrize("format", list(RecordingFormat))
RATES = pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])


@BOTH
@RATES
def test_sound_stands_where_it_was_heard(tmp_path: Path, format: RecordingFormat, rate_hz: int) -> None:
    tape = open_tape(format, tmp_path / "t", rate_hz)
    second = rate_hz
    tape.write(None, 3 * second)
    tape.write(tone(440, 1, rate_hz), second)
    tape.write(None, second)
    half = np.concatenate((np.zeros(second // 2, np.int16), tone(1000, 0.5, rate_hz)))
    tape.write(half, second)
    tape.write(None, 5 * second)
    tape.write(tone(600, 1, rate_hz), second)
    tape.close()
    assert settle(format, tmp_path / "t") == pytest.approx(12, abs=0.025)
    rate, sound = decoded((tmp_path / "t").read_bytes())
    assert len(sound) / rate == pytest.approx(12, abs=0.025)

    def part(start: float, end: float) -> Samples:
        return sound[round(start * rate) : round(end * rate)]

    for hz, start, end in ((440, 3, 4), (1000, 5.5, 6), (600, 11, 12)):
        heard = part(start, end)
        assert share(heard, hz, rate) > 0.999
        assert rms(heard) == pytest.approx(8000 / 2**0.5, rel=0.01)
    for start, end in ((0, 2.95), (4.05, 5.45), (6.05, 10.95)):
        assert rms(part(start, end)) < 16


def test_an_opus_track_follows_its_sound_to_the_millisecond(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    burst = (rng.standard_normal(48_000) * 6000).clip(-32768, 32767).astype(np.int16)
    tape = open_tape(RecordingFormat.OPUS, tmp_path / "t", 48_000)
    for _ in range(3):
        tape.write(None, 5 * 48_000)
        tape.write(burst, 48_000)
    tape.close()
    _, sound = decoded((tmp_path / "t").read_bytes())
    for start in (5, 11, 17):
        heard = sound[start * 48_000 - 480 : start * 48_000 + 4800 + 480].astype(float)
        shift = int(np.argmax(np.correlate(heard, burst[:4800].astype(float), "valid"))) - 480
        assert abs(shift) <= 2, f"{shift} samples off after a silence"


@BOTH
def test_silence_costs_next_to_nothing(tmp_path: Path, format: RecordingFormat) -> None:
    tape = open_tape(format, tmp_path / "t", 48_000)
    tape.write(None, 3600 * 48_000)
    tape.close()
    assert (tmp_path / "t").stat().st_blocks * 512 < 1_000_000
    assert settle(format, tmp_path / "t") == pytest.approx(3600, abs=0.025)


@BOTH
def test_a_tape_that_nobody_closed_can_be_read(tmp_path: Path, format: RecordingFormat) -> None:
    path = tmp_path / "t"
    tape = open_tape(format, path, 48_000)
    for _ in range(10):
        tape.write(tone(440, 1, 48_000), 48_000)
    left = path.read_bytes()
    rate, sound = decoded(left)
    assert len(sound) / rate >= 8, "no more than two seconds are still to be written"
    torn = tmp_path / "torn"
    torn.write_bytes(left[:-101])
    seconds = settle(format, torn)
    assert seconds >= 7
    rate, sound = decoded(torn.read_bytes())
    assert len(sound) / rate == pytest.approx(seconds, abs=0.025)
    assert share(sound, 440, rate) > 0.99
    assert settle(format, torn) == seconds, "twice is harmless"
    tape.close()


def test_a_wav_file_is_one_for_everybody_else_too(tmp_path: Path) -> None:
    said = tone(440, 1, 16_000)
    tape = open_tape(RecordingFormat.WAV, tmp_path / "t", 16_000)
    tape.write(None, 16_000)
    tape.write(said, 16_000)
    tape.write(None, 320)
    tape.close()
    with wave.open(str(tmp_path / "t")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        assert file.getnframes() == 32_320
        assert file.readframes(32_320) == bytes(32_000) + said.tobytes() + bytes(640)


@contextlib.contextmanager
def limited(size_bytes: int) -> Generator[None]:
    """No file of this process gets longer: what a full disk does, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@BOTH
def test_a_full_disk_is_told(tmp_path: Path, format: RecordingFormat) -> None:
    path = tmp_path / "t"
    rng = np.random.default_rng(7)
    noise = (rng.standard_normal(48_000) * 6000).astype(np.int16)

    def fill() -> None:
        for _ in range(20):
            tape.write(noise, 48_000)

    with limited(100_000):
        tape = open_tape(format, path, 48_000)
        with pytest.raises(OSError, match="too large"):
            fill()
        with contextlib.suppress(OSError):
            tape.close()
    assert settle(format, path) > 0.5


@BOTH
@pytest.mark.parametrize("size", [0, 1, 26, 43, 44, 45, 60])
def test_whatever_is_left_is_settled(tmp_path: Path, format: RecordingFormat, size: int) -> None:
    path = tmp_path / "t"
    tape = open_tape(format, path, 48_000)
    tape.close()
    path.write_bytes(path.read_bytes()[:size])
    assert settle(format, path) < 0.025
