"""Training the network, and the gradient through it."""

from hgenv.learning.gradient import (
    ESTIMATORS,
    Estimator,
    ImageDifference,
    InfluenceDifference,
    Mixed,
    Perturbed,
    Samples,
    Score,
    Signal,
    register_estimator,
)
from hgenv.learning.networks import HourglassSize, StackedHourglass
from hgenv.learning.training import SGD, Adam, InnerOptimizer

__all__ = [
    "ESTIMATORS", "SGD", "Adam", "Estimator", "HourglassSize", "ImageDifference", "InfluenceDifference",
    "InnerOptimizer", "Mixed", "Perturbed", "Samples", "Score", "Signal", "StackedHourglass", "register_estimator",
]  # fmt: skip
