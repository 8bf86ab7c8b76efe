"""The shipped checks: hgenv's own tasks and optimizers pass, and every mistake is named in the right words."""

import copy
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from analytic import Waves
from numpy.typing import NDArray
from torch import Tensor, nn

import hgenv
from hgenv import Batch, SampleError, Task
from hgenv.beta import Layout, Noise, Normal
from hgenv.domains import Pictures
from hgenv.learning.networks import HourglassSize
from hgenv.quantities import ErrorMap, SquaredError
from hgenv.testing import CheckError, check_optimizer, check_task
from optimizers import OPTIMIZERS, Optimizer

SMALL: dict[str, dict] = {
    "hgenv/FaceDepth-v0": {"resolution": 16},
    "hgenv/SceneNormals-v0": {"pretrain_steps": 2, "rooms": 2, "validation_size": 4, "test_size": 3},
    "hgenv/ShapeEvolution-v0": {"resolution": 16, "validation_size": 4, "test_size": 3},
    "hgenv/ShapeNormals-v0": {"resolution": 16, "validation_size": 4, "test_size": 3, "hourglass": HourglassSize(2, 8)},
    "hgenv/TextureIntrinsics-v0": {"resolution": 16},
}
Change = Callable[..., Any]


@pytest.mark.parametrize("id", sorted(hgenv.TASKS))
def test_our_tasks_are_right(id: str) -> None:
    check_task(hgenv.TASKS[id](**SMALL.get(id, {})))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_our_optimizers_are_right(name: str) -> None:
    check_optimizer(OPTIMIZERS[name])


# -- a task that is right, and its mistakes


@dataclass(frozen=True)
class SlopeBeta(Layout):
    slope: Normal = Normal((-1.0, 1.0), (0.05, 1.0), initial=(0.0, 0.2), meaning="how much it brightens")


@dataclass(frozen=True)
class Slopes(Task):
    """Pictures that brighten to the right; learn how much."""

    side: int = 4

    layout = SlopeBeta()

    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        slope = noise.draw(self.layout.bind(beta).slope, "slope")[:, None, None, None]
        image = slope * np.linspace(-1, 1, self.side) + 0.1 * noise.uniform("grain", (1, self.side, self.side))
        parts = (image, np.broadcast_to(slope, image.shape), np.ones(image.shape))
        return Batch(*(torch.from_numpy(part.astype(np.float32)) for part in parts))

    def network(self) -> nn.Module:
        layers = [nn.Conv2d(1, 4, 3, padding=1), nn.SiLU(), nn.Conv2d(4, 1, 3, padding=1)]
        return nn.Sequential(*layers, nn.Unflatten(0, (1, -1)))

    @cached_property
    def domain(self) -> Pictures:
        beta = np.tile([0.6, 0.1], (6, 1))
        return Pictures(*(Slopes.sample(self, beta, Noise(first + np.arange(6))) for first in (0, 100)))


def changed(name: str, fields: dict[str, Any] | None = None, base: type = Slopes, **members: Any) -> type:
    """A class at the top of this module, so that it can be pickled, with some members of its own."""
    own = {"__module__": __name__, "__annotations__": {key: type(value) for key, value in (fields or {}).items()}}
    cls = dataclass(frozen=issubclass(base, Task))(type(name, (base,), own | (fields or {}) | members))
    setattr(sys.modules[__name__], name, cls)
    return cls


def of_batch(change: Callable[[Batch], dict[str, Any]]) -> dict[str, Any]:
    return {"sample": lambda self, beta, noise: (b := Slopes.sample(self, beta, noise))._replace(**change(b))}


def networks(*layers: Callable[[], nn.Module], after: Callable[[], nn.Module] = nn.Identity) -> dict[str, Any]:
    """The network with layers before it, and one behind."""
    return {"network": lambda self: nn.Sequential(*(layer() for layer in layers), Slopes.network(self), after())}


class Does(nn.Module):
    """A layer that is a function."""

    def __init__(self, function: Change) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def does(function: Change) -> Callable[[], nn.Module]:
    return lambda: Does(function)


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return x


class Constant(Counts):
    def forward(self, x: Tensor) -> Tensor:
        return x + self.count


class Frozen(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(1, 1, 1)
        self.requires_grad_(False)


def frozen(self: Slopes) -> nn.Module:
    return Slopes.network(self).requires_grad_(False)


def losses(change: Callable[[Tensor, Batch], Tensor]) -> dict[str, Any]:
    return {"quantity": type("Mine", (SquaredError,), {"loss": lambda self, p, batch: change(p, batch)})()}


def squares(prediction: Tensor, batch: Batch) -> Tensor:
    return SquaredError().loss(prediction, batch)


def scored(change: Callable[[float], dict[str, float]], primary: str = "loss") -> dict[str, Any]:
    def metrics(self: SquaredError, prediction: Any, truth: Any) -> dict[str, float]:
        return change(SquaredError.metrics(self, prediction, truth)["loss"])

    return {"quantity": type("Mine", (SquaredError,), {"metrics": metrics, "primary": primary})()}


def targets(change: Callable[[Batch], Batch], **members: Any) -> dict[str, Any]:
    """Another test split, or other members of the domain."""

    def domain(self: Slopes) -> Pictures:
        good = Slopes.domain.func(self)  # type: ignore[attr-defined]
        return type("Mine", (Pictures,), members)(good.validation, change(good.test))

    made = cached_property(domain)
    made.__set_name__(Slopes, "domain")
    return {"domain": made}


def as_float64(batch: Batch) -> Batch:
    return Batch(*(part.double() for part in batch))


def overlapping(test: Batch) -> Batch:
    """With an image of the validation split."""
    return test._replace(
        image=torch.cat([test.image[:2], Slopes().domain.batch("validation").image[:1], test.image[3:]])
    )


def same(batch: Batch) -> Batch:
    return batch


_kept: list[Tensor] = []
_order = np.random.default_rng(0)


def kept(batch: Batch) -> dict[str, Any]:
    _kept.append(batch.image)
    return {"image": batch.image + len(_kept)}


def overwritten(self: Slopes, beta: NDArray[np.float64], noise: Noise) -> Batch:
    batch = Slopes.sample(self, beta, noise)
    beta[:] = 0.5
    return batch


def seeded(self: Slopes, beta: NDArray[np.float64], noise: Noise) -> Batch:
    torch.manual_seed(int(noise.seeds[0]))
    return Slopes.sample(self, beta, noise)


@dataclass(frozen=True)
class TwoNames(Layout):
    slope: Normal = Normal((-1.0, 1.0), (0.05, 1.0), ("x", "x"), initial=(0.0, 0.2))


@dataclass(frozen=True)
class Unchecked(SlopeBeta):
    slope: Normal = Normal((-1.0, 1.0), (0.05, 1.0), initial=(2.0, 0.2))

    def __post_init__(self) -> None:
        pass


class NoRange(SlopeBeta):
    parameters = tuple(p._replace(low=p.initial, high=p.initial) for p in SlopeBeta().parameters)


class Thawed(Layout):
    slope: Normal = Normal((-1.0, 1.0), (0.05, 1.0))


def doubled(self: Any) -> None:
    object.__setattr__(self, "shade", 2 * self.shade)


class Numpy(torch.autograd.Function):
    """Differentiable once: its backward leaves torch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 1.0 * x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.from_numpy(1.0 * gradient.numpy())


class Fused(nn.Conv2d):
    """By a kernel of torch's whose second derivative takes the norm for a constant."""

    def forward(self, x: Tensor) -> Tensor:
        weight = torch._weight_norm(self.weight, torch.ones(len(self.weight), 1, 1, 1), 0)
        return nn.functional.conv2d(x, weight, self.bias, padding=self.padding)


def remembers(**members: Any) -> dict[str, Any]:
    """A task that remembers the beta of its steps."""

    def memory(self: Any) -> NDArray[np.float64]:
        return np.array(self.__dict__.get("steps", []), np.float64).reshape(-1, 2)

    def recall(self: Any, memory: NDArray[np.float64]) -> Task:
        other = copy.copy(self)
        other.__dict__["steps"] = memory.tolist()
        return other

    def commit(self: Any, beta: NDArray[np.float64]) -> Task:
        return recall(self, np.concatenate([memory(self), [beta]]))

    return {"memory": property(memory), "recall": recall, "commit": commit} | members


def forgets_to_copy(self: Any, beta: NDArray[np.float64]) -> Task:
    self.__dict__.setdefault("steps", []).append(beta)
    return self


def grows(self: Any, beta: NDArray[np.float64]) -> Task:
    self.__dict__["grown"] = 1.0
    return self


def grown(self: Any, beta: NDArray[np.float64], noise: Noise) -> Batch:
    batch = Slopes.sample(self, beta, noise)
    return batch._replace(image=batch.image + self.__dict__.get("grown", 0.0))


def grown_up(self: Any, beta: NDArray[np.float64]) -> Task:
    other = copy.copy(self)
    other.__dict__["grown"] = 1.0
    return other


def grown_by_steps(self: Any, beta: NDArray[np.float64], noise: Noise) -> Batch:
    batch = Slopes.sample(self, beta, noise)
    return batch._replace(image=batch.image + self.__dict__.get("counted", len(self.__dict__.get("steps", []))))


def recalls_only(self: Any, memory: NDArray[np.float64]) -> Task:
    """The memory, and not what follows from it."""
    other = copy.copy(self)
    other.__dict__.update(steps=memory.tolist(), counted=0)
    return other


def clipped(self: Slopes, beta: NDArray[np.float64], noise: Noise) -> Batch:
    return Slopes.sample(self, self.layout.clip(np.nan_to_num(beta)), noise)


_network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.SiLU(), nn.Conv2d(4, 1, 1), nn.Unflatten(0, (1, -1)))


def bytes_of(self: SquaredError, target: Tensor, mask: Tensor) -> NDArray[np.float64]:
    return 255 * SquaredError.picture(self, target, mask)


def drawn_as(**members: Any) -> dict[str, Any]:
    return {"quantity": type("Mine", (SquaredError,), members)()}


def drifts() -> dict[str, Any]:
    """A network that differs every time it is made, but for torch's seed."""

    def network(self: Slopes) -> nn.Module:
        made = Slopes.network(self)
        nn.init.constant_(made[0].bias, _order.random())  # type: ignore[index, arg-type]
        return made

    return {"network": network}


def explodes(self: Slopes, beta: NDArray[np.float64], noise: Noise) -> Batch:
    """Not finite at the seeds of an environment, which are large."""
    batch = Slopes.sample(self, beta, noise)
    return batch._replace(
        image=batch.image + torch.from_numpy(np.where(noise.seeds > 1000, np.inf, 0.0))[:, None, None, None].float()
    )


def seldom(self: Slopes, beta: NDArray[np.float64], noise: Noise) -> Batch:
    """A generator that fails on one key in three."""
    if (bad := np.flatnonzero(noise.uniform("luck") < 0.33)).size:
        raise SampleError(bad, "out of luck")
    return Slopes.sample(self, beta, noise)


def never(self: Slopes, beta: NDArray[np.float64], noise: Noise) -> Batch:
    raise SampleError([1], "no luck at all")


def test_a_task_that_fails_on_some_keys_is_right() -> None:
    check_task(changed("Lucky", sample=seldom)())


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "shadows": ({"fields": {"train_steps": 3}}, "the option train_steps, as every environment.*and other names"),
    "flag": ({"fields": {"seed": 3}}, "the option seed, as hgenv run has: rename it"),
    "make": ({"fields": {"render_mode": "none"}}, "the option render_mode, as gymnasium.make has"),
    "lambda": ({"fields": {"shade": abs}}, "not JSON serializable.*plain values"),
    "no_init": ({"fields": {"shade": field(default=1, init=False)}}, "shade.*plain values that JSON holds"),
    "post_init": ({"fields": {"shade": 1}, "__post_init__": doubled}, '"shade": 2.*"shade": 4.*does not change them'),
    "no_pickle": ({"shade": None, "__reduce__": lambda self: (lambda: None, ())}, "ickle.*spawned process"),
    "layout_class": ({"layout": SlopeBeta}, "layout is <class.*is an instance of"),
    "no_coordinates": ({"layout": Thawed()}, "beta has no coordinates.*is decorated"),
    "two_names": ({"layout": TwoNames()}, "two coordinates slope.*name of its own"),
    "outside": ({"layout": Unchecked()}, r"slope.mean starts at 2.0, outside its range \[-1.0, 1.0\]"),
    "no_range": ({"layout": NoRange()}, r"the range of slope.mean is \[0.0, 0.0\].*a finite range"),
    "no_domain": ({"domain": None}, "domain is None.*is a Domain"),
    "domain_anew": ({"domain": property(Slopes.domain.func)}, "another one whenever it is asked for.*cached_property"),  # type: ignore[attr-defined]
    "broken": ({"prepare": lambda self: 1 / 0}, "ZeroDivisionError.*load all that is needed"),
    "broken_domain": (targets(same, prepare=lambda self: 1 / 0), "ZeroDivisionError.*load all that is needed"),
    "never": ({"sample": never}, r"rows \[1\]: no luck at all.*SampleError, seldom"),
    "tuple": ({"sample": lambda self, *given: tuple(Slopes.sample(self, *given))}, r"sample gives \(tensor.*a Batch"),
    "arrays": (of_batch(lambda b: {"image": b.image.numpy()}), "sample gives Batch.*of three tensors"),
    "no_channels": (of_batch(lambda b: {"mask": b.mask[:, 0]}), r"mask \(3, 4, 4\): not four axes each"),
    "few_rows": (of_batch(lambda b: b.rows(slice(1))._asdict()), r"image \(1, 1, 4, 4\).*not 3 rows each"),
    "sides": (of_batch(lambda b: {"target": b.target[..., :2]}), r"target \(3, 1, 4, 2\).*sides that differ"),
    "mask_channels": (of_batch(lambda b: {"mask": b.mask.repeat(1, 2, 1, 1)}), "not one channel of the mask"),
    "booleans": (of_batch(lambda b: {"mask": b.mask > 0}), "mask of torch.bool.*of the dtype of"),
    "not_finite": (of_batch(lambda b: {"target": b.target / 0}), "numbers in target that are not finite"),
    "mask_of_255": (of_batch(lambda b: {"mask": 255 * b.mask}), r"a mask from 255 to 255, outside \[0, 1\]"),
    "torch_rand": (of_batch(lambda b: {"image": torch.rand(b.image.shape)}), "sample uses torch's gen.*noise.draw"),
    "numpy_rand": (of_batch(lambda b: {"image": b.image + np.random.rand()}), "sample uses numpy.random"),  # noqa: NPY002
    "random": (of_batch(lambda b: {"image": b.image + random.random()}), "sample uses random, which the whole"),
    "seeds": ({"sample": seeded}, "sample uses torch's generator"),
    "own_rng": (of_batch(lambda b: {"image": b.image + _order.random()}), "another image the second time.*noise.draw"),
    "counts_calls": (of_batch(kept), "another image the second time"),
    "writes_beta": ({"sample": overwritten}, "changes the beta that it is given"),
    "clips": ({"sample": clipped}, r"sample takes slope.mean = 3, whose range is \(-1.0, 1.0\).*layout.bind"),
    "centred": (of_batch(lambda b: {"image": b.image - b.image.mean()}), "row 0 of sample's image is another one"),
    "dropout": (networks(nn.Dropout), "the network has dropout.*with p = 0"),
    "batch_norm": (networks(lambda: nn.BatchNorm2d(1)), "the network has BatchNorm.*GroupNorm, say"),
    "untrained": ({"network": frozen}, r"no parameter that is trained.*\(requires_grad\)"),
    "no_module": ({"network": lambda self: torch.sin}, "modules.*is an nn.Module"),
    "one_network": ({"network": lambda self: _network}, "parameters that it gave before.*a fresh one"),
    "float64": (of_batch(lambda b: as_float64(b)._asdict()), "sample has image of torch.float64.*astype"),
    "mixed": (of_batch(lambda b: {"mask": b.mask.double()}), "sample has mask of torch.float64.*astype"),
    "float64_test": (targets(as_float64), "test split has image of torch.float64, the net"),
    "no_stacks": (networks(after=does(lambda x: x[0])), r"\(3, 1, 4, 4\).*has no stack axis.*prediction\[None\]"),
    "list_of_stacks": (networks(after=does(list)), "the network gives a list.*torch.stack"),
    "small": (networks(after=does(lambda x: x[..., :2])), r"\(1, 3, 1, 4, 2\) of the target .* has the wrong shape"),
    "functional_dropout": (networks(does(nn.functional.dropout)), "forward pass uses torch's generator.*draws nothing"),
    "noisy": (networks(does(lambda x: x + _order.random())), "predicts something else the second time"),
    "counts": (networks(Counts), "changes the buffer .*count.*buffers, if any, are constants"),
    "batch_statistics": (
        networks(lambda: nn.BatchNorm2d(1, track_running_stats=False)),
        "row 0 of the network's prediction is another one.*normalise by constants",
    ),
    "one_loss": (losses(lambda p, b: squares(p, b).mean()), r"loss of 3 rows has the shape \(\).*not over rows"),
    "log": (losses(lambda p, b: squares(p, b) + torch.inf), r"loss is \[inf, inf, inf\].*finite"),
    "sums": (losses(lambda p, b: squares(p, b) / b.target.std()), "row 0 of loss is another one without"),
    "detached": (losses(lambda p, b: squares(p.detach(), b)), "in the graph.*do not detach"),
    "numpy_backward": (losses(lambda p, b: squares(Numpy.apply(p), b)), "numpy.*or leave torch"),
    "linear": (
        losses(lambda p, b: (p * b.mask).mean((0, 2, 3, 4)))
        | {"network": lambda self: nn.Sequential(nn.Conv2d(1, 1, 1), nn.Unflatten(0, (1, -1)))},
        "the derivative of the loss by weights and weights is 0.*both linear",
    ),
    "blind": (networks(does(torch.zeros_like)), "the derivative of the loss by weights and images is 0"),
    "fused": (networks(lambda: Fused(1, 1, 3, padding=1)), "second derivative by the weights .* way.*fused kernels"),
    "absolute": (
        losses(lambda p, b: (p - b.target).abs().mean((0, 2, 3, 4))), "weights and targets is 0.*absolute error"
    ),
    "root": (losses(lambda p, b: (p - p).square().sum((0, 2, 3, 4)).sqrt()), "images is not finite.*inside sqrt"),
    "channels": (targets(lambda b: b._replace(image=b.image.repeat(1, 3, 1, 1))), "test split has 3 channels in image"),
    "broken_split": (targets(lambda b: b._replace(mask=b.mask - 1.5)), "the test split has a mask from -0.5"),
    "no_pictures": (targets(lambda b: b.rows(slice(0))), "the test split has image .0, 1, 4, 4.*one picture at least"),
    "other_sides": (
        targets(lambda b: Batch(*(p[..., :3] for p in b)))
        | networks(does(lambda x: nn.functional.pad(x, (0, 4 - x.shape[-1])))),
        r"predicts \(1, 1, 4, 4\) of the test split's \(1, 1, 4, 3\)",
    ),
    "overlap": (targets(overlapping), "test image 2 is in the validation split.*different seeds"),
    "few_truths": (targets(same, truth=lambda self, split: []), "6 pictures in the validation split, 0 in truth"),
    "few_enlarged": (targets(same, enlarged=lambda self, p, split: p[:2]), "6 in truth, 2 enlarged"),
    "not_enlarged": (targets(same, enlarged=lambda self, p, split: p[..., :2]), r"4\) and .* \(1, 4, 2\).*as large"),
    "other_truth": (
        targets(same, truth=lambda self, split: [b._replace(target=b.target + 1) for b in Pictures.truth(self, split)]),
        "a truth of the validation split is another one than the target of its batch",
    ),
    "few_answers": (
        targets(same, answers=lambda self, split: {"nothing": []}), r"the answer 'nothing' has the shapes \[\]"
    ),
    "colours": (drawn_as(picture=bytes_of), r"picture gives colours from 0 to .*in \[0, 1\]"),
    "errors": (drawn_as(error=lambda self, p, b: ErrorMap(p.numpy(), "", 1.0)), r"error gives the shape \(3, 1, 4"),
    "no_primary": (scored(lambda x: {"rmse": x}), "metrics are rmse, without 'loss'.*quantity.primary"),
    "infinite": (scored(lambda x: {"loss": x, "psnr": -np.log10(x + 1e-30) / 0.0}), "metrics of a perfect .*psnr.*inf"),
    "higher_is_better": (scored(lambda x: {"score": -x}, "score"), "score is .*the lower the better"),
    "commits_nothing": ({"commit": lambda self, beta: None}, "commit gives None.*gives another task"),
    "commits_itself": (remembers(commit=forgets_to_copy), "commit changes the memory of the task itself"),
    "grows": ({"commit": grows, "sample": grown}, "commit changes the samples of the task itself"),
    "forgets": ({"commit": grown_up, "sample": grown}, "samples change by commit, and memory is None.*in its memory"),
    "recalls_little": (remembers(recall=recalls_only, sample=grown_by_steps), "recall gives a task with other samples"),
    "report_of_costs": ({"report": lambda self: {"renders": 1.0}}, "report has renders, which rows of a run"),
    "report_of_text": ({"report": lambda self: {"state": "good"}}, "report has state = 'good', which is no number"),
    "keeps_a_lambda": ({"prepare": lambda self: vars(self).update(kept=lambda: 1)}, "ickle.*once it has been used"),
    "recalls_half": (remembers(recall=lambda self, memory: self), "recall gives a task with another memory"),
    "network_of_numpy": (drifts(), "two episodes of one seed have.*torch's generator only"),
    "explodes": ({"sample": explodes}, "not finite in two steps: weights, weights.*everything is finite"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_a_mistake_in_a_task_is_named(name: str) -> None:
    members, message = MISTAKES[name]
    with pytest.raises(CheckError, match=rf"(?s)^T_{name}: .*{message}"):
        check_task(changed(f"T_{name}", **members)())


@dataclass
class NotFrozen(Slopes.__base__):  # type: ignore[misc, name-defined]
    """As Slopes."""

    layout, sample, network, domain = SlopeBeta(), Slopes.sample, Slopes.network, Slopes.domain
    side: int = 4


@dataclass(frozen=True)
class Needing(Slopes):
    shade: float = field(kw_only=True)


class Undecorated(Slopes):
    shade: float = 0.5


@dataclass(frozen=True)
class Local(Slopes):
    pass


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (NotFrozen(), "NotFrozen: it is not a frozen dataclass.*@dataclass"),
        (Needing(shade=1.0), "Needing: its field shade has no default"),
        (Slopes(side="4"), "Slopes: .*side must be an integer, got '4'.*as their annotations say"),  # type: ignore[arg-type]
        (Undecorated(), r"Undecorated: its fields \['shade'\] do not count.*is decorated"),
        (Slopes, "takes an instance of a Task, as in check_task"),
    ],
)
def test_a_class_that_is_no_task_is_named(task: Any, message: str) -> None:
    with pytest.raises(CheckError, match=f"(?s){message}"):
        check_task(task)


@pytest.mark.parametrize(
    "members",
    [
        networks(Constant),
        networks(lambda: nn.Dropout(0.0)),
        networks(Frozen),
        networks(lambda: nn.GroupNorm(1, 1)),
        networks(after=does(lambda x: x.repeat(2, 1, 1, 1, 1))),
        remembers(),
        of_batch(lambda b: {"mask": b.mask * (b.image > 0)}),
        {"fields": {"shades": (1, 2)}},
    ],
    ids=["constant buffer", "Dropout(0)", "frozen", "GroupNorm", "stacks", "memory", "masked", "a tuple"],
)
def test_what_is_unusual_but_right_passes(members: dict[str, Any], request: pytest.FixtureRequest) -> None:
    check_task(changed(f"R_{request.node.callspec.id}", **members)())


def test_a_task_in_float64_passes_whatever_torch_is_set_to() -> None:
    check_task(Waves())
    with torch.no_grad():
        check_task(Slopes())


# -- an optimizer that is right, and its mistakes


@dataclass
class Walk(Optimizer):
    """Goes to the better of two points, and down the gradient."""

    reach: float = 0.1

    uses_gradient = True

    def init(self, x0: NDArray[np.float64], rng: np.random.Generator) -> None:
        self._x, self._rng = x0.copy(), rng

    def ask(self) -> NDArray[np.float64]:
        return np.clip(self._x + self.reach * self._rng.standard_normal((2, len(self._x))), -1, 1)

    def tell(self, x: NDArray, loss: NDArray, gradient: NDArray | None = None) -> None:
        if gradient is not None and np.isfinite(gradient).all():
            self._x = np.clip(self._x - self.reach * gradient, -1, 1)
        elif len(loss) == 2 and np.isfinite(loss).all():
            self._x = x[np.argmin(loss)].copy()

    def recommend(self) -> NDArray[np.float64]:
        return self._x


def told(change: Callable[[Any, NDArray, NDArray, NDArray | None], Any]) -> dict[str, Any]:
    """Something done besides, when it is told."""

    def tell(self: Any, x: NDArray, loss: NDArray, gradient: NDArray | None = None) -> None:
        Walk.tell(self, x, loss, gradient)
        change(self, x, loss, gradient)

    return {"tell": tell}


def begun(change: Callable[[Any, NDArray], Any]) -> dict[str, Any]:
    """Something done besides, when it starts."""

    def init(self: Any, x0: NDArray, rng: np.random.Generator) -> None:
        Walk.init(self, x0, rng)
        change(self, x0)

    return {"init": init}


def asks(change: Callable[[NDArray], Any]) -> dict[str, Any]:
    return {"ask": lambda self: change(Walk.ask(self))}


def drawn(self: Any, x0: NDArray) -> None:
    self._rng = np.random.default_rng(_order.integers(1000))


def kept_rng(self: Any, x0: NDArray) -> None:
    self._rng = self.__dict__.setdefault("first", self._rng)


def follows(self: Any, x: NDArray, loss: NDArray, gradient: NDArray | None) -> None:
    if gradient is not None:
        self._x = np.clip(self._x - 0.1 * gradient, -1, 1)


def descends(self: Any, x: NDArray, loss: NDArray, gradient: NDArray | None) -> None:
    if len(loss) == 1:
        self._x = np.clip(self._x - 0.1 * gradient, -1, 1)  # type: ignore[operator]


def weighs(self: Any, x: NDArray, loss: NDArray, gradient: NDArray | None) -> None:
    if len(loss) == 2:
        self._x = np.clip(loss @ x / np.sum(loss), -1, 1)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "start": (begun(lambda self, x0: setattr(self, "_x", 0 * x0)), r"recommend\(\) after init is \[.*the start was"),
    "moves": (
        {"ask": lambda self: (setattr(self, "_x", self._x * 0.9), Walk.ask(self))[1]},
        r"recommend\(\) after ask\(\) is.*until the first tell",
    ),
    "one_point": (asks(lambda x: x[0]), r"ask\(\) for d = 4 has the shape \(4,\).*points \(k, d\)"),
    "three": (asks(lambda x: x[:, :3]), r"ask\(\) for d = 4 has the shape \(2, 3\)"),
    "far": (asks(lambda x: 2 * x), r"ask\(\) is outside the box.*np.clip"),
    "row": ({"recommend": lambda self: self._x[None]}, r"recommend\(\) for d = 4 has the shape \(1, 4\)"),
    "strays": (told(lambda self, x, loss, g: setattr(self, "_x", self._x + 0.1)), r"recommend\(\) is outside the box"),
    "finds_far": ({"found": lambda self: self._x + 0.5}, r"found\(\) is outside the box"),
    "finds_nan": ({"found": lambda self: self._x * np.nan}, r"found\(\) is not finite.*all are finite"),
    "numpy": (asks(lambda x: 0.9 * x + 0.1 * np.random.rand()), "it uses numpy.random.*from the rng that init"),  # noqa: NPY002
    "torch": (asks(lambda x: 0.9 * x + 0.1 * torch.rand(1).item()), "it uses torch's generator"),
    "own_rng": (begun(drawn), "two runs with equal rngs differ.*from the rng"),
    "old_rng": (begun(kept_rng), "the second run of one instance differs.*init starts anew"),
    "writes_x": (told(lambda self, x, loss, g: x.fill(0)), "changes an array that it was given.*the caller's"),
    "writes_loss": (told(lambda self, x, loss, g: loss.sort()), "changes an array that it was given"),
    "writes_gradient": (told(lambda self, x, loss, g: None if g is None else g.fill(0)), "changes an array"),
    "writes_start": (
        begun(lambda self, x0: setattr(self, "_x", x0)) | {"tell": lambda self, x, loss, g=None: self._x.__imul__(0.9)},
        "changes an array that it was given.*x0.copy",
    ),
    "list": ({"recommend": lambda self: self._x.tolist()}, r"recommend\(\) is a list, no array"),
    "reuses": (
        {"tell": lambda self, x, loss, g=None: self._x.__imul__(0.9)},
        "changes an array that it gave.*makes another",
    ),
    "spread": ({"spread": "wide"}, "spread is 'wide', neither None nor 'uniform'"),
    "shadows": ({"fields": {"batch_size": 3}}, "the option batch_size, as every environment has"),
    "object": ({"fields": {"rule": abs}}, "not JSON serializable.*plain value"),
    "gradient_of_nan": (told(follows), r"ask\(\) is not finite.*may be inf or NaN.*np.isfinite"),
    "no_gradient": (told(descends), "TypeError.*the gradient None"),
    "losses_of_nan": (told(weighs), r"is not finite.*left out"),
    "keeps_a_set": (begun(lambda self, x0: setattr(self, "_seen", {1})), r"_seen = \{1\} is no array.*override"),
    "keeps_too_little": (
        {
            "state_dict": lambda self: {"_x": self._x},
            "load_state_dict": lambda self, state: setattr(self, "_x", state["_x"]),
        },
        "loaded with its state after 0 steps, it goes elsewhere.*another instance",
    ),
    "is_disturbed": ({"state_dict": lambda self: (Walk.state_dict(self), Walk.ask(self))[0]}, "asked for its state"),
    "pickles": ({"state_dict": lambda self: {"me": self}}, r"state_dict\(\)\['me'\] is no plain array"),
}


def test_the_right_optimizer_passes() -> None:
    check_optimizer(Walk)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_mistake_in_an_optimizer_is_named(name: str) -> None:
    members, message = FAULTS[name]
    with pytest.raises(CheckError, match=rf"(?s)^O_{name}: .*{message}"):
        check_optimizer(changed(f"O_{name}", base=Walk, **members))


class Bare(Optimizer):
    init, recommend = Walk.init, Walk.recommend


@dataclass
class Needy(Walk):
    reach: float = field()


class Undressed(Walk):
    pass


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Undressed, "Undressed: it is not a dataclass.*its base too"),
        (Bare, "Bare: it is not a dataclass.*decorated with @dataclass"),
        (Needy, "Needy: TypeError: .*'reach'.*has a default"),
        (Walk(), "takes a class, as in check_optimizer"),
    ],
)
def test_a_class_that_is_no_optimizer_is_named(cls: Any, message: str) -> None:
    with pytest.raises(CheckError, match=f"(?s){message}"):
        check_optimizer(cls)
