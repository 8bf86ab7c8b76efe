"""A committed step: its training, and how a validation loss depends on what it trained on."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch
from hgenv.beta.noise import stream_keys
from hgenv.episode import Episode
from hgenv.generator import TaskGenerator
from hgenv.learning.gradient import Estimator, Samples, plain_points
from hgenv.learning.learner import Learner
from hgenv.learning.matching import Matching
from hgenv.learning.response import Recent, long_response
from hgenv.learning.training import State, Tape
from hgenv.options import EnvOptions
from hgenv.probe import validation_rows

Array = NDArray[np.float64]


class Ended(Protocol):
    """The end of a training, as an Episode has it: the state, the averaged weights (p,), and gradients (m, p) of some
    of the last batches, if an estimator wants them."""

    @property
    def weights(self) -> State: ...
    @property
    def average(self) -> Tensor: ...
    @property
    def gradients(self) -> Tensor | None: ...


class Trained(NamedTuple):
    """What the training of a step has come to; its recorded part, and what that trained on."""

    weights: State
    average: Tensor
    gradients: Tensor | None
    tape: Tape
    samples: list[Samples]


def trained(
    learner: Learner, o: EnvOptions, now: Episode, generate: TaskGenerator, moved: Array,
    estimator: Estimator | None, matching: Matching,
) -> Trained:  # fmt: skip
    """The training of a committed step at an action (d,), with a record of the estimator's window."""
    recent = Recent(now.gradients) if o.gradient is not None and o.gradient.looks_ahead else None
    points = plain_points if o.gradient is None else o.gradient.points
    first = o.train_steps - (0 if estimator is None else estimator.window(o.train_steps))
    state, average, tape, kept = now.weights, now.average, Tape(o.inner), []
    first_step, keyed = now.steps * o.train_steps, partial(stream_keys, now.seed, "train")
    spread = generate.box.spreading(o.spread)
    drawn = generate.ahead(points(moved, first_step + k, o.batch_size, keyed, spread) for k in range(o.train_steps))
    for k, samples in enumerate(drawn):
        matching.see(samples.batch)
        now.ledger.train_steps += 1
        if k >= first:
            losses, gradient = learner.losses_and_gradient(state.weights, samples.batch)
            tape.append(state, gradient, samples.batch, losses)
            kept.append(samples)
        else:
            gradient = learner.plain_gradient(state.weights, samples.batch)
        if recent is not None:
            recent.see(state.taken, gradient)
        state = o.inner.update(state, gradient)
        average = learner.averaged(average, state)
    return Trained(state, average, None if recent is None else recent.rows(), tape, kept)


def gradient_rows(now: Episode, o: EnvOptions) -> Batch:
    """The validation images of a step's gradient: of one half and of the other in turn, so that these images are not
    what two successive estimates share; or all, if no number is drawn."""
    turn = None if o.validation_images is None else now.steps // o.gradient_every % 2
    return validation_rows(now.task, o, now.ledger, now.seed, "gradient validation", now.steps + 1, turn)


def loss_by_weights(learner: Learner, o: EnvOptions, estimator: Estimator, end: Ended, rows: Batch) -> Tensor:
    """dL/dw (p,) of validation rows at the end of a training, or what an estimator's horizon puts in its place."""
    by_weights = learner.validation_gradient(end.weights.weights if estimator.weights == "last" else end.average, rows)
    horizon = estimator.horizon_after(end.weights.taken)
    if not horizon or end.gradients is None:
        return by_weights
    return long_response(by_weights, o.inner.rates(end.weights), end.gradients, o.batch_size, horizon)
