"""Each participant's own sound, as one agent gets it: framed with who it is and when.

A frame is eight bytes and then PCM as always, all little-endian:

    0      magic, 0xC4
    1      version, 1
    2-3    the participant's index, from 1
    4-7    milliseconds since the first frame of this socket, modulo 2**32
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chamade_mcp.audio.ear import Ear
from chamade_mcp.audio.frame import AudioFormat, Samples
from chamade_mcp.model.audio import Engine
from chamade_mcp.model.ids import ParticipantRef

MAGIC = 0xC4
VERSION = 1
HEADER = struct.Struct("<BBHI")
MAX_TRACKS = 256
"""Who is heard beyond so many is left out of the separate sounds."""


@dataclass(slots=True)
class Track:
    index: int
    ear: Ear
    sounding: bool = False


class Tracks:
    """Indices are given in the order of appearance and never to another."""

    def __init__(self, native: AudioFormat, wanted: AudioFormat, engine: Engine = "polyphase") -> None:
        self._native = native
        self._wanted = wanted
        self._engine: Engine = engine
        self._open: dict[ParticipantRef, Track] = {}
        self._given: dict[ParticipantRef, int] = {}
        self._first_at: float | None = None

    @property
    def indices(self) -> dict[ParticipantRef, int]:
        """Of those who are here."""
        return {ref: track.index for ref, track in self._open.items()}

    def convert_to(self, wanted: AudioFormat) -> None:
        """Another rate from the next frame on."""
        self._wanted = wanted
        for track in self._open.values():
            track.ear = Ear(self._native, wanted, self._engine)

    def open(self, refs: Iterable[ParticipantRef]) -> bool:
        """Gives an index to each who has none. Whether there was any."""
        before = len(self._open)
        for ref in refs:
            if ref not in self._open and len(self._open) < MAX_TRACKS and self._may_give(ref):
                index = self._given.setdefault(ref, len(self._given) + 1)
                self._open[ref] = Track(index, Ear(self._native, self._wanted, self._engine))
        return len(self._open) > before

    def close(self, ref: ParticipantRef) -> bool:
        """Whether it was open. Who comes back has the same index again."""
        return self._open.pop(ref, None) is not None

    def frames(self, sounds: Sequence[tuple[ParticipantRef, Samples]], at: float) -> list[bytes]:
        """What is audible now, and of each who has just fallen silent what the filter still holds."""
        stamp = self.since_first_ms(at) & 0xFFFFFFFF
        framed: list[bytes] = []
        audible: set[ParticipantRef] = set()
        for ref, samples in sounds:
            track = self._open.get(ref)
            if track is not None:
                audible.add(ref)
                track.sounding = True
                framed += _framed(track, samples, stamp)
        for ref, track in self._open.items():
            if track.sounding and ref not in audible:
                track.sounding = False
                framed += _framed(track, None, stamp)
        return framed

    def since_first_ms(self, at: float) -> int:
        if self._first_at is None:
            self._first_at = at
        return round((at - self._first_at) * 1000)

    def _may_give(self, ref: ParticipantRef) -> bool:
        return ref in self._given or len(self._given) < 0xFFFF


def _framed(track: Track, samples: Samples | None, stamp: int) -> list[bytes]:
    header = HEADER.pack(MAGIC, VERSION, track.index, stamp)
    return [header + frame for frame in track.ear.frames(samples)]
