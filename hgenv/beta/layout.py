"""beta as a bundle of named distributions. The declaration is the only place that knows its order.

    @dataclass(frozen=True)
    class ShapeBeta(Layout):
        expand: Bernoulli = Bernoulli(initial=0.5, meaning="expand E into C(E, T(E))")
        radius: LogNormal = LogNormal(mean=(-2.0, 0.0), std=(0.01, 0.5), meaning="radius of a sphere")

From it follow names, ranges, start, meaning, the map to the action box [-1, 1]^d, clipping, which coordinates are
discrete, drawing by inverse CDF from a keyed source, and the gradient of the log-probability of what was drawn.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from types import SimpleNamespace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hgenv.beta.distributions import Distribution, Parameter
from hgenv.beta.noise import Bound, Draw, spread_axes
from hgenv.fields import plain, shown

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Base of every declaration: a frozen dataclass whose fields are distributions."""

    def __post_init__(self) -> None:
        for p in self.parameters:
            if not p.low <= p.initial <= p.high:
                raise ValueError(f"{p.name} starts at {p.initial}, outside its range [{p.low}, {p.high}]")

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """Name of the field -> distribution, in the order of beta."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Name of the field -> its coordinates in beta."""
        ends = np.cumsum([0] + [len(d.parameters()) for d in self.distributions.values()])
        return {name: slice(a, b) for name, a, b in zip(self.distributions, ends[:-1], ends[1:], strict=True)}

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All d coordinates, named field.parameter."""
        return tuple(
            p._replace(name=f"{name}.{p.name}") for name, d in self.distributions.items() for p in d.parameters()
        )

    @property
    def names(self) -> list[str]:
        """Names of the d coordinates."""
        return [p.name for p in self.parameters]

    @cached_property
    def low(self) -> Array:
        """Lower end of the physical range, (d,)."""
        return np.array([p.low for p in self.parameters])

    @cached_property
    def high(self) -> Array:
        """Upper end of the physical range, (d,)."""
        return np.array([p.high for p in self.parameters])

    @cached_property
    def initial(self) -> Array:
        """Physical start value, (d,)."""
        return np.array([p.initial for p in self.parameters])

    @cached_property
    def discrete(self) -> NDArray[np.bool_]:
        """(d,) True for the coordinates that make draws jump: of discrete distributions, and weights of mixtures."""
        return np.concatenate([d.jumps for d in self.distributions.values()])

    @property
    def has_density(self) -> bool:
        """Whether the score function exists: every draw has a probability or a density."""
        return all(d.density for d in self.distributions.values())

    def named(self, values: Mapping[str, float]) -> Array:
        """Physical beta (d,): the start, with the coordinates changed that are named.

        Raises ValueError for a name that beta does not have, or a value outside its range or not finite.
        """
        unknown = sorted(values.keys() - set(self.names))
        if unknown:
            close = get_close_matches(unknown[0], self.names, 3) or self.names[:3]
            raise ValueError(f"beta has no coordinate {unknown[0]!r}; {', '.join(close)}, ... see hgenv list -v")
        for p in self.parameters:
            value = plain(values.get(p.name, p.initial))
            if isinstance(value, bool) or not isinstance(value, int | float) or not p.low <= value <= p.high:
                raise ValueError(f"{p.name} must be in its range [{p.low:g}, {p.high:g}], got {shown(value)}")
        return np.array([values.get(p.name, p.initial) for p in self.parameters], np.float64)

    def to_action(self, beta: ArrayLike | Mapping[str, float]) -> Array:
        """Physical beta (..., d), or {name: value} as `named` takes it, -> box [-1, 1]^d, linearly."""
        if isinstance(beta, Mapping):
            beta = self.named(beta)
        return 2.0 * (np.asarray(beta, dtype=np.float64) - self.low) / (self.high - self.low) - 1.0

    def from_action(self, action: ArrayLike) -> Array:
        """Box [-1, 1]^d -> physical beta (..., d), clipped to the range."""
        unit = (np.asarray(action, dtype=np.float64) + 1.0) / 2.0
        return self.clip(self.low + unit * (self.high - self.low))

    def clip(self, beta: ArrayLike) -> Array:
        """Physical beta (..., d), clipped to its range."""
        return np.clip(np.asarray(beta, dtype=np.float64), self.low, self.high)

    def bind(self, beta: ArrayLike) -> SimpleNamespace:
        """Physical beta (d,) or (n, d) -> one attribute a field, each a `Bound` to draw from.

        Raises ValueError if the last axis is not d, or beta leaves its range or is not finite.
        """
        values = np.asarray(beta, dtype=np.float64)
        if values.shape[-1:] != (len(self.low),):
            raise ValueError(f"beta must have {len(self.low)} coordinates, got an array of shape {values.shape}")
        if not np.all((values >= self.low) & (values <= self.high)):
            raise ValueError("beta has coordinates outside their range (or not finite); use Layout.clip")
        return SimpleNamespace(
            **{name: Bound(name, d, self._parameters_of(name, values)) for name, d in self.distributions.items()}
        )

    def _parameters_of(self, name: str, beta: Array) -> Array:
        event = self.distributions[name].parameter_event
        block = beta[..., self.slices[name]]
        lead, count = block.shape[:-1], block.shape[-1] // math.prod(event)
        spread = block.reshape(*lead, count, *event)
        return spread.transpose(len(lead), *range(len(lead)), *range(len(lead) + 1, spread.ndim))

    def log_probability(self, beta: ArrayLike, draws: Sequence[Draw]) -> Array:
        """Log-probability (...) of the draws that were used, for physical beta (..., d)."""
        values = np.asarray(beta, dtype=np.float64)
        total = np.zeros(values.shape[:-1])
        for draw in draws:
            terms = self.distributions[draw.name].log_probability(draw.values, self._against(draw, values))
            total += self._used(draw, terms, values.ndim - 1).sum(axis=tuple(range(values.ndim - 1, terms.ndim)))
        return total

    def log_probability_gradient(self, beta: ArrayLike, draws: Sequence[Draw]) -> Array:
        """d log p(draws) / d beta, (..., d), in physical units: the score of REINFORCE (Williams 1992)."""
        values = np.asarray(beta, dtype=np.float64)
        lead = values.ndim - 1
        gradient = np.zeros(values.shape)
        for draw in draws:
            distribution = self.distributions[draw.name]
            terms = distribution.log_probability_gradient(draw.values, self._against(draw, values))
            used = np.stack([self._used(draw, term, lead) for term in terms])
            inner = tuple(range(1 + lead, used.ndim - len(distribution.parameter_event)))
            summed = np.moveaxis(used.sum(axis=inner), 0, lead)
            gradient[..., self.slices[draw.name]] += summed.reshape(values.shape[:-1] + (-1,))
        return gradient

    def _against(self, draw: Draw, beta: Array) -> Array:
        event = len(self.distributions[draw.name].parameter_event)
        return spread_axes(self._parameters_of(draw.name, beta), draw.used.ndim - (beta.ndim - 1), event)

    def _used(self, draw: Draw, terms: Array, lead: int) -> Array:
        mask = draw.used.reshape(draw.used.shape + (1,) * len(self.distributions[draw.name].parameter_event))
        return np.where(mask, terms, 0.0)


@dataclasses.dataclass(frozen=True)
class DeclaredLayout(Layout):
    """A layout whose distributions are data, as a file has them, instead of fields of a class."""

    members: tuple[tuple[str, Distribution], ...]
    """Names and distributions, in the order of beta."""

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        return dict(self.members)


def divergence(layout: Layout, beta: ArrayLike, start: ArrayLike) -> dict[str, float]:
    """KL(beta || start) in nats of one draw of every field, by its name, for physical beta (d,): how much narrower than
    the start it is, or how far from it. Draws are independent, so that those of all fields add up.

    Raises ValueError as `Layout.bind`, TypeError where there is no density (`Layout.has_density`).
    """
    one, other = (vars(layout.bind(values)) for values in (beta, start))
    return {
        name: float(np.sum(d.divergence(one[name].parameters, other[name].parameters)))
        for name, d in layout.distributions.items()
    }
