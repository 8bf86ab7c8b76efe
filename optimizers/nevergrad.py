"""nevergrad's optimizers by name (Rapin & Teytaud 2018); it takes seconds to import, which waits for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizers.base import Array, register
from optimizers.checks import check_fields
from optimizers.replayed import Replayed


@register("nevergrad")
@dataclass
class Nevergrad(Replayed):
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
        with self._alone():
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

    @property
    def _title(self) -> str:
        return f"nevergrad's {self.name}"

    def _start(self, seed: int) -> None:
        import nevergrad

        def made() -> Any:
            parameter = nevergrad.p.Array(init=self._x0, lower=-1.0, upper=1.0)
            parameter.random_state = np.random.RandomState(seed)
            return self._family(parameter, budget=self.plan, num_workers=self.evaluations)

        self._worst, self._candidates = -np.inf, list[Any]()
        self._global = np.random.RandomState(seed ^ 1).get_state()  # not the parameter's stream
        with self._alone():
            made().ask()  # imports what it needs, which is not the run's time
            self._optimizer = made()

    def _propose(self) -> Array:
        with self._alone():
            self._candidates = [self._optimizer.ask() for _ in range(self.evaluations)]
        return np.stack([candidate.value for candidate in self._candidates])

    def _learn(self, loss: Array) -> Array | None:
        self._worst = max([self._worst, *loss[np.isfinite(loss)]])
        if not np.isfinite(self._worst):  # there is nothing to compare with yet
            return None
        with self._alone():
            for candidate, value in zip(self._candidates, loss, strict=True):
                self._optimizer.tell(candidate, float(value) if np.isfinite(value) else self._worst + 1.0)
            return np.asarray(self._optimizer.provide_recommendation().value, np.float64)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Numpy's global random numbers, which parts of nevergrad draw from, are the optimizer's own inside."""
        before = np.random.get_state()  # noqa: NPY002
        np.random.set_state(self._global)  # noqa: NPY002
        try:
            with self._named(r"(nevergrad|cma)\b"):
                yield
        finally:
            self._global = np.random.get_state()  # noqa: NPY002
            np.random.set_state(before)  # noqa: NPY002
