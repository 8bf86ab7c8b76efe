"""DataGenEnv: the one Gymnasium environment. It wraps any Task: trains, validates, counts cost, gives the gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from hgenv import registry
from hgenv.batch import Batch, Split
from hgenv.beta.box import Box, spread_about
from hgenv.beta.noise import Noise, keys, stream_keys
from hgenv.domains.domain import measured
from hgenv.episode import Episode, Ledger, random_state, random_words
from hgenv.fields import check
from hgenv.learning.gradient import Estimator, Samples, Signal, direction_of, plain_points
from hgenv.learning.learner import Learner
from hgenv.learning.training import FlatNetwork, State, Tape
from hgenv.options import EnvOptions, build, knobs
from hgenv.pictures import sheet
from hgenv.task import Task

Array = NDArray[np.float64]
Observation = NDArray[np.float32]


@contextmanager
def own_torch() -> Iterator[None]:
    """Torch as training needs it, whatever the caller has set: gradients, float32, tensors made on the CPU."""
    dtype = torch.get_default_dtype()
    there = torch.get_default_device().type == "cpu"  # to set one, even the CPU, slows every call of torch
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad(), nullcontext() if there else torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)


class DataGenEnv(gymnasium.Env[Observation, Observation]):
    """Action: normalised beta, Box(-1, 1, (d,)), or its continuous part. Actions outside are clipped and counted.

    A step trains the current network on f(beta, .), keeps it, and validates it on the target domain; the reward is
    minus the validation loss. Every random number is keyed by (seed, stream, counter): committed samples are the same
    whichever optimizer runs, and probes of `evaluate` have streams of their own. Only an estimator whose `points` say
    so, as gradient="perturbed", trains on others: on samples about the action, two batches in a row on the same seeds.

    Observation, Box(-1, 1, (d + h + 1,)): the last action; loss / (1 + |loss|) of the last h = `observed_losses` steps,
    newest first; share of the episode done. With `observe_gradient` the last hybrid gradient follows, (d,), divided by
    its largest entry, 0 before there is one.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 4}  # type: ignore[misc]

    box: Box
    device: torch.device
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
        self.device = torch.device(self.options.device)
        self.box = Box.of(task.layout, self.options.coordinates)
        d = len(self.box.movable)
        seen = d + self.options.observed_losses + 1 + d * self.options.observe_gradient
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (d,), np.float32)
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (seen,), np.float32)
        self._first_task = task
        self._episode = None

    # -- Gymnasium's interface

    @own_torch()
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A fresh network, all counters at zero; beta at its start. Without a seed, a new one is drawn."""
        super().reset(seed=seed)
        chosen, task = int(self.np_random.integers(2**63)), self._first_task
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(chosen)
            network = task.network()
            task.pretrain(network, self.device)
        model = FlatNetwork(network.to(self.device))
        self._learner = Learner(model, task.quantity, self.options.inner, self.options.weight_average, self.device)
        state = self._learner.start()
        now = Episode(
            chosen, 0, 0, state, state.weights, self.box.start, self.box.centre, np.zeros(0),
            np.zeros(len(self.box.movable)), Ledger(), task, task, random_words(self.np_random),
        )  # fmt: skip
        loss = self._learner.validate(state.weights, validation_rows(now, self.options, "validation", 0))
        model.check_buffers()
        losses = np.full(max(1, self.options.observed_losses), loss)
        self._episode = dataclasses.replace(now, losses=losses)
        return observed(self._episode, self.options), self.info()

    @own_torch()
    def step(self, action: ArrayLike) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Train `train_steps` steps from the current weights on f(beta, .) and validate.

        info: beta (d_all,) physical; val_loss; the ledger of costs and clipped coordinates since reset;
        hybrid_gradient (d,) = dL/d(action), if made with a gradient and this step computes one.
        Raises ValueError for an action of the wrong shape or type or that is not finite; nothing has changed then.
        """
        now, o = self.episode, self.options
        given = self.box.checked(action, 1)
        with charged(now.ledger):
            moved = np.clip(given, -1.0, 1.0)
            now.ledger.clipped += int(np.sum(moved != given))
            estimator = o.gradient if now.steps % o.gradient_every == 0 else None
            state, average, tape, samples = self._train(moved, estimator)
            step = now.steps + 1
            rows = validation_rows(now, o, "validation", step)
            loss = self._learner.validate(state.weights, rows)
            found: dict[str, Any] = {"losses": np.array([loss, *now.losses[:-1]])}
            hybrid = {}
            if estimator is not None:
                now.ledger.validation_forwards += len(rows.image)
                at = state.weights if estimator.weights == "last" else average
                discrete = self.box.layout.discrete[self.box.movable]
                found["signal"] = signal = Signal(
                    self._learner.loss, tape, samples, moved, discrete, self._learner.gradient(at, rows),
                    estimator.curvature, now.ledger.count,
                )  # fmt: skip
                rng = np.random.default_rng(stream_keys(now.seed, "direction", step, 4))
                hybrid = {"hybrid_gradient": estimator.estimate(signal, self.generate, rng)}
                found["direction"] = direction_of(hybrid["hybrid_gradient"])
            task = now.task.commit(self.box.beta(moved))
        # All that may fail or be interrupted is done: commit.
        self._episode = dataclasses.replace(
            now, weights=state, average=average, action=moved, steps=step, task=task, **found
        )
        return observed(self._episode, o), -loss, False, step >= o.episode_steps, self.info() | hybrid

    def render(self) -> NDArray[np.uint8] | None:
        """A contact sheet (h, w, 3) uint8 of 16 samples at the current beta: images above, targets below."""
        return None if self.render_mode is None else self.contact_sheet(self.episode.action, 16, columns=8)

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
        state = {"beta": self.box.beta(now.action), "val_loss": float(now.losses[0])}
        return state | dataclasses.asdict(now.ledger) | now.task.report()

    @own_torch()
    def evaluate(self, actions: ArrayLike) -> Array:
        """Losses (k,) of actions (k, d): each trains a throw-away copy `train_steps` steps; nothing is committed.

        All k probes share seeds and validation images; every call has new ones. Costs count in the ledger.
        Raises ValueError as step() does.
        """
        now, o, given = self.episode, self.options, self.box.checked(actions, 2)
        counters = range(now.evaluations * o.train_steps, (now.evaluations + 1) * o.train_steps)

        def loss(point: Array) -> float:
            seeds = (stream_keys(now.seed, "probe", counter, o.batch_size) for counter in counters)
            state = self._learner.trained(
                now.weights, (self.generate(spread_about(point, s, o.spread), s).batch for s in seeds)
            )
            now.ledger.train_steps += o.train_steps
            return self._learner.validate(state.weights, validation_rows(now, o, "probe validation", now.evaluations))

        with charged(now.ledger):
            points = np.clip(given, -1.0, 1.0)
            now.ledger.clipped += int(np.sum(points != given))
            losses = np.array([loss(point) for point in points])
        self._episode = dataclasses.replace(now, evaluations=now.evaluations + 1)
        return losses

    def generate(self, actions: Array, seeds: NDArray[np.uint64]) -> Samples:
        """f(beta, r): samples of actions (n, d) and seeds (n,), charged to the ledger."""
        self.ledger.renders += len(seeds)
        noise = Noise(seeds)
        batch = self.task.sample(self.box.beta(actions), noise).to(self.device)
        return Samples(actions, seeds, batch, partial(self.box.score, actions, noise.draws))

    @own_torch()
    def predict(self, images: Split | NDArray | torch.Tensor) -> torch.Tensor:
        """Predictions (stacks, n, t, h, w) of the averaged weights for images (n, c, h, w), or for a whole split.

        On the CPU, and not charged to the ledger.
        """
        average = self.episode.average
        given = self.task.domain.batch(images).image if isinstance(images, str) else torch.as_tensor(images)
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

    def start_from(self, beta: ArrayLike, memory: Array | None = None) -> None:
        """Move the start, and frozen coordinates with it, to another physical beta (d_all,), clipped to its range.

        memory is what a task that remembers its committed steps starts with (Task.memory). Call reset() after it.
        Raises ValueError for a wrong shape or numbers that are not finite; nothing has changed then.
        """
        box = self.box.started_at(beta)
        if memory is not None:
            self._first_task = self._first_task.recall(memory)
        self.box, self._episode = box, None

    @own_torch()
    def contact_sheet(self, action: ArrayLike, count: int, columns: int) -> NDArray[np.uint8]:
        """`count` samples at an action, in rows of `columns`: image above, target below. Not charged to the ledger."""
        seeds = keys(0, "contact sheet", count)
        points = spread_about(np.asarray(action, np.float64), seeds, self.options.spread)
        return sheet(self.task.quantity, self.task.sample(self.box.beta(points), Noise(seeds)), columns)

    def state_dict(self) -> dict[str, Any]:
        """Everything a continued run depends on, as plain arrays and numbers: weights, moments, counters, generator."""
        now = dataclasses.replace(self.episode, random_state=random_words(self.np_random))
        return now.to_arrays()

    @own_torch()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what state_dict() gave, in an environment made alike and reset once.

        Raises ValueError that names what does not fit; nothing has changed then.
        """
        episode = self.episode.from_arrays(state)
        self.np_random.bit_generator.state = random_state(episode.random_state)
        self.box = dataclasses.replace(self.box, start=episode.start)
        self._episode, self._first_task = episode, episode.first_task

    # -- pieces

    def _train(self, moved: Array, estimator: Estimator | None) -> tuple[State, torch.Tensor, Tape, list[Samples]]:
        """The training of a committed step: the state and average after it, and a record of the estimator's window."""
        now, o, learner = self.episode, self.options, self._learner
        points = plain_points if o.gradient is None else o.gradient.points
        first = o.train_steps - (0 if estimator is None else estimator.window(o.train_steps))
        state, average, tape, kept = now.weights, now.average, Tape(o.inner), []
        for k in range(o.train_steps):
            where = points(
                moved, now.steps * o.train_steps + k, o.batch_size, partial(stream_keys, now.seed, "train"), o.spread
            )
            samples = self.generate(*where)
            now.ledger.train_steps += 1
            gradient = learner.gradient(state.weights, samples.batch)
            if k >= first:
                tape.append(state, gradient, samples.batch)
                kept.append(samples)
            state = o.inner.update(state, gradient)
            average = learner.averaged(average, state)
        return state, average, tape, kept


def validation_rows(now: Episode, options: EnvOptions, stream: str, counter: int) -> Batch:
    """The validation images of one loss, which are charged: a draw of their own for every stream and counter."""
    batch, wanted = now.task.domain.batch("validation"), options.validation_images
    if wanted is not None and wanted < len(batch.image):
        order = np.argsort(stream_keys(now.seed, stream, counter, len(batch.image)), kind="stable")
        batch = batch.rows(torch.from_numpy(order[:wanted].copy()))
    now.ledger.validation_forwards += len(batch.image)
    return batch.to(torch.device(options.device))


@contextmanager
def charged(ledger: Ledger) -> Iterator[None]:
    """Takes costs back if what they were for did not finish."""
    before = dataclasses.asdict(ledger)
    try:
        yield
    except BaseException:
        vars(ledger).update(before)
        raise


def observed(now: Episode, options: EnvOptions) -> Observation:
    """What DataGenEnv shows of an episode."""
    losses = now.losses[: options.observed_losses]
    with np.errstate(invalid="ignore"):
        bounded = np.where(np.isfinite(losses), losses / (1.0 + np.abs(losses)), 1.0)
    done = min(1.0, now.steps / options.episode_steps)
    gradient = now.direction if options.observe_gradient else np.zeros(0)
    return np.concatenate([now.action, bounded, [done], gradient]).astype(np.float32)


def make(task: str, render_mode: str | None = None, module: str = "", **given: Any) -> DataGenEnv:
    """Entry point of `gymnasium.make(id, **options)`: options are those of the Task and of EnvOptions, flat.

    Raises KeyError for an unknown id, TypeError for an unknown option, ValueError for a bad value.
    """
    known = registry.TASKS.get(task)
    if module and (known is None or known.__module__ != module):  # another process than the one that registered it
        registry.load(module)
    return of_options(registry.find(task), given, render_mode)


def of_options(cls: type[Task], given: dict[str, Any], render_mode: str | None = None) -> DataGenEnv:
    """The environment of a task class and of plain options, its own and EnvOptions', by name."""
    theirs, ours = split_options(cls, given)
    return DataGenEnv(build(cls, theirs), build(EnvOptions, ours), render_mode)


def split_options(cls: type[Task], given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the task and those of the environment. TypeError for a name that both have, or neither."""
    parts = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    theirs, ours = knobs(cls).keys() | parts, knobs(EnvOptions).keys()
    if both := theirs & ours:
        raise TypeError(f"{cls.__name__} has the option {sorted(both)[0]}, as every environment has: rename it")
    mine = {name: value for name, value in given.items() if name in theirs}
    rest = {name: value for name, value in given.items() if name not in theirs}
    unknown = [name for name in rest if name not in ours and not name.startswith(("gradient", "inner"))]
    if unknown:
        raise TypeError(f"unknown option {unknown[0]!r} of {cls.__name__}; known: {', '.join(sorted(theirs | ours))}")
    return mine, rest
