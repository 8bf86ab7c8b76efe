"""Optuna's samplers by name (Akiba et al. 2019), which the extra hgenv[optuna] brings."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from optimizers.base import Array, register
from optimizers.checks import check_fields
from optimizers.replayed import Replayed


@register("optuna")
@dataclass
class Optuna(Replayed):
    """Optuna's TPE, CMA-ES or Gaussian process, as it sets them, asked and told in a study in memory.

    The start is the first trial, and the best trial is recommended; losses that are not finite are failed trials. TPE
    and GP know which other points of a step are under way (constant liar, q-EI). The losses of different steps come
    from networks of different ages, and all three remember them.

    TPE: tree-structured Parzen estimators (Bergstra et al. 2011). CMA-ES (Hansen & Ostermeier 2001) begins with a
    deviation of a third about the middle of the box, wherever the start is. GP: log expected improvement (Ament et al.
    2023), whose ask takes seconds from a thousand trials on.
    """

    sampler: Literal["TPE", "CMA-ES", "GP"] = "TPE"
    """Which of Optuna's samplers."""
    evaluations: int = 4
    """Points a step."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.evaluations < 1:
            raise ValueError(f"evaluations must be positive, got {self.evaluations}")

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        """Raises ValueError that says how to install Optuna, if it is missing."""
        try:
            for package in ("optuna", *(["cmaes"] if self.sampler == "CMA-ES" else [])):
                importlib.import_module(package)
        except ImportError as error:
            raise ValueError(f"the optimizer optuna needs {error.name}: pip install 'hgenv[optuna]'") from error
        self._x0 = x0.copy()
        self._begin(int(rng.integers(2**32)))

    @property
    def _title(self) -> str:
        return f"Optuna's {self.sampler}"

    def _start(self, seed: int) -> None:
        import optuna

        samplers = optuna.samplers
        made = {"TPE": samplers.TPESampler, "CMA-ES": samplers.CmaEsSampler, "GP": samplers.GPSampler}[self.sampler]
        side: Any = optuna.distributions.FloatDistribution(-1.0, 1.0)
        self._box = {f"x{i}": side for i in range(len(self._x0))}
        self._trials, self._lowest = list[Any](), np.inf
        with self._silent():
            self._study = optuna.create_study(sampler=made(seed=seed))
            self._study.enqueue_trial(dict(zip(self._box, self._x0.tolist(), strict=True)))

    def _propose(self) -> Array:
        with self._silent():
            self._trials = [self._study.ask(self._box) for _ in range(self.evaluations)]
        return np.array([[trial.params[name] for name in self._box] for trial in self._trials])

    def _learn(self, loss: Array) -> Array | None:
        import optuna

        with self._silent():
            for trial, value in zip(self._trials, loss.tolist(), strict=True):
                if np.isfinite(value):
                    self._study.tell(trial, value)
                else:
                    self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        finite = np.where(np.isfinite(loss), loss, np.inf)
        if finite.min() >= self._lowest:
            return None
        self._lowest = finite.min()
        return self._points[finite.argmin()].copy()

    @contextmanager
    def _silent(self) -> Iterator[None]:
        """Optuna's log is not shown."""
        import optuna

        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            with self._named(r"(optuna|cmaes)\b"):
                yield
        finally:
            optuna.logging.set_verbosity(verbosity)
