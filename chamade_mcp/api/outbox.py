"""What one agent socket still has to be told: messages first, audio after, neither without bound."""

import asyncio
from collections import deque

from starlette.types import Send

AUDIO_FRAMES = 50
"""20 ms each. A second behind, the oldest is dropped: late audio is worse than lost audio."""
MESSAGES = 512


class Outbox:
    """Filled from the event loop without waiting, emptied by the one task that writes to the socket."""

    def __init__(self) -> None:
        self.audio_dropped = 0
        self._messages: deque[str] = deque()
        self._audio: deque[bytes] = deque()
        self._close: tuple[int, str] | None = None
        self._wake = asyncio.Event()

    def tell(self, text: str) -> None:
        """A text frame. A client that reads none of hundreds is cut off: it would hold memory for ever."""
        if len(self._messages) >= MESSAGES:
            self._messages.clear()
            self.close(1011, "Too slow to keep up with the call's events")
            return
        # A platform may pass on half of a surrogate pair, which no text frame can carry.
        self._messages.append(text if text.isascii() else text.encode("utf-8", "replace").decode())
        self._wake.set()

    def hear(self, frame: bytes) -> None:
        """20 ms of audio. Called on the audio beat."""
        if len(self._audio) >= AUDIO_FRAMES:
            self._audio.popleft()
            self.audio_dropped += 1
        self._audio.append(frame)
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Closes the socket once the messages before it are out; the first close counts."""
        if self._close is None:
            self._close = code, reason
        self._wake.set()

    async def drain(self, send: Send) -> None:
        """Writes until the socket is closed by us. Raises `OSError` when the peer has gone."""
        while True:
            if self._messages:
                await send({"type": "websocket.send", "text": self._messages.popleft()})
            elif self._close is not None:
                code, reason = self._close
                await send({"type": "websocket.close", "code": code, "reason": reason})
                return
            elif self._audio:
                await send({"type": "websocket.send", "bytes": self._audio.popleft()})
            else:
                self._wake.clear()
                await self._wake.wait()
