"""Words about audio that settings need without its libraries."""

from typing import Literal, TypeAlias

Engine: TypeAlias = Literal["swresample", "samplerate"]
"""What converts between sample rates: FFmpeg's resampler, or libsamplerate's sinc."""
