"""What every check of hgenv.testing uses: the error that says what was found, and the global generators."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


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
