"""Words about audio that settings and manifests need without its libraries."""

from typing import Final, Literal, TypeAlias

MIN_RATE_HZ: Final = 8_000
MAX_RATE_HZ: Final = 48_000

Engine: TypeAlias = Literal["polyphase", "swresample", "samplerate"]
"""What converts between sample rates: our own filter, FFmpeg's resampler, or libsamplerate's sinc."""
