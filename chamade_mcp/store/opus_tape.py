"""Opus in Ogg (RFC 6716, 7845), written as the sound comes.

A long silence is written as ready-made packets, without an encoder: most people of a call are silent most of
the time. The encoder that comes after starts a moment before the sound, so that its decoder follows.
"""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from chamade_mcp.audio.frame import Samples

_BIT_RATE = 48_000
"""Clear for a voice, and 20 MB an hour."""
_OPTIONS = {"application": "audio", "frame_duration": "20", "compression_level": "5"}
_CONTAINER = {"flush_packets": "1", "page_duration": "500000"}
"""Half a second to a page: a crash loses no more than two of them."""
_LOOKAHEAD_S = Fraction(13, 2000)
"""Of libopus, at every rate."""
_QUIET_20_MS = b"\xf8\xff\xfe"
_QUIET_120_MS = b"\xfb\x06" + b"\xff\xfe" * 6
_WARM_UP = 10
"""Frames of silence that a new encoder is given first."""
_PAGE = struct.Struct("<4sBBqIIIB")
_TAIL_BYTES = 1 << 17
"""Two of the longest pages there are."""
_GRANULE_HZ = 48_000


class OpusTape:
    """A `Tape`. `rate_hz` is one that Opus has: 8,000, 12,000, 16,000, 24,000 or 48,000."""

    def __init__(self, path: Path, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._frame = rate_hz // 50
        self._container = av.open(str(path), "w", format="ogg", options=_CONTAINER)
        self._stream: AudioStream = self._container.add_stream(  # pyright: ignore[reportUnknownMemberType]
            "libopus", rate=rate_hz, layout="mono", options=_OPTIONS
        )
        self._stream.bit_rate = _BIT_RATE
        self._stream.format = "s16"
        self._encoder: AudioCodecContext | None = None
        self._silence = 0
        """Samples of it at the end, written or not."""
        self._owed = 0
        """Samples of silence that are still to be written."""
        self._position = -int(rate_hz * _LOOKAHEAD_S)
        self._container.start_encoding()

    def write(self, samples: Samples | None, count: int) -> None:
        if samples is not None and samples.any():
            self._silence = 0
            self._encode(samples)
        elif self._encoder is not None and self._silence == 0:
            self._silence = count
            self._encode(np.zeros(count, np.int16))
        else:
            self._encoder = None
            self._silence += count
            self._owed += count
            self._write_silence(keep=_WARM_UP * self._frame)

    def close(self) -> None:
        try:
            if self._encoder is not None:
                self._put_all(_encoded(self._encoder, None))
            self._write_silence(keep=0)
        finally:
            self._container.close()

    def _encode(self, samples: Samples) -> None:
        if self._encoder is None:
            self._encoder = _new_encoder(self._rate_hz)
            samples = np.concatenate((np.zeros(self._owed, np.int16), samples))
            self._owed = 0
        frame = AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = self._rate_hz
        frame.pts = 0
        self._put_all(_encoded(self._encoder, frame))

    def _put_all(self, packets: list[bytes]) -> None:
        for packet in packets:
            self._put(packet, self._frame)

    def _write_silence(self, *, keep: int) -> None:
        while self._owed - keep >= 6 * self._frame:
            self._put(_QUIET_120_MS, 6 * self._frame)
            self._owed -= 6 * self._frame
        while self._owed - keep >= self._frame:
            self._put(_QUIET_20_MS, self._frame)
            self._owed -= self._frame

    def _put(self, data: bytes, samples: int) -> None:
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = Fraction(1, self._rate_hz)
        packet.pts = packet.dts = self._position
        packet.duration = samples
        self._position += samples
        self._container.mux(packet)  # pyright: ignore[reportUnknownMemberType]


def _new_encoder(rate_hz: int) -> AudioCodecContext:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate = rate_hz
    encoder.layout = "mono"
    encoder.format = "s16"
    encoder.bit_rate = _BIT_RATE
    encoder.options = _OPTIONS
    encoder.time_base = Fraction(1, rate_hz)
    return encoder


def _encoded(encoder: AudioCodecContext, frame: AudioFrame | None) -> list[bytes]:
    """One packet per 20 ms; None: what the encoder still holds."""
    packets = encoder.encode(frame)  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    return [bytes(packet) for packet in packets]  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]


def cut_to_whole_pages(path: Path) -> float:
    """Cuts what a crash left of a last page; returns the length in seconds up to the one before it."""
    with path.open("r+b") as file:
        size = path.stat().st_size
        start = max(0, size - _TAIL_BYTES)
        file.seek(start)
        tail = file.read(_TAIL_BYTES)
        at = len(tail)
        while (at := tail.rfind(b"OggS", 0, at)) >= 0:
            end = _end_of_page(tail, at)
            if end is not None:
                file.truncate(start + end)
                granule: int = _PAGE.unpack_from(tail, at)[3]
                return max(0.0, granule / _GRANULE_HZ - float(_LOOKAHEAD_S))
    return 0.0


def _end_of_page(data: bytes, at: int) -> int | None:
    body = at + _PAGE.size
    if body > len(data):
        return None
    segments: int = _PAGE.unpack_from(data, at)[7]
    end = body + segments + sum(data[body : body + segments])
    return end if body + segments <= len(data) and end <= len(data) else None
