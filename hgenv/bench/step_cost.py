"""What a differentiated training step costs, beside a plain one, in one run: the step and its reverse."""

from __future__ import annotations

import dataclasses
import time
from typing import NamedTuple

import numpy as np
import torch

from hgenv.beta.noise import Noise
from hgenv.fields import Natural, check
from hgenv.learning.learner import Learner
from hgenv.learning.training import FlatNetwork, Tape, reverse
from hgenv.options import EnvOptions
from hgenv.task import Task


@dataclasses.dataclass(frozen=True)
class StepCostOptions:
    """Cost of a differentiated training step of the task's network, at the start beta."""

    repeats: Natural = 20
    """Repetitions; the median counts."""
    reversed_steps: Natural = 4
    """Steps in a row that a reverse pass goes through."""

    def __post_init__(self) -> None:
        check(self)


class StepCost(NamedTuple):
    """Number of weights, and CPU seconds of a plain step and of its reverse."""

    weights: int
    plain: float
    reverse: float

    @property
    def ratio(self) -> float:
        """A differentiated step, there and back, over a plain one."""
        return (self.plain + self.reverse) / self.plain


def measure(task: Task, options: EnvOptions, o: StepCostOptions) -> StepCost:
    """Time both on a batch of the options' size, with the sensitivities of its images, as the paper's scalar needs."""
    device, size = torch.device(options.device), options.batch_size
    learner = Learner(FlatNetwork(task.network().to(device)), task.quantity, options.inner, 0.0, device)
    batch = task.sample(np.tile(task.layout.initial, (size, 1)), Noise(np.arange(size))).to(device)
    state, plain, backward = learner.start(), [], []
    for _ in range(o.repeats):
        times = [time.process_time()]
        gradient = learner.gradient(state.weights, batch)
        after = learner.rule.update(state, gradient)
        times.append(time.process_time())
        tape = Tape(learner.rule)
        for _ in range(o.reversed_steps):
            tape.append(state, gradient, batch)
        for _ in reverse(learner.loss, tape, after.weights):
            pass
        times.append(time.process_time())
        plain.append(times[1] - times[0])
        backward.append((times[2] - times[1]) / o.reversed_steps)
    return StepCost(len(state.weights), float(np.median(plain)), float(np.median(backward)))
