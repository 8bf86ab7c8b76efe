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


def trained_before(origins: Any, count: int) -> None:
    """That origins are none, or indices of as many points."""
    if origins is not None:
        what = f"origins of {count} points are {origins!r}"
        expect(isinstance(origins, np.ndarray) and origins.dtype.kind == "i", f"{what}, no array of integers")
        expect(origins.shape == (count,) and (origins >= 0).all() and (origins < count).all(), f"{what}, no indices")


Look = Callable[[Array, str, int], Array]
"""What in_box does, and perhaps more."""


STEPS = 16


def loop(
    optimizer: Player,
    told: Told = quadratic,
    hand: Callable[[Array], Array] = np.copy,
    look: Look = in_box,
    steps: range = range(STEPS),
    begin: bool = True,
) -> Array:
    """All points of an optimizer in the loop of hgenv.run; arrays are handed to it by `hand`, and got by `look`."""
    if begin:
        optimizer.init(hand(START), np.random.default_rng(0))
    path = [np.empty((0, len(START)))]
    for step in steps:
        points = look(optimizer.ask(), "ask()", 2)
        trained_before(optimizer.origins, len(points))
        if len(points):
            optimizer.tell(hand(points), hand(told(points, step)[0]))
        x = look(optimizer.recommend(), "recommend()", 1)
        path.append(np.stack([*points, x, look(optimizer.found(), "found()", 1)]))
        if (spread := optimizer.found_spread()) is not None:
            path.append(_spread(spread)[None])
        if optimizer.uses_steps:
            loss, gradient = told(x[None], step)
            optimizer.tell(hand(x[None]), hand(loss), None if gradient is None else hand(gradient))
    return np.concatenate(path)


def _spread(given: Array) -> Array:
    fits = isinstance(given, np.ndarray) and given.shape == START.shape
    expect(
        fits and bool(np.all((given >= 0) & (given < np.inf))), f"found_spread() is {given!r}, not (d,) of 0 or more"
    )
    return given.copy()


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
    [-1, 1]^d, as by np.clip. origins is None, or as many indices (k,) of points of the ask before, which were as many:
    np.arange(k) where each goes on with its own network."""
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


def can_be_resumed(cls: type[Any]) -> None:
    """state_dict() gives plain arrays by name; another instance, after init, that load_state_dict() gives them goes on
    as the first does, at any step, and nothing has changed the first. Attributes that are arrays, numbers, text, None,
    lists of these, generators of numpy or objects of these are kept by themselves; others need both methods."""
    whole = loop(cls())
    for step in (0, 5):
        first, second = cls(), cls()
        begun = loop(first, steps=range(step))
        state = {name: np.array(value) for name, value in first.state_dict().items()}
        for name, array in state.items():
            expect(not array.dtype.hasobject, f"state_dict()[{name!r}] is no plain array")
        second.init(START.copy(), np.random.default_rng(1 + step))  # what differs must come from the state
        second.load_state_dict(state)
        for one in (second, first):
            rest = loop(one, steps=range(step, STEPS), begin=False)
            same = np.array_equal(whole, np.concatenate([begun, rest]))
            what = "loaded with" if one is second else "asked for"
            expect(same, f"{what} its state after {step} steps, it goes elsewhere")


OPTIMIZER_CHECKS = (
    is_dataclass_with_defaults, begins_at_the_start, stays_in_the_box, is_keyed, leaves_its_arguments,
    leaves_its_answers, survives, can_be_resumed,
)  # fmt: skip
