"""Options of DataGenEnv and the ledger of its costs."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import torch

from hgenv.gradient import ESTIMATORS, Estimator
from hgenv.training import SGD, Adam, InnerOptimizer


@dataclasses.dataclass(frozen=True)
class EnvOptions:
    """How a Task is trained, validated and differentiated."""

    gradient: Literal["image"] | None = None
    """Estimator of the hybrid gradient in info["hybrid_gradient"]; None computes none."""
    train_steps: int = 20
    """Inner training steps an environment step."""
    differentiated_steps: int = 4
    """How many of them, the last ones, the gradient goes through."""
    gradient_every: int = 1
    """Compute the gradient every so many environment steps."""
    gradient_directions: int = 4
    """Directions an estimate of the gradient (the paper's m)."""
    gradient_sigma: float = 0.04
    """Length of the differences a coordinate, where each coordinate of the box is 2 long."""
    gradient_scaling: Literal["unbiased", "paper"] = "unbiased"
    """Eq. 10 as printed estimates the gradient divided by d ("paper")."""
    coordinates: Literal["all", "continuous"] = "all"
    """Coordinates of beta that the action moves; the others stay at the start."""
    spread: float | Literal["uniform"] | None = None
    """Beta of the samples: the action itself, action + spread N(0, 1) a sample, or anywhere in the box."""
    batch_size: int = 8
    """Samples an inner step."""
    inner: Literal["adam", "sgd"] = "adam"
    """Inner optimizer."""
    inner_learning_rate: float = 3e-3
    """Its learning rate."""
    inner_momentum: float = 0.9
    """Momentum of SGD, first decay rate of Adam."""
    freeze_second_moment: bool = False
    """Treat Adam's second moment as a constant in the reverse."""
    weight_average: float = 0.98
    """Decay of the averaged weights that are scored and kept; 0 scores the weights themselves."""
    validation_images: int | None = 16
    """Validation images a step, a fresh draw each step, for reward and gradient; None takes all."""
    episode_steps: int = 100_000
    """Environment steps until the episode is truncated."""
    device: str = "cpu"
    """Where the network trains; rendering runs on the CPU."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            self._check_choice(field.name)
        for name in ("train_steps", "gradient_every", "gradient_directions", "batch_size", "episode_steps"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be a positive integer, got {getattr(self, name)!r}")
        for name in ("gradient_sigma", "inner_learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)!r}")
        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device {self.device!r} cannot be used: {error}") from error
        if not 1 <= self.differentiated_steps <= self.train_steps:
            raise ValueError(f"differentiated_steps must be in 1..{self.train_steps}, got {self.differentiated_steps}")
        if self.gradient is not None and self.spread == "uniform":
            raise ValueError("with spread='uniform' the samples do not depend on the action: there is no gradient")
        if self.episode_steps < 2:
            raise ValueError(f"an episode needs at least 2 steps, got {self.episode_steps}")

    def _check_choice(self, name: str) -> None:
        value = getattr(self, name)
        choices = {
            "gradient": (None, *ESTIMATORS), "gradient_scaling": ("unbiased", "paper"),
            "coordinates": ("all", "continuous"), "inner": ("adam", "sgd"),
        }.get(name)  # fmt: skip
        if choices and value not in choices:
            raise ValueError(f"{name} must be one of {choices}, got {value!r}")
        if name in ("weight_average", "inner_momentum") and not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), got {value!r}")
        if name == "spread" and not (value in (None, "uniform") or (isinstance(value, int | float) and value >= 0)):
            raise ValueError(f"spread must be None, 'uniform' or a number >= 0, got {value!r}")
        if name == "validation_images" and not (value is None or value > 0):
            raise ValueError(f"validation_images must be None or positive, got {value!r}")

    def rule(self) -> InnerOptimizer:
        """The inner optimizer."""
        if self.inner == "sgd":
            return SGD(self.inner_learning_rate, self.inner_momentum)
        return Adam(self.inner_learning_rate, self.inner_momentum, freeze=self.freeze_second_moment)

    def estimator(self) -> Estimator | None:
        """The estimator of the gradient, if one is asked for."""
        if self.gradient is None:
            return None
        return ESTIMATORS[self.gradient](self.gradient_directions, self.gradient_sigma, self.gradient_scaling)


@dataclasses.dataclass
class Ledger:
    """Deterministic counts since reset(), probes included.

    A validation forward is one image; clipped counts coordinates of actions that were outside the box.
    """

    renders: int = 0
    train_steps: int = 0
    differentiated_steps: int = 0
    validation_forwards: int = 0
    clipped: int = 0
