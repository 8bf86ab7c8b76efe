"""Optimizers over the box [-1, 1]^d, one file an algorithm. They import nothing of hgenv."""

from optimizers import fixed as _fixed
from optimizers import hybrid_gradient as _hybrid_gradient
from optimizers import random_search as _random_search  # noqa: F401  (importing registers)
from optimizers.base import OPTIMIZERS, Optimizer, register

__all__ = ["OPTIMIZERS", "Optimizer", "register"]
