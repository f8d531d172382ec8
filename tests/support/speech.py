"""Speech that Debian's synthesizer makes, and sounds that are none."""

import subprocess
from functools import cache

import numpy as np

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.resample import make_resampler
from tests.support.tones import decoded


@cache
def spoken(text: str, rate_hz: int = 48_000, voice: str = "slt") -> Samples:
    """`text` as flite says it, without the silence around it."""
    made = subprocess.run(
        ["flite", "-voice", voice, "-t", text, "-o", "/dev/stdout"], check=True, capture_output=True
    )
    made_hz, sound = decoded(made.stdout)
    if made_hz != rate_hz:
        sound = make_resampler(made_hz, rate_hz).push(sound)
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 600)
    return sound[loud[0] : loud[-1] + 1]
