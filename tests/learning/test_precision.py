"""Plain steps at lower precision; what is differentiated, and every validation, stays float32."""

from typing import Any

import numpy as np
import pytest
import torch
from environments import small
from torch import Tensor

from hgenv import TASKS
from hgenv.batch import Batch
from hgenv.beta.noise import Noise
from hgenv.calls import own_torch
from hgenv.devices import tf32
from hgenv.env import DataGenEnv
from hgenv.learning.learner import Learner, Precision
from hgenv.learning.training import Adam, FlatNetwork
from hgenv.options import EnvOptions
from hgenv.registry import find
from hgenv.tasks.toy_shading import ToyShading

SMALL: dict[str, dict[str, Any]] = {"hgenv/SceneNormals-v0": {"rooms": 2, "pretrain_steps": 0}}


def made(env: str, precision: Precision, device: str = "cpu") -> tuple[Learner, Batch]:
    task = find(env)(**SMALL.get(env, {}))
    torch.manual_seed(0)
    learner = Learner(FlatNetwork(task.network()), task.quantity, Adam(), 0.98, torch.device(device), precision)
    return learner, task.sample(np.tile(task.layout.initial, (4, 1)), Noise(np.arange(4, dtype=np.uint64)))


def flags() -> list[str]:
    return [torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision]


@pytest.mark.parametrize("env", TASKS)
def test_bfloat16_gradients_point_the_same_way(env: str) -> None:
    """Eight bits of a number: the gradient is another one, in float32, less than a tenth of its length away."""
    learner, batch = made(env, "bfloat16")
    weights = learner.start().weights
    exact, found = learner.gradient(weights, batch), learner.plain_gradient(weights, batch)
    assert found.dtype == torch.float32
    off = (found - exact).norm() / exact.norm()
    assert 1e-5 < off < 0.1, off


def test_only_plain_steps_are_rounded() -> None:
    """The gradient that a tape records, the validation and the reverse's losses are those of float32 to the bit."""
    (rough, batch), (exact, _) = made("hgenv/ShapeNormals-v0", "bfloat16"), made("hgenv/ShapeNormals-v0", "float32")
    state = exact.start()
    assert torch.equal(rough.gradient(state.weights, batch), exact.gradient(state.weights, batch))
    assert torch.equal(rough.loss(state.weights, batch), exact.loss(state.weights, batch))
    assert rough.outcome(state, batch) == exact.outcome(state, batch)
    assert torch.equal(exact.plain_gradient(state.weights, batch), exact.gradient(state.weights, batch))
    pair = state.copies(2).weights
    assert torch.equal(rough.losses(pair, batch), exact.losses(pair, batch))
    assert not torch.equal(rough.trained(state, [batch]).weights, exact.trained(state, [batch]).weights)


def test_the_option_reaches_probes() -> None:
    found = []
    for precision in ("float32", "bfloat16"):
        env = DataGenEnv(ToyShading(), EnvOptions(train_steps=3, precision=precision))
        env.reset(seed=0)
        found.append(env.evaluate(env.start[None])[0])
    assert found[0] != found[1]
    np.testing.assert_allclose(found[1], found[0], rtol=0.02)


def test_tf32_is_set_for_plain_steps_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, batch = made("hgenv/ToyShading-v0", "tf32")
    seen, loss, before = [], learner.quantity.loss, flags()

    def looking(prediction: Tensor, batch: Batch) -> Tensor:
        seen.append(flags())
        return loss(prediction, batch)

    monkeypatch.setattr(learner.quantity, "loss", looking)
    weights = learner.start().weights
    with own_torch():
        learner.gradient(weights, batch)
        learner.plain_gradient(weights, batch)
        learner.gradients(weights[None], Batch.stack([batch]))
        learner.losses(weights[None], batch)
    assert seen == [["ieee", "ieee"], ["tf32", "tf32"], ["tf32", "tf32"], ["ieee", "ieee"]]
    assert flags() == before


@pytest.mark.parametrize("allowed", [True, False])
def test_the_flags_are_put_back_whoever_set_them_how(allowed: bool) -> None:
    """torch refuses to read a mixture of its old and its new flags."""
    before = flags()
    try:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
        with pytest.raises(RuntimeError, match="stop"), tf32(not allowed):
            raise RuntimeError("stop")
        assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32 == allowed
    finally:
        torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision = before


def test_before_torch_2_9_the_flags_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flags:
        allow_tf32 = True

    monkeypatch.setattr(torch.backends.cuda, "matmul", Flags())
    monkeypatch.setattr(torch.backends, "cudnn", Flags())
    with tf32(False):
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32


def test_tf32_is_refused_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="precision='tf32' is a way of CUDA devices to multiply, got device 'cpu'"):
        EnvOptions(precision="tf32")
    with pytest.raises(ValueError, match="precision must be one of"):
        EnvOptions(precision="float16")  # type: ignore[arg-type]


def test_only_the_steps_of_an_environment_that_nothing_differentiates_are_rounded() -> None:
    """With a window of two of four steps, two are rounded; with one of all four the bits are those of float32."""
    weights = {}
    for precision in ("float32", "bfloat16"):
        for window in (2, 4):
            env = small(gradient="influence", gradient_steps=window, train_steps=4, precision=precision)
            env.reset(seed=0)
            env.step(env.start)
            weights[precision, window] = env.state_dict()["weights"]
    assert (weights["float32", 4] == weights["bfloat16", 4]).all()
    assert (weights["float32", 2] == weights["float32", 4]).all()
    assert (weights["float32", 2] != weights["bfloat16", 2]).any()
    np.testing.assert_allclose(
        weights["float32", 2], weights["bfloat16", 2], atol=4 * 3e-3
    )  # two steps of Adam, either way
