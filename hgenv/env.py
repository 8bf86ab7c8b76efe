"""DataGenEnv: the one Gymnasium environment. It wraps any Task: trains, validates, counts cost, gives the gradient."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from hgenv import registry
from hgenv.batch import Split
from hgenv.beta.box import Box, spread_about
from hgenv.beta.noise import keys, stream_keys
from hgenv.calls import Turn, in_turn, own_torch
from hgenv.devices import GpuTime
from hgenv.domains.domain import measured
from hgenv.episode import Episode, Failure, Ledger, charged, failure, observed, random_state, random_words
from hgenv.fields import check
from hgenv.generator import TaskGenerator
from hgenv.learning.directions import cosine, direction_of
from hgenv.learning.gradient import Signal
from hgenv.learning.learner import Learner
from hgenv.learning.matching import Matching
from hgenv.learning.own_network import check_fits, load_weights, own_network
from hgenv.learning.training import FlatNetwork
from hgenv.options import EnvOptions, build, split_options
from hgenv.pictures import sheet
from hgenv.probe import Moment, grouped, probe, train_member, validation_rows
from hgenv.sizes import SMALL, with_size
from hgenv.step import gradient_rows, loss_by_weights, trained
from hgenv.task import Task, fresh_network, sampled
from hgenv.workers import Here, Processes, Workers, workers_of

Array = NDArray[np.float64]
Observation = NDArray[np.float32]


class DataGenEnv(gymnasium.Env[Observation, Observation]):
    """Action: normalised beta, Box(-1, 1, (d,)), or its continuous part. Actions outside are clipped and counted.

    A step trains the current network on f(beta, .), keeps it, and validates it on the target domain; the reward is
    minus the validation loss. Every random number is keyed by (seed, stream, counter): committed samples are the same
    whichever optimizer runs, and probes of `evaluate` have streams of their own. Only an estimator whose `points` say
    so, as gradient="perturbed", trains on others: on samples about the action, two batches in a row on the same seeds.

    Observation, Box(-1, 1, (d + h + 1,)): the last action; loss / (1 + |loss|) of the last h = `observed_losses` steps,
    newest first, 1 if it was not finite; steps / `observed_steps`, at most 1. With `observe_gradient` the last hybrid
    gradient follows, (d,), divided by its largest entry, 0 before there is one.

    An episode has no end of its own: that of `gymnasium.make` is truncated after `max_episode_steps`, by its TimeLimit.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 4}  # type: ignore[misc]

    box: Box
    device: torch.device
    turn: Turn
    workers: Workers
    helpers: tuple[Workers, ...]
    gpu_time: GpuTime
    _first_task: Task
    _episode: Episode | None
    _learner: Learner

    @own_torch()
    def __init__(self, task: Task, options: EnvOptions | None = None, render_mode: str | None = None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.options, self.render_mode = options or EnvOptions(), render_mode
        estimator = self.options.gradient
        if estimator is not None and estimator.needs_density and not task.layout.has_density:
            raise ValueError(
                f"the gradient by {type(estimator).__name__} needs a density, and {type(task).__name__} has values"
            )
        if not dataclasses.is_dataclass(task):
            raise TypeError(f"{type(task).__name__} must be a frozen dataclass, as every Task")
        check(task)
        task.domain.prepare()
        task.prepare()
        if self.options.network is not None or self.options.network_weights is not None:
            check_fits(
                network_of(task, self.options, 0, torch.device("cpu")), task.domain.batch("validation").rows(slice(1))
            )
        self.device = torch.device(self.options.device)
        self.box = Box.of(task.layout, self.options.coordinates)
        d = len(self.box.movable)
        seen = d + self.options.observed_losses + 1 + d * self.options.observe_gradient
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (d,), np.float32)
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (seen,), np.float32)
        self._first_task = task
        self._episode, self.turn, self.gpu_time = None, Turn(), GpuTime(self.device)
        self.workers = workers_of(self.options.workers, self.options.device)
        helpers = self.options.render_workers if self.options.render_by == "processes" else 0
        self.helpers = tuple(Processes(1) for _ in range(helpers))

    # -- Gymnasium's interface

    @in_turn
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A fresh network, all counters at zero; beta at its start. Without a seed, a new one is drawn.

        Raises ValueError if the loss of the network at the start is not finite.
        """
        super().reset(seed=seed)
        chosen, task = int(self.np_random.integers(2**63)), self._first_task
        learner = learner_of(task, self.options, chosen)
        state = learner.start()
        now = Episode(
            chosen, 0, 0, state, state.weights, self.box.start, self.box.start_spread, self.box.centre, np.zeros(0),
            np.zeros(len(self.box.movable)), Ledger(), task, task, random_words(self.np_random),
        )  # fmt: skip
        rows = validation_rows(task, self.options, now.ledger, chosen, "validation", 0)
        loss = learner.validate(state.weights, rows)
        learner.model.check_buffers()
        if not math.isfinite(loss):
            raise ValueError(
                f"{type(task).__name__} has a validation loss of {loss} before any training: look for numbers that are "
                "not finite in its network, its domain's validation images and its loss"
            )
        self._learner = learner
        losses = np.full(max(1, self.options.observed_losses), loss)
        self._episode = dataclasses.replace(now, losses=losses)
        return observed(self._episode, self.options), self.info()

    @in_turn
    def step(self, action: ArrayLike) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Train `train_steps` steps from the current weights on f(beta, .) and validate.

        info: beta (d_all,) physical; val_loss; the ledger of costs and clipped coordinates since reset; failed, a
        Failure; hybrid_gradient (d,) = dL/d(action), if made with a gradient and this step computes one, and agreement,
        its cosine with the one before, if there was one, which has seen other validation images and other samples.
        If loss, weights or gradient are not finite, the step fails: it is counted and paid for, the reward is minus its
        loss, the next step has other samples, and all else is as it was before.
        Raises ValueError for an action of the wrong shape or type or that is not finite; nothing has changed then.
        """
        now, o = self.episode, self.options
        given = self.box.checked(action, 1)
        found: dict[str, Any] = {}
        with charged(now.ledger):
            moved = np.clip(given, -1.0, 1.0)
            now.ledger.clipped += int(np.sum(moved != given))
            estimator = o.gradient if now.steps % o.gradient_every == 0 else None
            rows = validation_rows(now.task, o, now.ledger, now.seed, "validation", now.steps + 1)
            matching = Matching(rows.image, o.distribution_matching)
            after = trained(self._learner, o, now, self.generate, moved, estimator, matching)
            outcome = self._learner.outcome(after.weights, rows)
            outcome = outcome._replace(loss=float(outcome.loss + matching.term()))
            loss, failed, hybrid = outcome.loss, failure(outcome), dict[str, Any]()
            if estimator is not None and not failed:
                by_weights = loss_by_weights(self._learner, o, estimator, after, gradient_rows(now, o))
                found["signal"] = Signal(
                    self._learner.loss, after.tape, after.samples, moved, self.box.layout.discrete[self.box.movable],
                    by_weights, estimator.curvature, now.ledger.count,
                )  # fmt: skip
                rng = np.random.default_rng(stream_keys(now.seed, "direction", now.steps + 1, 4))
                gradient = estimator.estimate(found["signal"], self.generate, rng)
                hybrid["hybrid_gradient"] = gradient
                found["direction"] = direction_of(gradient)
                if now.direction.any():
                    hybrid["agreement"] = cosine(now.direction, gradient)
                failed = Failure.NONE if np.isfinite(gradient).all() else Failure.GRADIENT
            if failed:
                now.ledger.failed_steps += 1
                found, hybrid = {}, {}
            else:
                task = now.task.commit(self.box.beta(moved))
                found |= {
                    "weights": after.weights,
                    "average": after.average,
                    "task": task,
                    "gradients": after.gradients,
                }
        # All that may fail or be interrupted is done: commit.
        losses = np.array([loss, *now.losses[:-1]])
        self._episode = now = dataclasses.replace(
            now, action=moved, steps=now.steps + 1, losses=losses, failed=int(failed),
            failures=now.failures + 1 if failed else 0, **found,
        )  # fmt: skip
        return observed(now, o), -loss, False, False, self.info() | hybrid

    def render(self) -> NDArray[np.uint8] | None:
        """A contact sheet (h, w, 3) uint8 of 16 samples at the current beta: images above, targets below."""
        return None if self.render_mode is None else self.contact_sheet(self.episode.action, 16, columns=8)

    def close(self) -> None:
        """End the processes of its workers, which start again if they are needed."""
        for workers in (self.workers, *self.helpers):
            workers.close()

    # -- beyond Gymnasium

    @property
    def episode(self) -> Episode:
        """All that a continued run depends on. Raises ResetNeeded before the first reset()."""
        if self._episode is None:
            raise gymnasium.error.ResetNeeded("call reset() first")
        return self._episode

    @property
    def task(self) -> Task:
        """The task as its committed steps have left it."""
        return self._first_task if self._episode is None else self._episode.task

    @property
    def ledger(self) -> Ledger:
        """The costs since reset()."""
        return self.episode.ledger

    @property
    def start(self) -> Array:
        """The action (d,) of the start beta."""
        return self.box.centre

    @property
    def signal(self) -> Signal:
        """How the validation loss depends on what the last differentiated step trained on."""
        if self.episode.signal is None:
            raise RuntimeError("no signal yet: make the environment with gradient=... and call step()")
        return self.episode.signal

    def info(self) -> dict[str, Any]:
        """That of the last step or reset, without the gradient."""
        now = self.episode
        state = {"beta": self.box.beta(now.action), "val_loss": float(now.losses[0]), "failed": now.failed}
        return state | dataclasses.asdict(now.ledger) | now.task.report()

    @in_turn
    def evaluate(self, actions: ArrayLike) -> Array:
        """Losses (k,) of actions (k, d): each trains a throw-away copy of the current network, or of the initial one
        (`probes`), `probe_steps` steps; nothing is committed.

        All k probes share seeds and validation images; every call has new ones. Costs count in the ledger.
        Raises ValueError as step() does.
        """
        now, given = self.episode, self.box.checked(actions, 2)
        points = np.clip(given, -1.0, 1.0)
        begin = now.weights if self.options.probes == "current" else self._learner.start()
        shared = (self._learner, self.options, self.box, now.task, Moment(now.seed, now.evaluations, begin))
        groups = grouped(points, self._learner, self.options, now.task)
        with charged(now.ledger):
            now.ledger.clipped += int(np.sum(points != given))
            found = self.workers.map(probe, shared, groups)
            for _, cost in found:
                now.ledger.add(cost)
        self._episode = dataclasses.replace(now, evaluations=now.evaluations + 1)
        return np.concatenate([np.zeros(0), *(losses for losses, _ in found)])

    @property
    def generate(self) -> TaskGenerator:
        """f(beta, r): samples of actions (n, d) and seeds (n,), charged to the ledger."""
        rows = self.workers if self.task.slow else Here()
        threads = self.options.render_workers
        return TaskGenerator(self.task, self.box, self.device, self.ledger, threads, rows, self.helpers)

    @own_torch()
    def predict(self, images: Split | NDArray | torch.Tensor) -> torch.Tensor:
        """Predictions (stacks, n, t, h, w) of the averaged weights for images (n, c, h, w), or for a whole split.

        On the CPU, and not charged to the ledger.
        """
        average = self.episode.average
        domain = self.task.domain
        given = domain.on(images, self.device).image if isinstance(images, str) else torch.as_tensor(images)
        return self._learner.predict(average, given.to(average.dtype))

    @own_torch()
    def metrics(self, split: Split) -> dict[str, float]:
        """The quantity's metrics of the averaged weights on a whole split. Not charged to the ledger."""
        return measured(self.task.quantity, self.task.domain, self.predict(split)[-1], split)

    @own_torch()
    def network(self, last: bool = False) -> nn.Module:
        """The trained network, a copy of its own: with the averaged weights, which are scored, or the last ones."""
        weights = self.episode.weights.weights if last else self.episode.average
        return self._learner.model.network(weights)

    @in_turn
    def start_from(self, beta: ArrayLike, memory: Array | None = None, spread: ArrayLike | None = None) -> None:
        """Move the start, and frozen coordinates with it, to another physical beta (d_all,), clipped to its range.

        memory is what a task that remembers its committed steps starts with (Task.memory); spread (d_all,) are standard
        deviations in the box, if the start is a distribution, for spread="found". Call reset() after it.
        Raises ValueError for a wrong shape or numbers that are not finite; nothing has changed then.
        """
        box = self.box.started_at(beta, spread)
        if memory is not None:
            self._first_task = self._first_task.recall(memory)
        self.box, self._episode = box, None

    @own_torch()
    def contact_sheet(self, action: ArrayLike, count: int, columns: int) -> NDArray[np.uint8]:
        """`count` samples at an action, in rows of `columns`: image above, target below. Not charged to the ledger."""
        seeds = keys(0, "contact sheet", count)
        points = spread_about(np.asarray(action, np.float64), seeds, self.box.spreading(self.options.spread))
        return sheet(self.task.quantity, sampled(self.task, self.box.beta(points), seeds).batch, columns)

    def state_dict(self) -> dict[str, Any]:
        """Everything a continued run depends on, as plain arrays and numbers: weights, moments, counters, generator."""
        now = dataclasses.replace(self.episode, random_state=random_words(self.np_random))
        return now.to_arrays()

    @in_turn
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what state_dict() gave, in an environment made alike and reset once.

        Raises ValueError that names what does not fit; nothing has changed then.
        """
        episode = self.episode.from_arrays(state)
        if episode.seed != self.episode.seed:  # its initial network is another
            self._learner = learner_of(episode.first_task, self.options, episode.seed)
        self.np_random.bit_generator.state = random_state(episode.random_state)
        self.box = dataclasses.replace(self.box, start=episode.start, start_spread=episode.start_spread)
        self._episode, self._first_task = episode, episode.first_task


def network_of(task: Task, options: EnvOptions, seed: int, device: torch.device) -> nn.Module:
    """The network with which an episode of a seed begins: the task's, or the user's."""
    if options.network is None:
        network = fresh_network(task, seed, device)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = own_network(options.network)
    if options.network_weights is not None:
        load_weights(network, Path(options.network_weights))
    return network.to(device)


def learner_of(task: Task, options: EnvOptions, seed: int) -> Learner:
    """What trains the network of an episode of a seed."""
    device = torch.device(options.device)
    model = FlatNetwork(network_of(task, options, seed, device))
    return Learner(
        model, task.quantity, options.inner, options.weight_average, device, options.precision, options.validation
    )


@in_turn
def train_members(env: DataGenEnv, actions: ArrayLike, origins: ArrayLike) -> Array:
    """Losses (k,) of k networks that are kept, after `train_steps` steps of each at its action, (k, d).

    Network i is trained on from what the call before has made of network origins[i], (k,); at the first call since
    reset(), from a copy of the current one. The best one becomes the current network, from which the next step
    trains on, unless no loss is finite: then all are copies of that again. All share seeds and validation images.
    Raises ValueError as step() does, and for origins that are no such integers.
    """
    now, o, given = env.episode, env.options, env.box.checked(actions, 2)
    if o.probes != "current" or o.probe_steps is not None:
        raise ValueError("networks that are kept take train_steps steps: probes and probe_steps have no meaning")
    points = np.clip(given, -1.0, 1.0)
    begun = list(zip(points, now.members_at(origins, len(points)), strict=True))
    with charged(now.ledger):
        now.ledger.clipped += int(np.sum(points != given))
        shared = (env._learner, o, env.box, now.task, (now.seed, now.evaluations))
        found = env.workers.map(train_member, shared, begun)
        for _, _, cost in found:
            now.ledger.add(cost)
    losses = np.array([loss for loss, _, _ in found])
    env._episode = now.followed_by([member for _, member, _ in found], losses)
    return losses


def make(task: str, render_mode: str | None = None, module: str = "", size: str = SMALL, **given: Any) -> DataGenEnv:
    """Entry point of `gymnasium.make(id, **options)`: options are those of the Task and of EnvOptions, flat.

    size: other defaults of the task's (`hgenv.sizes`).
    Raises KeyError for an unknown id, TypeError for an unknown option, ValueError for a bad value.
    """
    known = registry.TASKS.get(task)
    if module and (known is None or known.__module__ != module):  # another process than the one that registered it
        registry.load(module)
    cls = registry.find(task)
    return of_options(cls, with_size(cls, size, given), render_mode)


def of_options(cls: type[Task], given: dict[str, Any], render_mode: str | None = None) -> DataGenEnv:
    """The environment of a task class and of plain options, its own and EnvOptions', by name."""
    theirs, ours = split_options(cls, given)
    return DataGenEnv(build(cls, theirs), build(EnvOptions, ours), render_mode)
