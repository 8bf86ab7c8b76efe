"""Options of DataGenEnv and the ledger of its costs."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np
import torch

from hgenv.gradient import ESTIMATORS, Estimator, Perturbed
from hgenv.training import SGD, Adam, InnerOptimizer

_FLAG = (None, True, False)


@dataclasses.dataclass(frozen=True)
class EnvOptions:
    """How a Task is trained, validated and differentiated."""

    gradient: Literal["image", "influence", "score", "mixed", "perturbed"] | None = None
    """Estimator of the hybrid gradient in info["hybrid_gradient"]; None computes none."""
    train_steps: int = 20
    """Inner training steps an environment step."""
    differentiated_steps: int | None = None
    """How many of them, the last ones, the gradient goes through; None: 4, or all without gradient_curvature."""
    gradient_every: int = 1
    """Compute the gradient every so many environment steps."""
    gradient_curvature: bool | None = None
    """Differentiate the training gradients of later steps too; False is first order, and cheap.
    None: with the estimators that difference samples, which cost more than the curvature does."""
    gradient_weights: Literal["averaged", "last"] = "averaged"
    """The weights at which the validation loss is differentiated: their running average, as if it had been reached by
    the last step, or the last. At the last weights a batch is also blamed for the noise of its own step, which rewards
    small and simple samples."""
    gradient_directions: int | None = None
    """image, influence, mixed: directions an estimate (the paper's m); None: 4."""
    gradient_sigma: float | None = None
    """Standard deviation of differences and perturbations, where each coordinate of the box is 2 long;
    None: 0.04 of images, 0.2 of influence, 0.15 perturbed."""
    gradient_shared: bool | None = None
    """image, influence: the same directions for all samples of an estimate (None: yes), or each its own."""
    gradient_scaling: Literal["unbiased", "paper"] | None = None
    """image, influence: Eq. 10 as printed estimates the gradient divided by d ("paper"); None: unbiased."""
    gradient_half: Literal["influence", "image"] | None = None
    """mixed: what the continuous coordinates difference; None: influence."""
    gradient_baseline: bool | None = None
    """score, mixed: subtract the mean influence of the other samples; None: yes."""
    gradient_samples: int | None = None
    """score: fresh samples a differentiated step; None: those trained on."""
    gradient_group: Literal["batch", "pair"] | None = None
    """perturbed: samples that share a perturbation; None: a batch."""
    gradient_exact: bool | None = None
    """influence, score, perturbed: influence in forward mode; None: two forward passes, at half the cost."""
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
    observed_losses: int = 4
    """Validation losses of past steps that the observation shows."""
    observe_gradient: bool = False
    """Show the direction of the last hybrid gradient in the observation."""
    episode_steps: int = 100_000
    """Environment steps until the episode is truncated."""
    device: str = "cpu"
    """Where the network trains; rendering runs on the CPU."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            self._check_choice(field.name)
        for name in ("train_steps", "gradient_every", "batch_size", "episode_steps"):
            self._check_count(name)
        for name in ("gradient_directions", "gradient_samples", "differentiated_steps", "validation_images"):
            if getattr(self, name) is not None:
                self._check_count(name)
        for name in ("gradient_sigma", "inner_learning_rate"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
                raise ValueError(f"{name} must be positive and finite, got {value!r}")
        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device {self.device!r} cannot be used: {error}") from error
        if not 1 <= self.window <= self.train_steps:
            raise ValueError(f"differentiated_steps must be in 1..{self.train_steps}, got {self.differentiated_steps}")
        if self.gradient is not None and self.spread == "uniform":
            raise ValueError("with spread='uniform' the samples do not depend on the action: there is no gradient")
        if self.observe_gradient and self.gradient is None:
            raise ValueError("observe_gradient needs a gradient=...")
        if not (isinstance(self.observed_losses, int) and self.observed_losses >= 0):
            raise ValueError(f"observed_losses must be an integer >= 0, got {self.observed_losses!r}")
        if self.episode_steps < 2:
            raise ValueError(f"an episode needs at least 2 steps, got {self.episode_steps}")
        if isinstance(self.estimator(), Perturbed):
            self._check_perturbed()

    def _check_perturbed(self) -> None:
        """Antithetic partners must meet in one estimate."""
        if self.spread is not None:
            raise ValueError("gradient='perturbed' spreads the samples itself, by gradient_sigma: leave spread out")
        if self.gradient_group == "pair":
            if self.batch_size % 2:
                raise ValueError(f"gradient_group='pair' needs an even batch_size, got {self.batch_size}")
        elif self.train_steps % 2 or self.window % 2:
            raise ValueError(
                "gradient='perturbed' trains on a batch and its antithesis in turn: train_steps and "
                f"differentiated_steps must be even, got {self.train_steps} and {self.window}"
            )

    def _check_count(self, name: str) -> None:
        value = getattr(self, name)
        if not (isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 0):
            raise ValueError(f"{name} must be a positive integer, got {value!r}")

    def _check_choice(self, name: str) -> None:
        value = getattr(self, name)
        choices = {
            "gradient": (None, *ESTIMATORS), "gradient_scaling": (None, "unbiased", "paper"),
            "gradient_half": (None, "influence", "image"), "gradient_group": (None, "batch", "pair"),
            "gradient_weights": ("averaged", "last"), "gradient_curvature": _FLAG, "gradient_shared": _FLAG,
            "gradient_baseline": _FLAG, "gradient_exact": _FLAG,
            "coordinates": ("all", "continuous"), "inner": ("adam", "sgd"),
        }.get(name)  # fmt: skip
        if choices and value not in choices:
            raise ValueError(f"{name} must be one of {choices}, got {value!r}")
        if name in ("weight_average", "inner_momentum") and not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), got {value!r}")
        if name == "spread" and not (value in (None, "uniform") or (isinstance(value, int | float) and value >= 0)):
            raise ValueError(f"spread must be None, 'uniform' or a number >= 0, got {value!r}")

    def rule(self) -> InnerOptimizer:
        """The inner optimizer."""
        if self.inner == "sgd":
            return SGD(self.inner_learning_rate, self.inner_momentum)
        return Adam(self.inner_learning_rate, self.inner_momentum, freeze=self.freeze_second_moment)

    def estimator(self) -> Estimator | None:
        """The estimator of the gradient, if one is asked for. ValueError for an option that it does not have."""
        if self.gradient is None:
            return None
        given = {name.removeprefix("gradient_"): v for name, v in self.set_for_the_gradient().items()}
        cls = ESTIMATORS[self.gradient]
        known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        chosen = {name: value for name, value in given.items() if f"gradient_{name}" not in _OF_THE_SIGNAL}
        for name in chosen.keys() - known:
            raise ValueError(f"gradient_{name} has no meaning with gradient={self.gradient!r}")
        return cls(**chosen)

    def set_for_the_gradient(self) -> dict[str, object]:
        """The options gradient_... that are not at their defaults. Without a gradient they wait for one."""
        fields = [f for f in dataclasses.fields(self) if f.name.startswith("gradient_")]
        return {f.name: getattr(self, f.name) for f in fields if getattr(self, f.name) != f.default}

    def without_gradient(self) -> EnvOptions:
        """The same training and validation, and no gradient."""
        names = [f for f in dataclasses.fields(self) if f.name.startswith("gradient") or f.name == "observe_gradient"]
        defaults = {f.name: f.default for f in names}
        return dataclasses.replace(self, **defaults)  # type: ignore[arg-type]

    @property
    def curvature(self) -> bool:
        """Whether the gradients of later steps are differentiated too."""
        if self.gradient_curvature is None:
            return self.gradient in ("image", "influence", "mixed")
        return self.gradient_curvature

    @property
    def window(self) -> int:
        """How many training steps, the last ones, the gradient goes through."""
        if self.differentiated_steps is None:
            return min(4, self.train_steps) if self.curvature else self.train_steps
        return self.differentiated_steps


_OF_THE_SIGNAL = ("gradient_every", "gradient_curvature", "gradient_weights")


@dataclasses.dataclass
class Ledger:
    """Deterministic counts since reset(), probes included.

    A differentiated step is one with its curvature or its images' sensitivities; influences counts samples, a
    validation forward is one image; clipped counts coordinates of actions that were outside the box.
    """

    renders: int = 0
    train_steps: int = 0
    differentiated_steps: int = 0
    influences: int = 0
    validation_forwards: int = 0
    clipped: int = 0

    def count(self, differentiated_steps: int, influences: int) -> None:
        """Charge a reverse pass and influences."""
        self.differentiated_steps += differentiated_steps
        self.influences += influences
