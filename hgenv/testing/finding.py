"""What every check of hgenv.testing uses: the error that says what was found, and the global generators."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
import torch

from hgenv.cli.options import EnvChoice
from hgenv.cli.run import RunOptions
from hgenv.env import make
from hgenv.options import EnvOptions, knobs
from hgenv.run import Budget


class CheckError(AssertionError):
    """What is wrong with a task or an optimizer: what was found, what was expected, how to mend it."""


def expect(holds: Any, found: str) -> None:
    """Raise CheckError that says what was found, unless what was expected holds."""
    if not holds:
        raise CheckError(found)


def run_all(checks: Sequence[Callable[[Any], None]], subject: Any, name: str) -> None:
    """All checks in turn. Whatever else the author's code raises is a finding as well."""
    for check in checks:
        try:
            check(subject)
        except Exception as error:
            found = str(error) if isinstance(error, CheckError) else f"{type(error).__name__}: {error}"
            raise CheckError(f"{name}: {found.rstrip('.')}. {' '.join((check.__doc__ or '').split())}") from error


@contextmanager
def own_randomness(what: str) -> Iterator[None]:
    """CheckError if what runs inside draws from a generator that the whole process shares, or seeds it."""

    def states() -> list[bytes]:
        known = (torch.get_rng_state().numpy(), np.random.get_state(), random.getstate())  # noqa: NPY002
        return [pickle.dumps(state) for state in known]

    torch.rand(()), np.random.random(), random.random()  # who seeds them alike each time is seen too  # noqa: NPY002
    before = states()
    yield
    for name, was, now in zip(("torch's generator", "numpy.random", "random"), before, states(), strict=True):
        expect(was == now, f"{what} uses {name}, which the whole process shares")


def has_options_of_its_own(cls: Any) -> None:
    """CheckError unless all fields of a dataclass have defaults, and names that no other option of a run has."""
    for field in dataclasses.fields(cls):
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        expect(has_default, f"its field {field.name} has no default")
    for call in (gymnasium.make, make):
        for name in sorted(knobs(cls).keys() & inspect.signature(call).parameters.keys()):
            expect(False, f"it has the option {name}, as gymnasium.make has: rename it")
    for owner, whose in ((EnvOptions, "every environment"), (Budget, "every budget"), (EnvChoice, "every command"),
                         (RunOptions, "hgenv run")):  # fmt: skip
        for name in sorted(knobs(cls).keys() & knobs(owner).keys()):
            expect(False, f"it has the option {name}, as {whose} has: rename it")
