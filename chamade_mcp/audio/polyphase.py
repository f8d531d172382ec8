"""Sample-rate conversion as one matrix product: a polyphase FIR filter, in numpy.

Between two rates in a ratio of whole numbers L/M, the same weights return every M input samples. A matrix of
them turns a block of input, and what came before it, into the block of output that has become due. Weights
are whole multiples of 2**-24 and samples are 16-bit, so in double precision every sum is exact: the output
does not depend on how the input was cut, nor on the processor or the library that multiplies.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from chamade_mcp.audio.frame import Samples

_HALF_LENGTH = 22
"""Samples of the lower rate before and after: the shortest filter that rejects 90 dB from 1.1 times the lower
Nyquist rate on and is flat to 0.85 of it."""
_CUTOFF = 0.96
_KAISER_BETA = 9.6
_WEIGHT_STEPS = 2.0**24
_BLOCK = 48
"""Samples of the higher rate per block, about. Longer ones multiply more zeros, shorter ones copy more of the
past."""
_LARGEST_MATRIX = 1 << 14
"""Weights, in all. Rates with less in common are faster by others."""
_LARGEST_PRODUCT = 1 << 18
"""Multiplications at once. From there on, BLAS would wake threads that wait for work by spinning."""

_LOWEST = np.array(-32768, np.float64)  # as arrays, since a number is converted anew by every call
_HIGHEST = np.array(32767, np.float64)
_EMPTY: Samples = np.zeros(0, np.int16)
_EMPTY.flags.writeable = False

_Matrix: TypeAlias = NDArray[np.float64]


def has_matrix(source_hz: int, target_hz: int) -> bool:
    """Whether two different rates have enough in common for `Polyphase`."""
    shape = _shape_of(source_hz, target_hz)
    return (shape.history + shape.block) * shape.block_out <= _LARGEST_MATRIX


class Polyphase:
    """A `Resampler` between two different rates for which `has_matrix` says yes. All of them belong to one
    thread: those of the same rates share the memory they calculate in."""

    __slots__ = ("_past", "_shape", "_turn", "_workplace")

    def __init__(self, source_hz: int, target_hz: int) -> None:
        self._shape = _shape_of(source_hz, target_hz)
        self._workplace = _workplace(source_hz, target_hz)
        self._past: Samples = np.zeros(self._shape.history, np.int16)
        """The input that the next output is made of as well, from a multiple of M on."""
        self._turn = 0
        """How many samples of the past are since that multiple of M."""

    @property
    def delay_s(self) -> float:
        return self._shape.delay_s

    def push(self, samples: Samples) -> Samples:
        most = self._shape.most_at_once
        if len(samples) <= most:
            return self._convert(samples) if len(samples) else _EMPTY
        return np.concatenate([self._convert(samples[at : at + most]) for at in range(0, len(samples), most)])

    def flush(self) -> Samples:
        return self.push(np.zeros(self._shape.history, np.int16))

    def _convert(self, samples: Samples) -> Samples:
        shape, turn, workplace = self._shape, self._turn, self._workplace
        known, end = len(self._past), turn + len(samples)
        wave = workplace.wave
        wave[:known] = self._past
        wave[known : known + len(samples)] = samples
        # What is left there of another input weighs nothing in what is due.
        product = workplace.multiply(-(-end // shape.block))
        due = product[turn * shape.up // shape.down : end * shape.up // shape.down]
        np.rint(due, out=due)
        due.clip(_LOWEST, _HIGHEST, out=due)
        self._turn = end % shape.down
        self._past = wave[end - self._turn : shape.history + end].astype(np.int16)
        return due.astype(np.int16)


@dataclass(frozen=True, slots=True)
class _Shape:
    up: int
    """L, without common factors."""
    down: int
    """M."""
    reach: float
    """How many input samples the filter sees to either side."""
    delay: float
    """In input samples; a whole number of output samples, and at least `reach`."""
    history: int
    """How many before a block go into it."""
    block: int
    """Input samples of a block, a multiple of M."""
    block_out: int
    delay_s: float
    most_at_once: int


@lru_cache(maxsize=256)
def _shape_of(source_hz: int, target_hz: int) -> _Shape:
    common = math.gcd(source_hz, target_hz)
    up, down = target_hz // common, source_hz // common
    reach = _HALF_LENGTH * max(1.0, down / up)
    delay = math.ceil(reach * up / down - 1e-9) * down / up
    history = math.ceil(delay + reach)
    block = down * max(1, round(_BLOCK / max(up, down)))
    block_out = block // down * up
    at_once = max(1, _LARGEST_PRODUCT // ((history + block) * block_out) - 1)
    return _Shape(up, down, reach, delay, history, block, block_out, delay / source_hz, at_once * block)


class _Workplace:
    """The matrix, and memory for what is multiplied by it."""

    __slots__ = ("_blocks", "_matrix", "_product", "_shape", "_windows", "flat", "wave")

    def __init__(self, shape: "_Shape", matrix: _Matrix) -> None:
        most = shape.most_at_once // shape.block + 1
        self._shape = shape
        self._matrix = matrix
        self.wave = np.zeros(shape.history + most * shape.block)
        """The past, and then the input."""
        self.flat = np.zeros(most * shape.block_out)
        self._lay_out(1)

    def multiply(self, blocks: int) -> _Matrix:
        """The output of the first `blocks` of the wave, in place of that of the last time."""
        if blocks != self._blocks:
            self._lay_out(blocks)
        np.dot(self._windows, self._matrix, out=self._product)
        return self.flat

    def _lay_out(self, blocks: int) -> None:
        shape = self._shape
        self._blocks = blocks
        self._windows = np.ndarray(
            (blocks, shape.history + shape.block), np.float64, self.wave, strides=(8 * shape.block, 8)
        )
        self._product = self.flat[: blocks * shape.block_out].reshape(blocks, shape.block_out)


@lru_cache(maxsize=16)
def _workplace(source_hz: int, target_hz: int) -> _Workplace:
    return _Workplace(_shape_of(source_hz, target_hz), _matrix(source_hz, target_hz))


def _matrix(source_hz: int, target_hz: int) -> _Matrix:
    """Row: an input sample, from the oldest on. Column: an output sample of the block."""
    shape = _shape_of(source_hz, target_hz)
    matrix = np.zeros((shape.history + shape.block, shape.block_out))
    for column in range(shape.block_out):
        middle = shape.history - shape.delay + column * shape.down / shape.up
        first, last = math.ceil(middle - shape.reach - 1e-9), math.floor(middle + shape.reach + 1e-9)
        matrix[first : last + 1, column] = _weights(np.arange(first, last + 1.0) - middle, shape.reach)
    return matrix


def _weights(distance: _Matrix, reach: float) -> _Matrix:
    """A windowed sinc; what one output sample takes of each input sample."""
    inside = np.maximum(0.0, 1.0 - (distance / reach) ** 2)
    window = np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA)
    weights = np.sinc(distance * _CUTOFF * _HALF_LENGTH / reach) * window
    steps: _Matrix = np.rint(weights / weights.sum() * _WEIGHT_STEPS)
    return steps / _WEIGHT_STEPS
