"""The families of the paper's longer vectors: mixtures of normals, of von Mises and of truncated normals, counts.

A mixture draws its component from the first uniform and each axis from one of its own, so that beta + d and beta - d
with common uniforms share the component unless a weight moved across it, and differ smoothly otherwise.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, i0e, i1e, logsumexp, ndtr, ndtri, pdtr, pdtrik

from hgenv.beta.distributions import Array, Distribution, Parameter, Range, check_range
from hgenv.beta.von_mises import angles
from hgenv.kernels import kernel


class Mixture(Distribution):
    """A mixture of `components` independent products over the axes; all axes share the component and its weight.

    Coordinates: the weights, used as shares of their sum; then mean and std of each component, axis by axis. The
    components' means start at even distances about initial[0], `apart` from the first to the last, as equal components
    have equal gradients and would never part.
    """

    def __init__(
        self, mean: Range, std: Range, axes: tuple[str, ...] = (), components: int = 3, weight: Range = (0.05, 1.0),
        initial: Range | None = None, apart: float = 0.0, meaning: str = "",
    ) -> None:  # fmt: skip
        check_range("mean", mean)
        check_range("std", std, positive=True)
        check_range("weight", weight, positive=True)
        if components < 1:
            raise ValueError(f"a mixture needs at least one component, got {components}")
        start = initial or (sum(mean) / 2, sum(std) / 2)
        self.mean, self.std, self.weight, self.initial = mean, std, weight, start
        self.axes, self.components, self.apart, self.meaning = axes, components, apart, meaning

    @property
    def parameter_event(self) -> tuple[int, ...]:
        return ()

    @property
    def uniforms(self) -> tuple[int, ...]:
        return (1 + max(1, len(self.axes)),)

    @property
    def jumps(self) -> NDArray[np.bool_]:
        return np.arange(len(self.parameters())) < self.components

    def parameters(self) -> tuple[Parameter, ...]:
        k, middle = self.components, sum(self.weight) / 2
        found = [Parameter(f"weight.{i}", *self.weight, middle, f"{self.meaning}: weight of {i}") for i in range(k)]
        for i in range(k):
            offset = self.apart * (i / max(k - 1, 1) - 0.5)
            for what, bounds, start in (
                ("mean", self.mean, self.initial[0] + offset),
                ("std", self.std, self.initial[1]),
            ):
                for axis in self.axes or ("",):
                    name = f"{what}.{i}.{axis}".rstrip(".")
                    found.append(Parameter(name, *bounds, start, f"{self.meaning}: {what} of {i}"))
        return tuple(found)

    def _split(self, parameters: Array) -> tuple[Array, Array, Array]:
        """Weights (k, ...), means and stds (k, ..., axes)."""
        k, rest = self.components, parameters.shape[1:]
        pairs = np.moveaxis(parameters[k:].reshape(k, 2, -1, *rest), 2, -1)
        return parameters[:k], pairs[:, 0], pairs[:, 1]

    def inverse_cdf(self, u: Array, parameters: Array) -> NDArray:
        """Values (..., axes), or (...) without axes, for uniforms (..., 1 + axes)."""
        x = self._inverse(u[..., 1:], *self._picked(u, parameters))
        return x if self.axes else x[..., 0]

    def _picked(self, u: Array, parameters: Array) -> Array:
        """Means and stds (2, ..., axes) of the components that the first uniforms choose."""
        lead = parameters.shape[1:]
        while lead and lead[-1] == 1:  # what is drawn with the same parameters is a row
            lead = lead[:-1]
        if u.shape[: len(lead)] != lead:
            lead = np.broadcast_shapes(u.shape[:-1], parameters.shape[1:])
            u, parameters = (
                np.broadcast_to(u, (*lead, u.shape[-1])),
                np.broadcast_to(parameters, (len(parameters), *lead)),
            )
        rows, axes = math.prod(lead), u.shape[-1] - 1
        flat = np.ascontiguousarray(u).reshape(rows, math.prod(u.shape[len(lead) : -1]), 1 + axes)
        picked = np.empty((2, *flat.shape[:2], axes))
        _pick(flat, np.ascontiguousarray(parameters).reshape(len(parameters), rows), self.components, picked)
        return picked.reshape(2, *u.shape[:-1], axes)

    def _terms(self, x: NDArray, parameters: Array) -> tuple[Array, Array, Array, Array]:
        """x (..., axes), means and stds, and log (weight x density) of every component, (k, ...)."""
        weights, mean, std = self._split(parameters)
        x = x if self.axes else np.asarray(x)[..., None]
        return x, mean, std, np.log(weights / weights.sum(0)) + self._log(x, mean, std).sum(-1)

    def log_probability(self, x: NDArray, parameters: Array) -> Array:
        return logsumexp(self._terms(x, parameters)[-1], axis=0)

    def log_probability_gradient(self, x: NDArray, parameters: Array) -> Array:
        x, mean, std, terms = self._terms(x, parameters)
        share = np.exp(terms - logsumexp(terms, axis=0))  # how much of x each component answers for
        weights = parameters[: self.components]
        by_weight = share / weights - 1.0 / weights.sum(0)
        by_pair = np.stack(self._log_gradient(x, mean, std), axis=1) * share[:, None, ..., None]  # (k, 2, ..., axes)
        flat = np.moveaxis(by_pair, -1, 2).reshape(-1, *by_pair.shape[2:-1])
        return np.concatenate([np.broadcast_to(by_weight, (self.components, *flat.shape[1:])), flat])

    @abstractmethod
    def _inverse(self, u: Array, mean: Array, std: Array) -> Array:
        """Inverse CDF of a component."""

    @abstractmethod
    def _log(self, x: Array, mean: Array, std: Array) -> Array:
        """Log-density of a component."""

    @abstractmethod
    def _log_gradient(self, x: Array, mean: Array, std: Array) -> tuple[Array, Array]:
        """Its derivatives by mean and std."""


@kernel()
def _pick(u: Any, parameters: Any, components: int, picked: Any) -> None:
    """Means and stds (2, rows, m, axes) of the components that the first of the uniforms (rows, m, 1 + axes) choose."""
    _, rows, count, axes = picked.shape
    ends = np.empty(components)
    for row in range(rows):
        total = 0.0
        for k in range(components):
            total += parameters[k, row]
            ends[k] = total
        for i in range(count):
            chosen = 0
            for k in range(components - 1):
                chosen += u[row, i, 0] * total >= ends[k]
            for axis in range(axes):
                place = components + 2 * axes * chosen + axis
                picked[0, row, i, axis], picked[1, row, i, axis] = parameters[place, row], parameters[place + axes, row]


class NormalMixture(Mixture):
    """Of normals."""

    def _inverse(self, u: Array, mean: Array, std: Array) -> Array:
        return mean + std * ndtri(u)

    def _log(self, x: Array, mean: Array, std: Array) -> Array:
        return -0.5 * ((x - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)

    def _log_gradient(self, x: Array, mean: Array, std: Array) -> tuple[Array, Array]:
        z = (x - mean) / std
        return z / std, (z**2 - 1.0) / std


class VonMisesMixture(Mixture):
    """Of von Mises distributions of angles in radians: std stands for 1 / sqrt(kappa), the normal's limit. Draws are in
    mean - pi .. mean + pi."""

    def _inverse(self, u: Array, mean: Array, std: Array) -> Array:
        u, std = np.broadcast_arrays(u, std)
        return mean + angles(u.ravel(), std.ravel()).reshape(u.shape)

    def _log(self, x: Array, mean: Array, std: Array) -> Array:
        kappa = 1.0 / std**2
        return kappa * (np.cos(x - mean) - 1.0) - np.log(2 * np.pi * i0e(kappa))

    def _log_gradient(self, x: Array, mean: Array, std: Array) -> tuple[Array, Array]:
        kappa = 1.0 / std**2
        by_kappa = np.cos(x - mean) - i1e(kappa) / i0e(kappa)
        return kappa * np.sin(x - mean), -2.0 * by_kappa / std**3


class TruncatedNormalMixture(Mixture):
    """Of normals cut off outside the range of the means."""

    def _ends(self, mean: Array, std: Array) -> tuple[Array, Array]:
        return (self.mean[0] - mean) / std, (self.mean[1] - mean) / std

    def _inverse(self, u: Array, mean: Array, std: Array) -> Array:
        a, b = (ndtr(end) for end in self._ends(mean, std))
        return np.clip(mean + std * ndtri(a + u * (b - a)), *self.mean)

    def _log(self, x: Array, mean: Array, std: Array) -> Array:
        a, b = self._ends(mean, std)
        z = (x - mean) / std
        return -0.5 * z**2 - np.log(std) - 0.5 * np.log(2 * np.pi) - np.log(ndtr(b) - ndtr(a))

    def _log_gradient(self, x: Array, mean: Array, std: Array) -> tuple[Array, Array]:
        a, b = self._ends(mean, std)
        z, inside = (x - mean) / std, ndtr(b) - ndtr(a)
        at_a, at_b = (np.exp(-0.5 * end**2) / np.sqrt(2 * np.pi) / inside for end in (a, b))
        return (z + at_b - at_a) / std, (z**2 - 1.0 + b * at_b - a * at_a) / std


class Count(Distribution):
    """A Poisson number that is not 0 (zero-truncated), with its rate as coordinate."""

    discrete = True

    def __init__(self, rate: Range, initial: float | None = None, meaning: str = "") -> None:
        check_range("rate", rate, positive=True)
        self.rate, self.initial, self.meaning = (
            rate,
            math.sqrt(rate[0] * rate[1]) if initial is None else initial,
            meaning,
        )

    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("rate", *self.rate, self.initial, f"{self.meaning}: rate"),)

    def inverse_cdf(self, u: Array, parameters: Array) -> NDArray:
        rate, none = parameters[0], np.exp(-parameters[0])
        share = none + u * (1.0 - none)
        most = np.ceil(pdtrik(share, rate))  # one too many where rounding has it so, as scipy.stats.poisson.ppf knows
        fewer = np.maximum(most - 1.0, 0.0)
        return np.maximum(1, np.where(pdtr(fewer, rate) >= share, fewer, most)).astype(np.int64)

    def log_probability(self, x: NDArray, parameters: Array) -> Array:
        rate = parameters[0]
        return x * np.log(rate) - rate - gammaln(x + 1.0) - np.log(-np.expm1(-rate))

    def log_probability_gradient(self, x: NDArray, parameters: Array) -> Array:
        rate = parameters[0]
        return (x / rate - 1.0 - 1.0 / np.expm1(rate))[None]

    def divergence(self, parameters: Array, other: Array) -> Array:
        rate, others = parameters[0], other[0]
        mean = -rate / np.expm1(-rate)
        return mean * np.log(rate / others) - np.log(np.expm1(rate) / np.expm1(others))
