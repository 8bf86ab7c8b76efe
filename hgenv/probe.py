"""A probe: what the validation loss would be if training went on at another action. Nothing is committed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.beta.box import Box, spread_about
from hgenv.beta.noise import stream_keys
from hgenv.calls import own_torch
from hgenv.devices import sent
from hgenv.episode import Ledger
from hgenv.generator import TaskGenerator
from hgenv.learning.learner import Learner
from hgenv.learning.training import State
from hgenv.options import EnvOptions
from hgenv.task import Task

Array = NDArray[np.float64]


class Moment(NamedTuple):
    """Where the probes of one call start: the episode's seed, how many calls there were, the network's state."""

    seed: int
    call: int
    weights: State


@own_torch()
def probe(
    learner: Learner, options: EnvOptions, box: Box, task: Task, moment: Moment, point: Array
) -> tuple[float, Ledger]:
    """The loss of an action (d,), of a training of `train_steps` steps, and what it has cost.

    It depends on these arguments only, wherever it is computed. All probes of a call share seeds and validation images.
    """
    ledger, o = Ledger(), options
    generator = TaskGenerator(task, box, learner.device, ledger, o.render_workers)
    counters = range(moment.call * o.train_steps, (moment.call + 1) * o.train_steps)
    seeds = (stream_keys(moment.seed, "probe", counter, o.batch_size) for counter in counters)
    points = ((spread_about(point, s, o.spread), s) for s in seeds)
    state = learner.trained(moment.weights, (samples.batch for samples in generator.ahead(points)))
    ledger.train_steps += o.train_steps
    rows = validation_rows(task, options, ledger, moment.seed, "probe validation", moment.call)
    return learner.validate(state.weights, rows), ledger


def validation_rows(task: Task, options: EnvOptions, ledger: Ledger, seed: int, stream: str, counter: int) -> Batch:
    """The validation images of one loss, which are charged: a draw of their own for every stream and counter."""
    device, wanted = torch.device(options.device), options.validation_images
    batch = task.domain.on("validation", device)
    if wanted is not None and wanted < len(batch.image):
        order = np.argsort(stream_keys(seed, stream, counter, len(batch.image)), kind="stable")
        batch = batch.rows(sent(torch.from_numpy(order[:wanted].copy()), device))
    ledger.validation_forwards += len(batch.image)
    return batch
