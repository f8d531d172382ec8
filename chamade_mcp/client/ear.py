"""What has arrived and was not read yet: events all of them, sound the newest."""

import asyncio
from collections import deque

from chamade_mcp.client.events import Audio, Event, ParticipantAudio


class Ear:
    """A queue between the socket's task and the one that reads; ends with an error or without."""

    def __init__(self, audio_frames: int) -> None:
        """Of more than `audio_frames` unread frames of sound the oldest are dropped."""
        self._most = audio_frames
        self._waiting: deque[Event] = deque()
        self._audio = 0
        self._changed = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None
        self.dropped = 0

    def put(self, event: Event) -> None:
        if isinstance(event, Audio | ParticipantAudio):
            if self._audio == self._most:
                self._drop_oldest()
            self._audio += 1
        self._waiting.append(event)
        self._changed.set()

    def end(self, error: Exception | None) -> None:
        """Nothing more comes; `error` is raised once all has been read."""
        self._ended, self._error = True, error
        self._changed.set()

    async def get(self) -> Event | None:
        """The next one; None at the end."""
        while not self._waiting:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        event = self._waiting.popleft()
        if isinstance(event, Audio | ParticipantAudio):
            self._audio -= 1
        return event

    def _drop_oldest(self) -> None:
        for place, event in enumerate(self._waiting):
            if isinstance(event, Audio | ParticipantAudio):
                del self._waiting[place]
                self._audio -= 1
                self.dropped += 1
                return
