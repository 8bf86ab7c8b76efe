"""Optimizer: ask, tell, recommend over the box [-1, 1]^d. It minimises a loss and never sees the environment."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from optimizers.state import State, gather, spread_out

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class Optimizer(ABC):
    """A dataclass whose fields are its hyper-parameters; they become options of the command line.

    The loop: points = ask(); tell(points, their losses) if there are any; commit recommend(); and, for an optimizer
    that uses steps, tell(the committed point, its loss, the gradient). Of points with networks of their own (`origins`)
    the best one's network is the committed one from then on.
    """

    uses_gradient: ClassVar[bool] = False
    """Wants the gradient at the committed point. It may be None at steps that do not compute one."""
    spread: ClassVar[str | None] = None
    """Demands this spread of the samples from the environment."""

    @property
    def uses_steps(self) -> bool:
        """Wants to be told the committed point and its loss, and the gradient if there is one."""
        return self.uses_gradient

    @property
    def origins(self) -> Indices | None:
        """Of the points asked, whose network each trains on: indices (k,) of points of the ask before.

        Those of the first ask train copies of the committed network, whatever this is. None: points have no networks of
        their own, all are always tried on such copies.
        """
        return None

    @abstractmethod
    def init(self, x0: Array, rng: np.random.Generator) -> None:
        """Start at x0 (d,); all randomness comes from rng."""

    def ask(self) -> Array:
        """Points (k, d) to be evaluated; k may be 0."""
        return np.empty((0, len(self.recommend())))

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:  # noqa: B027
        """Learn the losses (k,) of points (k, d), and dL/dx (d,) if there is one. Losses may be inf or NaN."""

    @abstractmethod
    def recommend(self) -> Array:
        """The point (d,) to commit next; the start before the first tell."""

    def found(self) -> Array:
        """The answer (d,) so far, which differs from recommend() only where what is committed explores."""
        return self.recommend()

    def found_spread(self) -> Array | None:
        """Standard deviations (d,), 0 or more, of the answer about found() where it is a distribution; None: a point.
        Which of the two it is does not change during a run."""
        return None

    def state_dict(self) -> State:
        """Everything a continued run depends on, as plain arrays: the attributes that are not fields.

        Those may be arrays, numbers, text, None, lists of numbers or arrays, generators of numpy, and objects whose
        attributes are such. Another optimizer has to override both methods; TypeError says so.
        """
        return spread_out(self)

    def load_state_dict(self, state: State) -> None:
        """Go on from what state_dict() gave, after init() as it was then.

        Raises ValueError that names what does not fit; nothing has changed then.
        """
        gather(self, state)


T = TypeVar("T", bound=type[Optimizer])
OPTIMIZERS: dict[str, type[Optimizer]] = {}


def register(name: str) -> Callable[[T], T]:
    """Class decorator: makes an Optimizer a choice of the command line and a subject of the contract tests.

    Registering a name again replaces its optimizer, as running a cell of a notebook anew does; if the class is another
    one, a warning says so.
    """

    def add(optimizer: T) -> T:
        old = OPTIMIZERS.get(name)
        if old is not None and (old.__module__, old.__qualname__) != (optimizer.__module__, optimizer.__qualname__):
            new = f"{optimizer.__module__}.{optimizer.__qualname__}"
            warnings.warn(f"{name} was {old.__module__}.{old.__qualname__} and is now {new}", stacklevel=2)
        OPTIMIZERS[name] = optimizer
        return optimizer

    return add
