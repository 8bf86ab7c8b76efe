"""The exact reverse of training, against full unrolling, torch's optimizers and a closed form."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from hgenv.task import Batch
from hgenv.training import SGD, Adam, InnerOptimizer, Model, State, Tape, reverse, weight_gradient

RULES = [SGD(0.1), SGD(0.1, 0.9), Adam(0.05)]


def smooth_loss(weights: Tensor, batch: Batch) -> Tensor:
    """A two-layer network with masked cosine-like loss, float64."""
    first, second = weights[:24].view(6, 4), weights[24:].view(3, 6)
    prediction = torch.tanh(batch.image @ first.T) @ second.T
    unit = prediction / (prediction.square().sum(-1, keepdim=True) + 0.1).sqrt()
    return (batch.mask * (1.0 - (unit * batch.target).sum(-1, keepdim=True))).mean()


def random_batch(n: int) -> Batch:
    return Batch(*(torch.randn(n, k, dtype=torch.float64) for k in (4, 3)), torch.rand(n, 1, dtype=torch.float64))


def train_step(rule: InnerOptimizer, state: State, batch: Batch, tape: Tape | None = None) -> State:
    gradient = weight_gradient(smooth_loss, state.weights, batch)
    if tape is not None:
        tape.append(state, gradient, batch)
    return rule.update(state, gradient)


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
        state = train_step(rule, state, batch)
    torch.testing.assert_close(state.weights, theirs.detach(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("warm", [0, 3])
def test_reverse_equals_full_unrolling(rule: InnerOptimizer, warm: int) -> None:
    torch.manual_seed(1)
    batches, validation = [random_batch(4) for _ in range(11)], random_batch(8)  # more than a checkpoint apart
    state = rule.init(torch.randn(42, dtype=torch.float64))
    for _ in range(warm):
        state = train_step(rule, state, random_batch(4))
    tape, run = Tape(rule), state
    for batch in batches:
        run = train_step(rule, run, batch, tape)
    weights = run.weights.requires_grad_()
    (by_weights,) = torch.autograd.grad(smooth_loss(weights, validation), weights)
    ours = list(reverse(smooth_loss, tape, by_weights))[::-1]

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
    batch, validation = Batch(x, t, m), Batch(2 * x, t - 1, torch.ones(1, dtype=torch.float64))
    gradient, tape = weight_gradient(loss, w, batch), Tape(rule)
    tape.append(rule.init(w), gradient, batch)
    v = weight_gradient(loss, rule.update(rule.init(w), gradient).weights, validation)
    ((_, sensitivity, by_gradient),) = reverse(loss, tape, v)
    torch.testing.assert_close(gradient, m * (w * x - t) * x)
    # grad_w = m (w x - t) x, so d grad_w = m (2 w x - t) dx - m x dt + (w x - t) x dm
    torch.testing.assert_close(by_gradient, -rate * v)
    torch.testing.assert_close(sensitivity.image, -rate * v * m * (2 * w * x - t))
    torch.testing.assert_close(sensitivity.target, rate * v * m * x)
    torch.testing.assert_close(sensitivity.mask, -rate * v * (w * x - t) * x)


def test_freezing_treats_the_second_moment_as_a_constant() -> None:
    """The same unroll, with the second moment detached."""
    torch.manual_seed(2)
    weights, batches = torch.randn(42, dtype=torch.float64), [random_batch(4) for _ in range(3)]
    v, frozen = torch.randn(42, dtype=torch.float64), Adam(0.05, freeze=True)
    state, tape = frozen.init(weights), Tape(frozen)
    for batch in batches:
        state = train_step(frozen, state, batch, tape)
    ours = list(reverse(smooth_loss, tape, v))[-1].sensitivity

    leaves = [Batch(*(part.clone().requires_grad_() for part in batch)) for batch in batches]
    unrolled = frozen.init(weights.clone().requires_grad_())
    for leaf in leaves:
        (gradient,) = torch.autograd.grad(smooth_loss(unrolled.weights, leaf), unrolled.weights, create_graph=True)
        constant = frozen.update(unrolled, gradient.detach()).moments[1]
        first = 0.9 * unrolled.moments[0] + 0.1 * gradient
        taken = unrolled.taken + 1
        step = 0.05 * (first / (1 - 0.9**taken)) / ((constant / (1 - 0.999**taken)).sqrt() + 1e-8)
        unrolled = State(unrolled.weights - step, (first, constant), taken)
    torch.testing.assert_close(unrolled.weights, state.weights)
    expected = torch.autograd.grad(unrolled.weights @ v, list(leaves[0]))
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layer", [torch.nn.BatchNorm2d(3), torch.nn.Dropout()])
def test_networks_that_cannot_be_replayed_are_refused(layer: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="the network has"):
        Model(torch.nn.Sequential(torch.nn.Conv2d(1, 3, 1), layer))


MEMORY = """
import resource, sys
import torch
torch.set_num_threads(1)
from hgenv import DataGenEnv, EnvOptions, ShapeNormals
k = int(sys.argv[1])
env = DataGenEnv(ShapeNormals(validation_size=16, test_size=1),
                 EnvOptions(gradient="image", train_steps=k, differentiated_steps=k, gradient_directions=1))
env.reset(seed=0)
env.contact_sheet(env.start, 1, 1)  # compiles
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
