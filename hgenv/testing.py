"""Checks for the authors of tasks and optimizers, which say in words what is wrong and how to mend it.

    def test_mine() -> None:
        check_task(Mine())

Each check is one function of TASK_CHECKS or OPTIMIZER_CHECKS, and the first that finds something raises CheckError.
They need no pytest.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgenv.batch import Batch, Split
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise
from hgenv.domains.domain import SPLITS, Domain
from hgenv.env import DataGenEnv, own_torch, split_options
from hgenv.learning.training import FlatNetwork
from hgenv.options import EnvOptions, build, flat
from hgenv.run import Player
from hgenv.task import Task

Array = NDArray[np.float64]
ROWS = 3
START = np.array([1.0, -1.0, 0.1, 0.4])
OPTIMUM = np.array([0.5, -0.3, 0.8, 0.0])


class CheckError(AssertionError):
    """What is wrong with a task or an optimizer: what was found, what was expected, how to mend it."""


def check_task(task: Task) -> None:
    """Raise CheckError for the first thing that is wrong with a task; make it small, as it is trained for some steps."""
    expect(isinstance(task, Task), f"check_task takes an instance of a Task, as check_task(Mine()), got {task!r}")
    with own_torch():
        run_all(TASK_CHECKS, Trial(task), type(task).__name__)


def check_optimizer(cls: type[Player]) -> None:
    """Raise CheckError for the first thing that is wrong with an optimizer, a class of which any instance will do."""
    expect(isinstance(cls, type), f"check_optimizer takes a class, as check_optimizer(Mine), got {cls!r}")
    run_all(OPTIMIZER_CHECKS, cls, cls.__name__)


def expect(holds: Any, problem: str) -> None:
    """Raise CheckError that names the problem unless something holds."""
    if not holds:
        raise CheckError(problem)


def run_all(checks: Sequence[Callable[[Any], None]], subject: Any, name: str) -> None:
    """All checks in turn; whatever else the author's code raises is a problem as well."""
    for check in checks:
        try:
            check(subject)
        except CheckError as error:
            raise CheckError(f"{name}: {error}") from error
        except Exception as error:  # somebody else's code: whatever it raises
            wanted = (check.__doc__ or "").partition("\n")[0]
            raise CheckError(f"{name}: {type(error).__name__}: {error}; expected: {wanted}") from error


@contextmanager
def untouched_randomness(what: str) -> Iterator[None]:
    """CheckError if what runs inside draws from a global generator, or seeds it."""
    before = random_states()
    yield
    for name, state in random_states().items():
        expect(state == before[name], f"{what} uses {name}, which is shared by all of the process: {KEYED}")


KEYED = "all randomness of a sample comes from noise.draw or noise.uniform, that of an optimizer from its rng"


def random_states() -> dict[str, bytes]:
    """The states of the global generators, by name."""
    states = (torch.get_rng_state().numpy(), np.random.get_state(), random.getstate())  # noqa: NPY002
    return dict(zip(("torch's randomness", "numpy.random", "random"), map(pickle.dumps, states), strict=True))


# -- a task


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """A task with what the checks look at."""

    task: Task

    @cached_property
    def beta(self) -> Array:
        """The start, and two points of the box."""
        layout = self.task.layout
        box = np.random.default_rng(0).uniform(-1.0, 1.0, (ROWS - 1, len(layout.names)))
        return np.concatenate([layout.initial[None], layout.from_action(box)])

    def sampled(self, rows: slice = slice(None)) -> Batch:
        """Samples of some rows of beta, each with a seed of its own."""
        return self.task.sample(self.beta[rows].copy(), Noise(np.arange(ROWS)[rows]))

    @cached_property
    def batch(self) -> Batch:
        return self.sampled()

    @cached_property
    def network(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.task.network()

    @cached_property
    def model(self) -> FlatNetwork:
        return FlatNetwork(self.network)

    def predicted(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            return self.model.predict(self.model.initial, batch.image)

    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        return self.task.quantity.loss(self.model.predict(weights, batch.image), batch)

    @cached_property
    def losses(self) -> Tensor:
        with torch.no_grad():
            return self.loss(self.model.initial, self.batch)

    @cached_property
    def bends(self) -> dict[str, Tensor]:
        """The derivatives of the weights' gradient, in a direction, by the images and by the weights."""
        weights = self.model.initial.clone().requires_grad_()
        batch = Batch(*(part.detach().requires_grad_() for part in self.batch))
        (gradient,) = torch.autograd.grad(self.loss(weights, batch).mean(), weights, create_graph=True)
        inputs = {"images": batch.image, "weights": weights}
        along = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(0), dtype=gradient.dtype)
        found = torch.autograd.grad(gradient, [*inputs.values()], along, allow_unused=True, materialize_grads=True)
        return dict(zip(inputs, found, strict=True))


def is_frozen(trial: Trial) -> None:
    """A task is a frozen dataclass."""
    params = getattr(trial.task, "__dataclass_params__", None)
    expect(params is not None and params.frozen, "it is no frozen dataclass: decorate it with @dataclass(frozen=True)")
    own = vars(type(trial.task))
    lost = own.get("__annotations__", {}).keys() - {f.name for f in dataclasses.fields(trial.task)}  # type: ignore[arg-type]
    expect(
        "__dataclass_params__" in own or not lost,
        f"its field {min(lost, default='')!r} is none, as the class is not decorated: @dataclass(frozen=True)",
    )


def shadows_no_option(trial: Trial) -> None:
    """Its fields have other names than the options of the environment."""
    try:
        split_options(type(trial.task), {})
    except TypeError as error:
        raise CheckError(str(error)) from error


def is_made_of_options(trial: Trial) -> None:
    """A task can be made again from its options, plain values that JSON holds, as an opened run does."""
    try:
        text = json.dumps(flat(trial.task))
        again = json.dumps(flat(build(type(trial.task), json.loads(text))))
    except (TypeError, ValueError) as error:
        raise CheckError(
            f"it cannot be made again from its fields ({error}): they must be plain values, numbers, text, True, "
            "False or None, or parts that are dataclasses of such"
        ) from error
    expect(again == text, f"made again from its fields {text} it has {again}: __post_init__ must not change them")


def is_pickled(trial: Trial) -> None:
    """A task can be sent to another process."""
    try:
        pickle.loads(pickle.dumps(trial.task))
    except Exception as error:
        raise CheckError(
            f"it cannot be pickled, which a process that is spawned needs ({error}): define the class at the top of a "
            "module, and keep no lambda, open file or lock in it"
        ) from error


def has_layout(trial: Trial) -> None:
    """layout is an instance of a Layout that has coordinates."""
    layout = trial.task.layout
    expect(
        isinstance(layout, Layout),
        f"layout is {layout!r}: it must be an instance of a class derived from Layout, as layout = MyBeta()",
    )
    expect(layout.parameters, "beta has no coordinate: decorate the layout's class with @dataclass(frozen=True)")


def names_are_distinct(trial: Trial) -> None:
    """Every coordinate of beta has a name of its own."""
    names = trial.task.layout.names
    twice = sorted({name for name in names if names.count(name) > 1})
    expect(not twice, f"beta has two coordinates with the name {twice[:1]}: every one needs a name of its own")


def starts_in_range(trial: Trial) -> None:
    """Every coordinate of beta has a range, and starts in it."""
    for p in trial.task.layout.parameters:
        expect(
            p.low < p.high and np.isfinite([p.low, p.high]).all(),
            f"{p.name} has the range [{p.low}, {p.high}]: its ends must be finite, the lower one first",
        )
        expect(
            p.low <= p.initial <= p.high,
            f"{p.name} starts at {p.initial}, outside its range [{p.low}, {p.high}]: choose another start or range",
        )


def prepares(trial: Trial) -> None:
    """domain.prepare() and prepare() load what is needed."""
    expect(
        isinstance(trial.task.domain, Domain) and trial.task.domain is trial.task.domain,
        "domain must be one Domain, the same whenever it is asked for: decorate it with functools.cached_property",
    )
    trial.task.domain.prepare()
    trial.task.prepare()


def sample_is_keyed(trial: Trial) -> None:
    """sample uses no randomness but the noise."""
    with untouched_randomness("sample"):
        trial.sampled()


def sample_is_well_formed(trial: Trial) -> None:
    """sample gives a Batch of three floating-point tensors."""
    is_well_formed(trial.batch, "sample", ROWS)


def sample_repeats(trial: Trial) -> None:
    """sample of the same beta and noise is the same."""
    for name, part, again in zip(Batch._fields, trial.batch, trial.sampled(), strict=True):
        expect(torch.equal(part, again), f"sample gives another {name} when it is called again: {KEYED}")


def sample_leaves_beta(trial: Trial) -> None:
    """sample does not change the beta that it is given."""
    beta = trial.beta.copy()
    trial.task.sample(beta, Noise(np.arange(ROWS)))
    expect(np.array_equal(beta, trial.beta), "sample changes the beta that it is given: work on beta.copy()")


def sample_rows_are_their_own(trial: Trial) -> None:
    """Row i of a sample depends on row i of beta and of the noise only."""
    for i in range(ROWS):
        alone = trial.sampled(slice(i, i + 1))
        for name, whole, one in zip(Batch._fields, trial.batch, alone, strict=True):
            expect(
                whole[i : i + 1].shape == one.shape and close(whole[i : i + 1], one),
                f"row {i} of sample's {name} is another one when it is sampled alone: it may depend on row {i} of "
                "beta and of the noise only, not on the other rows, their number or its place among them",
            )


def close(a: Tensor, b: Tensor) -> bool:
    """Equal to the rounding of sums that run in another order."""
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def network_is_reversible(trial: Trial) -> None:
    """The network is a module whose training can be differentiated through."""
    expect(isinstance(trial.network, nn.Module), f"network() gives {type(trial.network).__name__}, not a nn.Module")
    try:
        expect(trial.model, "")
    except ValueError as error:
        raise CheckError(
            f"{error}. A network needs a trained parameter, no dropout, and GroupNorm in BatchNorm's place"
        ) from error


def dtypes_agree(trial: Trial) -> None:
    """Network, samples and domain are of one dtype."""
    weights = trial.model.initial.dtype
    for what, batch in {"sample": trial.batch, **splits_of(trial.task)}.items():
        expect(
            batch.image.dtype == weights,
            f"{what} is {batch.image.dtype} and the network's weights are {weights}: make both one, as by "
            "array.astype(np.float32)",
        )


def network_has_stacks(trial: Trial) -> None:
    """The network predicts (stacks, n, t, h, w)."""
    found, target = trial.predicted(trial.batch), tuple(trial.batch.target.shape)
    expect(isinstance(found, Tensor), f"the network gives {type(found).__name__}: torch.stack its predictions")
    shape = tuple(found.shape)
    expect(shape != target, f"the network's prediction {shape} has no stack axis: return prediction[None]")
    expect(
        len(shape) == 5 and shape[0] > 0 and shape[1:] == target,
        f"the network predicts {shape}: it must be (stacks, n, t, h, w), here (stacks, {str(target)[1:]}",
    )


def network_repeats(trial: Trial) -> None:
    """A forward pass is deterministic and leaves no trace."""
    with untouched_randomness("the network's forward pass"):
        first = trial.predicted(trial.batch)
    expect(
        torch.equal(first, trial.predicted(trial.batch)),
        "the network predicts something else of the same images: its forward pass must be deterministic",
    )
    try:
        trial.model.check_buffers()
    except ValueError as error:
        raise CheckError(f"{error}: a buffer must be constant") from error


def network_rows_are_their_own(trial: Trial) -> None:
    """A prediction depends on its own image only."""
    alone = [trial.predicted(trial.batch.rows(slice(i, i + 1))) for i in range(ROWS)]
    expect(
        close(trial.predicted(trial.batch), torch.cat(alone, 1)),
        "the network's prediction depends on the other images of the batch: normalise each image by itself",
    )


def loss_is_a_value_a_row(trial: Trial) -> None:
    """The quantity's loss is (n,), finite."""
    shape = tuple(trial.losses.shape)
    expect(shape == (ROWS,), f"loss has the shape {shape}, not one value a row, ({ROWS},): do not average over rows")
    expect(trial.losses.isfinite().all(), f"loss is not finite: {trial.losses.tolist()}, of an untrained network")


def loss_rows_are_their_own(trial: Trial) -> None:
    """The loss of a row depends on its own row only."""
    rows = [trial.batch.rows(slice(i, i + 1)) for i in range(ROWS)]
    with torch.no_grad():
        alone = torch.cat([trial.loss(trial.model.initial, row) for row in rows])
    expect(
        close(trial.losses, alone),
        f"loss gives {trial.losses.tolist()} for a batch and {alone.tolist()} for its rows alone: a row's loss may "
        "depend on that row only; normalise by a constant",
    )


def loss_is_twice_differentiable(trial: Trial) -> None:
    """The gradient of the loss by the weights can be differentiated by images and weights."""
    try:
        found = trial.bends
    except RuntimeError as error:
        raise CheckError(
            f"loss is not twice differentiable ({error}): no detach, no numpy, no rounding in loss and network"
        ) from error
    for name, part in found.items():
        expect(part.isfinite().all(), f"loss is not twice differentiable: its second derivative by the {name} is not "
               "finite, as that of sqrt or norm at 0 is not; add a small constant inside")  # fmt: skip
        expect(part.any(), f"loss is not twice differentiable: its second derivative by the {name} is 0, as that of "
               "rounding or of a loss and network without a bend is")  # fmt: skip


def splits_of(task: Task) -> dict[str, Batch]:
    return {f"the {split} split": task.domain.batch(split) for split in SPLITS}


def splits_are_well_formed(trial: Trial) -> None:
    """Both splits of the domain are batches as sample's are."""
    for what, batch in splits_of(trial.task).items():
        is_well_formed(batch, what, max(1, len(batch.image)))
        for name, ours, theirs in zip(("image", "target"), trial.batch, batch, strict=False):
            expect(
                ours.shape[1] == theirs.shape[1],
                f"{what} has {theirs.shape[1]} channels in {name}, sample has {ours.shape[1]}: they must be as many",
            )
        found = trial.predicted(batch.rows(slice(0, 1))).shape[1:]
        expect(found == batch.target[:1].shape, f"the network predicts {tuple(found)} of {what}, whose target is "
               f"{tuple(batch.target[:1].shape)}")  # fmt: skip


def splits_are_disjoint(trial: Trial) -> None:
    """No image is in both splits."""
    seen: dict[bytes, int] = {}
    validation, test = splits_of(trial.task).values()
    seen = {image.numpy().tobytes(): i for i, image in enumerate(validation.image)}
    for j, image in enumerate(test.image):
        i = seen.get(image.numpy().tobytes())
        expect(i is None, f"the splits overlap: test image {j} is validation image {i}; draw them from other seeds")


def truth_fits(trial: Trial) -> None:
    """truth is a batch of one row a picture, and enlarged gives predictions of its size."""
    for split in SPLITS:
        target = trial.task.domain.batch(split).target
        truth, found = trial.task.domain.truth(split), trial.task.domain.enlarged(target.numpy(), split)
        expect(
            len(truth) == len(found) == len(target),
            f"of {len(target)} pictures of the {split} split, truth has {len(truth)} and enlarged gives {len(found)}: "
            "one each",
        )
        for i, (one, large) in enumerate(zip(truth, found, strict=True)):
            expect(
                len(one.target) == 1 and one.target.shape[1:] == large.shape,
                f"{split} picture {i} has a truth of {tuple(one.target.shape)} and is enlarged to {large.shape}: "
                "expected (1, t, height, width) and (t, height, width)",
            )


def metrics_of(task: Task, target: Array, split: Split) -> dict[str, float]:
    return task.quantity.metrics(task.domain.enlarged(target, split), task.domain.truth(split))


def metrics_are_finite(trial: Trial) -> None:
    """The metrics of a perfect prediction are finite numbers, and the primary one is among them."""
    task = trial.task
    for split in SPLITS:
        found = metrics_of(task, task.domain.batch(split).target.numpy(), split)
        primary = task.quantity.primary
        expect(primary in found, f"metrics gives {', '.join(found)}: it must have the primary one, {primary}")
        for name, value in found.items():
            expect(np.isfinite(value), f"the metric {name} of a perfect prediction is {value}: it must be finite")


def perfect_is_best(trial: Trial) -> None:
    """The primary metric is the lower the better: the targets score no worse than those of other pictures."""
    task = trial.task
    for split in SPLITS:
        target = task.domain.batch(split).target.numpy()
        if any(one.target.shape[1:] != target.shape[1:] for one in task.domain.truth(split)):
            continue  # scored at another resolution: the targets need not be perfect there
        right, wrong = (metrics_of(task, t, split)[task.quantity.primary] for t in (target, np.roll(target, 1, 0)))
        expect(
            not right > wrong + 1e-6,
            f"a perfect prediction of the {split} split has {task.quantity.primary} {right}, a wrong one {wrong}: it "
            "must be the lower the better, and truth be the batch's targets",
        )


def commit_changes_nothing(trial: Trial) -> None:
    """commit gives another task and leaves this one as it is."""
    task = trial.task
    memory = None if task.memory is None else task.memory.copy()
    after = task.commit(trial.beta[1].copy())
    expect(isinstance(after, Task), f"commit gives {after!r}: it must return the task after the step")
    same = memory is None if task.memory is None else np.array_equal(task.memory, memory)
    same = same and all(map(torch.equal, trial.batch, trial.sampled()))
    expect(same, "commit changes the task itself: it must return another, as by dataclasses.replace, and leave self")
    if after.memory is not None:
        again = task.recall(after.memory)
        expect(np.array_equal(again.memory, after.memory), "recall(memory) gives a task with another memory")


def plays(trial: Trial) -> None:
    """An environment trains on it and differentiates, and the same seed gives the same."""
    options = {"gradient": "influence", "train_steps": 2, "batch_size": 2, "validation_images": 4}
    env = DataGenEnv(trial.task, build(EnvOptions, options))
    first, again = played(env), played(env)
    expect(np.isfinite(first).all(), f"reward and hybrid gradient of two steps are not finite: {first}")
    expect(
        np.array_equal(first, again),
        "two episodes of one seed differ: something outlives an episode, or network() draws from another generator "
        "than torch's",
    )


def played(env: DataGenEnv) -> Array:
    """Rewards and hybrid gradients of two steps."""
    env.reset(seed=0)
    steps = [env.step(env.start) for _ in range(2)]
    return np.array([[reward, *info["hybrid_gradient"]] for _, reward, _, _, info in steps])


TASK_CHECKS = (
    is_frozen, shadows_no_option, is_made_of_options, is_pickled, has_layout, names_are_distinct, starts_in_range,
    prepares, sample_is_keyed, sample_is_well_formed, sample_repeats, sample_leaves_beta, sample_rows_are_their_own,
    network_is_reversible, network_has_stacks, network_repeats, network_rows_are_their_own,
    splits_are_well_formed, dtypes_agree, loss_is_a_value_a_row, loss_rows_are_their_own,
    loss_is_twice_differentiable, splits_are_disjoint, truth_fits, metrics_are_finite, perfect_is_best,
    commit_changes_nothing, plays,
)  # fmt: skip


# -- batches


def is_well_formed(batch: Batch, what: str, rows: int) -> None:
    """CheckError unless a batch is what Batch says."""
    for check in BATCH_CHECKS:
        check(batch, what, rows)


def is_batch(batch: Batch, what: str, rows: int) -> None:
    parts = isinstance(batch, Batch) and all(isinstance(part, Tensor) for part in batch)
    expect(parts, f"{what} gives {type(batch).__name__}: it must be a Batch of three tensors, as by torch.from_numpy")


def has_rows(batch: Batch, what: str, rows: int) -> None:
    for name, part in zip(Batch._fields, batch, strict=True):
        expect(part.ndim == 4, f"{what} has {name} of shape {tuple(part.shape)}: it must be (n, channels, h, w)")
        expect(len(part) == rows, f"{what} has {len(part)} rows in {name}, expected {rows}: one a seed, in all parts")


def fits(batch: Batch, what: str, rows: int) -> None:
    shapes = ", ".join(f"{name} {tuple(part.shape)}" for name, part in zip(Batch._fields, batch, strict=True))
    sides = {part.shape[2:] for part in batch}
    expect(len(sides) == 1, f"{what} has {shapes}: height and width must be the same in all three")
    expect(batch.mask.shape[1] == 1, f"{what} has {shapes}: the mask has one channel, (n, 1, h, w)")


def has_one_dtype(batch: Batch, what: str, rows: int) -> None:
    dtypes = [part.dtype for part in batch]
    expect(
        len(set(dtypes)) == 1 and dtypes[0].is_floating_point,
        f"{what} has the dtypes {', '.join(map(str, dtypes))}: all three must be of one floating-point dtype",
    )


def is_finite(batch: Batch, what: str, rows: int) -> None:
    for name, part in zip(Batch._fields, batch, strict=True):
        expect(part.isfinite().all(), f"{what} has numbers in {name} that are not finite: where the mask is 0 as well")


def has_mask(batch: Batch, what: str, rows: int) -> None:
    low, high = batch.mask.min().item(), batch.mask.max().item()
    expect(low >= 0 and high <= 1, f"{what} has a mask from {low} to {high}, outside [0, 1]: it is a share of pixels")


BATCH_CHECKS = (is_batch, has_rows, fits, has_one_dtype, is_finite, has_mask)


# -- an optimizer

Told = Callable[[Array, int], tuple[Array, Array | None]]
"""(points (k, d), step) -> losses (k,) and the gradient (d,) at the first."""


def quadratic(x: Array, step: int) -> tuple[Array, Array | None]:
    return ((x - OPTIMUM) ** 2).sum(1), 2.0 * (x[0] - OPTIMUM)


def loop(optimizer: Player, told: Told = quadratic, hand: Callable[[Array], Array] = np.copy, steps: int = 8) -> Array:
    """All points that an optimizer gives in the loop of hgenv.run; `hand` hands arrays over."""
    optimizer.init(hand(START), np.random.default_rng(0))
    path = []
    for step in range(steps):
        points = in_box(optimizer.ask(), "ask()", 2)
        if len(points):
            optimizer.tell(hand(points), hand(told(points, step)[0]))
        x = in_box(optimizer.recommend(), "recommend()", 1)
        path += [*points.copy(), x.copy(), in_box(optimizer.found(), "found()", 1).copy()]
        if optimizer.uses_steps:
            loss, gradient = told(x[None], step)
            optimizer.tell(hand(x[None]), hand(loss), None if gradient is None else hand(gradient))
    return np.array(path)


def in_box(x: Array, what: str, ndim: int) -> Array:
    """The points, checked."""
    shape, wanted = np.shape(x), ["", "(4,)", "(k, 4)"][ndim]
    expect(len(shape) == ndim and shape[-1] == len(START), f"{what} has the shape {shape}: in 4 coordinates it must "
           f"be {wanted}")  # fmt: skip
    expect(np.isfinite(x).all(), f"{what} is not finite: {x}")
    expect((np.abs(x) <= 1).all(), f"{what} leaves the box: {x}; clip it to [-1, 1]")
    return x


def is_constructed(cls: type[Player]) -> None:
    """An optimizer is a dataclass whose fields have defaults."""
    expect(dataclasses.is_dataclass(cls), "it is no dataclass: decorate it with @dataclass, its fields are options")
    try:
        cls()
    except TypeError as error:
        raise CheckError(f"it cannot be made without arguments ({error}): give every field a default") from error


def begins_at_the_start(cls: type[Player]) -> None:
    """recommend() gives the start before the first tell."""
    optimizer = cls()
    optimizer.init(START.copy(), np.random.default_rng(0))
    for when in ("after init", "after ask()"):
        x = in_box(optimizer.recommend(), "recommend()", 1)
        expect(
            np.array_equal(x, START), f"recommend() gives {x} {when}: before the first tell it is the start, {START}"
        )
        optimizer.ask()


def stays_in_the_box(cls: type[Player]) -> None:
    """ask, recommend and found give finite points of the box."""
    loop(cls(), steps=30)


def optimizer_is_keyed(cls: type[Player]) -> None:
    """An optimizer uses no randomness but its rng."""
    with untouched_randomness("it"):
        loop(cls())


def optimizer_repeats(cls: type[Player]) -> None:
    """The same rng gives the same points, also after another run."""
    optimizer = cls()
    path = loop(optimizer)
    expect(np.array_equal(path, loop(cls())), f"two runs with the same rng differ: {KEYED}")
    expect(np.array_equal(path, loop(optimizer)), "a run after init differs from the first: init must reset it all")


def optimizer_leaves_its_arguments(cls: type[Player]) -> None:
    """init and tell do not change the arrays that they are given."""
    given: list[tuple[Array, Array]] = []

    def hand(array: Array) -> Array:
        given.append((array.copy(), array.copy()))
        return given[-1][0]

    loop(cls(), hand=hand)
    expect(
        all(np.array_equal(a, b) for a, b in given),
        "it changes an array that init or tell was given: keep a copy, as in self._x = x0.copy()",
    )


def optimizer_survives(cls: type[Player]) -> None:
    """Losses and gradients that are not finite, or no gradient, do not end a run."""
    for what, told in HARD.items():
        try:
            loop(cls(), told)
        except Exception as error:  # somebody else's code: whatever it raises
            raise CheckError(f"it does not survive {what} ({error}): leave out what is not finite or None") from error


def bad(value: float, first: bool = False) -> Told:
    """A step of such losses, or one such loss a step, and such gradients."""

    def told(x: Array, step: int) -> tuple[Array, Array | None]:
        losses, gradient = quadratic(x, step)
        losses[: 1 if first else None] = value
        return losses, np.full_like(x[0], value) if step % 2 == 0 else gradient

    return told


HARD: dict[str, Told] = {
    "losses and gradients that are NaN": bad(np.nan),
    "losses and gradients that are inf": bad(np.inf),
    "a loss of NaN among others": bad(np.nan, first=True),
    "a loss of inf among others": bad(np.inf, first=True),
    "steps without a gradient": lambda x, step: (quadratic(x, step)[0], None),
}
OPTIMIZER_CHECKS = (
    is_constructed, begins_at_the_start, stays_in_the_box, optimizer_is_keyed, optimizer_repeats,
    optimizer_leaves_its_arguments, optimizer_survives,
)  # fmt: skip
