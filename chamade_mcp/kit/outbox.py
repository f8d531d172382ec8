"""What waits to be written to one socket: text before audio, or in its order, and neither without bound."""

import asyncio
from collections import deque
from collections.abc import Callable

TEXT_MESSAGES = 512
TEXT_CHARS = 1 << 20


class Outbox:
    """Filled from the event loop without ever waiting, emptied by the socket's one writer."""

    def __init__(self, audio_frames: int, write: Callable[[bytes], bool] | None = None) -> None:
        """Of more than `audio_frames` that wait, the oldest give way: late audio is worse than lost audio.

        `write` takes audio past the writer while that has nothing else to do, unless it returns False.
        """
        self.audio_dropped = 0
        """Frames that the reader was too slow for."""
        self._first: str | None = None
        self._text: deque[str | bytes] = deque()
        """With the audio that a text in its order came behind."""
        self._text_chars = 0
        self._newest: str | None = None
        self._audio: deque[bytes] = deque(maxlen=audio_frames)
        self._overflowed = False
        self._ended = False
        self._filled = asyncio.Event()
        self._write = write
        self._writer_waits = False

    def put(self, message: str) -> bool:
        """False, now and from now on, when too much waits already: the reader is lost, close its socket."""
        if self._overflowed:
            return False
        if len(self._text) >= TEXT_MESSAGES or self._text_chars > TEXT_CHARS:
            self._overflowed = True
            self._text.clear()
            self._text_chars = 0
            return False
        self._text.append(message)
        self._text_chars += len(message)
        self._filled.set()
        return True

    def put_in_order(self, message: str) -> bool:
        """For what changes how audio is to be read: it overtakes none, and what is before it is dropped no
        more. Returns what `put` does."""
        if not self._overflowed:
            self._text.extend(self._audio)
            self._text_chars += sum(map(len, self._audio))
            self._audio.clear()
        return self.put(message)

    def put_first(self, message: str) -> None:
        """For a welcome, which may be made only after others have started to talk to this reader."""
        self._first = message
        self._filled.set()

    def put_newest(self, message: str) -> None:
        """For what is out of date with the next one: only the newest is sent."""
        self._newest = message
        self._filled.set()

    def put_audio(self, frame: bytes) -> None:
        """Never refuses. Called on the audio beat."""
        idle = self._writer_waits and not self._filled.is_set()
        if idle and self._write is not None and self._write(frame):
            return
        if len(self._audio) == self._audio.maxlen:
            self.audio_dropped += 1
        self._audio.append(frame)
        self._filled.set()

    def end(self) -> None:
        """`next` gives what text there is, and then None."""
        self._ended = True
        self._filled.set()

    async def next(self) -> str | bytes | None:
        """The welcome, then messages in their order, then what only counts as the newest, then audio."""
        while True:
            if self._first is not None:
                message, self._first = self._first, None
                return message
            if self._text:
                message = self._text.popleft()
                self._text_chars -= len(message)
                return message
            if self._ended:
                return None
            if self._newest is not None:
                message, self._newest = self._newest, None
                return message
            if self._audio:
                return self._audio.popleft()
            self._filled.clear()
            self._writer_waits = True
            try:
                await self._filled.wait()
            finally:
                self._writer_waits = False
