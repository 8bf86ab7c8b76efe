"""Training the network, and the gradient through it."""

from hgenv.learning.gradient import ESTIMATORS, Estimator, Samples, Signal, register_estimator
from hgenv.learning.networks import HourglassSize, StackedHourglass
from hgenv.learning.training import SGD, Adam, InnerOptimizer

__all__ = [
    "ESTIMATORS", "SGD", "Adam", "Estimator", "HourglassSize", "InnerOptimizer", "Samples", "Signal",
    "StackedHourglass", "register_estimator",
]  # fmt: skip
