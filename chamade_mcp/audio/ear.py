"""An agent's ear: 20 ms at the room's rate in, whole frames at the agent's rate out."""

import numpy as np

from chamade_mcp.audio.frame import AudioFormat, Samples
from chamade_mcp.audio.resample import Resampler, make_resampler
from chamade_mcp.model.audio import Engine


class Ear:
    """Silence comes out too. A converter is made with the first sound: who hears nothing costs nothing."""

    def __init__(self, native: AudioFormat, wanted: AudioFormat, engine: Engine = "polyphase") -> None:
        self._engine: Engine = engine
        self._native = native
        self._wanted = wanted
        self._frame_samples = wanted.frame_samples
        self._silent_frame = bytes(wanted.frame_bytes)
        self._even = wanted.rate_hz % 50 == 0 and native.rate_hz % 50 == 0
        self._settled = True
        self._resampler: Resampler | None = None
        self._pending: Samples = np.zeros(0, np.int16)

    def frames(self, mix: Samples | None) -> list[bytes]:
        """None: silence, which is what the filter still holds, then nothing."""
        if mix is None:
            if self._settled and self._even:
                return [self._silent_frame]
            mix = np.zeros(self._native.frame_samples, np.int16)
            self._settled = True
        else:
            self._settled = False
        if self._resampler is None:
            self._resampler = make_resampler(self._native.rate_hz, self._wanted.rate_hz, self._engine)
        heard = self._resampler.push(mix)
        if self._even:
            return [heard.tobytes()]
        heard = np.concatenate((self._pending, heard))
        whole = len(heard) - len(heard) % self._frame_samples
        self._pending = heard[whole:]
        return [
            heard[start : start + self._frame_samples].tobytes()
            for start in range(0, whole, self._frame_samples)
        ]
