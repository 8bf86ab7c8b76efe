"""DataGenEnv: the one Gymnasium environment. It wraps any Task: trains, validates, counts cost, gives the gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from hgenv.generator_state import from_words, to_words
from hgenv.gradient import Perturbed, Samples, Signal, direction_of
from hgenv.noise import Draw, Noise, keys
from hgenv.options import EnvOptions, Ledger
from hgenv.pictures import sheet
from hgenv.task import Batch, Split, Task, find
from hgenv.training import Model, State, Tape, weight_gradient

Array = NDArray[np.float64]
_CHUNK = 64  # images a forward pass when validating


class DataGenEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Action: normalised beta, Box(-1, 1, (d,)), or its continuous part. Actions outside are clipped and counted.

    A step trains the current network on f(beta, .), keeps it, and validates it on the target domain; the reward is
    minus the validation loss. Every random number is keyed by (seed, stream, counter): committed samples are the same
    whichever optimizer runs, and probes of `evaluate` have streams of their own. Only gradient="perturbed" trains on
    others: on samples about the action, two batches in a row on the same seeds.

    Observation, Box(-1, 1, (d + h + 1,)): the last action; loss / (1 + |loss|) of the last h = `observed_losses` steps,
    newest first; share of the episode done. With `observe_gradient` the last hybrid gradient follows, (d,), divided by
    its largest entry, 0 before there is one.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 4}  # type: ignore[misc]

    def __init__(self, task: Task, options: EnvOptions | None = None, render_mode: str | None = None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.task, self.options, self.render_mode = task, options or EnvOptions(), render_mode
        self._first_task = task
        idle = sorted(self.options.set_for_the_gradient()) if self.options.gradient is None else []
        if idle:
            raise ValueError(f"{', '.join(idle)} has no meaning without gradient=...")
        self.device = torch.device(self.options.device)
        self._validation, self._test = task.validation(), task.test()  # a broken data folder shows here
        frozen = task.layout.discrete & (self.options.coordinates == "continuous")
        self.movable = np.flatnonzero(~frozen)
        self._start = task.layout.to_action(task.layout.initial)
        self._rule, self._estimator = self.options.rule(), self.options.estimator()
        if self._estimator is not None and self._estimator.needs_density and not task.layout.has_density:
            raise ValueError(
                f"gradient={self.options.gradient!r} needs a density, and {type(task).__name__} has values"
            )
        d = len(self.movable)
        seen = d + self.options.observed_losses + 1 + d * self.options.observe_gradient
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (d,), np.float32)
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (seen,), np.float32)
        self._state: State | None = None

    # -- Gymnasium's interface

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """A fresh network, all counters at zero; beta at its start. Without a seed, a new one is drawn."""
        super().reset(seed=seed)
        self.seed = int(self.np_random.integers(2**63))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = self.task.network().to(self.device)
        self._model = Model(network)
        self._state = self._rule.init(self._model.initial)
        self._average = self._state.weights
        self._steps = self._evaluations = 0
        self.ledger = Ledger()
        self.task = self._first_task
        self._action = self._start[self.movable]
        self._signal: Signal | None = None
        self._direction = np.zeros(len(self.movable))
        loss = self._validate(self._state, self._validation_rows("validation", 0))
        self._losses = [loss] * max(1, self.options.observed_losses)
        return self._observation(), self.info()

    def step(self, action: ArrayLike) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Train `train_steps` steps from the current weights on f(beta, .) and validate.

        info: beta (d_all,) physical; val_loss; the ledger of costs and clipped coordinates since reset;
        hybrid_gradient (d,) = dL/d(action), if made with a gradient and this step computes one.
        Raises ValueError for an action of the wrong shape or type or that is not finite; nothing has changed then.
        """
        self._need_state()
        given = self._check(action, 1)
        with self._charged():
            return self._train_and_validate(given)

    def _train_and_validate(self, given: Array) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        o, state, average = self.options, self._need_state(), self._average
        moved = self._clip(given)
        differentiate = self._estimator is not None and self._steps % o.gradient_every == 0
        first = o.train_steps - (o.window if differentiate else 0)
        tape, trained = Tape(self._rule), []
        for k in range(o.train_steps):
            samples = self.generate(*self._points(moved, self._steps * o.train_steps + k))
            after, gradient = self._train(state, samples.batch)
            if k >= first:
                tape.append(state, gradient, samples.batch)
                trained.append(samples)
            state = after
            average = self._averaged(average, state)
        step = self._steps + 1
        rows = self._validation_rows("validation", step)
        loss = self._validate(state, rows)
        hybrid, signal, direction = {}, self._signal, self._direction
        if differentiate and self._estimator is not None:
            weights = state.weights if o.gradient_weights == "last" else average
            signal = self._differentiate(weights, rows, tape, trained, moved)
            rng = np.random.default_rng(self._seeds("direction", step, 4))
            gradient_by_action = self._estimator.estimate(signal, self.generate, rng)
            hybrid, direction = {"hybrid_gradient": gradient_by_action}, direction_of(gradient_by_action)
        task = self.task.commit(self.beta(moved))
        # All that may fail or be interrupted is done: commit.
        self._state, self._average, self._action, self._steps = state, average, moved, step
        self.task, self._losses = task, [loss, *self._losses[:-1]]
        self._signal, self._direction = signal, direction
        return self._observation(), -loss, False, step >= o.episode_steps, self.info() | hybrid

    def render(self) -> NDArray[np.uint8] | None:
        """A contact sheet (h, w, 3) uint8 of 16 samples at the current beta: images above, targets below."""
        if self.render_mode is None:
            return None
        self._need_state()
        return self.contact_sheet(self._action, 16, columns=8)

    # -- beyond Gymnasium

    def info(self) -> dict[str, Any]:
        """That of the last step or reset, without the gradient."""
        state = {"beta": self.beta(self._action), "val_loss": self._losses[0]}
        return state | dataclasses.asdict(self.ledger) | self.task.report()

    def evaluate(self, actions: ArrayLike) -> Array:
        """Losses (k,) of actions (k, d): each trains a throw-away copy `train_steps` steps; nothing is committed.

        All k probes share seeds and validation images; every call has new ones. Costs count in the ledger.
        Raises ValueError as step() does.
        """
        self._need_state()
        points = self._check(actions, 2)
        with self._charged():
            losses = np.array([self._probe(point) for point in self._clip(points)])
        self._evaluations += 1
        return losses

    def _probe(self, point: Array) -> float:
        o, call, state = self.options, self._evaluations, self._need_state()
        for k in range(o.train_steps):
            seeds = self._seeds("probe", call * o.train_steps + k, o.batch_size)
            state, _ = self._train(state, self.generate(self._spread(point, seeds), seeds).batch)
        return self._validate(state, self._validation_rows("probe validation", call))

    def generate(self, actions: Array, seeds: NDArray[np.uint64]) -> Samples:
        """f(beta, r): samples of actions (n, d) and seeds (n,), charged to the ledger."""
        self.ledger.renders += len(seeds)
        noise = Noise(seeds)
        batch = self._sample(actions, noise).to(self.device)
        return Samples(actions, seeds, batch, partial(self._score, actions, noise.draws))

    @property
    def signal(self) -> Signal:
        """How the validation loss depends on what the last differentiated step trained on."""
        if self._signal is None:
            raise RuntimeError("no signal yet: make the environment with gradient=... and call step()")
        return self._signal

    def predict(self, split: Split) -> torch.Tensor:
        """Predictions (stacks, n, t, h, w) of the averaged weights for a whole split. Not charged to the ledger."""
        self._need_state()
        images = (self._validation if split == "validation" else self._test).image
        with torch.no_grad():
            parts = [
                self._model.predict(self._average, part.to(self.device)).cpu() for part in torch.split(images, _CHUNK)
            ]
        return torch.cat(parts, dim=1)

    def score(self, split: Split) -> dict[str, float]:
        """The task's metrics of the averaged weights on a whole split. Not charged to the ledger."""
        return self.task.metrics(self.predict(split), split)

    def beta(self, action: ArrayLike) -> Array:
        """Physical beta (d_all,) of an action (d,)."""
        return self.task.layout.from_action(self._full(np.asarray(action, np.float64)))

    @property
    def start(self) -> Array:
        """The action (d,) of the start beta."""
        return self._start[self.movable]

    def start_from(self, beta: ArrayLike, memory: Array | None = None) -> None:
        """Move the start, and frozen coordinates with it, to another physical beta (d_all,), clipped to its range.

        memory is what a task that remembers its committed steps starts with (Task.memory). Call it before reset().
        Raises ValueError for a wrong shape or numbers that are not finite.
        """
        values = np.asarray(beta, np.float64)
        if values.shape != self._start.shape or not np.isfinite(values).all():
            raise ValueError(f"beta must be {self._start.shape} finite numbers, got {values.shape}")
        if memory is not None:
            self._first_task = self.task = self.task.recall(memory)
        self._start = self.task.layout.to_action(self.task.layout.clip(values))

    def contact_sheet(self, action: ArrayLike, count: int, columns: int) -> NDArray[np.uint8]:
        """`count` samples at an action, in rows of `columns`: image above, target below. Not charged to the ledger."""
        seeds = keys(0, "contact sheet", count)
        batch = self._sample(self._spread(np.asarray(action, np.float64), seeds), Noise(seeds))
        return sheet(self.task, batch, columns)

    def state_dict(self) -> dict[str, Any]:
        """Everything a continued run depends on, as plain arrays and numbers: weights, moments, counters, generator."""
        state = self._need_state()
        tensors = {"weights": state.weights, "average": self._average}
        tensors |= {f"moment{i}": moment for i, moment in enumerate(state.moments)}
        numbers = {"taken": state.taken, "steps": self._steps, "evaluations": self._evaluations, "seed": self.seed}
        numbers |= {f"ledger.{name}": count for name, count in dataclasses.asdict(self.ledger).items()}
        arrays = {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}
        arrays |= {"action": self._action.copy(), "start": self._start.copy(), "generator": to_words(self.np_random)}
        arrays |= {"losses": np.array(self._losses), "direction": self._direction.copy()}
        for name, task in (("memory", self.task), ("first_memory", self._first_task)):
            arrays |= {} if task.memory is None else {name: task.memory.copy()}
        return arrays | numbers

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what state_dict() gave, in an environment made alike and reset once.

        Raises ValueError that names what does not fit; nothing has changed then.
        """
        mine, given = self.state_dict(), {name: np.array(value) for name, value in state.items()}
        if given.keys() != mine.keys():
            raise ValueError(f"state has the entries {sorted(given)}, expected {sorted(mine)}")
        for name, value in mine.items():
            wanted, got = np.asarray(value), given[name]
            if name.endswith("memory") and got.ndim == wanted.ndim:
                wanted = np.broadcast_to(wanted[:1], (len(got), *wanted.shape[1:]))  # it may have grown
            if wanted.shape != got.shape or wanted.dtype.kind != got.dtype.kind or wanted.itemsize != got.itemsize:
                raise ValueError(f"{name} is {got.dtype} {got.shape}, expected {wanted.dtype} {wanted.shape}")
        tensors = {k: torch.from_numpy(given[k]).to(self.device) for k in mine if k.startswith(("weights", "moment"))}
        average = torch.from_numpy(given["average"]).to(self.device)
        weights, *moments = tensors.values()
        generator = from_words(given["generator"])
        remembered = {k: self.task.recall(given[k]) for k in ("memory", "first_memory") if k in given}
        self._state, self._average = State(weights, tuple(moments), int(given["taken"])), average
        self._action, self._start = given["action"], given["start"]
        self._steps, self._evaluations, self.seed = (int(given[k]) for k in ("steps", "evaluations", "seed"))
        self.ledger = Ledger(*(int(given[f"ledger.{f.name}"]) for f in dataclasses.fields(Ledger)))
        self.np_random.bit_generator.state = generator
        self._losses, self._direction, self._signal = list(given["losses"]), given["direction"], None
        if remembered:
            self.task, self._first_task = remembered["memory"], remembered["first_memory"]

    # -- pieces

    def _need_state(self) -> State:
        if self._state is None:
            raise gymnasium.error.ResetNeeded("call reset() first")
        return self._state

    def _check(self, action: ArrayLike, ndim: int) -> Array:
        value, d = np.asarray(action), len(self.movable)
        wanted = f"({d},)" if ndim == 1 else f"(k, {d})"
        if value.ndim != ndim or value.shape[-1] != d:
            raise ValueError(f"action must have shape {wanted}, got {value.shape}")
        if value.dtype.kind not in "fiu":
            raise ValueError(f"action must be real numbers, got dtype {value.dtype}")
        if not np.isfinite(value).all():
            raise ValueError("action must be finite, got NaN or infinity")
        return value.astype(np.float64)

    def _clip(self, actions: Array) -> Array:
        clipped = np.clip(actions, -1.0, 1.0)
        self.ledger.clipped += int(np.sum(clipped != actions))
        return clipped

    @contextmanager
    def _charged(self) -> Iterator[None]:
        """Takes costs back if what they were for did not finish."""
        before = dataclasses.asdict(self.ledger)
        try:
            yield
        except BaseException:
            vars(self.ledger).update(before)
            raise

    def _seeds(self, stream: str, counter: int, count: int) -> NDArray[np.uint64]:
        return keys(keys(self.seed, stream, 1)[0] + np.uint64(counter), stream, count)

    def _points(self, action: Array, counter: int) -> tuple[Array, NDArray[np.uint64]]:
        """Actions (n, d) and seeds (n,) of a committed training step."""
        size = self.options.batch_size
        if isinstance(self._estimator, Perturbed):
            return self._estimator.points(action, counter, size, partial(self._seeds, "train"))
        seeds = self._seeds("train", counter, size)
        return self._spread(action, seeds), seeds

    def _spread(self, action: Array, seeds: NDArray[np.uint64]) -> Array:
        """Actions (n, d) of the samples with the given seeds; what is outside the box is clipped when rendered."""
        spread, d = self.options.spread, len(action)
        if spread is None:
            return np.tile(action, (len(seeds), 1))
        u = Noise(seeds).uniform("spread", (d,))
        return 2.0 * u - 1.0 if spread == "uniform" else action + float(spread) * ndtri(u)

    def _full(self, actions: Array) -> Array:
        full = np.broadcast_to(self._start, (*actions.shape[:-1], len(self._start))).copy()
        full[..., self.movable] = actions
        return full

    def _sample(self, actions: Array, noise: Noise) -> Batch:
        return self.task.sample(self.task.layout.from_action(self._full(actions)), noise)

    def _score(self, actions: Array, draws: list[Draw]) -> Array:
        """d log p(draws) / d action, (n, d)."""
        layout = self.task.layout
        by_beta = layout.log_probability_gradient(layout.from_action(self._full(actions)), draws)
        by_action = (0.5 * by_beta * (layout.high - layout.low))[:, self.movable]
        return np.where(np.abs(actions) <= 1.0, by_action, 0.0)  # clipped coordinates do not move

    def _loss(self, weights: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Losses of the rows, (n,)."""
        losses = self.task.loss(self._model.predict(weights, batch.image), batch)
        if losses.shape != (len(batch.image),):
            raise ValueError(
                f"{type(self.task).__name__}.loss must give a loss a row, ({len(batch.image)},), got shape "
                f"{tuple(losses.shape)}"
            )
        return losses

    def _train(self, state: State, batch: Batch) -> tuple[State, torch.Tensor]:
        """One step: the state after it, and its gradient."""
        self.ledger.train_steps += 1
        gradient = weight_gradient(self._loss, state.weights, batch)
        return self._rule.update(state, gradient), gradient

    def _averaged(self, average: torch.Tensor, state: State) -> torch.Tensor:
        # The decay grows with the number of steps, so that the first weights are soon forgotten.
        decay = min(self.options.weight_average, state.taken / (state.taken + 9.0))
        return average * decay + state.weights * (1.0 - decay)

    def _validation_rows(self, stream: str, counter: int) -> Batch:
        wanted, size = self.options.validation_images, len(self._validation.image)
        if wanted is None or wanted >= size:
            return self._validation.to(self.device)
        order = np.argsort(self._seeds(stream, counter, size), kind="stable")
        return self._validation.rows(torch.from_numpy(order[:wanted].copy())).to(self.device)

    def _validate(self, state: State, rows: Batch) -> float:
        self.ledger.validation_forwards += len(rows.image)
        with torch.no_grad():
            return self._loss(state.weights, rows).mean().item()

    def _differentiate(
        self, weights: torch.Tensor, rows: Batch, tape: Tape, samples: list[Samples], centre: Array
    ) -> Signal:
        self.ledger.validation_forwards += len(rows.image)
        by_weights = weight_gradient(self._loss, weights, rows)
        discrete, curvature = self.task.layout.discrete[self.movable], self.options.curvature
        # The ledger of now: the signal may be asked in a later episode, which has another.
        return Signal(self._loss, tape, samples, centre, discrete, by_weights, curvature, self.ledger.count)

    def _observation(self) -> NDArray[np.float32]:
        losses = np.array(self._losses[: self.options.observed_losses])
        with np.errstate(invalid="ignore"):
            bounded = np.where(np.isfinite(losses), losses / (1.0 + np.abs(losses)), 1.0)
        done = min(1.0, self._steps / self.options.episode_steps)
        gradient = self._direction if self.options.observe_gradient else np.zeros(0)
        return np.concatenate([self._action, bounded, [done], gradient]).astype(np.float32)


def make(task: str, render_mode: str | None = None, **knobs: Any) -> DataGenEnv:
    """Entry point of `gymnasium.make(id, **knobs)`: knobs are fields of the Task or of EnvOptions.

    Raises KeyError for an unknown id, TypeError for an unknown knob, ValueError for a bad value.
    """
    cls = find(task)
    ours = {f.name for f in dataclasses.fields(EnvOptions)}
    theirs = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = knobs.keys() - ours - theirs
    if unknown:
        raise TypeError(f"unknown option {sorted(unknown)} of {task}; known: {sorted(ours | theirs)}")
    options = EnvOptions(**{k: v for k, v in knobs.items() if k in ours})
    return DataGenEnv(cls(**{k: v for k, v in knobs.items() if k in theirs}), options, render_mode)
