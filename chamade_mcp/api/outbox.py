"""The way out of one agent socket."""

from collections.abc import Callable

from starlette.types import Send

from chamade_mcp.kit.outbox import Outbox

AUDIO_FRAMES = 50
"""20 ms each: a second."""


class CallOutbox:
    """Filled from the event loop without waiting, emptied by the one task that writes to the socket."""

    def __init__(self, write: Callable[[bytes], bool] | None = None) -> None:
        """`write`: the short way of audio, see `Outbox`."""
        self._box = Outbox(AUDIO_FRAMES, write)
        self._close: tuple[int, str] = 1000, ""
        self._closing = False
        self.hear = self._box.put_audio
        """20 ms of audio. Called on the audio beat."""

    @property
    def audio_dropped(self) -> int:
        return self._box.audio_dropped

    def tell(self, text: str) -> None:
        """A text frame. A client that reads none of hundreds is cut off: it would hold memory for ever."""
        self._keep_up(self._box.put(_whole(text)))

    def tell_in_order(self, text: str) -> None:
        """A text frame about the audio: what was heard before it is read before it."""
        self._keep_up(self._box.put_in_order(_whole(text)))

    def close(self, code: int, reason: str) -> None:
        """Closes the socket once the messages before it are out; the first close counts."""
        if not self._closing:
            self._closing, self._close = True, (code, reason)
            self._box.end()

    async def drain(self, send: Send) -> None:
        """Writes until the socket is closed by us. Raises `OSError` when the peer has gone."""
        while (item := await self._box.next()) is not None:
            kind = "text" if isinstance(item, str) else "bytes"
            await send({"type": "websocket.send", kind: item})
        code, reason = self._close
        await send({"type": "websocket.close", "code": code, "reason": reason})

    def _keep_up(self, kept: bool) -> None:
        if not kept:
            self.close(1011, "Too slow to keep up with the call's events")


def _whole(text: str) -> str:
    """A platform may pass on half of a surrogate pair, which no text frame can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
