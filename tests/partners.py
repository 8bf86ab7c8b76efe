"""Libraries that not everybody has: what needs one skips where it is missing."""

from collections.abc import Collection, Iterable
from importlib.util import find_spec
from typing import Any

import pytest

needs_optuna = pytest.mark.skipif(
    find_spec("optuna") is None, reason="Optuna, which the extra hgenv[optuna] brings, is not installed"
)


def playable(names: Iterable[str], quick: Collection[str] | None = None) -> list[Any]:
    """Names of optimizers as parameters of a test; those that begin with optuna need it. All but the quick are slow."""
    found = []
    for name in sorted(names):
        marks = [needs_optuna] * name.startswith("optuna")
        marks += [pytest.mark.slow] * (quick is not None and name not in quick)
        found.append(pytest.param(name, marks=marks))
    return found
