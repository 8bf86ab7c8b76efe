"""A task that is right, and what mistakes in one are made of."""

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hgenv import Batch, SampleError, Task
from hgenv.beta import Layout, Noise, Normal
from hgenv.domains import Pictures
from hgenv.quantities import SquaredError

Change = Callable[..., Any]


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
