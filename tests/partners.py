"""Libraries that not everybody has: what needs one skips where it is missing."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import pytest

needs_optuna = pytest.mark.skipif(
    find_spec("optuna") is None, reason="Optuna, which the extra hgenv[optuna] brings, is not installed"
)


def playable(names: Iterable[str]) -> list[Any]:
    """Names of optimizers as parameters of a test; those that begin with optuna need it."""
    return [pytest.param(name, marks=needs_optuna if name.startswith("optuna") else ()) for name in sorted(names)]
