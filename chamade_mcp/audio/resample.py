"""Streaming sample-rate conversion that keeps time.

Whatever the engine buffers inside, a `Resampler` gives out in step with what it was given: after `n` input
samples exactly `floor(n * target / source)` have come out, the first few of them the silence that pays for
the filter's delay. So 20 ms in are 20 ms out on every beat, and over any time no sample is lost or added.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Literal, Protocol, TypeAlias, cast

import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph
from numpy.typing import NDArray

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.polyphase import Polyphase, has_matrix
from chamade_mcp.model.audio import MAX_RATE_HZ, MIN_RATE_HZ, Engine

SincQuality: TypeAlias = Literal["sinc_fastest", "sinc_medium", "sinc_best"]

_SWR_OPTIONS = {"filter_size": "44", "kaiser_beta": "10", "cutoff": "0.96"}
"""The shortest filter that rejects 90 dB from 1.1 times the lower Nyquist rate on and is flat to 0.85."""
_EXACT_PHASES = 1024
"""Ratios that need more filter phases than swresample keeps are interpolated between them."""
_PRIMER_S = 0.05
_PROBED = 480

_EMPTY: Samples = np.zeros(0, np.int16)
_EMPTY.flags.writeable = False

_Convert: TypeAlias = Callable[[Samples], Samples | None]


class Resampler(Protocol):
    """One direction of one stream. Not to be shared between streams."""

    @property
    def delay_s(self) -> float:
        """How much later a sound comes out than it went in; constant."""
        ...

    def push(self, samples: Samples) -> Samples:
        """The output that became due with `samples`; any length in, possibly nothing out.

        The result is the caller's to keep and not to write to: it may be `samples` itself.
        """
        ...

    def flush(self) -> Samples:
        """What the filter still holds of the sound so far: the output of twice `delay_s` of silence."""
        ...


def make_resampler(
    source_hz: int,
    target_hz: int,
    engine: Engine = "polyphase",
    quality: SincQuality = "sinc_medium",
) -> Resampler:
    """A converter for rates of 8,000-48,000 Hz (`ValueError` outside); equal rates pass through uncopied.

    What "polyphase" has no matrix for is "swresample"'s. `quality` concerns the engine "samplerate" only,
    which costs fifteen times as much.
    """
    for rate_hz in (source_hz, target_hz):
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise ValueError(f"sample rate must be {MIN_RATE_HZ}-{MAX_RATE_HZ}")
    if source_hz == target_hz:
        return _PassThrough()
    if engine == "polyphase":
        if has_matrix(source_hz, target_hz):
            return Polyphase(source_hz, target_hz)
        engine = "swresample"
    lag = _measured_lag(source_hz, target_hz, engine, quality)
    return _InStep(source_hz, target_hz, _Primed(source_hz, target_hz, engine, quality), lag)


class _PassThrough:
    delay_s = 0.0

    def push(self, samples: Samples) -> Samples:
        return samples

    def flush(self) -> Samples:
        return _EMPTY


class _InStep:
    """Holds back or delays an engine's irregular output until it is due."""

    def __init__(self, source_hz: int, target_hz: int, primed: "_Primed", lag: int) -> None:
        self._source_hz = source_hz
        self._target_hz = target_hz
        self._convert = primed.convert
        self._lag = lag
        self._remainder = 0
        self._ready: Samples = np.zeros(lag - primed.missing, np.int16)

    @property
    def delay_s(self) -> float:
        return self._lag / self._target_hz

    def push(self, samples: Samples) -> Samples:
        if not len(samples):
            return _EMPTY
        fresh = self._convert(samples)
        ready = self._ready if fresh is None else np.concatenate((self._ready, fresh))
        due, self._remainder = divmod(len(samples) * self._target_hz + self._remainder, self._source_hz)
        assert due <= len(ready), "the engine's lag was measured too small"
        self._ready = ready[due:]
        return ready[:due]

    def flush(self) -> Samples:
        half = math.ceil(self._lag * self._source_hz / self._target_hz)
        return self.push(np.zeros(2 * half, np.int16))  # the lag is half the filter: it also rings after


class _Primed:
    """An engine past its start, where engines hold back more than they do later.

    It has been given a whole number of its periods of silence: its phase is that of a new one.
    """

    def __init__(self, source_hz: int, target_hz: int, engine: Engine, quality: SincQuality) -> None:
        if engine == "swresample":
            self.convert: _Convert = _Swresample(source_hz, target_hz)
        else:
            self.convert = _samplerate(source_hz, target_hz, quality)
        period = source_hz // math.gcd(source_hz, target_hz)
        primer = period * math.ceil(_PRIMER_S * source_hz / period)
        self.missing = primer * target_hz // source_hz - _length(self.convert(np.zeros(primer, np.int16)))
        """Output samples it has not yet given out."""


def _length(samples: Samples | None) -> int:
    return 0 if samples is None else len(samples)


class _Swresample:
    """PyAV's filter graph itself: `AudioResampler` takes twice as long, as it asks for a second frame."""

    def __init__(self, source_hz: int, target_hz: int) -> None:
        exact = target_hz // math.gcd(source_hz, target_hz) <= _EXACT_PHASES
        options = _SWR_OPTIONS if exact else _SWR_OPTIONS | {"linear_interp": "1"}
        self._graph = Graph()  # owns the three filters: without it they are dangling pointers
        self._source = self._graph.add(
            "abuffer", sample_rate=str(source_hz), sample_fmt="s16", channel_layout="mono"
        )
        swresample = self._graph.add("aresample", sample_rate=str(target_hz), **options)
        self._sink = self._graph.add("abuffersink")
        self._source.link_to(swresample)
        swresample.link_to(self._sink)
        self._graph.configure()
        self._source_hz = source_hz

    def __call__(self, samples: Samples) -> Samples | None:
        frame = AudioFrame(format="s16", layout="mono", samples=len(samples))
        frame.sample_rate = self._source_hz
        frame.planes[0].update(_as_bytes(samples))
        self._source.push(frame)
        try:
            out = cast(AudioFrame, self._sink.pull())
        except BlockingIOError:  # not yet enough for a single sample
            return None
        return np.frombuffer(_as_bytes(out.planes[0]), np.int16, count=out.samples)  # keeps the plane alive


def _as_bytes(buffer: object) -> bytes:
    """Nothing is converted: PyAV's stubs say `bytes` where its code takes and gives any buffer."""
    return cast(bytes, buffer)


class _Sinc(Protocol):
    def process(self, samples: NDArray[np.float32], ratio: float, /) -> NDArray[np.float32]: ...


def _samplerate(source_hz: int, target_hz: int, quality: SincQuality) -> _Convert:
    library = import_module("samplerate")  # loaded only where it is chosen; it comes without stubs
    state = cast(_Sinc, library.Resampler(quality, channels=1))
    ratio = target_hz / source_hz

    def convert(samples: Samples) -> Samples | None:
        out = state.process(samples.astype(np.float32), ratio)
        return np.clip(np.rint(out), -32768, 32767).astype(np.int16)

    return convert


@lru_cache(maxsize=256)
def _measured_lag(source_hz: int, target_hz: int, engine: Engine, quality: SincQuality) -> int:
    """The most output samples by which the engine ever runs behind its input, asked of the engine itself."""
    primed = _Primed(source_hz, target_hz, engine, quality)
    one = np.zeros(1, np.int16)
    lag, given = primed.missing, -primed.missing
    for pushed in range(1, _PROBED + 1):
        given += _length(primed.convert(one))
        lag = max(lag, pushed * target_hz // source_hz - given)
    probed_all = source_hz // math.gcd(source_hz, target_hz) <= _PROBED
    return lag if probed_all else lag + 1
