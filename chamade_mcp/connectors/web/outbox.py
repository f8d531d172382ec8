"""What waits to be written to one socket. Control always goes first; late audio is dropped, not sent."""

import asyncio
from collections import deque

AUDIO_FRAMES = 15
"""300 ms: more would only be played too late."""
CONTROL_MESSAGES = 256
CONTROL_CHARS = 1 << 20


class Outbox:
    """Filled by the room without ever waiting, emptied by the socket's one writer."""

    def __init__(self) -> None:
        self.audio_dropped = 0
        """Frames the reader was too slow for."""
        self.overflowed = False
        self._first: str | None = None
        self._control: deque[str] = deque()
        self._control_chars = 0
        self._audio: deque[bytes] = deque(maxlen=AUDIO_FRAMES)
        self._levels: str | None = None
        self._filled = asyncio.Event()

    def put(self, message: str) -> bool:
        """False when too much waits already: the reader is lost, close its socket."""
        if self.overflowed:
            return False
        if len(self._control) >= CONTROL_MESSAGES or self._control_chars > CONTROL_CHARS:
            self.overflowed = True
            self._control.clear()
            self._control_chars = 0
            return False
        self._control.append(message)
        self._control_chars += len(message)
        self._filled.set()
        return True

    def put_first(self, message: str) -> None:
        """For the welcome, which may be made only after others have started to talk to this guest."""
        self._first = message
        self._filled.set()

    def put_audio(self, frame: bytes) -> None:
        """Never refuses; the oldest frame gives way."""
        if len(self._audio) == AUDIO_FRAMES:
            self.audio_dropped += 1
        self._audio.append(frame)
        self._filled.set()

    def put_levels(self, message: str) -> None:
        """Only the newest is worth sending."""
        self._levels = message
        self._filled.set()

    async def next(self) -> str | bytes:
        """Text before levels before audio."""
        while True:
            if self._first is not None:
                message, self._first = self._first, None
                return message
            if self._control:
                message = self._control.popleft()
                self._control_chars -= len(message)
                return message
            if self._levels is not None:
                message, self._levels = self._levels, None
                return message
            if self._audio:
                return self._audio.popleft()
            self._filled.clear()
            await self._filled.wait()
