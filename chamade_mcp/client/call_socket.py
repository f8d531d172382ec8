"""`CallSocket`: the events and the sound of one call, in both directions."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from types import TracebackType
from typing import Final, Self

from chamade_mcp.client.calls import Calls, path
from chamade_mcp.client.errors import CallOver, Unreachable, refusal
from chamade_mcp.client.events import AudioConfig, AudioStatus, Cleared, Event, Participant
from chamade_mcp.client.http import Http
from chamade_mcp.client.line import Line
from chamade_mcp.client.pace import AHEAD_S
from chamade_mcp.client.records import Attachable, Call, Receive
from chamade_mcp.client.retry import pause
from chamade_mcp.client.talk import Talk

_SAMPLE_BYTES: Final = 2


class CallSocket:
    """``async with client.call(call) as socket``; then ``async for event in socket`` until the call is over.

    A connection that breaks is opened again, and what was missed is told; `Reconnected` says so. Iterating
    raises `Refused` or `Unreachable` when that fails. Leaving the block does not hang up: `leave` does. One
    task at a time may iterate, any number may speak. Sound that is not read for 5 s is dropped, events never.
    """

    def __init__(
        self,
        http: Http,
        call: Call | str,
        *,
        rate_hz: int | None,
        receive: Receive,
        last_seq: int | None,
        speech_events: bool,
        barge_in: bool,
    ) -> None:
        _check_rate(rate_hz)
        self.call_id = call if isinstance(call, str) else call.call_id
        self._talk = Talk(rate_hz, receive, last_seq, speech_events=speech_events, barge_in=barge_in)
        self._line = Line(http, path(call, "/stream"), self._talk)
        self._calls = Calls(http)
        self._speaking = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._line.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._line.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        event = await self._talk.ear.get()
        if event is None:
            raise StopAsyncIteration
        return event

    # --- what is known ------------------------------------------------------------------------------------

    @property
    def audio(self) -> AudioConfig | None:
        """The settings of the sound; None on a call without voice."""
        return self._talk.audio

    @property
    def participants(self) -> Mapping[int, Participant]:
        """Whose sounds are told apart, by index."""
        return self._talk.participants

    @property
    def last_seq(self) -> int | None:
        """Of the newest event that arrived; another socket may go on behind it."""
        return self._talk.last_seq

    @property
    def unread_ms(self) -> int:
        """Sound that was dropped because nobody iterated in time."""
        return self._talk.ear.dropped * 20

    # --- speaking -----------------------------------------------------------------------------------------

    # Whoever speaks cannot know that the call ends meanwhile: the events tell that, and no exception.

    async def play(self, pcm: bytes, *, ahead_s: float = AHEAD_S) -> bool:
        """Says `pcm` (s16le mono at the socket's rate, any length) behind what was said before.

        Returns when the gateway has it: at once while less than `ahead_s` of sound wait, for more as it is
        played. With `ahead_s` of a fifth of a second a loop of short pieces keeps the pace of a loudspeaker.
        False when the rest of it was dropped: by `clear` or a `BargedIn`, because the connection broke, or
        because the call is over. Raises `InvalidRequest` on a call without voice. Whether people can hear it
        is told by the call's capability ``audio_out``; where they cannot, a `CallProblem` ``NO_AUDIO_OUT``
        comes.
        """
        if len(pcm) % _SAMPLE_BYTES:
            raise ValueError("half a sample: s16le has two bytes for each")
        if self.audio is None:
            raise refusal(400, "NO_AUDIO", "This call has no sound: use the chat")
        before = self._talk.taken_back
        async with self._speaking:
            second = self.audio.sample_rate * _SAMPLE_BYTES
            for start in range(0, len(pcm), second):
                await self._talk.pace.room(ahead_s)
                if before != self._talk.taken_back:
                    return False
                piece = pcm[start : start + second]
                try:
                    await self._line.send(piece)
                except (CallOver, Unreachable):
                    await pause(0)  # for those who go on all the same
                    return False
                self._talk.pace.sent(len(piece) / second)
        return True

    async def clear(self) -> int:
        """Takes back what this socket has said and nobody has heard yet, also what `play` still holds.

        Returns how many milliseconds the gateway has dropped; what is missing of all that was played has been
        heard. That is how an interrupted agent knows where it was.
        """
        self._talk.take_back()
        answer = self._talk.ask(Cleared)
        try:
            await self._tell("clear")
            return (await answer).cleared_ms
        except CallOver:
            return 0

    async def played(self) -> bool:
        """Waits until all that has been said so far was handed to the room; False when it was dropped."""
        name, heard = self._talk.mark()
        try:
            await self._tell("mark", name=name)
        except CallOver:
            return False
        return await heard

    async def mark(self, name: str) -> None:
        """`played` as an event: `MarkPlayed` or `MarkCleared` with this `name` (1 to 100 characters) will
        come. At most 256 may be under way."""
        await self._tell("mark", name=name)

    async def status(self) -> AudioStatus:
        """What waits to be played, and what became of the rest."""
        answer = self._talk.ask(AudioStatus)
        await self._tell("audio_status")
        return await answer

    async def configure(
        self,
        *,
        rate_hz: int | None = None,
        receive: Receive | None = None,
        speech_events: bool | None = None,
        barge_in: bool | None = None,
    ) -> AudioConfig:
        """Changes what is given, and returns once it is in force.

        Sound that arrived before carries its own rate. What `play` was given before is said at the old rate:
        a new one waits until the gateway has it all (`clear` shortens that).
        """
        _check_rate(rate_hz)
        async with nullcontext() if rate_hz is None else self._speaking:
            self._talk.rate_hz = rate_hz or self._talk.rate_hz
            self._talk.wish(receive, speech_events, barge_in)
            answer = self._talk.ask(AudioConfig)
            await self._line.send(self._talk.settings())
            return await answer

    # --- the rest -----------------------------------------------------------------------------------------

    async def chat(
        self,
        text: str = "",
        *,
        sender_name: str = "",
        attachments: Sequence[Attachable] = (),
        key: str | None = None,
    ) -> str | None:
        """`Calls.chat` in this call."""
        return await self._calls.chat(
            self.call_id, text, sender_name=sender_name, attachments=attachments, key=key
        )

    async def transcript(self, speaker: str, text: str) -> None:
        """A line that your own speech recognition heard: kept, told to every agent, shown as a caption."""
        await self._tell("transcript", speaker=speaker, text=text)

    async def dial(self, digits: str) -> None:
        """Presses keys of a telephone, one after another: 1 to 64 of ``0-9 * # A-D``. Where there are none, a
        `CallProblem` comes. What people press comes as `CallDigit`."""
        await self._tell("dtmf", digits=digits)

    async def leave(self) -> None:
        """Hangs up: the events end with the state ``ended``."""
        await self._calls.leave(self.call_id)

    async def _tell(self, kind: str, **fields: str) -> None:
        await self._line.send(json.dumps({"type": kind, **fields}))


def _check_rate(rate_hz: int | None) -> None:
    if rate_hz is not None and not 8_000 <= rate_hz <= 48_000:
        raise ValueError(f"a rate of {rate_hz} Hz is outside 8,000 to 48,000")
