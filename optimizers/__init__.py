"""Optimizers over the box [-1, 1]^d, one file an algorithm. They import nothing of hgenv."""

from optimizers.base import OPTIMIZERS, Optimizer, register
from optimizers.evolution import Evolution
from optimizers.fixed import Fixed, RandomBeta, RandomStep
from optimizers.hybrid_gradient import HybridGradient
from optimizers.nevergrad import Nevergrad
from optimizers.optuna_samplers import Optuna
from optimizers.population_based import PopulationBased
from optimizers.random_search import RandomSearch
from optimizers.reinforce import Reinforce

__all__ = [
    "OPTIMIZERS", "Evolution", "Fixed", "HybridGradient", "Nevergrad", "Optimizer", "Optuna", "PopulationBased",
    "RandomBeta", "RandomSearch", "RandomStep", "Reinforce", "register",
]  # fmt: skip
