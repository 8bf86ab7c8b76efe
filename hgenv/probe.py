"""A probe: what the validation loss would be if training went on at another action; nothing is committed. A member of
a population: a probe of a network of its own, which is kept."""

from __future__ import annotations

from collections.abc import Iterator
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
from hgenv.learning.members import Member
from hgenv.learning.probes import probes_at_once
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
    """The losses (k,) of actions (k, d), each of a training of `steps_of_probes` steps, and what they have cost.

    They depend on these arguments only, wherever they are computed. All probes of a call share seeds and validation
    images. Several are trained together, which a GPU is for: their sums run in another order than that of one. What is
    trivial to the task is not trained on, and infinite.
    """
    losses, ledger = np.full(len(actions), np.inf), Ledger()
    worth = [not task.trivial(beta) for beta in box.beta(actions)]
    if any(worth):
        losses[worth] = _losses(learner, options, box, task, moment, actions[worth], ledger)
    return losses, ledger


def _losses(
    learner: Learner, options: EnvOptions, box: Box, task: Task, moment: Moment, actions: Array, ledger: Ledger
) -> Array:
    """The losses (k,) of actions (k, d), which are charged to the ledger."""
    steps = options.steps_of_probes
    batches = _batches(learner, options, box, task, moment[:2], steps, actions, ledger)
    rows = validation_rows(task, options, ledger, moment.seed, "probe validation", moment.call)
    ledger.validation_forwards *= len(actions)
    ledger.train_steps += steps * len(actions)
    matching = Matching(rows.image, options.distribution_matching)
    if len(actions) == 1:
        state = learner.trained(moment.weights, matching.seen(batches))
        return np.array([learner.validate(state.weights, rows) + matching.term()])
    together = map(Batch.stack, zip(*[batches] * len(actions), strict=True))  # the next k of them
    state = learner.trained_together(moment.weights.copies(len(actions)), matching.seen(together))
    with torch.no_grad():
        return on_host([learner.losses(state.weights, rows)])[0] + matching.term()


@own_torch()
def train_member(
    learner: Learner, options: EnvOptions, box: Box, task: Task, key: tuple[int, int], begun: tuple[Array, Member]
) -> tuple[float, Member, Ledger]:
    """The loss of a network after `train_steps` steps at an action (d,), the network then, and what it has cost.

    key: the episode's seed and how many calls there were; samples and validation images are those of a probe then.
    """
    (action, (state, average)), ledger, steps = begun, Ledger(), options.train_steps
    rows = validation_rows(task, options, ledger, key[0], "probe validation", key[1])
    matching = Matching(rows.image, options.distribution_matching)
    for batch in matching.seen(_batches(learner, options, box, task, key, steps, action[None], ledger)):
        state = learner.trained(state, [batch])
        average = learner.averaged(average, state)
    ledger.train_steps += steps
    return learner.validate(state.weights, rows) + float(matching.term()), Member(state, average), ledger


def _batches(
    learner: Learner, options: EnvOptions, box: Box, task: Task, key: tuple[int, int], steps: int, actions: Array,
    ledger: Ledger,
) -> Iterator[Batch]:  # fmt: skip
    """The batches of so many steps, one of each of the actions (k, d) a step."""
    seed, call = key
    generator = TaskGenerator(task, box, learner.device, ledger, options.render_workers)
    seeds = (stream_keys(seed, "probe", call * steps + k, options.batch_size) for k in range(steps))
    spread = box.spreading(options.spread)
    points = ((spread_about(action, s, spread), s) for s in seeds for action in actions)
    return (samples.batch for samples in generator.ahead(points))


def grouped(points: Array, learner: Learner, options: EnvOptions, task: Task) -> list[Array]:
    """Points (k, d) in groups that are trained together, the last one perhaps smaller."""
    size = options.probes_together
    if size is None:
        like = task.domain.batch("validation").rows(slice(options.batch_size))
        size = probes_at_once(learner, like.to(learner.device))
    return [points[i : i + size] for i in range(0, len(points), size)]


def validation_rows(
    task: Task, options: EnvOptions, ledger: Ledger, seed: int, stream: str, counter: int, half: int | None = None
) -> Batch:
    """The validation images of one loss, which are charged: a draw of their own for every stream and counter, of all of
    them or of the first or the second half."""
    device, wanted = torch.device(options.device), options.validation_images
    batch = task.domain.on("examined", device)
    count = len(batch.image)
    if half is not None and count > 1:
        batch = batch.rows(slice(count // 2) if half == 0 else slice(count // 2, count))
    if wanted is not None and wanted < len(batch.image):
        order = np.argsort(stream_keys(seed, stream, counter, len(batch.image)), kind="stable")
        batch = batch.rows(sent(torch.from_numpy(order[:wanted].copy()), device))
    ledger.validation_forwards += len(batch.image)
    return batch
