"""The families of the paper's longer vectors: mixtures of normals, of von Mises and of truncated normals, counts.

A mixture draws its component from the first uniform and each axis from one of its own, so that beta + d and beta - d
with common uniforms share the component unless a weight moved across it, and differ smoothly otherwise.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, i0e, i1e, logsumexp, ndtr, ndtri

from hgenv.beta.distributions import Array, Distribution, Parameter, Range, check_range


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
        weights, mean, std = self._split(parameters)
        cumulative = np.cumsum(weights, axis=0)
        chosen = np.sum(u[..., 0] * cumulative[-1] >= cumulative[:-1], axis=0)
        shape = (*chosen.shape, mean.shape[-1])
        index = np.broadcast_to(chosen[..., None], shape)[None]
        picked = [np.take_along_axis(np.broadcast_to(p, (len(p), *shape)), index, 0)[0] for p in (mean, std)]
        x = self._inverse(u[..., 1:], *picked)
        return x if self.axes else x[..., 0]

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
    """Of von Mises distributions of angles in radians: std stands for 1 / sqrt(kappa), the normal's limit."""

    most: ClassVar[int] = 50
    precision: ClassVar[float] = 1e-11

    def _inverse(self, u: Array, mean: Array, std: Array) -> Array:
        """Angles in mean - pi .. mean + pi. The CDF has no inverse in closed form: Newton's method on scipy's, with
        bisection where a step leaves the bracket. From kappa = 50 on scipy's is a normal approximation, and angles are
        off by 1e-4 at most."""
        from scipy.stats import vonmises  # slow to import

        u, std = np.broadcast_arrays(u, std)
        kappa = 1.0 / std**2
        low, high = np.full(u.shape, -np.pi), np.full(u.shape, np.pi)
        x, density = np.clip(std * ndtri(u), -3.0, 3.0), 2.0 * np.pi * i0e(kappa)
        done = np.zeros(u.shape, bool)  # each draw stops by itself: it must not depend on the others
        for _ in range(self.most):
            off = vonmises.cdf(x, kappa) - u
            low, high = np.where(off < 0.0, x, low), np.where(off < 0.0, high, x)
            step = x - off * density * np.exp(kappa * (1.0 - np.cos(x)))
            new = np.where(done, x, np.where((step >= low) & (step <= high), step, 0.5 * (low + high)))
            done |= (np.abs(new - x) < self.precision) | (np.abs(off) < 4e-16)
            x = new
            if done.all():
                break
        return mean + x

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
        from scipy.stats import poisson  # slow to import

        none = np.exp(-parameters[0])
        return np.maximum(1, poisson.ppf(none + u * (1.0 - none), parameters[0])).astype(np.int64)

    def log_probability(self, x: NDArray, parameters: Array) -> Array:
        rate = parameters[0]
        return x * np.log(rate) - rate - gammaln(x + 1.0) - np.log(-np.expm1(-rate))

    def log_probability_gradient(self, x: NDArray, parameters: Array) -> Array:
        rate = parameters[0]
        return (x / rate - 1.0 - 1.0 / np.expm1(rate))[None]
