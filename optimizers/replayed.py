"""The base of other libraries' optimizers, whose state is what they were told: it is played again."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from optimizers.base import Array, Optimizer
from optimizers.state import State


class Replayed(Optimizer):
    """Base of the optimizers of other libraries, most of which can only be brought back by playing them again.

    A subclass has the field `evaluations`, and calls `_begin` in its init() when _x0 (d,) is there.
    """

    evaluations: int
    """Points a step."""
    _x0: Array

    @property
    @abstractmethod
    def _title(self) -> str:
        """What errors call it."""

    @abstractmethod
    def _start(self, seed: int) -> None:
        """Make the library's optimizer, whose randomness follows from a seed."""

    @abstractmethod
    def _propose(self) -> Array:
        """The next points (evaluations, d)."""

    @abstractmethod
    def _learn(self, loss: Array) -> Array | None:
        """Learn the losses (evaluations,) of what was proposed; the point (d,) recommended now, None: as before."""

    @contextmanager
    def _named(self, modules: str) -> Iterator[None]:
        """Errors name the optimizer; warnings of modules, a regular expression, are not shown: they are advice on
        settings that are not the user's here."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=modules)
            try:
                yield
            except Exception as error:
                raise ValueError(f"{self._title} failed: {' '.join(str(error).split())}") from error

    def _begin(self, seed: int) -> None:
        self._seed, self._asked, self._told = seed, False, list[Array]()
        self._points, self._recommended = np.empty((0, len(self._x0))), self._x0
        self._start(seed)

    def ask(self) -> Array:
        self._points, self._asked = self._propose(), True
        return self._points.copy()

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        self._told.append(np.array(loss, np.float64))
        recommended, self._asked = self._learn(self._told[-1]), False
        if recommended is not None:
            self._recommended = recommended

    def recommend(self) -> Array:
        return self._recommended

    def state_dict(self) -> State:
        """What it was told, and the last points, which show whether it is the same again."""
        told = np.array(self._told).reshape(-1, self.evaluations)
        return {
            "seed": np.array(self._seed), "told": told, "asked": np.array(int(self._asked)),
            "points": self._points.copy(),
        }  # fmt: skip

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
            raise ValueError(f"{self._title} does not play again what it played: it cannot be resumed here")
        vars(self).update(vars(again))
