"""How often the host waits for the device: every transfer back is one of `on_host`, and a plain step has one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from environments import small
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

import hgenv.generator
from hgenv.devices import on_host
from hgenv.learning import gradient, learner
from hgenv.learning.training import directional_derivative
from hgenv.task import sampled

WAITS = {"item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "__array__", "is_nonzero"}
"""Methods of a tensor for which the host has to wait."""
FORWARD = {"gradient_exact": True}
ESTIMATORS: list[tuple[str | None, dict[str, Any]]] = [
    (None, {}),
    ("image", {}),
    ("influence", {}),
    ("influence", FORWARD | {"gradient_shared": False}),
    ("score", {}),
    ("score", {"gradient_samples": 3, "gradient_curvature": True}),
    ("mixed", {}),
    ("mixed", {"gradient_half": "image"}),
    ("perturbed", {}),
    ("perturbed", {"gradient_group": "pair"}),
]


class Waits(TorchDispatchMode):
    """Counts the operators that bring a value to the host, wherever in torch they are called from."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "equal", "masked_select", "is_nonzero"):
            self.found.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


class Asked(TorchFunctionMode):
    """Counts the methods by which Python asks a tensor for its values: on the CPU most of them call no operator."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in WAITS:
            self.found.append(func.__name__)
        return func(*args, **(kwargs or {}))


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[int], list[str]]]:
    """(Tensors in each transfer, other waits) while this lasts. Samples are made on the host, and ask nobody."""
    transfers: list[int] = []
    waits, asked = Waits(), Asked()

    def apart(function: Callable) -> Callable:
        def called(*arguments: Any) -> Any:
            before = len(asked.found)
            with _disable_current_modes():
                found = function(*arguments)
            del asked.found[before:]
            return found

        return called

    def one(tensors: Any) -> Any:
        transfers.append(len(tensors))
        return apart(on_host)(tensors)

    monkeypatch.setattr(hgenv.generator, "sampled", apart(sampled))
    for module in (gradient, learner):
        monkeypatch.setattr(module, "on_host", one)
    others: list[str] = []
    with asked, waits:
        yield transfers, others
    others += waits.found + asked.found


@pytest.mark.parametrize(("name", "changes"), ESTIMATORS)
def test_a_step_waits_once_and_an_estimate_once_more(
    name: str | None, changes: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The validation loss comes together with what is finite; all influences and changes of an estimate together."""
    env = small("hgenv/ToyShading-v0", gradient=name, **{"train_steps": 4, "batch_size": 4} | changes)
    env.reset(seed=0)
    with counted(monkeypatch) as (transfers, others):
        env.step(env.start)
    assert others == []
    assert len(transfers) == (1 if name is None else 2)
    assert transfers[0] == 2


def test_the_count_sees_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.arange(3.0)
    with counted(monkeypatch) as (transfers, others):
        values.sum().item()
        bool(values[0] == 0)
        values.cpu().numpy()
        values.nonzero()
    assert transfers == []
    assert {"item", "__bool__", "cpu", "numpy", "nonzero", "_local_scalar_dense"} <= set(others)


def test_what_comes_to_the_host_is_what_was_there() -> None:
    there = [torch.rand(3, 2), torch.tensor(True), torch.rand(2, dtype=torch.float64), torch.zeros(0)]
    found = on_host(there)
    for array, tensor in zip(found, there, strict=True):
        np.testing.assert_array_equal(array, tensor.numpy())
        assert array.dtype == np.float64
        assert array.shape == tensor.shape
        assert array.base is None, "of its own memory"
    assert on_host([]) == []


def test_a_direction_of_length_zero_is_told_on_the_device() -> None:
    def loss(weights: Tensor, batch: Any) -> Tensor:
        return batch.image @ weights

    batch = hgenv.Batch(torch.rand(3, 2), torch.rand(3, 1), torch.rand(3, 1))
    for weights in (torch.rand(2), torch.zeros(2)):
        found = directional_derivative(loss, weights, batch, torch.zeros(2), exact=False)
        assert found.tolist() == [0.0, 0.0, 0.0]
        assert found.dtype == weights.dtype


def test_on_the_cpu_nothing_is_copied() -> None:
    batch = hgenv.Batch(torch.rand(2, 1, 4, 4), torch.rand(2, 3, 4, 4), torch.rand(2, 1, 4, 4))
    assert all(a is b for a, b in zip(batch.to(torch.device("cpu")), batch, strict=True))


def test_to_a_gpu_a_batch_goes_by_pinned_memory_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """By stand-ins for what needs a GPU: what is pinned is what is sent."""
    batch, pinned, sent = hgenv.Batch(torch.rand(2), torch.rand(3), torch.rand(4)), [], []

    def pin(tensor: Tensor) -> Tensor:
        pinned.append(tensor.clone())
        return pinned[-1]

    def to(tensor: Tensor, device: torch.device, non_blocking: bool = False) -> Tensor:
        sent.append((tensor, device.type, non_blocking))
        return tensor

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Tensor, "to", to)
    found = batch.to(torch.device("cuda"))
    assert [(device, free) for _, device, free in sent] == [("cuda", True)] * 3
    assert all(a is b is c for a, b, (c, *_) in zip(found, pinned, sent, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(found, batch, strict=True))
