"""A recording on disk while it is under way: a folder with a file per track and a list of them."""

import errno
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chamade_mcp.audio.frame import FRAME_MS, AudioFormat, Samples
from chamade_mcp.model.ids import ParticipantRef, TrackId, new_track_id
from chamade_mcp.model.recording import RecordingFormat, StopReason, TrackKind
from chamade_mcp.store.tapes import SUFFIXES, Tape, open_tape

log = logging.getLogger(__name__)

AGENT: Final = ParticipantRef("agent")
"""The agents of the call itself, who share a track."""
MAX_TRACKS: Final = 100
"""Who comes beyond so many is in the mix alone."""
RESERVE_BYTES: Final = 256 << 20
"""Left on the disk, which the database shares."""
MAX_S: Final = 12 * 3600
"""A WAV file holds 12 hours at 48 kHz."""
_LIST: Final = "tracks.jsonl"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Block:
    """The sounds of a stretch of a call, in the order of time."""

    beats: int
    """Its length, in frames of 20 ms."""
    sounds: Sequence[tuple[int, ParticipantRef, Samples]] = ()
    """The beat within it, who is heard, and 20 ms of that. Who sounds twice in a beat is summed."""
    names: Mapping[ParticipantRef, str] | None = None


@dataclass(frozen=True, slots=True)
class FoundTrack:
    id: TrackId
    kind: TrackKind
    participant: ParticipantRef
    name: str
    starts_ms: int
    """Its first sound."""
    path: Path
    """May have gone: then it is where tracks are kept."""


class Reel:
    """Belongs to the thread that writes it; `failure` and `size_bytes` may be read by others.

    After a failure it writes nothing more. What it has is good until then.
    """

    def __init__(
        self, folder: Path, format: RecordingFormat, rate_hz: int, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        self.folder = folder
        self.failure: StopReason | None = None
        self.size_bytes = 0
        self._format = format
        self._rate_hz = rate_hz
        self._frame = AudioFormat(rate_hz).frame_samples
        self._reserve_bytes = reserve_bytes
        self._beats = 0
        self._mix: Tape | None = None
        self._tapes: dict[ParticipantRef, Tape] = {}
        self._paths: list[Path] = []

    def open(self) -> None:
        """Raises `OSError`."""
        self.folder.mkdir(parents=True)
        self._mix = self._open_tape(TrackKind.MIX, ParticipantRef(""), "", 0)

    def write(self, block: Block) -> None:
        if self.failure is None:
            try:
                self._write(block)
                self.failure = self._trouble()
            except OSError as error:
                log.warning("a recording cannot be written any more: %s", error)
                self.failure = StopReason.DISK_FULL if self._is_full(error) else StopReason.FAILED
            except Exception:
                log.exception("a recording failed")
                self.failure = StopReason.FAILED

    def close(self) -> None:
        for tape in (self._mix, *self._tapes.values()):
            try:
                if tape is not None:
                    tape.close()
            except OSError as error:
                log.warning("a track ends earlier than its recording: %s", error)

    def _write(self, block: Block) -> None:
        count = block.beats * self._frame
        sums: dict[ParticipantRef, NDArray[np.int32]] = {}
        for beat, ref, samples in block.sounds:
            if ref not in sums:
                sums[ref] = np.zeros(count, np.int32)
                self._meet(ref, beat, block.names or {})
            sums[ref][beat * self._frame : (beat + 1) * self._frame] += samples
        tracks = {ref: _saturated(wide) for ref, wide in sums.items()}
        assert self._mix is not None, "it is open"
        self._mix.write(_saturated(sum(sums.values(), np.zeros(count, np.int32))) if sums else None, count)
        for ref, tape in self._tapes.items():
            tape.write(tracks.get(ref), count)
        self._beats += block.beats
        self.size_bytes = sum(path.stat().st_size for path in self._paths)

    def _meet(self, ref: ParticipantRef, beat: int, names: Mapping[ParticipantRef, str]) -> None:
        if ref in self._tapes or len(self._tapes) >= MAX_TRACKS:
            return
        kind = TrackKind.AGENT if ref == AGENT else TrackKind.PARTICIPANT
        starts_ms = (self._beats + beat) * FRAME_MS
        tape = self._open_tape(kind, ref, names.get(ref, ""), starts_ms)
        tape.write(None, self._beats * self._frame)
        self._tapes[ref] = tape

    def _open_tape(self, kind: TrackKind, ref: ParticipantRef, name: str, starts_ms: int) -> Tape:
        track = new_track_id()
        path = _path(self.folder, track, self._format)
        tape = open_tape(self._format, path, self._rate_hz)
        self._paths.append(path)
        about = {"id": track, "kind": kind, "participant": ref, "name": name, "starts_ms": starts_ms}
        with (self.folder / _LIST).open("a", encoding="ascii") as file:
            file.write(json.dumps(about) + "\n")
        return tape

    def _trouble(self) -> StopReason | None:
        if self._beats * FRAME_MS >= MAX_S * 1000:
            return StopReason.TOO_LONG
        return StopReason.DISK_FULL if self._free_bytes() < self._reserve_bytes else None

    def _is_full(self, error: OSError) -> bool:
        return error.errno in _FULL or self._free_bytes() < self._reserve_bytes

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self.folder).free


def read_back(folder: Path, format: RecordingFormat) -> list[FoundTrack]:
    """The tracks of a reel that nobody writes any more, the mix first. Raises `OSError`."""
    found: list[FoundTrack] = []
    try:
        lines = (folder / _LIST).read_text("ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            about: dict[str, Any] = json.loads(line)
        except ValueError:
            continue  # a crash broke it off; its track had no sound yet
        track = TrackId(about["id"])
        kind, ref = TrackKind(about["kind"]), ParticipantRef(about["participant"])
        path = _path(folder, track, format)
        found.append(FoundTrack(track, kind, ref, about["name"], about["starts_ms"], path))
    return found


def _path(folder: Path, track: TrackId, format: RecordingFormat) -> Path:
    return folder / (track + SUFFIXES[format])


def _saturated(wide: NDArray[np.int32]) -> Samples:
    return np.clip(wide, -32768, 32767).astype(np.int16)
