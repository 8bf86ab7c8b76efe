"""beta: named distributions over a box, drawn from keyed noise."""

from hgenv.beta.box import Box
from hgenv.beta.distributions import Bernoulli, Categorical, Distribution, LogNormal, Normal, Parameter, Value
from hgenv.beta.layout import Layout
from hgenv.beta.mixtures import NormalMixture, VonMisesMixture
from hgenv.beta.noise import Noise, keys

__all__ = [
    "Bernoulli", "Box", "Categorical", "Distribution", "Layout", "LogNormal", "Noise", "Normal", "NormalMixture",
    "Parameter", "Value", "VonMisesMixture", "keys",
]  # fmt: skip
