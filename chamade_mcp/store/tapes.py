"""One track of a recording as a file that can be read at any moment, however the process ends."""

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from chamade_mcp.audio.frame import Samples
from chamade_mcp.model.recording import RecordingFormat
from chamade_mcp.store.opus_tape import OpusTape, cut_to_whole_pages

_WAV = struct.Struct("<4sI4s4sIHHIIHH4sI")
_UNKNOWN = 0xFFFFFFFF
"""Players take it for "until the file ends"."""
SUFFIXES = {RecordingFormat.OPUS: ".opus", RecordingFormat.WAV: ".wav"}
MIMES = {RecordingFormat.OPUS: "audio/ogg", RecordingFormat.WAV: "audio/wav"}


class Tape(Protocol):
    """Written by one thread. Every method may raise `OSError`; then only `close` may follow."""

    def write(self, samples: Samples | None, count: int) -> None:
        """The next `count` samples, a multiple of 20 ms; None for silence."""
        ...

    def close(self) -> None: ...


class WavTape:
    """16-bit PCM. Silence is a hole in the file, and costs no disk where the file system has such."""

    def __init__(self, path: Path, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._file = path.open("xb", buffering=0)
        self._samples = 0
        _write_all(self._file.fileno(), _wav_header(rate_hz, _UNKNOWN), 0)

    def write(self, samples: Samples | None, count: int) -> None:
        if samples is not None:
            _write_all(self._file.fileno(), samples.tobytes(), _WAV.size + 2 * self._samples)
        self._samples += count

    def close(self) -> None:
        with self._file as file:
            size = 2 * self._samples
            with suppress(OSError):  # a full disk: it ends where its last sound did
                file.truncate(_WAV.size + size)
            _write_all(file.fileno(), _wav_header(self._rate_hz, size), 0)


def open_tape(format: RecordingFormat, path: Path, rate_hz: int) -> Tape:
    """A new file; raises `OSError`."""
    return WavTape(path, rate_hz) if format is RecordingFormat.WAV else OpusTape(path, rate_hz)


def settle(format: RecordingFormat, path: Path) -> float:
    """Makes whole what a crash left of a tape; does nothing to one that was closed. Its length in seconds."""
    return _settle_wav(path) if format is RecordingFormat.WAV else cut_to_whole_pages(path)


def _settle_wav(path: Path) -> float:
    with path.open("r+b") as file:
        head = file.read(_WAV.size)
        if len(head) < _WAV.size:
            return 0.0
        rate_hz = _WAV.unpack(head)[7]
        if not rate_hz:  # a power cut took the head: its samples stay as they are
            return 0.0
        size = (path.stat().st_size - _WAV.size) // 2 * 2
        file.seek(0)
        file.write(_wav_header(rate_hz, size))
        file.truncate(_WAV.size + size)
        return size / 2 / rate_hz


def _wav_header(rate_hz: int, size_bytes: int) -> bytes:
    whole = min(size_bytes + _WAV.size - 8, _UNKNOWN)
    about = (b"RIFF", whole, b"WAVE", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16, b"data", size_bytes)
    return _WAV.pack(*about)


def _write_all(file: int, data: bytes, at: int) -> None:
    """A disk that is nearly full takes a part without a word."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written
