"""What is under way on a call's socket: questions and their answers, marks, and what nobody has read yet."""

import asyncio
import json
from collections import deque
from typing import Any, Final, TypeVar, cast

from chamade_mcp.client import events
from chamade_mcp.client.ear import Ear
from chamade_mcp.client.errors import CallOver, UnexpectedAnswer, refusal
from chamade_mcp.client.events import (
    AudioBackpressure,
    AudioConfig,
    AudioParticipants,
    AudioStatus,
    BargedIn,
    CallProblem,
    Cleared,
    MarkCleared,
    MarkPlayed,
    Participant,
    Reconnected,
)
from chamade_mcp.client.pace import Pace
from chamade_mcp.client.records import Receive

_UNREAD_FRAMES: Final = 250
"""Five seconds of sound that nobody has read."""
_OURS: Final = "chamade.played."
"""Begins the names of the marks that are asked about here, and told to nobody."""

A = TypeVar("A", AudioConfig, AudioStatus, Cleared)


class Talk:
    def __init__(
        self,
        rate_hz: int | None,
        receive: Receive,
        last_seq: int | None,
        *,
        speech_events: bool = False,
        barge_in: bool = False,
    ) -> None:
        self.rate_hz = rate_hz
        self.receive: Receive = receive
        self.speech_events = speech_events
        self.barge_in = barge_in
        """As the three above what is wished for; `audio` tells what is so."""
        self.taken_back = 0
        """How often what was to be said has been."""
        self.last_seq = last_seq
        self.audio: AudioConfig | None = None
        self.participants: dict[int, Participant] = {}
        self.ear = Ear(_UNREAD_FRAMES)
        self.pace = Pace()
        self._asked: dict[type[Any], deque[asyncio.Future[Any]]] = {
            AudioConfig: deque(), AudioStatus: deque(), Cleared: deque()
        }  # fmt: skip
        self._marks: dict[str, asyncio.Future[bool]] = {}
        self._last_mark = 0

    def wish(self, receive: Receive | None, speech_events: bool | None, barge_in: bool | None) -> None:
        """Changes what is given."""
        self.receive = self.receive if receive is None else receive
        self.speech_events = self.speech_events if speech_events is None else speech_events
        self.barge_in = self.barge_in if barge_in is None else barge_in

    def settings(self) -> str:
        """The message that declares them; its answer is awaited by nobody unless `ask` comes first."""
        message: dict[str, object] = {"type": "audio_config", "receive": self.receive}
        if self.rate_hz is not None:
            message["sample_rate"] = self.rate_hz
        message |= {"speech_events": self.speech_events, "barge_in": self.barge_in}
        return json.dumps(message)

    def ask(self, kind: type[A]) -> "asyncio.Future[A]":
        """The answer to the next message of that kind. Answers come in the order of the questions."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._asked[kind].append(answer)
        return answer

    def mark(self) -> "tuple[str, asyncio.Future[bool]]":
        """A new mark's name, and whether what is before it will have been played."""
        self._last_mark += 1
        name, heard = f"{_OURS}{self._last_mark}", asyncio.get_running_loop().create_future()
        self._marks[name] = heard
        return name, heard

    def take(self, message: str | bytes) -> None:
        """A frame from the gateway. Raises `UnexpectedAnswer`."""
        if isinstance(message, bytes):
            self.ear.put(events.audio(message, self.audio, self.participants))
            return
        try:
            parsed: object = json.loads(message)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise UnexpectedAnswer("A text frame of the call's socket is no JSON object")
        document = cast(dict[str, object], parsed)
        seq = document.get("seq")
        if isinstance(seq, int):
            self.last_seq = seq
        event = events.event(document)
        if not self._is_answer(event):
            self.ear.put(event)

    def take_back(self) -> None:
        """What was to be said shall not be."""
        self.taken_back += 1
        self.pace.cleared()

    def came_back(self) -> None:
        self.ear.put(Reconnected())

    def broke(self, error: Exception) -> None:
        """The connection is gone, and with it what waited to be played and all that was asked."""
        for asked in self._asked.values():
            while asked:
                _fail(asked.popleft(), error)
        self._drop_marks()
        self.pace.cleared()

    def end(self, why: Exception) -> None:
        self.broke(why)
        self.ear.end(None if isinstance(why, CallOver) else why)

    def _is_answer(self, event: events.Event) -> bool:
        """Whether somebody waited for it, so that it need not be told again."""
        if isinstance(event, AudioConfig):
            self.audio = event
        elif isinstance(event, AudioParticipants):
            self.participants = {one.index: one for one in event.participants}
        elif isinstance(event, AudioBackpressure):
            self.pace.told(high=event.high)
        elif isinstance(event, Cleared):
            self.pace.cleared()
        elif isinstance(event, BargedIn):
            self.take_back()
        elif isinstance(event, MarkPlayed | MarkCleared):
            return self._settle(event)
        elif isinstance(event, CallProblem) and event.code == "NO_AUDIO":
            return self._refuse(refusal(400, event.code, event.message))
        asked = self._asked.get(type(event))
        if not asked:
            return False
        answer = asked.popleft()
        if not answer.done():
            answer.set_result(event)
        return True

    def _settle(self, event: MarkPlayed | MarkCleared) -> bool:
        heard = self._marks.pop(event.name, None)
        if heard is not None and not heard.done():
            heard.set_result(isinstance(event, MarkPlayed))
        return event.name.startswith(_OURS)

    def _drop_marks(self) -> None:
        for heard in self._marks.values():
            if not heard.done():
                heard.set_result(False)
        self._marks.clear()

    def _refuse(self, error: Exception) -> bool:
        """Which question it answers is not told; in a call without sound there is but one answer."""
        for asked in self._asked.values():
            if asked:
                _fail(asked.popleft(), error)
                return True
        return False


def _fail(answer: "asyncio.Future[Any]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # it is no fault that nobody waits any more
