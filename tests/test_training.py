"""The exact reverse of training, against full unrolling, torch's optimizers and a closed form."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from hgenv.task import Batch
from hgenv.training import SGD, Adam, InnerOptimizer, Step, reverse, train_step

RULES = [SGD(0.1), SGD(0.1, 0.9), Adam(0.05)]


def smooth_loss(weights: Tensor, batch: Batch) -> Tensor:
    """A two-layer network with masked cosine-like loss, float64."""
    first, second = weights[:24].view(6, 4), weights[24:].view(3, 6)
    prediction = torch.tanh(batch.image @ first.T) @ second.T
    unit = prediction / (prediction.square().sum(-1, keepdim=True) + 0.1).sqrt()
    return (batch.mask * (1.0 - (unit * batch.target).sum(-1, keepdim=True))).mean()


def random_batch(n: int) -> Batch:
    return Batch(*(torch.randn(n, k, dtype=torch.float64) for k in (4, 3)), torch.rand(n, 1, dtype=torch.float64))


@pytest.mark.parametrize("rule", RULES)
def test_rules_equal_torchs(rule: InnerOptimizer) -> None:
    torch.manual_seed(0)
    theirs = torch.randn(42, dtype=torch.float64, requires_grad=True)
    state = rule.init(theirs.detach().clone())
    if isinstance(rule, SGD):
        optimizer: torch.optim.Optimizer = torch.optim.SGD([theirs], rule.learning_rate, rule.momentum)
    else:
        optimizer = torch.optim.Adam([theirs], 0.05)
    for _ in range(5):
        batch = random_batch(4)
        optimizer.zero_grad()
        smooth_loss(theirs, batch).backward()
        optimizer.step()
        state = train_step(smooth_loss, rule, state, batch)
    torch.testing.assert_close(state.weights, theirs.detach(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("warm", [0, 3])
def test_reverse_equals_full_unrolling(rule: InnerOptimizer, warm: int) -> None:
    torch.manual_seed(1)
    batches, validation = [random_batch(4) for _ in range(6)], random_batch(8)
    state = rule.init(torch.randn(42, dtype=torch.float64))
    for _ in range(warm):
        state = train_step(smooth_loss, rule, state, random_batch(4))
    steps, run = [], state
    for batch in batches:
        steps.append(Step(run, batch))
        run = train_step(smooth_loss, rule, run, batch)
    weights = run.weights.requires_grad_()
    (by_weights,) = torch.autograd.grad(smooth_loss(weights, validation), weights)
    ours = reverse(smooth_loss, rule, steps, by_weights)

    leaves = [Batch(*(part.clone().requires_grad_() for part in batch)) for batch in batches]
    unrolled = state._replace(weights=state.weights.clone().requires_grad_())
    for leaf in leaves:
        (gradient,) = torch.autograd.grad(smooth_loss(unrolled.weights, leaf), unrolled.weights, create_graph=True)
        unrolled = rule.update(unrolled, gradient)
    inputs = [part for leaf in leaves for part in leaf]
    expected = torch.autograd.grad(smooth_loss(unrolled.weights, validation), inputs)
    got = [part for step in ours for part in step.sensitivity]
    scale = max(part.abs().max() for part in expected)
    assert scale > 1e-4
    for a, b in zip(got, expected, strict=True):
        assert (a - b).abs().max() < 1e-10 * max(1.0, scale)


def test_one_sgd_step_has_a_closed_form() -> None:
    """y = w x: after one step, dL/dx, dL/dt and dL/dm of (m / 2)(w x - t)^2 by hand."""
    w, x, t, m, rate = (torch.tensor([v], dtype=torch.float64) for v in (0.7, 1.3, 0.2, 0.9, 0.1))

    def loss(weights: Tensor, batch: Batch) -> Tensor:
        return (0.5 * batch.mask * (weights * batch.image - batch.target) ** 2).sum()

    rule = SGD(0.1)
    start = rule.init(w)
    batch, validation = Batch(x, t, m), Batch(2 * x, t - 1, torch.ones(1, dtype=torch.float64))
    after = train_step(loss, rule, start, batch).weights.requires_grad_()
    (v,) = torch.autograd.grad(loss(after, validation), after)
    ((sensitivity, by_gradient),) = reverse(loss, rule, [Step(start, batch)], v)
    # grad_w = m (w x - t) x, so d grad_w = m (2 w x - t) dx - m x dt + (w x - t) x dm
    torch.testing.assert_close(by_gradient, -rate * v)
    torch.testing.assert_close(sensitivity.image, -rate * v * m * (2 * w * x - t))
    torch.testing.assert_close(sensitivity.target, rate * v * m * x)
    torch.testing.assert_close(sensitivity.mask, -rate * v * (w * x - t) * x)


def test_freezing_the_second_moment_changes_only_the_reverse() -> None:
    torch.manual_seed(2)
    state, batch, v = torch.randn(42, dtype=torch.float64), random_batch(4), torch.randn(42, dtype=torch.float64)
    exact, frozen = Adam(0.05), Adam(0.05, freeze=True)
    torch.testing.assert_close(
        train_step(smooth_loss, exact, exact.init(state), batch).weights,
        train_step(smooth_loss, frozen, frozen.init(state), batch).weights,
    )
    a = reverse(smooth_loss, exact, [Step(exact.init(state), batch)], v)[0].sensitivity.image
    b = reverse(smooth_loss, frozen, [Step(frozen.init(state), batch)], v)[0].sensitivity.image
    assert (a - b).norm() > 0.1 * b.norm()


MEMORY = """
import resource, sys
import torch
torch.set_num_threads(1)
from hgenv import DataGenEnv, EnvOptions, ShapeNormals
k = int(sys.argv[1])
env = DataGenEnv(ShapeNormals(validation_size=16, test_size=1),
                 EnvOptions(gradient="image", train_steps=max(k, 1), differentiated_steps=max(k, 1), directions=1))
env.reset(seed=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
env.step(env.start)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_hardly_grows_with_the_number_of_differentiated_steps() -> None:
    def extra(steps: int) -> int:
        command = [sys.executable, "-c", MEMORY, str(steps)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    few, many = extra(4), extra(64)
    assert many <= 1.5 * few, f"{many} kB at 64 steps, {few} kB at 4"
