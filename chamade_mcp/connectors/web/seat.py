"""A guest's place in the mix: the microphone's jitter buffer, and what goes down to the page."""

from chamade_mcp.audio.frame import AudioFormat, Samples
from chamade_mcp.audio.port import LIVE, PlayoutBuffer
from chamade_mcp.connectors.web.wire import SAMPLE_RATE_HZ
from chamade_mcp.kit.outbox import Outbox

FORMAT = AudioFormat(SAMPLE_RATE_HZ)
TAIL_FRAMES = 10
"""200 ms of silence after the last sound keep a page's buffer steady through a speaker's breath."""

_SILENCE = bytes(FORMAT.frame_bytes)


class Seat:
    def __init__(self, outbox: Outbox) -> None:
        self.microphone = PlayoutBuffer(FORMAT, LIVE)
        self._put = outbox.put_audio
        self._tail = 0

    def sink(self, samples: Samples | None, at: float) -> None:
        """Sound always goes down, silence only for a moment: the page pads by itself."""
        if samples is not None:
            self._put(samples.tobytes())
            self._tail = TAIL_FRAMES
        elif self._tail:
            self._put(_SILENCE)
            self._tail -= 1
