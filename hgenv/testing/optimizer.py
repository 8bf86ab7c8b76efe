"""The contract of an optimizer: ask, tell and recommend over the box, whatever the losses are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.testing.contract import about, attempt, check_options, demand
from optimizers.base import Optimizer

Array = NDArray[np.float64]
_BAD = {"NaN": np.nan, "inf": np.inf, "-inf": -np.inf}
_STEPS = 6


def check_optimizer(optimizer: Callable[[], Optimizer]) -> None:
    """Raise ContractError, an AssertionError, that says in words the first thing which is wrong with an optimizer.

    It takes a class, or what else makes an optimizer with options: `partial(RandomSearch, pairs=8)`.
    """
    with about(getattr(optimizer, "__name__", None) or getattr(optimizer, "func", type(optimizer)).__name__):
        demand(callable(optimizer), "check_optimizer takes the class, not an instance of it")
        made = attempt("making one without arguments", optimizer)
        demand(isinstance(made, Optimizer), "an optimizer inherits from optimizers.Optimizer")
        demand("__dataclass_params__" in vars(type(made)), "it is not a dataclass: put @dataclass above it")
        check_options(made)
        demand(isinstance(made.uses_gradient, bool), f"uses_gradient must be True or False, got {made.uses_gradient!r}")
        demand(made.spread in (None, "uniform"), f"spread must be None or 'uniform', got {made.spread!r}")
        for d in (4, 1):
            with about(f"in {d} dimension{'s' * (d > 1)}"):
                _check_plays(optimizer, d)


def _check_plays(optimizer: Callable[[], Optimizer], d: int) -> None:
    path = _Played(optimizer(), d).path()
    again = _Played(optimizer(), d).path()
    demand(
        np.array_equal(path, again),
        "two of the same seed go different ways: all randomness must come from the rng that init() gets",
    )
    used = optimizer()
    _Played(used, d).path(lambda step, losses: losses[::-1])
    demand(np.array_equal(path, _Played(used, d).path()), "init() does not forget what was told before it")
    for name, bad in _BAD.items():
        with about(f"told {name}"):
            _Played(optimizer(), d).path(lambda _, losses, bad=bad: np.full(len(losses), bad), bad)  # type: ignore[misc]
            _Played(optimizer(), d).path(lambda step, losses, bad=bad: _some(step, losses, bad))  # type: ignore[misc]
    if optimizer().uses_gradient:
        with about("told gradient None, as at steps that do not compute one"):
            _Played(optimizer(), d).path(gradient=None)


def _some(step: int, losses: Array, bad: float) -> Array:
    """All losses of one step are bad, and the first of the next."""
    losses[: {2: len(losses), 3: 1}.get(step, 0)] = bad
    return losses


class _Played:
    """The loop of hgenv.run on a quadratic, with an eye on what comes and goes."""

    def __init__(self, optimizer: Optimizer, d: int) -> None:
        self.optimizer, self.d = optimizer, d
        self.start = np.linspace(-0.3, 0.4, d)
        self.goal = np.linspace(0.6, -0.5, d)
        self.given: list[tuple[str, Array, Array]] = []

    def path(
        self, changed: Callable[[int, Array], Array] = lambda _, losses: losses, gradient: float | None = 0.0
    ) -> Array:
        """What was committed and found, (2 steps, d). changed: the losses that are told; gradient is added to it, or
        None told instead."""
        self._call("init", self.start, np.random.default_rng(0))
        first = self._point("recommend")
        demand(np.array_equal(first, self.start), f"recommend() must be the start until it is told, got {first}")
        found = []
        for step in range(_STEPS):
            points = self._points()
            if len(points):
                self._call("tell", points, changed(step, np.sum((points - self.goal) ** 2, axis=1)))
            x = self._point("recommend")
            if self.optimizer.uses_steps:
                slope = None if gradient is None or not self.optimizer.uses_gradient else 2 * (x - self.goal) + gradient
                self._call("tell", x[None], changed(step, np.sum((x[None] - self.goal) ** 2, axis=1)), slope)
            found += [x.copy(), self._point("found").copy()]
        for name, array, copy in self.given:
            demand(np.array_equal(array, copy, equal_nan=True), f"{name}, and changes it later: copy it")
        return np.array(found)

    def _call(self, name: str, *arguments: Any) -> None:
        """Call init() or tell(), which may not change their arguments, neither now nor later."""
        copies = [(a, a.copy()) for a in arguments if isinstance(a, np.ndarray)]
        attempt(f"{name}()", lambda: getattr(self.optimizer, name)(*arguments))
        for array, copy in copies:
            demand(np.array_equal(array, copy, equal_nan=True), f"{name}() changes an array that it is given: copy it")
            self.given.append((f"it keeps an array that {name}() was given", array, copy))

    def _points(self) -> Array:
        points = attempt("ask()", self.optimizer.ask)
        good = isinstance(points, np.ndarray) and points.ndim == 2 and points.shape[1] == self.d
        demand(good, f"ask() must give points of shape (k, {self.d}), got {np.shape(points)}")
        self._check("ask()", points)
        return points

    def _point(self, name: str) -> Array:
        point = attempt(f"{name}()", getattr(self.optimizer, name))
        good = isinstance(point, np.ndarray) and point.shape == (self.d,)
        demand(good, f"{name}() must give a point of shape ({self.d},), got {np.shape(point)}")
        self._check(f"{name}()", point)
        return point

    def _check(self, what: str, points: Array) -> None:
        demand(points.dtype == np.float64, f"{what} must give float64, got {points.dtype}")
        demand(bool(np.isfinite(points).all()), f"{what} gives what is not finite: it must survive any loss")
        demand(bool((np.abs(points) <= 1).all()), f"{what} leaves the box [-1, 1]^{self.d}: clip it")
        self.given.append((f"it hands out an array of its own from {what}", points, points.copy()))
