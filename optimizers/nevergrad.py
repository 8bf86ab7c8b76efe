"""nevergrad's optimizers by name (Rapin & Teytaud 2018); it takes seconds to import, which waits for a run."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizers.base import Array, Optimizer, register
from optimizers.checks import check_fields
from optimizers.state import State


@register("nevergrad")
@dataclass
class Nevergrad(Optimizer):
    """Any of nevergrad's optimizers that search a box; those that take one point at a time with `evaluations` = 1.

    Losses that are not finite are told as worse than all that were. The losses of different steps come from networks of
    different ages: optimizers that remember old losses, as OnePlusOne and PSO do, are told what is no longer true.
    An optimizer of nevergrad's that fails, as some do with some versions of numpy, is a ValueError that names it.
    """

    name: str = "TBPSA"
    """Its name in nevergrad's registry: TBPSA, CMA, DiagonalCMA, DE, PSO, OnePlusOne, ..."""
    evaluations: int = 4
    """Points a step."""
    plan: int = 1000
    """Evaluations that the optimizer is told to expect, from which some choose their populations; a few end there."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.evaluations < 1 or self.plan < 1:
            raise ValueError(f"evaluations and plan must be positive, got {self.evaluations} and {self.plan}")

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        """Raises ValueError for a name that nevergrad does not have, or whose optimizer cannot play."""
        self._global = np.random.RandomState(0).get_state()
        with self._named():
            import nevergrad  # draws settings of some of its optimizers: the same in every process

        registry = nevergrad.optimizers.registry
        if self.name not in registry:
            raise ValueError(f"nevergrad {nevergrad.__version__} has no optimizer {self.name!r}; try TBPSA, CMA or DE")
        family = registry[self.name]
        if (family.recast or family.no_parallelization) and self.evaluations > 1:
            raise ValueError(
                f"nevergrad's {self.name} cannot be asked for several points at a time: it needs --evaluations 1, "
                "or try TBPSA or CMA"
            )
        self._family, self._x0 = family, x0.copy()
        self._begin(int(rng.integers(2**32)))

    def _begin(self, seed: int) -> None:
        import nevergrad

        def made() -> Any:
            parameter = nevergrad.p.Array(init=self._x0, lower=-1.0, upper=1.0)
            parameter.random_state = np.random.RandomState(seed)
            return self._family(parameter, budget=self.plan, num_workers=self.evaluations)

        self._seed, self._worst, self._asked, self._told = seed, -np.inf, list[Any](), list[Array]()
        self._points, self._recommended = np.empty((0, len(self._x0))), self._x0
        self._global = np.random.RandomState(seed ^ 1).get_state()  # not the parameter's stream
        with self._named():
            made().ask()  # imports what it needs, which is not the run's time
            self._optimizer = made()

    def ask(self) -> Array:
        with self._named():
            self._asked = [self._optimizer.ask() for _ in range(self.evaluations)]
        self._points = np.stack([point.value for point in self._asked])
        return self._points.copy()

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        self._told.append(np.array(loss, np.float64))
        self._worst = max([self._worst, *loss[np.isfinite(loss)]])
        if np.isfinite(self._worst):  # or there is nothing to compare with yet
            with self._named():
                for point, value in zip(self._asked, loss, strict=True):
                    self._optimizer.tell(point, float(value) if np.isfinite(value) else self._worst + 1.0)
                self._recommended = np.asarray(self._optimizer.provide_recommendation().value, np.float64)
        self._asked = []

    def recommend(self) -> Array:
        return self._recommended

    def state_dict(self) -> State:
        """What it was told: most of nevergrad's optimizers can only be brought back by playing it again."""
        told = np.array(self._told).reshape(-1, self.evaluations)
        points = self._points.copy()  # shows whether it is the same again
        return {"seed": np.array(self._seed), "told": told, "asked": np.array(len(self._asked)), "points": points}

    def load_state_dict(self, state: State) -> None:
        """Plays again what it was told. Raises ValueError if that leads elsewhere, as with another version may be."""
        try:
            told, points = np.asarray(state["told"]).reshape(-1, self.evaluations), np.asarray(state["points"])
            seed, asked = int(state["seed"]), int(state["asked"])
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"this is no state of {self}: {error}") from error
        again = copy.copy(self)
        again._begin(seed)
        for losses in told:
            again.tell(again.ask(), losses)
        if asked:
            again.ask()
        if not np.array_equal(again._points, points):
            raise ValueError(f"nevergrad's {self.name} does not play again what it played: it cannot be resumed here")
        vars(self).update(vars(again))

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors name the optimizer; advice of nevergrad and cma on settings, not the user's here, is not shown.

        Numpy's global random numbers, which parts of nevergrad draw from, are the optimizer's own inside.
        """
        before = np.random.get_state()  # noqa: NPY002
        np.random.set_state(self._global)  # noqa: NPY002
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(nevergrad|cma)\b")
            try:
                yield
            except Exception as error:
                raise ValueError(f"nevergrad's {self.name} failed: {' '.join(str(error).split())}") from error
            finally:
                self._global = np.random.get_state()  # noqa: NPY002
                np.random.set_state(before)  # noqa: NPY002
