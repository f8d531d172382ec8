"""Server-sent events, from bytes in whatever pieces they come (WHATWG HTML, section 9.2.6)."""

import re
from dataclasses import dataclass

_BREAK = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    data: bytes
    """Empty where an event only brings an id."""
    id: str
    """The id to come back with once this event is done with."""
    kind: str = "message"


class Parser:
    """`feed` pieces, get whole events."""

    def __init__(self) -> None:
        self.retry_s: float | None = None
        """How long the server wants to be left alone after the stream has broken."""
        self.pings = 0
        """Comment lines so far: a server that sends them can be missed."""
        self._begun = False
        self._after_cr = False
        self._pieces: list[bytes] = []
        self._data: list[bytes] = []
        self._kind = ""
        self._id = ""
        self._new_id = False

    def feed(self, chunk: bytes) -> list[Event]:
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\n" not in chunk and b"\r" not in chunk:
            # A long line comes in many pieces; joining them each time would take quadratic time.
            self._pieces.append(chunk)
            return []
        self._after_cr = chunk.endswith(b"\r")
        *lines, rest = _BREAK.split(b"".join((*self._pieces, chunk)))
        self._pieces = [rest] if rest else []
        if lines and not self._begun:
            self._begun = True
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not name:
            self.pings += 1
        elif name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value.decode("utf-8", "replace")
        elif name == b"id":
            # It goes back in a header, which holds no more than this.
            if value.isascii() and all(0x20 < byte < 0x7F for byte in value):
                self._id, self._new_id = value.decode("ascii"), True
        elif name == b"retry" and value.isdigit() and len(value) < 10:
            self.retry_s = int(value) / 1000
        return None

    def _dispatch(self) -> Event | None:
        told = bool(self._data) or self._new_id
        event = Event(b"\n".join(self._data), self._id, self._kind or "message")
        self._data, self._kind, self._new_id = [], "", False
        return event if told else None
