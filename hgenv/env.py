"""DataGenEnv: the one Gymnasium environment. It wraps any Task: trains, validates, counts cost, gives the gradient."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from hgenv.gradient import Signal
from hgenv.noise import Noise, keys
from hgenv.options import EnvOptions, Ledger
from hgenv.task import Batch, Split, Task, find
from hgenv.training import Model, State, Step, train_step

Array = NDArray[np.float64]
_CHUNK = 64  # images a forward pass when validating


class DataGenEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Action: normalised beta, Box(-1, 1, (d,)), or its continuous part. Actions outside are clipped and counted.

    A step trains the current network on f(beta, .), keeps it, and validates it on the target domain; the reward is
    minus the validation loss. Every random number is keyed by (seed, stream, counter): committed samples are the same
    whichever optimizer runs, and probes of `evaluate` have streams of their own.

    Observation, Box(-1, 1, (d + 2,)): the last action; loss / (1 + loss) of the last step; share of the episode done.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 4}  # type: ignore[misc]

    def __init__(self, task: Task, options: EnvOptions | None = None, render_mode: str | None = None) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.task, self.options, self.render_mode = task, options or EnvOptions(), render_mode
        self.device = torch.device(self.options.device)
        self._validation, self._test = task.validation(), task.test()  # a broken data folder shows here
        movable = ~task.layout.discrete if self.options.coordinates == "continuous" else task.layout.discrete < 2
        self.movable = np.flatnonzero(movable)
        self._start = task.layout.to_action(task.layout.initial)
        self._rule, self._estimator = self.options.rule(), self.options.estimator()
        d = len(self.movable)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (d,), np.float32)
        self.observation_space = gymnasium.spaces.Box(-1.0, 1.0, (d + 2,), np.float32)
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
        self._action = self._start[self.movable]
        self._signal: Signal | None = None
        with torch.no_grad():
            self._loss_value = self._validation_loss(self._state.weights, self._validation_rows("validation", 0)).item()
        return self._observation(), self._info(self._loss_value, 0)

    def step(self, action: ArrayLike) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Train `train_steps` steps from the current weights on f(beta, .) and validate.

        info: beta (d_all,) physical; val_loss; clipped, the number of coordinates clipped; the cost ledger since reset;
        hybrid_gradient (d,) = dL/d(action), if made with a gradient and this step computes one.
        Raises ValueError for an action of the wrong shape or type or that is not finite; nothing has changed then.
        """
        state = self._need_state()
        given = self._check(action, 1)
        o = self.options
        moved = np.clip(given, -1.0, 1.0)
        differentiate = o.gradient is not None and self._steps % o.gradient_every == 0
        plain = o.train_steps - (o.differentiated_steps if differentiate else 0)
        first, average = self._steps * o.train_steps, self._average
        steps, actions, seeds = [], [], []
        for k in range(o.train_steps):
            batch_seeds = self._seeds("train", first + k, o.batch_size)
            batch_actions = self._spread(moved, batch_seeds)
            batch = self._render(batch_actions, batch_seeds)
            if k >= plain:
                steps.append(Step(state, batch))
                actions.append(batch_actions)
                seeds.append(batch_seeds)
            state = self._train(state, batch)
            average = self._averaged(average, state)
        self._state, self._average, self._action = state, average, moved
        self._steps += 1
        rows = self._validation_rows("validation", self._steps)
        loss, gradient = self._validate_step(rows, steps, actions, seeds)
        self._loss_value = loss
        info = self._info(loss, int(np.sum(given != moved)))
        if gradient is not None:
            info["hybrid_gradient"] = gradient
        return self._observation(), -loss, False, self._steps >= o.episode_steps, info

    def render(self) -> NDArray[np.uint8] | None:
        """A contact sheet (h, w, 3) uint8 of 16 samples at the current beta: images above, targets below."""
        if self.render_mode is None:
            return None
        self._need_state()
        return self.contact_sheet(self._action, 16, columns=8)

    # -- beyond Gymnasium

    def evaluate(self, actions: ArrayLike) -> Array:
        """Losses (k,) of actions (k, d): each trains a throw-away copy `train_steps` steps; nothing is committed.

        All k probes share seeds and validation images; every call has new ones. Costs count in the ledger.
        Raises ValueError as step() does.
        """
        state = self._need_state()
        points = np.clip(self._check(actions, 2), -1.0, 1.0)
        o, call = self.options, self._evaluations
        rows = self._validation_rows("probe validation", call)
        seeds = [self._seeds("probe", call * o.train_steps + k, o.batch_size) for k in range(o.train_steps)]
        losses = []
        for point in points:
            probe = state
            for batch_seeds in seeds:
                probe = self._train(probe, self._render(self._spread(point, batch_seeds), batch_seeds))
            with torch.no_grad():
                losses.append(self._validation_loss(probe.weights, rows).item())
        self._evaluations += 1
        return np.array(losses)

    @property
    def signal(self) -> Signal:
        """How the validation loss depends on what the last differentiated step trained on."""
        if self._signal is None:
            raise RuntimeError("no signal yet: make the environment with gradient=... and call step()")
        return self._signal

    def predict(self, split: Split, state: dict[str, Any] | None = None) -> torch.Tensor:
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

    def start_from(self, beta: ArrayLike) -> None:
        """Move the start to another physical beta (d_all,); frozen coordinates take its values as well."""
        values = np.asarray(beta, np.float64)
        if values.shape != self._start.shape or not np.isfinite(values).all():
            raise ValueError(f"beta must be {self._start.shape} finite numbers, got {values.shape}")
        self._start = self.task.layout.to_action(self.task.layout.clip(values))

    def contact_sheet(self, action: ArrayLike, count: int, columns: int) -> NDArray[np.uint8]:
        """`count` samples at an action, in rows of `columns`: image above, target below. Not charged to the ledger."""
        seeds = keys(0, "contact sheet", count)
        batch = self._sample(self._spread(np.asarray(action, np.float64), seeds), seeds)
        return sheet(self.task, batch, columns)

    def state_dict(self) -> dict[str, Any]:
        """Everything a continued run depends on, as plain arrays and numbers: weights, moments, counters, ledger."""
        state = self._need_state()
        tensors = {"weights": state.weights, "average": self._average}
        tensors |= {f"moment{i}": moment for i, moment in enumerate(state.moments)}
        numbers = {"taken": state.taken, "steps": self._steps, "evaluations": self._evaluations, "seed": self.seed}
        numbers |= dataclasses.asdict(self.ledger)
        arrays = {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}
        return arrays | numbers | {"action": self._action.copy(), "loss": self._loss_value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what state_dict() gave, in an environment made alike and reset once.

        Raises ValueError that names what does not fit; nothing has changed then.
        """
        mine = self.state_dict()
        if state.keys() != mine.keys():
            raise ValueError(f"state has the entries {sorted(state)}, expected {sorted(mine)}")
        for name, value in mine.items():
            if np.shape(state[name]) != np.shape(value):
                raise ValueError(f"{name} has shape {np.shape(state[name])}, expected {np.shape(value)}")
        restored = {k: torch.from_numpy(np.array(v)).to(self.device) for k, v in state.items() if np.ndim(v)}
        moments = tuple(restored[f"moment{i}"] for i in range(len(self._need_state().moments)))
        self._state = State(restored["weights"], moments, int(state["taken"]))
        self._average, self._action = restored["average"], np.array(state["action"])
        self._steps, self._evaluations, self.seed = (int(state[k]) for k in ("steps", "evaluations", "seed"))
        self.ledger = Ledger(*(int(state[f.name]) for f in dataclasses.fields(Ledger)))
        self._loss_value, self._signal = float(state["loss"]), None

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

    def _seeds(self, stream: str, counter: int, count: int) -> NDArray[np.uint64]:
        return keys(keys(self.seed, stream, 1)[0] + np.uint64(counter), stream, count)

    def _spread(self, action: Array, seeds: NDArray[np.uint64]) -> Array:
        """Actions (n, d) of the samples with the given seeds."""
        spread, d = self.options.spread, len(action)
        if spread is None:
            return np.tile(action, (len(seeds), 1))
        u = Noise(seeds).uniform("spread", (d,))
        return 2.0 * u - 1.0 if spread == "uniform" else np.clip(action + float(spread) * ndtri(u), -1.0, 1.0)

    def _full(self, actions: Array) -> Array:
        full = np.broadcast_to(self._start, (*actions.shape[:-1], len(self._start))).copy()
        full[..., self.movable] = actions
        return full

    def _sample(self, actions: Array, seeds: NDArray[np.uint64]) -> Batch:
        return self.task.sample(self.task.layout.from_action(self._full(actions)), Noise(seeds))

    def _render(self, actions: Array, seeds: NDArray[np.uint64]) -> Batch:
        self.ledger.renders += len(seeds)
        return self._sample(actions, seeds).to(self.device)

    def _loss(self, weights: torch.Tensor, batch: Batch) -> torch.Tensor:
        return self.task.loss(self._model.predict(weights, batch.image), batch)

    def _train(self, state: State, batch: Batch) -> State:
        self.ledger.train_steps += 1
        return train_step(self._loss, self._rule, state, batch)

    def _averaged(self, average: torch.Tensor, state: State) -> torch.Tensor:
        # The decay grows with the number of steps, so that the first weights are soon forgotten.
        decay = min(
            self.options.weight_average, state.taken / (state.taken + 9.0) if self.options.weight_average else 0.0
        )
        return average * decay + state.weights * (1.0 - decay)

    def _validation_rows(self, stream: str, counter: int) -> Batch:
        wanted, size = self.options.validation_images, len(self._validation.image)
        if wanted is None or wanted >= size:
            return self._validation.to(self.device)
        order = np.argsort(self._seeds(stream, counter, size), kind="stable")
        return self._validation.rows(torch.from_numpy(order[:wanted].copy())).to(self.device)

    def _validation_loss(self, weights: torch.Tensor, rows: Batch) -> torch.Tensor:
        self.ledger.validation_forwards += len(rows.image)
        return self._loss(weights, rows)

    def _validate_step(
        self, rows: Batch, steps: list[Step], actions: list[Array], seeds: list[NDArray]
    ) -> tuple[float, Array | None]:
        assert self._state is not None
        if not steps:
            with torch.no_grad():
                return self._validation_loss(self._state.weights, rows).item(), None
        weights = self._state.weights.detach().requires_grad_()
        loss = self._validation_loss(weights, rows)
        (by_weights,) = torch.autograd.grad(loss, weights)
        self._signal = Signal(self._loss, self._rule, steps, np.stack(actions), np.stack(seeds), by_weights)
        self.ledger.differentiated_steps += len(steps)
        rng = np.random.default_rng(self._seeds("direction", self._steps, 4))
        return loss.item(), self._estimator.estimate(self._signal, self._render, rng)

    def _observation(self) -> NDArray[np.float32]:
        loss = self._loss_value / (1.0 + self._loss_value) if np.isfinite(self._loss_value) else 1.0
        done = min(1.0, self._steps / self.options.episode_steps)
        return np.concatenate([self._action, [loss, done]]).astype(np.float32)

    def _info(self, loss: float, clipped: int) -> dict[str, Any]:
        return {
            "beta": self.beta(self._action), "val_loss": loss, "clipped": clipped, **dataclasses.asdict(self.ledger)
        }  # fmt: skip


def sheet(task: Task, batch: Batch, columns: int) -> NDArray[np.uint8]:
    """A batch as one picture (h, w, 3) uint8: strips of `columns` images with their targets below."""
    image = batch.image[:, :3].clamp(0, 1).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).double().numpy()
    tiles = np.concatenate([image, task.picture(batch.target, batch.mask)], axis=1)
    padded = np.concatenate([tiles, np.zeros((-len(tiles) % columns, *tiles.shape[1:]))])
    _, h, w, _ = padded.shape
    grid = padded.reshape(-1, columns, h, w, 3).transpose(0, 2, 1, 3, 4).reshape(-1, columns * w, 3)
    return (255.0 * grid.clip(0, 1)).round().astype(np.uint8)


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
