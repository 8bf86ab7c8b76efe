"""Optimizers over the box [-1, 1]^d, one file an algorithm. They import nothing of hgenv."""

from optimizers.base import OPTIMIZERS, Optimizer, register
from optimizers.fixed import Fixed, RandomBeta
from optimizers.hybrid_gradient import HybridGradient
from optimizers.random_search import RandomSearch

__all__ = ["OPTIMIZERS", "Fixed", "HybridGradient", "Optimizer", "RandomBeta", "RandomSearch", "register"]
