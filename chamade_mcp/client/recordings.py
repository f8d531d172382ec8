"""Recordings of calls: list, download, delete. `Calls.start_recording` makes one."""

from dataclasses import dataclass
from pathlib import Path

from chamade_mcp.client.calls import path
from chamade_mcp.client.http import Http, segment
from chamade_mcp.client.reading import record
from chamade_mcp.client.records import Call, Recording, Track


class Recordings:
    """``client.recordings``. Every method raises `Refused` or `Unreachable`; one that is not there is
    `NotFound`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def list(
        self, call: Call | str | None = None, *, limit: int = 50, offset: int = 0
    ) -> tuple[Recording, ...]:
        """Of `call`, or all of the agent; the newest first."""
        where = "/api/recordings" if call is None else path(call, "/recordings")
        answer = await self._http.ask("GET", where, query={"limit": limit, "offset": offset})
        return record(_Listed, answer).recordings

    async def get(self, recording_id: str) -> Recording:
        """With its tracks, once it has ended."""
        return record(Recording, await self._http.ask("GET", _path(recording_id)))

    async def delete(self, recording_id: str) -> None:
        """For good. Raises `Conflict` while it is under way."""
        await self._http.ask("DELETE", _path(recording_id))

    async def download(self, recording: Recording, track: Track) -> bytes:
        """The file of a track."""
        return await self._http.download(_track(recording, track), own=True)

    async def save(self, recording: Recording, track: Track, to: Path) -> None:
        """The file of a track into the file at `to`, which is overwritten."""
        await self._http.save(_track(recording, track), to, own=True)


def _path(recording_id: str) -> str:
    return f"/api/recordings/{segment(recording_id)}"


def _track(recording: Recording, track: Track) -> str:
    return f"{_path(recording.recording_id)}/tracks/{segment(track.track_id)}"


@dataclass(frozen=True, slots=True)
class _Listed:
    recordings: tuple[Recording, ...]
