"""Calls: make, watch, answer, write, leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from chamade_mcp.client.http import Http, segment
from chamade_mcp.client.reading import record
from chamade_mcp.client.records import Attachable, Call, CallChange, CallRecord, Recording, attachable


class Calls:
    """``client.calls``. A call may be named by its id or by the `Call` itself.

    Every method raises `Refused` or `Unreachable`; a call that is over, or somebody else's, is `NotFound`.
    """

    def __init__(self, http: Http) -> None:
        self._http = http

    async def join(
        self,
        platform: str,
        meeting_url: str | None = None,
        *,
        agent_name: str = "AI Agent",
        stt_voice_config_id: str | None = None,
        tts_voice_config_id: str | None = None,
        transcripts: bool | None = None,
        recording: bool = False,
        key: str | None = None,
    ) -> Call:
        """Brings the agent into the meeting at `meeting_url`, or into a new one where the platform opens
        rooms.

        The call is ``connecting`` at first. `key` (1 to 255 characters) names this wish: the same again
        within 24 hours is the same call. By default each call of this method is a new wish, repeated safely
        by itself. `recording`: as `start_recording`, once the agent is in the room.
        """
        wish = {
            "platform": platform,
            "meeting_url": meeting_url,
            "agent_name": agent_name,
            "stt_voice_config_id": stt_voice_config_id,
            "tts_voice_config_id": tts_voice_config_id,
            "transcripts": transcripts,
            "recording": recording or None,
        }
        body = {name: value for name, value in wish.items() if value is not None}
        return record(Call, await self._http.ask("POST", "/api/call", body=body, key=key or uuid4().hex))

    async def active(self) -> tuple[Call, ...]:
        """All calls that are not over, ringing ones included."""
        answer = await self._http.ask("GET", "/api/calls")
        return record(_Active, answer).calls

    async def get(self, call: Call | str, *, since: int = 0) -> CallRecord:
        """The call as it is now, and its transcript from line `since` on. Calls that are over stay for a
        day."""
        return record(CallRecord, await self._http.ask("GET", path(call), query={"since": since}))

    async def accept(self, call: Call | str) -> CallChange:
        """Answers a call that rings. Raises `Conflict` when it does not."""
        return await self._change("POST", call, "/accept")

    async def refuse(self, call: Call | str) -> CallChange:
        """Refuses a call that rings. Raises `Conflict` when it does not."""
        return await self._change("POST", call, "/refuse")

    async def leave(self, call: Call | str) -> CallChange:
        """Hangs up."""
        return await self._change("DELETE", call)

    async def chat(
        self,
        call: Call | str,
        text: str = "",
        *,
        sender_name: str = "",
        attachments: Sequence[Attachable] = (),
        key: str | None = None,
    ) -> str | None:
        """Writes `text` (up to 10,000 characters) or files in the meeting's chat; the message's id, where it
        has one. Done once, however often it has to be sent; `key` as in `join`."""
        body = {"text": text, "sender_name": sender_name, "attachments": attachable(attachments)}
        answer = await self._http.ask("POST", path(call, "/chat"), body=body, key=key or uuid4().hex)
        return record(_Written, answer).message_id

    async def typing(self, call: Call | str) -> None:
        """Shows that the agent is typing, where the platform can."""
        await self._http.ask("POST", path(call, "/typing"))

    async def say(self, call: Call | str, text: str) -> None:
        """Speaks by hosted speech. Raises `InvalidRequest` where there is none."""
        await self._http.ask("POST", path(call, "/say"), body={"text": text})

    async def stop_speaking(self, call: Call | str) -> int:
        """Drops what all agents of the call have said and nobody has heard yet: so many milliseconds."""
        return record(_Stopped, await self._http.ask("POST", path(call, "/stop_speaking"))).stopped_ms

    async def start_recording(
        self, call: Call | str, *, format: Literal["opus", "wav"] = "opus"
    ) -> Recording:
        """Records the call from now on; one that is on already goes on. The people are shown it first where
        their platform can (`Recording.announced`); where it cannot, tell them yourself."""
        answer = await self._http.ask("POST", path(call, "/start_recording"), body={"format": format})
        return record(Recording, answer)

    async def stop_recording(self, call: Call | str) -> Recording:
        """Returns once the tracks are kept. Raises `Conflict` when nothing is recorded. The end of a call
        ends its recording too."""
        return record(Recording, await self._http.ask("POST", path(call, "/stop_recording")))

    async def _change(self, method: str, call: Call | str, verb: str = "") -> CallChange:
        return record(CallChange, await self._http.ask(method, path(call, verb)))


def path(call: Call | str, verb: str = "") -> str:
    """Of a call, or of one of its verbs."""
    return f"/api/call/{segment(call if isinstance(call, str) else call.call_id)}{verb}"


@dataclass(frozen=True, slots=True)
class _Active:
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class _Written:
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Stopped:
    stopped_ms: int
