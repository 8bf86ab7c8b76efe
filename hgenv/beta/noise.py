"""Keyed randomness: every random decision draws its own number, named by the sample's seed and its place.

A stream hands out numbers in order, so one decision more shifts all that come after it. A key does not:
f(beta + d, r) and f(beta - d, r) then differ only by beta, which is what common random numbers are for.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hgenv.beta.distributions import Distribution
from hgenv.kernels import kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@kernel()
def _mix(x: Any) -> Any:
    """The finaliser of splitmix64 (Steele et al. 2014): a bijection of 64 bits that looks random."""
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@kernel()
def _key(seed: Any, name: Any, index: int) -> Any:
    return _mix((_mix(_mix(seed + _GOLDEN) ^ name)) + np.uint64(index + 1) * _GOLDEN)


@kernel()
def _fill(seeds: Any, name: Any, out: Any) -> None:
    """Keys out (n, count) of seeds (n,) at a place whose name is hashed."""
    for row in range(len(seeds)):
        for index in range(out.shape[1]):
            out[row, index] = _key(seeds[row], name, index)


@kernel()
def _fill_uniform(seeds: Any, name: Any, out: Any) -> None:
    """Numbers in (0, 1) of these keys. 52 bits and a half: the largest is 1 - 2^-53, never 1, so that every inverse CDF
    stays finite."""
    for row in range(len(seeds)):
        for index in range(out.shape[1]):
            out[row, index] = (np.float64(_key(seeds[row], name, index) >> np.uint64(12)) + 0.5) * 2.0**-52


def keys(seeds: ArrayLike, place: str, count: int) -> NDArray[np.uint64]:
    """Keys (*seeds.shape, count) of uint64 that depend on the seed, the name of the place and the index only."""
    base = np.asarray(seeds).astype(np.uint64)
    out = np.empty((base.size, count), np.uint64)
    _fill(base.ravel(), _hashed(place), out)
    return out.reshape(*base.shape, count)


@cache
def _hashed(place: str) -> np.uint64:
    """A number for a name."""
    return np.uint64(_mix(np.uint64(zlib.crc32(place.encode()) * int(_GOLDEN) % 2**64)))


def stream_keys(seed: int, stream: str, counter: int, count: int) -> NDArray[np.uint64]:
    """Keys (count,) of draw number `counter` of a stream that has a name: other streams and counters have others."""
    return keys(keys(seed, stream, 1)[0] + np.uint64(counter), stream, count)


@dataclass(frozen=True)
class Bound:
    """A distribution with its parameters: an array (k, *lead, *parameter_event), one leading entry a parameter."""

    name: str
    distribution: Distribution
    parameters: NDArray[np.float64]


@dataclass(frozen=True)
class Draw:
    """What was drawn from which distribution; `used` (values without the event axis) marks what had an effect."""

    name: str
    values: NDArray
    used: NDArray[np.bool_]


def joined(draws: Sequence[Draw]) -> Draw:
    """The same draw of several batches, for all their rows. Where one has fewer values a row than another, as of scenes
    with fewer objects, those that it lacks had no effect."""
    most = np.max([draw.values.shape[1:] for draw in draws], axis=0, initial=0).astype(int)
    values, used = [], []
    for draw in draws:
        lacking = [(0, 0), *((0, int(m - have)) for m, have in zip(most, draw.values.shape[1:], strict=True))]
        values.append(np.pad(draw.values, lacking, mode="edge"))
        used.append(np.pad(draw.used, lacking[: draw.used.ndim]))
    return Draw(draws[0].name, np.concatenate(values), np.concatenate(used))


class Noise:
    """The random source r of one sample (a scalar seed) or of a batch (seeds of shape (n,)); it records its draws."""

    def __init__(self, seeds: ArrayLike) -> None:
        self.seeds = np.asarray(seeds)
        self.draws: list[Draw] = []

    def uniform(self, place: str, shape: tuple[int, ...] = ()) -> NDArray[np.float64]:
        """Numbers in the open interval (0, 1), shape (*seeds.shape, *shape)."""
        u = np.empty((self.seeds.size, math.prod(shape)))
        _fill_uniform(self.seeds.astype(np.uint64).ravel(), _hashed(place), u)
        return u.reshape(self.seeds.shape + shape)

    def draw(self, bound: Bound, place: str, shape: tuple[int, ...] = (), used: ArrayLike = True) -> NDArray:
        """Draw by inverse CDF, shape (*seeds.shape, *shape, *event), and record the draw.

        `used` broadcasts to (*seeds.shape, *shape): False where the value cannot influence the sample.
        """
        family = bound.distribution
        u = self.uniform(place, shape + family.uniforms)
        values = family.inverse_cdf(u, spread_axes(bound.parameters, len(shape), len(family.parameter_event)))
        self._record(bound, values, shape, used)
        return values

    def draw_alike(self, bounds: Mapping[str, Bound], shape: tuple[int, ...] = (), used: ArrayLike = True) -> NDArray:
        """`draw` from several at their places, (k, *seeds.shape, *shape, *event), in one call of an inverse CDF: they
        must have the same one, of as many parameters."""
        family = next(iter(bounds.values())).distribution
        u = np.stack([self.uniform(place, shape + family.uniforms) for place in bounds])
        event = len(family.parameter_event)
        parameters = [spread_axes(bound.parameters, len(shape), event) for bound in bounds.values()]
        values = family.inverse_cdf(u, np.stack(parameters, axis=1))
        for bound, drawn in zip(bounds.values(), values, strict=True):
            self._record(bound, drawn, shape, used)
        return values

    def _record(self, bound: Bound, values: NDArray, shape: tuple[int, ...], used: ArrayLike) -> None:
        used_here = np.broadcast_to(np.asarray(used, dtype=bool), self.seeds.shape + shape)
        self.draws.append(Draw(bound.name, values, used_here))


def spread_axes(parameters: NDArray, axes: int, event_axes: int) -> NDArray:
    """Insert `axes` axes of length 1 before the event axes, so that parameters broadcast against draws."""
    split = parameters.ndim - event_axes
    return parameters.reshape(parameters.shape[:split] + (1,) * axes + parameters.shape[split:])
