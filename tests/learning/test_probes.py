"""Probes that are trained together come to what each comes to alone."""

from typing import Any

import numpy as np
import pytest
import torch
from analytic import Waves
from torch import nn
from torch.nn.utils import parametrizations

from hgenv import TASKS
from hgenv.batch import Batch
from hgenv.beta.noise import Noise
from hgenv.learning import probes
from hgenv.learning.learner import Learner
from hgenv.learning.training import SGD, Adam, FlatNetwork, InnerOptimizer, State
from hgenv.quantities import SquaredError
from hgenv.registry import find
from hgenv.task import Task

STEPS, ROWS = 3, 2
SMALL: dict[str, dict[str, Any]] = {"hgenv/SceneNormals-v0": {"rooms": 2, "pretrain_steps": 0}}


def learner_of(task: Task, rule: InnerOptimizer, dtype: torch.dtype) -> Learner:
    torch.manual_seed(0)
    return Learner(FlatNetwork(task.network().to(dtype)), task.quantity, rule, 0.98, torch.device("cpu"))


def batches_of(task: Task, count: int, dtype: torch.dtype) -> list[list[Batch]]:
    """For every step a batch for each of `count` probes."""
    beta = np.tile(task.layout.initial, (ROWS, 1))
    seeds = np.arange(STEPS * count * ROWS, dtype=np.uint64).reshape(STEPS, count, ROWS)
    made = [[task.sample(beta, Noise(one)) for one in step] for step in seeds]
    return [[Batch(*(part.to(dtype) for part in one)) for one in step] for step in made]


def both(learner: Learner, batches: list[list[Batch]]) -> tuple[State, list[State]]:
    """Trained together, and each in turn, from weights that already have moments."""
    start = learner.trained(learner.start(), [batches[0][0]])
    together = learner.trained_together(start.copies(len(batches[0])), map(Batch.stack, batches))
    return together, [learner.trained(start, own) for own in zip(*batches, strict=True)]


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("env", TASKS)
def test_probes_together_are_those_in_turn(env: str, count: int) -> None:
    """float64 to rounding, for every task's network and quantity, weights, moments, averages and losses."""
    task = find(env)(**SMALL.get(env, {}))
    learner, batches = learner_of(task, Adam(), torch.float64), batches_of(task, count, torch.float64)
    together, alone = both(learner, batches)
    assert together.taken == alone[0].taken == STEPS + 1
    start, held = learner.start(), batches[0][0]
    average = learner.averaged(start.weights, together)
    shared = learner.losses(together.weights, held)
    own = learner.losses(together.weights, Batch.stack(batches[0]))
    for k, state in enumerate(alone):
        close = {"rtol": 0.0, "atol": 1e-12}
        torch.testing.assert_close(together.weights[k], state.weights, **close)
        for moments, moment in zip(together.moments, state.moments, strict=True):
            torch.testing.assert_close(moments[k], moment, **close)
        torch.testing.assert_close(average[k], learner.averaged(start.weights, state), **close)
        torch.testing.assert_close(shared[k], learner.loss(state.weights, held).mean(), **close)
        torch.testing.assert_close(own[k], learner.loss(state.weights, batches[0][k]).mean(), **close)
    if count > 1:
        assert (together.weights[0] - together.weights[1]).abs().max() > 1e-4, "they have trained on other samples"


@pytest.mark.parametrize("env", TASKS)
def test_in_float32_they_differ_by_rounding(env: str) -> None:
    """One gradient, to 2e-6 of its largest entry: sums run in another order. (Adam turns the sign of an entry that is
    rounding noise into a whole step, so that weights say less.)"""
    task = find(env)(**SMALL.get(env, {}))
    learner, (batches, *_) = learner_of(task, Adam(), torch.float32), batches_of(task, 4, torch.float32)
    weights = learner.start().copies(4).weights
    found = learner.gradients(weights, Batch.stack(batches))
    for k, batch in enumerate(batches):
        alone = learner.gradient(weights[k], batch)
        torch.testing.assert_close(found[k], alone, rtol=0.0, atol=2e-6 * alone.abs().max().item())


class Normed(Waves):
    """Waves, learned by a layer with weight_norm."""

    def network(self) -> nn.Module:
        return nn.Sequential(parametrizations.weight_norm(nn.Conv2d(1, 2, 3, padding=1)), nn.Unflatten(0, (1, -1)))


@pytest.mark.parametrize("rule", [SGD(0.1), Adam(eps_root=1e-6)], ids=str)
@pytest.mark.parametrize("task", [Waves(), Normed()], ids=lambda task: type(task).__name__)
def test_by_every_rule(task: Task, rule: InnerOptimizer) -> None:
    together, alone = both(learner_of(task, rule, torch.float64), batches_of(task, 3, torch.float64))
    torch.testing.assert_close(together.weights, torch.stack([s.weights for s in alone]), rtol=0.0, atol=1e-12)


def test_a_loss_that_is_not_a_loss_a_row_is_refused_together_too() -> None:
    class MeanSquaredError(SquaredError):
        def loss(self, prediction: torch.Tensor, batch: Batch) -> torch.Tensor:
            return super().loss(prediction, batch).mean()

    learner = Learner(FlatNetwork(Waves().network()), MeanSquaredError(), Adam(), 0.0, torch.device("cpu"))
    (batches, *_) = batches_of(Waves(), 2, torch.float64)
    with pytest.raises(ValueError, match=r"must give a loss a row, \(2,\), got shape \(\)"):
        learner.gradients(learner.start().copies(2).weights, Batch.stack(batches))


def test_as_many_probes_as_half_the_free_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Waves()
    learner = learner_of(task, Adam(), torch.float64)
    ((batch, *_), *_) = batches_of(task, 1, torch.float64)
    each = probes.bytes_of_a_probe(learner, batch)
    assert probes.probes_at_once(learner, batch) == 1
    there = Learner(learner.model, task.quantity, learner.rule, 0.0, torch.device("cuda", 1))
    free = {"unused by the system": 7 * each, "unused by torch": 4 * each}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free["unused by the system"], 10**12))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: free["unused by torch"] + 5)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 5 if device.index == 1 else 10**12)
    assert probes.probes_at_once(there, batch) == 5
    free |= {"unused by the system": 10, "unused by torch": 0}
    assert probes.probes_at_once(there, batch) == 1


def test_a_probe_takes_what_its_layers_keep() -> None:
    """By hand: image, weights, the first layer's output and what SiLU gives, the target and the mask ... of float64."""
    task = Waves()
    learner = learner_of(task, Adam(), torch.float64)
    ((batch, *_), *_) = batches_of(task, 1, torch.float64)
    pixels, p = ROWS * 25 * 8, learner.model.initial.nbytes
    kept = {"image": 1, "convolved": 3, "SiLU": 3, "mask": 1, "off": 2, "target": 2}
    found = probes.bytes_of_a_probe(learner, batch) - 8 * p
    assert sum(kept.values()) * pixels * 0.5 < found < sum(kept.values()) * pixels * 1.5
    double = Batch(*(torch.cat([part, part]) for part in batch))
    assert probes.bytes_of_a_probe(learner, double) - 8 * p == pytest.approx(2 * found, rel=0.01)
