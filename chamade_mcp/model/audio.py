"""Words about audio that settings need without its libraries."""

from typing import Literal, TypeAlias

Engine: TypeAlias = Literal["polyphase", "swresample", "samplerate"]
"""What converts between sample rates: our own filter, FFmpeg's resampler, or libsamplerate's sinc."""
