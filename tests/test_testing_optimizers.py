"""The shipped checks of optimizers: hgenv's own pass, and every mistake is named in the right words."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from mistakes import _order, changed
from numpy.typing import NDArray
from partners import playable

from hgenv.testing import CheckError, check_optimizer
from optimizers import OPTIMIZERS, Optimizer


@pytest.mark.parametrize("name", playable(OPTIMIZERS))
def test_our_optimizers_are_right(name: str) -> None:
    check_optimizer(OPTIMIZERS[name])


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
    "origins_of_three": (
        {"origins": np.arange(3)},
        r"origins of 2 points are array\(\[0, 1, 2\]\), no indices.*np.arange",
    ),
    "origins_beyond": ({"origins": np.array([0, 2])}, "origins of 2 points .*no indices"),
    "origins_of_floats": ({"origins": np.zeros(2)}, "no array of integers"),
    "spread": ({"spread": "wide"}, "spread is 'wide', neither None nor 'uniform'"),
    "found_spread": ({"found_spread": lambda self: -self._x}, r"found_spread\(\) is .*not \(d,\) of 0 or more"),
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
    check_optimizer(changed("O_kept", base=Walk, origins=np.array([1, 1])))


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
