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
from hgenv.devices import on_host, sent
from hgenv.episode import Ledger
from hgenv.generator import TaskGenerator
from hgenv.learning.learner import Learner
from hgenv.learning.matching import Matching
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
    learner: Learner, options: EnvOptions, box: Box, task: Task, moment: Moment, actions: Array
) -> tuple[Array, Ledger]:
    """The losses (k,) of actions (k, d), each of a training of `train_steps` steps, and what they have cost.

    They depend on these arguments only, wherever they are computed. All probes of a call share seeds and validation
    images. Several are trained together, which a GPU is for: their sums run in another order than that of one.
    """
    ledger, steps = Ledger(), options.train_steps
    generator = TaskGenerator(task, box, learner.device, ledger, options.render_workers)
    seeds = (stream_keys(moment.seed, "probe", moment.call * steps + k, options.batch_size) for k in range(steps))
    points = ((spread_about(action, s, options.spread), s) for s in seeds for action in actions)
    batches = (samples.batch for samples in generator.ahead(points))
    rows = validation_rows(task, options, ledger, moment.seed, "probe validation", moment.call)
    ledger.validation_forwards *= len(actions)
    ledger.train_steps += steps * len(actions)
    matching = Matching(rows.image, options.distribution_matching)
    if len(actions) == 1:
        state = learner.trained(moment.weights, matching.seen(batches))
        return np.array([learner.validate(state.weights, rows) + matching.term()]), ledger
    together = map(Batch.stack, zip(*[batches] * len(actions), strict=True))  # the next k of them
    state = learner.trained_together(moment.weights.copies(len(actions)), matching.seen(together))
    with torch.no_grad():
        return on_host([learner.losses(state.weights, rows)])[0] + matching.term(), ledger


def validation_rows(task: Task, options: EnvOptions, ledger: Ledger, seed: int, stream: str, counter: int) -> Batch:
    """The validation images of one loss, which are charged: a draw of their own for every stream and counter."""
    device, wanted = torch.device(options.device), options.validation_images
    batch = task.domain.on("validation", device)
    if wanted is not None and wanted < len(batch.image):
        order = np.argsort(stream_keys(seed, stream, counter, len(batch.image)), kind="stable")
        batch = batch.rows(sent(torch.from_numpy(order[:wanted].copy()), device))
    ledger.validation_forwards += len(batch.image)
    return batch
