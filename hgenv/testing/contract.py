"""What all checks share: how a broken contract is said, and the random numbers that nobody may take."""

from __future__ import annotations

import dataclasses
import inspect
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import gymnasium
import numpy as np
import torch

from hgenv.env import make
from hgenv.options import EnvOptions, build, flat, knobs
from hgenv.run import Budget

T = TypeVar("T")


class ContractError(AssertionError):
    """What a part of hgenv does that it must not, in words: the first of its faults."""


def demand(holds: bool, problem: str) -> None:
    """Raise ContractError unless it holds."""
    if not holds:
        raise ContractError(problem)


@contextmanager
def about(name: str) -> Iterator[None]:
    """What is wrong inside is said of `name`."""
    try:
        yield
    except ContractError as error:
        raise ContractError(f"{name}: {error}") from error.__cause__


def attempt(what: str, call: Callable[[], T], seeded: bool = False) -> T:
    """What a call gives. It may neither raise nor take from the global random numbers, torch's aside if `seeded`.

    `what` names the call; an error of its own becomes a ContractError.
    """
    before = _random_states()
    try:
        found = call()
    except ContractError:
        raise
    except Exception as error:  # whatever an author's code raises
        raise ContractError(f"{what} raised {type(error).__name__}: {error}") from error
    for name, state in _random_states().items():
        demand(
            state == before[name] or (seeded and name == "torch"),
            f"{what} takes from the global random numbers of {name}, which are not keyed: draw from what it is given",
        )
    return found


def _random_states() -> dict[str, Any]:
    words = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": tuple(word.tobytes() if isinstance(word, np.ndarray) else word for word in words),
        "random": random.getstate(),
    }


def check_options(part: Any, ours: tuple[type, ...] = (EnvOptions, Budget)) -> None:
    """Its fields are options: plain values with defaults, from which it can be made again, and nobody else's names.

    The names of the options in `ours` are taken.
    """
    cls = type(part)
    for field in dataclasses.fields(part):
        given = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        demand(given, f"the field {field.name} needs a default, as every option has one")
    taken = {name: f"every {owner.__name__} has" for owner in ours for name in knobs(owner)}
    for call in (make, gymnasium.make):
        taken |= dict.fromkeys(inspect.signature(call).parameters, "gymnasium.make has")
    for name in knobs(cls):
        demand(name not in taken, f"its option {name} shadows the one that {taken.get(name)}: rename it")
    plain = flat(part)
    for name, value in plain.items():
        try:
            json.dumps(value)
        except TypeError as error:
            raise ContractError(
                f"its option {name} is a {type(value).__name__}: options are numbers, text, True, False or None, "
                "which files and the command line can hold"
            ) from error
    again = attempt("making it again from its options", lambda: flat(build(cls, plain)))
    changed = [name for name in plain if again[name] != plain[name]]
    demand(not changed, f"made again from its options, {', '.join(changed)} is another value")
