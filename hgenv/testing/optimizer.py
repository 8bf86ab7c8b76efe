"""The checks of an optimizer, as those of a task: docstrings say what is expected."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.options import flat
from hgenv.run import Player
from hgenv.testing.finding import expect, has_options_of_its_own, own_randomness, run_all

Array = NDArray[np.float64]
START, OPTIMUM = np.array([1.0, -1.0, 0.1, 0.4]), np.array([0.5, -0.3, 0.8, 0.0])


def check_optimizer(cls: type[Any]) -> None:
    """Raise CheckError for the first thing that is wrong with an optimizer."""
    expect(isinstance(cls, type), f"check_optimizer takes a class, as in check_optimizer(Mine), got {cls!r}")
    run_all(OPTIMIZER_CHECKS, cls, cls.__name__)


Told = Callable[[Array, int], tuple[Array, Array | None]]
"""(points (k, d), step) -> their losses (k,), and the gradient (d,) at the first, if there is one."""


def quadratic(x: Array, step: int) -> tuple[Array, Array | None]:
    return ((x - OPTIMUM) ** 2).sum(1), 2.0 * (x[0] - OPTIMUM)


def spoilt(bad: float, rows: slice, x: Array, step: int) -> tuple[Array, Array | None]:
    """The quadratic, but in two steps of three some losses are bad, and the gradient is missing or bad."""
    losses, gradient = quadratic(x, step)
    if step % 3 < 2:
        losses[rows] = bad
        gradient = None if step % 3 == 0 else np.full_like(x[0], bad)
    return losses, gradient


def in_box(x: Array, what: str, axes: int) -> Array:
    """A copy of points that are in the box."""
    expect(isinstance(x, np.ndarray), f"{what} is a {type(x).__name__}, no array")
    expect(np.ndim(x) == axes and np.shape(x)[-1] == len(START), f"{what} for d = 4 has the shape {np.shape(x)}")
    expect(np.isfinite(x).all(), f"{what} is not finite: {x}")
    expect((np.abs(x) <= 1).all(), f"{what} is outside the box: {x}")
    return np.array(x)


Look = Callable[[Array, str, int], Array]
"""What in_box does, and perhaps more."""


def loop(
    optimizer: Player, told: Told = quadratic, hand: Callable[[Array], Array] = np.copy, look: Look = in_box
) -> Array:
    """All points of an optimizer in the loop of hgenv.run; arrays are handed to it by `hand`, and got by `look`."""
    optimizer.init(hand(START), np.random.default_rng(0))
    path = []
    for step in range(16):
        points = look(optimizer.ask(), "ask()", 2)
        if len(points):
            optimizer.tell(hand(points), hand(told(points, step)[0]))
        x = look(optimizer.recommend(), "recommend()", 1)
        path += [*points, x, look(optimizer.found(), "found()", 1)]
        if optimizer.uses_steps:
            loss, gradient = told(x[None], step)
            optimizer.tell(hand(x[None]), hand(loss), None if gradient is None else hand(gradient))
    return np.array(path)


def is_dataclass_with_defaults(cls: type[Any]) -> None:
    """An optimizer is decorated with @dataclass, its base too, and each of its fields, the options, is a plain value
    that JSON holds, has a default, and another name than the options of every environment and of hgenv run."""
    expect("__dataclass_params__" in vars(cls), "it is not a dataclass")
    made: Any = cls()
    json.dumps(flat(made))
    has_options_of_its_own(cls)
    expect(made.spread in (None, "uniform"), f"spread is {made.spread!r}, neither None nor 'uniform'")


def begins_at_the_start(cls: type[Any]) -> None:
    """recommend() is the start x0 until the first tell."""
    optimizer = cls()
    optimizer.init(START.copy(), np.random.default_rng(0))
    for when in ("init", "ask()"):
        x = in_box(optimizer.recommend(), "recommend()", 1)
        expect(np.array_equal(x, START), f"recommend() after {when} is {x}, the start was {START}")
        optimizer.ask()


def stays_in_the_box(cls: type[Any]) -> None:
    """ask() gives points (k, d), k may be 0, recommend() and found() give one, (d,); all are finite and in the box
    [-1, 1]^d, as by np.clip."""
    loop(cls())


def is_keyed(cls: type[Any]) -> None:
    """All randomness comes from the rng that init is given, and init starts anew."""
    optimizer = cls()
    with own_randomness("it"):
        path = loop(optimizer)
    expect(np.array_equal(path, loop(cls())), "two runs with equal rngs differ")
    expect(np.array_equal(path, loop(optimizer)), "the second run of one instance differs from its first")


def leaves_its_arguments(cls: type[Any]) -> None:
    """What init and tell are given is the caller's: x0.copy() is one's own."""
    given: list[tuple[Array, Array]] = []

    def hand(array: Array) -> Array:
        given.append((array.copy(), array.copy()))
        return given[-1][0]

    loop(cls(), hand=hand)
    expect(all(np.array_equal(a, b) for a, b in given), "it changes an array that it was given")


def leaves_its_answers(cls: type[Any]) -> None:
    """What ask, recommend and found give stays as it is: self.x = self.x - step makes another array, self.x -= step
    changes the one that was given."""
    given: list[tuple[Array, Array]] = []

    def look(x: Array, what: str, axes: int) -> Array:
        given.append((x, in_box(x, what, axes)))
        return given[-1][1]

    loop(cls(), look=look)
    expect(all(np.array_equal(a, b) for a, b in given), "it changes an array that it gave")


def survives(cls: type[Any]) -> None:
    """Losses and gradients may be inf or NaN, all of a step or some, and the gradient None: they are left out, by
    np.isfinite, and the next points are finite."""
    for bad, rows in product((np.nan, np.inf), (slice(None), slice(1))):
        loop(cls(), partial(spoilt, bad, rows))


OPTIMIZER_CHECKS = (
    is_dataclass_with_defaults, begins_at_the_start, stays_in_the_box, is_keyed, leaves_its_arguments,
    leaves_its_answers, survives,
)  # fmt: skip
