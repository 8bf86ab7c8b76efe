"""The checks of a task. What each expects, and how to mend what is not so, is its docstring, which ends the message."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch, SampleError
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise
from hgenv.calls import own_torch
from hgenv.domains.domain import SPLITS, Domain
from hgenv.env import DataGenEnv
from hgenv.episode import Failure
from hgenv.fields import check
from hgenv.learning.training import FlatNetwork
from hgenv.options import EnvOptions, build, flat
from hgenv.run import COST
from hgenv.task import Task, sampled
from hgenv.testing.finding import expect, has_options_of_its_own, own_randomness, run_all

Array = NDArray[np.float64]
ROWS = 3
IN_ROWS = {
    *COST,
    "agreement",
    "failed",
    "step",
    "val_loss",
    "beta",
    "hybrid_gradient",
    "cpu_seconds",
    "wall_seconds",
    "gpu_seconds",
}


def check_task(task: Task) -> None:
    """Raise CheckError for the first thing that is wrong with a task. It trains a few steps: give it small images."""
    expect(isinstance(task, Task), f"check_task takes an instance of a Task, as in check_task(Mine()), got {task!r}")
    with own_torch():
        run_all(TASK_CHECKS, Trial(task), type(task).__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """A task, with what the checks look at."""

    task: Task

    @cached_property
    def beta(self) -> Array:
        """The start, and other points of the box."""
        layout = self.task.layout
        elsewhere = np.random.default_rng(0).uniform(-1.0, 1.0, (ROWS - 1, len(layout.names)))
        return np.concatenate([layout.initial[None], layout.from_action(elsewhere)])

    @cached_property
    def seeds(self) -> NDArray[np.uint64]:
        """A seed a row, of which the row can be made if it can be made of any."""
        seeds = np.arange(ROWS, dtype=np.uint64)
        try:
            return sampled(self.task, self.beta.copy(), seeds).noise.seeds
        except SampleError:
            raise
        except Exception:  # whatever is wrong with the task has a check of its own
            return seeds

    def sample(self, rows: slice = slice(None)) -> Batch:
        """Samples of rows of beta, each with a seed of its own."""
        return self.task.sample(self.beta[rows].copy(), Noise(self.seeds[rows]))

    @cached_property
    def batch(self) -> Batch:
        return self.sample()

    @cached_property
    def model(self) -> FlatNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = self.task.network()
            self.task.pretrain(network, torch.device("cpu"))
        return FlatNetwork(network)

    def predict(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            return self.model.predict(self.model.initial, batch.image)

    def seen(self, rows: slice) -> dict[str, Tensor]:
        """All that has rows, for some of them, by name."""
        batch, sample = self.batch.rows(rows), self.sample(rows)
        loss = self.task.quantity.loss(self.predict(self.batch)[:, rows], batch)
        parts = {f"sample's {name}": part for name, part in zip(Batch._fields, sample, strict=True)}
        return parts | {"the network's prediction": self.predict(batch).transpose(0, 1), "loss": loss}


def is_dataclass_of_options(trial: Trial) -> None:
    """A task's class, its base too, is decorated with @dataclass(frozen=True), and its fields have
    defaults, and other names than the options of every environment and of hgenv run."""
    cls: Any = type(trial.task)
    expect(getattr(getattr(cls, "__dataclass_params__", None), "frozen", False), "it is not a frozen dataclass")
    lost = vars(cls).get("__annotations__", {}).keys() - {field.name for field in dataclasses.fields(cls)}
    expect("__dataclass_params__" in vars(cls) or not lost, f"its fields {sorted(lost)} do not count")
    has_options_of_its_own(cls)


def is_made_again(trial: Trial) -> None:
    """A task is made again from its fields when a run is opened: they are plain values that JSON holds (numbers, text,
    bool, None, sequences of such), or parts that are dataclasses of such, as their annotations say, and __post_init__
    does not change them."""
    text = json.dumps(flat(trial.task))
    again = json.dumps(flat(build(type(trial.task), json.loads(text))))
    expect(text == again, f"its fields are {text}, and {again} when it is made from them")
    check(trial.task)


def is_pickled(trial: Trial) -> None:
    """A task can be sent to a spawned process: its class is at the top of a module, and it keeps no lambda, open file
    or lock."""
    pickle.loads(pickle.dumps(trial.task))


def is_pickled_when_used(trial: Trial) -> None:
    """A task can be sent to a spawned process once it has been used, with all that it has cached: no lambda, open file
    or lock."""
    is_pickled(trial)


def has_layout(trial: Trial) -> None:
    """`layout` is an instance of a class that derives from Layout and is decorated with @dataclass(frozen=True); each
    coordinate has a name of its own, a finite range, and a start inside it."""
    layout = trial.task.layout
    expect(isinstance(layout, Layout), f"layout is {layout!r}")
    expect(layout.parameters, "beta has no coordinates")
    for p in layout.parameters:
        expect(layout.names.count(p.name) == 1, f"beta has two coordinates {p.name}")
        expect(-np.inf < p.low < p.high < np.inf, f"the range of {p.name} is [{p.low}, {p.high}]")
        expect(p.low <= p.initial <= p.high, f"{p.name} starts at {p.initial}, outside its range [{p.low}, {p.high}]")


def prepares(trial: Trial) -> None:
    """`domain` is a Domain, made once, as by functools.cached_property; its prepare() and the task's load all that is
    needed."""
    expect(isinstance(trial.task.domain, Domain), f"domain is {trial.task.domain!r}")
    expect(trial.task.domain is trial.task.domain, "domain is another one whenever it is asked for")
    trial.task.domain.prepare()
    trial.task.prepare()


def is_well_formed(batch: Batch, what: str, count: int, dtype: torch.dtype) -> None:
    """CheckError unless a batch of so many rows is as Batch says."""
    expect(isinstance(batch, Batch) and all(isinstance(part, Tensor) for part in batch), f"{what} gives {batch!r}")
    named = list(zip(Batch._fields, batch, strict=True))
    shapes = f"{what} has " + ", ".join(f"{name} {tuple(part.shape)}" for name, part in named)
    expect(all(part.ndim == 4 for part in batch), f"{shapes}: not four axes each")
    expect(all(len(part) == count for part in batch), f"{shapes}: not {count} rows each")
    expect(batch.image.shape[2:] == batch.target.shape[2:] == batch.mask.shape[2:], f"{shapes}: sides that differ")
    expect(batch.mask.shape[1] == 1, f"{shapes}: not one channel of the mask")
    for name, part in named:
        expect(part.dtype == dtype, f"{what} has {name} of {part.dtype}, the network parameters of {dtype}")
        expect(part.isfinite().all(), f"{what} has numbers in {name} that are not finite")
    low, high = batch.mask.min(), batch.mask.max()
    expect(low >= 0 and high <= 1, f"{what} has a mask from {low:g} to {high:g}, outside [0, 1]")


def sample_is_well_formed(trial: Trial) -> None:
    """sample gives, for n rows of beta, a Batch of three tensors, image (n, c, h, w), target (n, t, h, w) and mask
    (n, 1, h, w) in [0, 1], finite also where the mask is 0, of the dtype of the network's parameters: numpy's float64
    becomes torch's float32 by array.astype(np.float32). Rows that it cannot make of their keys it names by
    SampleError, seldom."""
    is_well_formed(trial.batch, "sample", ROWS, trial.model.initial.dtype)


def sample_is_keyed(trial: Trial) -> None:
    """A sample follows from beta and the noise: all randomness comes from noise.draw and noise.uniform, by the name of
    its place, nothing is kept from call to call, and the arrays given are left as they are."""
    beta = trial.beta.copy()
    with own_randomness("sample"):
        trial.task.sample(beta, Noise(trial.seeds))
    expect(np.array_equal(beta, trial.beta), "sample changes the beta that it is given")
    for name, part, again in zip(Batch._fields, trial.batch, trial.sample(), strict=True):
        expect(torch.equal(part, again), f"sample of the same beta and noise gives another {name} the second time")


def sample_refuses_what_is_outside(trial: Trial) -> None:
    """sample raises ValueError for beta outside its range or not finite, as self.layout.bind(beta) does."""
    layout = trial.task.layout
    for beta in (2.0 * layout.high - layout.low, layout.initial * np.nan):
        try:
            trial.task.sample(beta[None], Noise(np.arange(1)))
        except ValueError:
            continue
        expect(False, f"sample takes {layout.names[0]} = {beta[0]:g}, whose range is {layout.parameters[0][1:3]}")


def network_is_reversible(trial: Trial) -> None:
    """A network is an nn.Module, a fresh one at every call, that trains a parameter at least (requires_grad), without
    dropout or with p = 0, and with GroupNorm, say, instead of BatchNorm."""
    expect(trial.model, "")
    with torch.random.fork_rng(devices=[]):
        networks = [trial.task.network() for _ in range(2)]
    first, second = ({p.data_ptr() for p in network.parameters()} for network in networks)
    expect(not first & second, "network() gives parameters that it gave before")


def network_predicts_stacks(trial: Trial) -> None:
    """A network gives one tensor (stacks, n, t, h, w), one prediction as large as the target a stack: prediction[None]
    if there is but one, torch.stack(predictions) of several."""
    found, target = trial.predict(trial.batch), trial.batch.target.shape
    expect(isinstance(found, Tensor), f"the network gives a {type(found).__name__}")
    shapes = f"the network's prediction {tuple(found.shape)} of the target {tuple(target)}"
    expect(found.shape != target, f"{shapes} has no stack axis")
    expect(found.ndim == 5 and len(found) and found.shape[1:] == target, f"{shapes} has the wrong shape")


def network_repeats(trial: Trial) -> None:
    """A forward pass draws nothing and leaves no trace, as training is replayed: buffers, if any, are constants."""
    with own_randomness("the network's forward pass"):
        first = trial.predict(trial.batch)
    trial.model.check_buffers()
    expect(torch.equal(first, trial.predict(trial.batch)), "the network predicts something else the second time")


def loss_is_a_value_a_row(trial: Trial) -> None:
    """quantity.loss gives the losses (n,) of n rows, finite numbers: means over stacks, channels and pixels, as by
    .mean((0, 2, 3, 4)), not over rows."""
    found = trial.task.quantity.loss(trial.predict(trial.batch), trial.batch)
    expect(found.shape == (ROWS,), f"loss of {ROWS} rows has the shape {tuple(found.shape)}")
    expect(found.isfinite().all(), f"loss is {found.tolist()}")


def rows_are_their_own(trial: Trial) -> None:
    """Row i of a sample follows from row i of beta and of the noise, of a prediction from image i, of the losses from
    row i of prediction and batch: normalise by constants, or each row by itself."""
    together = trial.seen(slice(None))
    for i in range(ROWS):
        for name, alone in trial.seen(slice(i, i + 1)).items():
            same = torch.allclose(together[name][i : i + 1], alone, rtol=1e-4, atol=1e-5)  # sums in another order
            expect(same, f"row {i} of {name} is another one without the other rows")


def loss_is_twice_differentiable(trial: Trial) -> None:
    """Training is differentiated through: the weights' gradient has a derivative by images, weights and targets that
    is finite and not 0, and symmetric in the weights. Loss and network do not detach, round or leave torch, are not
    both linear, and add a small constant inside sqrt and norm; an absolute error does not tell by how much a target is
    off; what computes its own derivative, as some fused kernels do, computes that of the derivative too."""
    weights = trial.model.initial.clone().requires_grad_()
    batch = Batch(*(part.detach().clone().requires_grad_() for part in trial.batch))
    loss = trial.task.quantity.loss(trial.model.predict(weights, batch.image), batch).mean()
    (gradient,) = torch.autograd.grad(loss, weights, create_graph=True)
    random = torch.Generator().manual_seed(0)
    along, across = (torch.randn(gradient.shape, generator=random, dtype=gradient.dtype) for _ in range(2))
    inputs = [batch.image, weights, batch.target]
    kept = {"allow_unused": True, "materialize_grads": True, "retain_graph": True}
    found = torch.autograd.grad(gradient, inputs, along, **kept)
    (turned,) = torch.autograd.grad(gradient, weights, across, **kept)
    for name, second in zip(("images", "weights", "targets"), found, strict=True):
        expect(second.isfinite().all(), f"the derivative of the loss by weights and {name} is not finite")
        expect(second.any(), f"the derivative of the loss by weights and {name} is 0")
    one, two = (torch.dot(a, b).item() for a, b in ((found[1], across), (turned, along)))
    rounding = 1e-3 * (found[1].norm() * across.norm()).item()
    expect(abs(one - two) < rounding, f"the second derivative by the weights is {one:g} one way and {two:g} the other")


def splits_are_well_formed(trial: Trial) -> None:
    """domain.batch gives, for both splits, a Batch as sample does, of the same dtype (array.astype(np.float32)), with
    as many channels, one picture at least, and sides that suit the network."""
    for split, batch in ((split, trial.task.domain.batch(split)) for split in SPLITS):
        is_well_formed(batch, f"the {split} split", max(1, len(batch.image)), trial.model.initial.dtype)
        for name, ours, theirs in zip(Batch._fields, trial.batch, batch, strict=True):
            channels = f"the {split} split has {theirs.shape[1]} channels in {name}, sample has {ours.shape[1]}"
            expect(ours.shape[1] == theirs.shape[1], channels)
        found, wanted = trial.predict(batch.rows(slice(0, 1))).shape[1:], batch.target[:1].shape
        expect(found == wanted, f"the network predicts {tuple(found)} of the {split} split's {tuple(wanted)}")


def splits_are_disjoint(trial: Trial) -> None:
    """No image is in both splits: draw them from different seeds, and from different objects."""
    validation, test = ([one.numpy().tobytes() for one in trial.task.domain.batch(split).image] for split in SPLITS)
    for i, image in enumerate(test):
        expect(image not in validation, f"test image {i} is in the validation split")


def truth_fits(trial: Trial) -> None:
    """domain.truth has a batch of one row a picture, with the target that domain.batch has, unless it is larger;
    domain.enlarged and every one of domain.answers gives predictions for all pictures, each (t, height, width) as large
    as its truth."""
    for split in SPLITS:
        domain, target = trial.task.domain, trial.task.domain.batch(split).target
        truth, found = domain.truth(split), domain.enlarged(target.numpy(), split)
        counts = f"{len(target)} pictures in the {split} split, {len(truth)} in truth, {len(found)} enlarged"
        expect(len(target) == len(truth) == len(found), counts)
        for ours, one, large in zip(target, truth, found, strict=True):
            sizes = f"a truth of shape {tuple(one.target.shape)} and a prediction enlarged to {large.shape}"
            expect((1, *large.shape) == tuple(one.target.shape), sizes)
            same = one.target[0].shape != ours.shape or torch.allclose(one.mask[0] * one.target[0], one.mask[0] * ours)
            expect(same, f"a truth of the {split} split is another one than the target of its batch")
        for name, answer in domain.answers(split).items():
            shapes = [(1, *np.shape(prediction)) for prediction in answer]
            expect(shapes == [tuple(one.target.shape) for one in truth], f"the answer {name!r} has the shapes {shapes}")


def metrics_are_right(trial: Trial) -> None:
    """quantity.metrics gives finite numbers, one of them under the name quantity.primary, which is the lower the
    better: 0, say, for a perfect prediction."""
    quantity, domain = trial.task.quantity, trial.task.domain
    for split in SPLITS:
        target, truth = domain.batch(split).target.numpy(), domain.truth(split)
        perfect, wrong = (quantity.metrics(domain.enlarged(t, split), truth) for t in (target, np.roll(target, 1, 0)))
        expect(quantity.primary in perfect, f"metrics are {', '.join(perfect)}, without {quantity.primary!r}")
        expect(np.isfinite([*perfect.values()]).all(), f"metrics of a perfect prediction are {perfect}")
        if all(one.target.shape[1:] == target.shape[1:] for one in truth):  # what is enlarged need not be perfect
            scores = [m[quantity.primary] for m in (perfect, wrong)]
            expect(scores[0] <= scores[1] + 1e-6, f"{quantity.primary} is {scores}: the targets, and those of others")


def figures_are_drawn(trial: Trial) -> None:
    """quantity.picture gives colours (n, height, width, 3) in [0, 1], and quantity.error values (n, h, w), finite."""
    quantity, batch = trial.task.quantity, trial.batch
    colours, errors = quantity.picture(batch.target, batch.mask), quantity.error(trial.predict(batch)[-1], batch).values
    expect(colours.ndim == 4 and colours.shape[::3] == (ROWS, 3), f"picture gives the shape {colours.shape}")
    lowest, highest = colours.min(), colours.max()
    expect(lowest >= -1e-6 and highest <= 1 + 1e-6, f"picture gives colours from {lowest:g} to {highest:g}")
    expect(errors.shape == (ROWS, *batch.image.shape[2:]), f"error gives the shape {errors.shape}")
    expect(np.isfinite(errors).all(), "error gives what is not finite")


def commit_leaves_self(trial: Trial) -> None:
    """commit gives another task, as by dataclasses.replace, or the same if it has learned nothing; self stays as it
    is. What it has learned is in its memory, from which recall makes a task with the same memory and samples. What
    `trivial` says is trivial leaves the memory as it is."""
    before: Any = copy.deepcopy(trial.task.memory)
    after = trial.task.commit(trial.beta[1].copy())
    expect(isinstance(after, Task), f"commit gives {after!r}")
    for beta in filter(trial.task.trivial, trial.beta):
        learned_of_it: Any = trial.task.commit(beta.copy()).memory
        expect(np.array_equal(before, learned_of_it), "commit of what is trivial changes the memory")
    expect(np.array_equal(before, trial.task.memory), "commit changes the memory of the task itself")  # type: ignore[arg-type]
    expect(all(map(torch.equal, trial.batch, trial.sample())), "commit changes the samples of the task itself")
    learned = Trial(after).sample()
    if (memory := after.memory) is not None:
        again = trial.task.recall(memory)
        expect(np.array_equal(again.memory, memory), "recall gives a task with another memory")  # type: ignore[arg-type]
        expect(all(map(torch.equal, learned, Trial(again).sample())), "recall gives a task with other samples")
    else:
        expect(all(map(torch.equal, learned, trial.batch)), "samples change by commit, and memory is None")
    reports: list[dict[str, Any]] = [trial.task.report(), after.report()]
    expect(reports[0].keys() == reports[1].keys(), f"report has the names {[*reports[0]]}, then {[*reports[1]]}")
    for name, value in reports[1].items():
        expect(name not in IN_ROWS and "." not in name, f"report has {name}, which rows of a run have already")
        expect(isinstance(value, int | float), f"report has {name} = {value!r}, which is no number")


def plays(trial: Trial) -> None:
    """An environment trains on it, validates and differentiates; everything is finite, and follows from the seed:
    nothing outlives an episode, and network() draws from torch's generator only."""
    options = {"gradient": "influence", "train_steps": 2, "batch_size": 2, "validation_images": 4}
    env = DataGenEnv(trial.task, build(EnvOptions, options))

    def played() -> list[Array]:
        env.reset(seed=0)
        steps = [env.step(env.start) for _ in range(2)]
        failed = [Failure(info["failed"]).name.lower() for *_, info in steps]
        expect(failed == ["none"] * 2, f"what is not finite in two steps: {', '.join(failed)}")
        return [np.array([reward, *info["hybrid_gradient"]]) for _, reward, _, _, info in steps]

    first, again = played(), played()
    expect(np.array_equal(first, again), f"two episodes of one seed have the rewards and gradients {first}, {again}")


TASK_CHECKS = (
    is_dataclass_of_options, is_made_again, is_pickled, has_layout, network_is_reversible, sample_is_well_formed,
    prepares, sample_is_keyed, sample_refuses_what_is_outside, network_predicts_stacks, network_repeats,
    loss_is_a_value_a_row, rows_are_their_own, loss_is_twice_differentiable, splits_are_well_formed,
    splits_are_disjoint, truth_fits, metrics_are_right, figures_are_drawn, commit_leaves_self, plays,
    is_pickled_when_used,
)  # fmt: skip
