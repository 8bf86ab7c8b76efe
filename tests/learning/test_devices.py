"""Every device: on torch's meta device what can be told without one, on a GPU what it gives beside the CPU.

On the meta device tensors have shapes and no values: whatever would mix devices raises there, and so does everything
that would bring a value to the host, but for `on_host`, which is stood in for.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from environments import QUICK
from torch import Tensor

from hgenv import TASKS
from hgenv.batch import Batch
from hgenv.checkpoint import Checkpoint
from hgenv.env import DataGenEnv
from hgenv.learning import gradient, learner, probes
from hgenv.learning.training import FlatNetwork
from hgenv.run import Budget, run
from hgenv.runs import agents
from optimizers import OPTIMIZERS

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use: no CUDA here")
SIZES = {"resolution": 16, "channels": 8}
SPLITS = {"validation_size": 6, "test_size": 4}
TASK_OPTIONS: dict[str, dict[str, Any]] = {
    "hgenv/ToyShading-v0": SPLITS,
    "hgenv/ShapeNormals-v0": SIZES | SPLITS,
    "hgenv/ShapeEvolution-v0": SIZES | SPLITS,
    "hgenv/FaceDepth-v0": SIZES,
    "hgenv/TextureIntrinsics-v0": SIZES,
    "hgenv/OwnGenerator-v0": SIZES | SPLITS,
    "hgenv/SceneNormals-v0": SPLITS | {"resolution": 32, "channels": 8, "hourglass_depth": 2, "rooms": 2},
}
ESTIMATORS: dict[str, dict[str, Any]] = {
    "plain": {},
    "image": {"gradient": "image", "gradient_directions": 1},
    "influence": {"gradient": "influence", "gradient_directions": 1},
    "exact": {"gradient": "influence", "gradient_directions": 1, "gradient_exact": True},
    "score": {"gradient": "score", "gradient_curvature": True},
    "mixed": {"gradient": "mixed", "gradient_directions": 1},
    "perturbed": {"gradient": "perturbed", "gradient_curvature": True},
    "pair": {"gradient": "perturbed", "gradient_group": "pair"},
    "horizon": {"gradient": "perturbed", "gradient_horizon": 1000},
}
NO_DENSITY = ("score", "mixed")
CELLS = [(env, name) for env in TASKS for name in ESTIMATORS if "Evolution" not in env or name not in NO_DENSITY]
QUICK_FIRST = [pytest.param(*cell, marks=() if "Toy" in cell[0] else pytest.mark.slow) for cell in CELLS]


def made(env: str, device: str, **options: Any) -> DataGenEnv:
    """Small, with the start of its network not trained, after reset."""
    untrained = {"pretrain_steps": 0} if env in QUICK else {}
    few = {"train_steps": 4, "batch_size": 4, "validation_images": 4}
    found = gymnasium.make(
        env, disable_env_checker=True, device=device, **{**TASK_OPTIONS[env], **untrained, **few, **options}
    ).unwrapped
    assert isinstance(found, DataGenEnv)
    found.reset(seed=0)
    return found


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ones come to the host, whatever was there; of every transfer the number of tensors."""
    transfers: list[int] = []

    def ones(tensors: Sequence[Tensor]) -> list[np.ndarray]:
        assert {tensor.device.type for tensor in tensors} == {"meta"}
        transfers.append(len(tensors))
        return [np.ones(tensor.shape) for tensor in tensors]

    for module in (gradient, learner):
        monkeypatch.setattr(module, "on_host", ones)
    return transfers


@pytest.mark.parametrize(("env", "estimator"), QUICK_FIRST)
def test_a_step_stays_on_its_device(env: str, estimator: str, stand_in: list[int]) -> None:
    """Training, its reverse, every estimate: nothing is mixed, and the host asks once for the outcome and once for the
    estimate."""
    options = ESTIMATORS[estimator]
    there = made(env, "meta", **options)
    assert stand_in.pop() == 1
    info = there.step(there.start)[4]
    assert info["failed"] == 0
    assert len(stand_in) == 1 + bool(options)
    assert {part.device.type for part in (there.episode.weights.weights, there.episode.average)} == {"meta"}
    if options:
        assert info["hybrid_gradient"].shape == there.start.shape
        assert {part.device.type for part in there.signal.sensitivity()} == {"meta"}
        step = next(iter(there.signal.reversed()))
        influence = there.signal.influence(step, there.signal.samples[step.k].batch)
        assert (influence.device.type, influence.dtype) == ("meta", torch.float64)


@pytest.mark.parametrize("env", TASKS)
def test_probes_stay_on_their_device(env: str, stand_in: list[int]) -> None:
    there = made(env, "meta")
    there.evaluate(np.tile(there.start, (2, 1)))
    seeds = np.arange(4, dtype=np.uint64)
    batch = there.generate(np.tile(there.start, (4, 1)), seeds).batch
    ours, state = there._learner, there.episode.weights
    together = ours.trained_together(state.copies(3), [Batch.stack([batch] * 3)] * 2)
    assert together.weights.shape == (3, len(state.weights))
    assert together.weights.device.type == "meta"
    assert ours.losses(together.weights, batch).device.type == "meta"


@pytest.mark.parametrize("env", TASKS)
def test_the_memory_of_a_probe_is_told_without_any(env: str, stand_in: list[int]) -> None:
    """On the meta device within a hundredth of what the CPU keeps, whose kernels may keep a little more."""
    there = made(env, "meta")
    batch = there.generate(np.tile(there.start, (4, 1)), np.arange(4, dtype=np.uint64)).batch
    empty = Batch(*(torch.zeros(part.shape) for part in batch))
    torch.manual_seed(0)
    here = FlatNetwork(there.task.network())
    ours = dataclasses.replace(there._learner, model=here, device=torch.device("cpu"))
    wanted = probes.bytes_of_a_probe(ours, empty)
    assert probes.bytes_of_a_probe(there._learner, batch) == pytest.approx(wanted, rel=0.01)


def test_the_meta_device_tells_on_whoever_asks_or_mixes() -> None:
    there = torch.ones(2, device="meta")
    with pytest.raises(RuntimeError, match="meta"):
        there.sum().item()
    with pytest.raises(NotImplementedError, match="meta"):
        there.cpu()
    with pytest.raises(RuntimeError, match="device"):
        there + torch.ones(2)


# -- on a GPU: these have been written without one


SMOOTH = {"inner": "sgd", "inner_learning_rate": 0.05}
"""Adam turns a gradient that is rounding noise into a whole step, and so would compare noise."""


@needs_cuda
@pytest.mark.parametrize(("env", "estimator"), CELLS)
def test_cuda_gives_what_the_cpu_gives(env: str, estimator: str) -> None:
    """Two steps of four training steps: losses to 1e-4, weights to 1e-4 of their length, estimates to a hundredth."""
    here, there = (made(env, device, **SMOOTH, **ESTIMATORS[estimator]) for device in ("cpu", "cuda"))
    for _ in range(2):
        wanted, found = here.step(here.start)[4], there.step(there.start)[4]
    np.testing.assert_allclose(found["val_loss"], wanted["val_loss"], rtol=1e-4)
    weights, moved = here.episode.weights.weights, there.episode.weights.weights
    assert moved.device.type == "cuda"
    assert (moved.cpu() - weights).norm() < 1e-4 * weights.norm()
    if ESTIMATORS[estimator]:
        off = np.linalg.norm(found["hybrid_gradient"] - wanted["hybrid_gradient"])
        assert off < 0.01 * np.linalg.norm(wanted["hybrid_gradient"])
    for name in here.ledger.__dict__:
        assert getattr(here.ledger, name) == getattr(there.ledger, name), name


@needs_cuda
@pytest.mark.parametrize("env", TASKS)
def test_adam_and_probes_on_cuda(env: str) -> None:
    here, there = (made(env, device) for device in ("cpu", "cuda"))
    actions = np.tile(here.start, (3, 1))
    np.testing.assert_allclose(there.evaluate(actions), here.evaluate(actions), rtol=1e-2)
    for split in ("validation", "test"):
        key = here.task.quantity.primary
        np.testing.assert_allclose(there.metrics(split)[key], here.metrics(split)[key], rtol=1e-3)


@needs_cuda
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_host_waits_for_cuda_once_a_step_and_once_an_estimate(estimator: str) -> None:
    options = ESTIMATORS[estimator]
    there = made("hgenv/ToyShading-v0", "cuda", **options)
    there.step(there.start)  # what is loaded at first use
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="synchronizing CUDA operation") as waits:
            there.step(there.start)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len([w for w in waits if "synchronizing CUDA operation" in str(w.message)]) == 1 + bool(options)


@needs_cuda
@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_a_run_goes_on_on_another_device(first: str, second: str, tmp_path: Path) -> None:
    def rows(device: str, steps: int, kept: str) -> list[dict]:
        env = made("hgenv/ShapeNormals-v0", device, gradient="perturbed", **SMOOTH)
        player = OPTIMIZERS["hybrid-gradient"]()
        return list(run(env, player, Budget(max_steps=steps), checkpoint=Checkpoint(tmp_path / kept)))

    rows(first, 3, "cut")
    found, wanted = rows(second, 6, "cut"), rows("cpu", 6, "whole")[3:]
    assert [row["step"] for row in found] == [row["step"] for row in wanted] == [3, 4, 5, 6]
    for row, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(row["val_loss"], other["val_loss"], rtol=1e-3)


@needs_cuda
@pytest.mark.parametrize(("precision", "most"), [("tf32", 0.02), ("bfloat16", 0.1)])
def test_precisions_on_cuda(precision: str, most: float) -> None:
    """Gradients of plain steps are other ones, and less than a share of their length away; of probes together, too."""
    exact, rough = (made("hgenv/ShapeNormals-v0", "cuda", precision=p) for p in ("float32", precision))
    batch = exact.generate(np.tile(exact.start, (4, 1)), np.arange(4, dtype=np.uint64)).batch
    weights = exact.episode.weights.weights
    wanted, alone = exact._learner.gradient(weights, batch), rough._learner.plain_gradient(weights, batch)
    (together,) = rough._learner.gradients(weights[None], Batch.stack([batch]))
    for found in (alone, together):
        assert 0 < (found - wanted).norm() < most * wanted.norm()
    torch.testing.assert_close(rough._learner.gradient(weights, batch), wanted, rtol=1e-4, atol=1e-6)


@needs_cuda
@pytest.mark.parametrize("env", TASKS)
def test_probes_together_on_cuda(env: str) -> None:
    """What they come to is what the CPU comes to in turn; they take no more memory than was reckoned with, twice."""
    here, there = (made(env, device, **SMOOTH) for device in ("cpu", "cuda"))
    seeds = np.arange(4, dtype=np.uint64)
    ours, theirs = (e.generate(np.tile(e.start, (4, 1)), seeds).batch for e in (here, there))
    wanted = here._learner.trained(here.episode.weights, [ours] * 3).weights
    count, batches = 8, [Batch.stack([theirs] * 8)] * 3
    assert probes.probes_at_once(there._learner, theirs) >= count
    start = there.episode.weights.copies(count)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    found = there._learner.trained_together(start, batches).weights
    used = torch.cuda.max_memory_allocated() - before
    assert used < 2 * count * probes.bytes_of_a_probe(there._learner, theirs)
    for one in found.cpu():
        assert (one - wanted).norm() < 1e-4 * wanted.norm()


@needs_cuda
def test_an_agent_and_its_environment_on_cuda() -> None:
    there, rows = made("hgenv/ToyShading-v0", "cuda"), list[dict]()
    agent = agents.made(there, agents.AgentOptions(warmup=2, policy_device="cuda"), 0)
    assert agent.device.type == "cuda"
    agents.play(there, agent, Budget(max_steps=6), rows.append)
    spent = [row["gpu_seconds"] for row in rows]
    assert spent[0] == 0.0
    assert (np.diff(spent) > 0).all()
    assert spent[-1] <= rows[-1]["wall_seconds"] * 1.01
