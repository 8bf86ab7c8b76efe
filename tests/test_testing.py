"""The shipped checks: what hgenv has passes them, and each mistake is told in words."""

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hgenv import TASKS, Batch, Task
from hgenv.beta import Layout, Noise, Normal
from hgenv.domains import Domain, Pictures
from hgenv.options import build, knobs
from hgenv.quantities import Quantity, SquaredError
from hgenv.testing import ContractError, check_optimizer, check_task
from optimizers import OPTIMIZERS, Nevergrad, Optimizer, Reinforce

Array = NDArray[np.float64]
TINY = {
    "resolution": 16, "channels": 8, "hourglass_depth": 1, "validation_size": 6, "test_size": 6, "rooms": 2,
    "pretrain_steps": 0, "max_depth": 2,
}  # fmt: skip


@pytest.mark.parametrize("id", TASKS)
def test_tasks_keep_their_contract(id: str) -> None:
    cls = TASKS[id]
    check_task(build(cls, {name: value for name, value in TINY.items() if name in knobs(cls)}))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_keep_their_contract(name: str) -> None:
    check_optimizer(OPTIMIZERS[name])


@pytest.mark.parametrize(
    "made",
    [
        functools.partial(Reinforce, play="probes", learn_sigma=True),
        functools.partial(Nevergrad, name="CMA"),
        functools.partial(Nevergrad, name="MultiLN"),  # draws from numpy's global random numbers
    ],
)
def test_optimizers_with_options_keep_their_contract(made: Callable[[], Optimizer]) -> None:
    check_optimizer(made)


# -- a task that is right, and what can be wrong with it


@dataclass(frozen=True)
class GreyBeta(Layout):
    level: Normal = Normal((-1.0, 1.0), (0.1, 1.0), meaning="mean grey")


def pictures(level: Array, grain: Array) -> Batch:
    """Pictures (n, 1, h, w) of mean levels (n, 1, 1, 1)."""
    parts = (level + 0.2 * grain, np.broadcast_to(level, grain.shape), np.ones(grain.shape))
    return Batch(*(torch.from_numpy(part.astype(np.float32)) for part in parts))


class Greys(Task):
    size = 4
    layout = GreyBeta()

    def sample(self, beta: Array, noise: Noise) -> Batch:
        level = noise.draw(self.layout.bind(beta).level, "level")[:, None, None, None]
        return pictures(level, noise.uniform("grain", (1, self.size, self.size)))

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.SiLU(), nn.Conv2d(4, 1, 1), nn.Unflatten(0, (1, -1)))

    def split(self, first: int) -> Batch:
        return Greys.sample(self, np.tile([0.5, 0.3], (5, 1)), Noise(first + np.arange(5)))

    @functools.cached_property
    def domain(self) -> Domain:
        return Pictures(self.split(0), self.split(5))


@dataclass(frozen=True)
class Grey(Greys):
    """Grey pictures; learn their level."""

    size: int = 4
    """Side of the images in pixels."""


def test_a_small_task_is_right() -> None:
    check_task(Grey())


def test_the_callers_torch_is_left_alone() -> None:
    before = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            check_task(Grey())
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)


@dataclass
class Thawed(Greys):
    size: int = 4


class Undecorated(Grey):
    more: int = 1


@dataclass(frozen=True)
class NoDefault(Greys):
    folder: str


@dataclass(frozen=True)
class Shadow(Grey):
    batch_size: int = 8


@dataclass(frozen=True)
class ShadowOfMake(Grey):
    render_mode: str = "any"


@dataclass(frozen=True)
class Folders(Grey):
    folder: Path = Path()


@dataclass(frozen=True)
class Clamped(Grey):
    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.size + 1)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (Grey, "takes a task, not its class"),
        (SquaredError(), "inherits from hgenv.Task"),
        (Thawed(), "not a frozen dataclass"),
        (Greys(), "not a frozen dataclass"),
        (Undecorated(), "more is no field"),
        (Grey(size="4"), "size must be an integer"),  # type: ignore[arg-type]
        (NoDefault("."), "folder needs a default"),
        (Shadow(), "batch_size shadows the one that every EnvOptions has"),
        (ShadowOfMake(), "render_mode shadows the one that gymnasium.make has"),
        (Folders(), "folder is a PosixPath: options are numbers"),
        (Clamped(), "made again from its options, size is another value"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_fields_that_are_wrong(task: Any, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        check_task(task)


def wrong(name: str, **members: Any) -> type[Grey]:
    """Grey with other members, in this module, where pickle finds it."""
    cls = type(name, (Grey,), {"__module__": __name__, **members})
    return globals().setdefault(name, dataclass(frozen=True)(cls))


def changed(batch: Batch, **parts: Callable[[Tensor], Tensor]) -> Batch:
    return batch._replace(**{name: change(getattr(batch, name)) for name, change in parts.items()})


def sampling(**parts: Callable[[Tensor], Tensor]) -> Callable[..., Batch]:
    """A `sample` that changes parts of what Grey samples."""
    return lambda self, beta, noise: changed(Greys.sample(self, beta, noise), **parts)


def drawing(random_numbers: Callable[[tuple[int, ...]], Any]) -> Callable[..., Batch]:
    """A `sample` whose grain comes from elsewhere."""
    grain = lambda image: image + torch.as_tensor(random_numbers(tuple(image.shape)), dtype=torch.float32)  # noqa: E731
    return sampling(image=grain)


def clipping(self: Greys, beta: Array, noise: Noise) -> Batch:
    return Greys.sample(self, self.layout.clip(np.nan_to_num(beta)), noise)


def overwriting(self: Greys, beta: Array, noise: Noise) -> Batch:
    beta[:] = self.layout.initial
    return Greys.sample(self, beta, noise)


def counting(self: Greys, beta: Array, noise: Noise) -> Batch:
    calls = vars(self)["calls"] = vars(self).get("calls", 0) + 1
    return changed(Greys.sample(self, beta, noise), image=lambda image: image + calls)


def raising(*_: Any) -> Any:
    raise KeyError("no such thing")


@dataclass(frozen=True)
class FarStart(GreyBeta):
    level: Normal = Normal((-1.0, 1.0), (0.1, 1.0), initial=(5.0, 0.5))

    def __post_init__(self) -> None:
        pass


class Empty(Layout):
    level = Normal((-1.0, 1.0), (0.1, 1.0))


SAMPLES = {
    "LayoutClass": ({"layout": GreyBeta}, "layout is a class"),
    "LayoutEmpty": ({"layout": Empty()}, "declares no distribution"),
    "LayoutFar": ({"layout": FarStart()}, r"level.mean starts at 5, outside its range \[-1, 1\]"),
    "Tuple": ({"sample": lambda *a: tuple(Greys.sample(*a))}, "must give a hgenv.Batch, got tuple"),
    "Arrays": ({"sample": sampling(mask=lambda m: m.numpy())}, "mask of sample.. must be a tensor, got ndarray"),  # type: ignore[arg-type,return-value]
    "Flat": ({"sample": sampling(image=lambda i: i[:, 0])}, r"image of sample.. must have the axes .n, channels, h, w"),
    "Rows": (
        {"sample": sampling(target=lambda t: t[:-1])},
        "target of sample.. has the wrong number of rows: 3, not 4",
    ),
    "Whole": ({"sample": sampling(image=lambda i: (255 * i).int())}, "real numbers, got torch.int32"),
    "Endless": ({"sample": sampling(target=lambda t: t / 0)}, "target of sample.. has values that are not finite"),
    "Sizes": ({"sample": sampling(target=lambda t: t[..., :-1])}, "of the image's 4 rows of 4 x 4"),
    "MaskShape": (
        {"sample": sampling(mask=lambda m: m.expand(-1, 3, -1, -1))},
        "mask of sample.. must be .n, 1, h, w.",
    ),
    "MaskRange": ({"sample": sampling(mask=lambda m: 255 * m)}, r"mask of sample.. must be in \[0, 1\], and has 255"),
    "Torch": ({"sample": drawing(torch.rand)}, "takes from the global random numbers of torch, .*not keyed"),
    "Numpy": ({"sample": drawing(lambda shape: np.random.rand(*shape))}, "random numbers of numpy"),  # noqa: NPY002
    "Python": ({"sample": drawing(lambda shape: random.random())}, "random numbers of random"),
    "Fresh": ({"sample": drawing(lambda shape: np.random.default_rng().random(shape))}, "randomness is not keyed"),
    "Counting": ({"sample": counting}, "not keyed, or a call changes the task"),
    "Batched": ({"sample": sampling(image=lambda i: i - i.mean(0))}, "row 0 of sample.. is another picture when it is"),
    "Clipping": ({"sample": clipping}, "takes beta outside its range"),
    "Overwriting": ({"sample": overwriting}, "changes the beta that it is given"),
    "Raising": ({"sample": raising}, "sample.. of 4 rows raised KeyError: 'no such thing'"),
}


class Scaled(nn.Module):
    """Grey's network with something after it."""

    def __init__(self, after: Callable[[Tensor], Tensor], buffer: bool = False) -> None:
        super().__init__()
        self.body, self.after = Greys.network(Grey()), after
        if buffer:
            self.register_buffer("seen", torch.zeros(()))

    def forward(self, image: Tensor) -> Tensor:
        if "seen" in dict(self.named_buffers()):
            self.seen += 1
        return self.after(self.body(image))


def after(change: Callable[[Tensor], Tensor], buffer: bool = False) -> dict[str, Any]:
    return {"network": lambda self: Scaled(change, buffer)}


def numpys(self: Greys) -> nn.Module:
    network = Greys.network(self)
    weights = np.random.default_rng().random((4, 1, 3, 3))
    nn.init.constant_(network[0].weight, 0).data += torch.as_tensor(weights)  # type: ignore[operator,index]
    return network


ONE = Greys.network(Grey())


def inside(layer: Callable[[], nn.Module]) -> dict[str, Any]:
    return {"network": lambda self: nn.Sequential(nn.Conv2d(1, 1, 1), layer(), nn.Unflatten(0, (1, -1)))}


NETWORKS = {
    "NoModule": ({"network": lambda self: functional.silu}, "must give a torch.nn.Module"),
    "SameAgain": ({"network": lambda self: ONE}, "gives the same parameters again"),
    "Unseeded": ({"network": numpys}, "other weights under the same seed of torch"),
    "Stackless": (after(lambda p: p[0]), r"predictions \(4, 1, 4, 4\) have no stack axis"),
    "StacksLast": (after(lambda p: p.movedim(0, 1)), r"must be \(stacks, n, t, h, w\) = \(stacks, 4, 1, 4, 4\)"),
    "Unfinished": (after(lambda p: p / 0), "predictions are not finite"),
    "Dropout": (inside(lambda: nn.Dropout(0.5)), "the network has dropout"),
    "Dropping": (after(functional.dropout), "forward pass .* takes from the global random numbers of torch"),
    "Normed": (inside(lambda: nn.BatchNorm2d(1)), "BatchNorm"),
    "NormedByBatch": (
        inside(lambda: nn.BatchNorm2d(1, track_running_stats=False)),
        "depends on the other images of the batch",
    ),
    "Remembering": (after(lambda p: p, buffer=True), "changes the buffer seen"),
    "Doubled": (
        {"network": lambda self: Greys.network(self).double()},
        "image of sample.. is torch.float32, and .*float64",
    ),
    "DoubleImages": (
        {
            "sample": sampling(image=Tensor.double),
            "split": lambda s, k: changed(Greys.split(s, k), image=Tensor.double),
        },
        "image of sample.. is torch.float64, and the network's weights are torch.float32",
    ),
    "DoubleTargets": (
        {
            "sample": sampling(target=Tensor.double),
            "split": lambda s, k: changed(Greys.split(s, k), target=Tensor.double),
        },
        "target of sample.. is torch.float64, and the network's weights are torch.float32",
    ),
    "Constant": (inside(lambda: nn.Dropout(0.0)), ""),
}


PIXELS = (0, 2, 3, 4)


class Loss(Quantity):
    """A loss by a formula of the error."""

    def __init__(self, formula: Callable[..., Tensor]) -> None:
        self.formula = formula

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        return self.formula(prediction - batch.target, batch.mask)


def square(off: Tensor, mask: Tensor) -> Tensor:
    return (mask * off**2).mean(PIXELS)


class Coloured(Loss):
    def picture(self, target: Tensor, mask: Tensor) -> Array:
        return 255 * super().picture(target, mask)


class Higher(Loss):
    primary = "gain"

    def metrics(self, *given: Any) -> dict[str, float]:
        found = super().metrics(*given)
        return found | {"gain": -found["loss"]}


QUANTITIES = {
    "QuantityClass": (SquaredError, "quantity is a class"),
    "Mean": (Loss(lambda off, mask: (off**2).mean()), r"must give one value a row, \(4,\), got \(\)"),
    "ByMasks": (Loss(lambda off, mask: (off**2).sum(PIXELS) / mask.sum()), "loss of a row depends on other rows"),
    "Detached": (Loss(lambda off, mask: (off.detach() ** 2).mean(PIXELS)), "gradient of Loss.loss raised RuntimeError"),
    "Nothing": (Loss(lambda off, mask: (0 * off).mean(PIXELS)), "is 0: nothing would be learned"),
    "Absolute": (Loss(lambda off, mask: off.abs().mean(PIXELS)), "second derivative by the target is 0 everywhere"),
    "Root": (
        Loss(lambda off, mask: (off - off.detach()).norm(dim=2).mean((0, 2, 3)) + (off**2).mean(PIXELS)),
        "not finite",
    ),
    "Coloured": (Coloured(square), r"Coloured.picture must give colours in \[0, 1\]"),
    "Higher": (Higher(square), "gain is not the lower the better"),
}


class Once(torch.autograd.Function):
    """A square that is differentiable once."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, by: Tensor) -> Tensor:
        return 2 * context.saved_tensors[0] * by


QUANTITIES["Once"] = (Loss(lambda off, mask: Once.apply(off).mean(PIXELS)), "not twice differentiable")


@dataclass(frozen=True, eq=False)
class Moved(Pictures):
    """Scores against another truth than its batch."""

    def truth(self, split: Any) -> list[Batch]:
        return [changed(one, target=lambda target: target + 10.0) for one in super().truth(split)]


@dataclass(frozen=True, eq=False)
class Short(Pictures):
    def answers(self, split: Any) -> dict[str, Any]:
        return {"nothing": []}


@dataclass(frozen=True, eq=False)
class Restless(Pictures):
    def batch(self, split: Any) -> Batch:
        rows = super().batch(split)
        return rows.rows(torch.from_numpy(np.random.default_rng().permutation(len(rows.image))))


def of(kind: type[Pictures]) -> dict[str, Any]:
    made = functools.cached_property(lambda self: kind(self.split(0), self.split(5)))
    made.__set_name__(Grey, "domain")
    return {"domain": made}


def doubled_channels(self: Greys, first: int) -> Batch:
    return changed(Greys.split(self, first), image=lambda image: image.expand(-1, 3, -1, -1))


DOMAINS = {
    "AtEveryLook": ({"domain": property(lambda self: Pictures(self.split(0), self.split(5)))}, "made anew every time"),
    "NoDomain": ({"domain": None}, "domain must be a hgenv.domains.Domain, got NoneType"),
    "Overlapping": ({"split": lambda self, first: Greys.split(self, first // 2)}, "test has 3 pictures of validation"),
    "Restless": (of(Restless), "split is another one at every look"),
    "Channels": ({"split": doubled_channels}, "image of .* split has 3 channels, and sample.. gives 1"),
    "Moved": (of(Moved), "truth of the domain's validation split is not the target of its batch"),
    "Short": (of(Short), "the answer 'nothing' has 0 pictures, and the truth 5"),
    "Missing": ({"split": raising}, "domain raised KeyError"),
}


def remembering(self: Greys, beta: Array) -> Task:
    other = replace(self)  # type: ignore[type-var]
    vars(other)["added"] = vars(self).get("added", 0) + 1
    return other


def remembered(self: Greys, beta: Array, noise: Noise) -> Batch:
    added = vars(self).get("added", 0)
    return changed(Greys.sample(self, beta, noise), image=lambda image: image + added)


def in_place(self: Greys, beta: Array) -> Task:
    vars(self)["added"] = vars(self).get("added", 0) + 1
    return self


def recalled(self: Greys, memory: Array) -> Task:
    return remembering(self, memory)


MEMORY = property(lambda self: np.full((1, 1), float(vars(self).get("added", 0))))
MEMORIES = {
    "InPlace": ({"commit": in_place, "sample": remembered}, "commit.. changes the task itself"),
    "Forgetful": ({"commit": remembering, "sample": remembered}, "memory is None: a continued run would forget it"),
    "Unrecalled": (
        {"commit": remembering, "sample": remembered, "memory": MEMORY}, "recall.. .* raised ValueError: .*no memory"
    ),
    "OtherMemory": (
        {"commit": remembering, "sample": remembered, "memory": MEMORY, "recall": recalled},
        "recall.memory. gives a task with other samples",
    ),
    "CommitsNothing": ({"commit": lambda self, beta: None}, "commit.. must give a GreyCommitsNothing, got NoneType"),
    "Reporting": ({"report": lambda self: {"renders": 1.0}}, "report.. uses the name renders"),
    "Keeping": ({"prepare": lambda self: vars(self).update(kept=lambda: 1)}, "once it has been used, it cannot"),
}  # fmt: skip
QUANTITY_FAULTS = {name: ({"quantity": quantity}, words) for name, (quantity, words) in QUANTITIES.items()}
FAULTS: dict[str, Any] = {**SAMPLES, **NETWORKS, **QUANTITY_FAULTS, **DOMAINS, **MEMORIES}


@pytest.mark.parametrize("name", FAULTS)
def test_mistakes_are_told_in_words(name: str) -> None:
    members, words = FAULTS[name]
    task = wrong(f"Grey{name}", **members)()
    if not words:
        check_task(task)
        return
    with pytest.raises(ContractError, match=words) as caught:
        check_task(task)
    assert str(caught.value).startswith(f"Grey{name}: ")


# -- an optimizer that is right, and what can be wrong with it


@dataclass
class Walk(Optimizer):
    """Goes to the best of two points near it."""

    reach: float = 0.1
    """Standard deviation of the points."""

    def init(self, x0: Array, rng: np.random.Generator) -> None:
        self.x, self.rng = x0.copy(), rng

    def noise(self) -> Array:
        return self.rng.standard_normal((2, len(self.x)))

    def ask(self) -> Array:
        return np.clip(self.x + self.reach * self.noise(), -1, 1)

    def tell(self, x: Array, loss: Array, gradient: Array | None = None) -> None:
        self.x = x[np.argmin(np.where(np.isfinite(loss), loss, np.inf))].copy()

    def recommend(self) -> Array:
        return self.x.copy()


def test_a_small_optimizer_is_right() -> None:
    check_optimizer(Walk)
    check_optimizer(functools.partial(Walk, reach=0.5))


def move_in_place(self: Any, x: Array, loss: Array, gradient: Array | None = None) -> None:
    self.x *= 0.5


def scale_losses(self: Any, x: Array, loss: Array, gradient: Array | None = None) -> None:
    loss -= np.nanmin(loss)


def weigh(self: Any, x: Array, loss: Array, gradient: Array | None = None) -> None:
    weights = loss / loss.sum()
    self.x = np.clip(weights @ x, -1, 1)


def start_over(self: Any, x0: Array, rng: np.random.Generator) -> None:
    self.rng, self.x = rng, getattr(self, "x", x0).copy()


def count(self: Any, x0: Array, rng: np.random.Generator) -> None:
    Walk.init(self, x0, rng)
    self.told = getattr(self, "told", 0)


def told(self: Any, x: Array, loss: Array, gradient: Array | None = None) -> None:
    self.told += 1
    Walk.tell(self, x, loss)
    self.x = self.x / self.told


def along(self: Any, x: Array, loss: Array, gradient: Array | None = None) -> None:
    if len(x) == 1:
        self.x = np.clip(np.nan_to_num(self.x - 0.1 * gradient), -1, 1)  # type: ignore[operator]


OPTIMIZER_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "Global": ({"noise": lambda self: np.random.randn(2, len(self.x))}, "global random numbers of numpy"),  # noqa: NPY002
    "Unseeded": (
        {"noise": lambda self: np.random.default_rng().standard_normal((2, len(self.x)))}, "of the same seed go"
    ),
    "Outside": ({"ask": lambda self: self.x + 9 * self.noise()}, r"ask.. leaves the box \[-1, 1\]\^4: clip it"),
    "OnePoint": ({"ask": lambda self: self.x}, r"ask.. must give points of shape \(k, 4\), got \(4,\)"),
    "Listed": ({"recommend": lambda self: list(self.x)}, r"recommend.. must give a point of shape \(4,\)"),
    "Halved": ({"ask": lambda self: np.zeros((2, len(self.x)), np.float32)}, "ask.. must give float64, got float32"),
    "Elsewhere": ({"recommend": lambda self: 0 * self.x}, "recommend.. must be the start until it is told"),
    "InPlace": (
        {"tell": move_in_place, "recommend": lambda self: self.x}, "hands out an array of its own from recommend.., and"
    ),
    "Aliasing": (
        {"init": lambda self, x0, rng: vars(self).update(x=x0, rng=rng), "tell": move_in_place},
        "keeps an array that init.. was given, and changes it later",
    ),
    "Changing": ({"tell": scale_losses}, "tell.. changes an array that it is given"),
    "Fragile": ({"tell": weigh}, "told NaN: recommend.. gives what is not finite: it must survive any loss"),
    "StartOver": ({"init": start_over}, "recommend.. must be the start until it is told"),
    "Remembering": ({"init": count, "tell": told}, "init.. does not forget what was told before it"),
    "Steep": ({"tell": along, "uses_gradient": True}, "told gradient None, .*: tell.. raised TypeError"),
    "NoneFound": ({"found": lambda self: None}, r"found.. must give a point of shape \(4,\), got \(\)"),
    "Spread": ({"spread": "wide"}, "spread must be None or 'uniform', got 'wide'"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZER_FAULTS)
def test_mistakes_of_an_optimizer_are_told_in_words(name: str) -> None:
    members, words = OPTIMIZER_FAULTS[name]
    with pytest.raises(ContractError, match=words) as caught:
        check_optimizer(dataclass(type(f"Walk{name}", (Walk,), {"__module__": __name__, **members})))
    assert str(caught.value).startswith(f"Walk{name}: ")


class Plain(Walk):
    pass


@dataclass
class Demanding(Walk):
    reach: float = field()


@dataclass
class Named(Walk):
    train_steps: int = 3


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (Walk(), "takes the class, not an instance"),
        (Grey, "inherits from optimizers.Optimizer"),
        (Plain, "not a dataclass"),
        (Demanding, "making one without arguments raised TypeError"),
        (Named, "train_steps shadows the one that every EnvOptions has"),
    ],
)
def test_options_of_an_optimizer_that_are_wrong(optimizer: Any, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        check_optimizer(optimizer)
