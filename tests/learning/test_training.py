"""The exact reverse of training, against full unrolling, torch's optimizers and a closed form."""

import copy
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from analytic import Waves
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from hgenv.batch import Batch
from hgenv.beta.noise import Noise
from hgenv.env import DataGenEnv
from hgenv.learning.gradient import ImageDifference, InfluenceDifference
from hgenv.learning.training import (
    SGD,
    Adam,
    FlatNetwork,
    InnerOptimizer,
    State,
    Tape,
    directional_derivative,
    losses_and_gradient,
    reverse,
)
from hgenv.options import EnvOptions
from hgenv.tasks.toy_shading import ToyShading

RULES = [SGD(0.1, 0.0), SGD(0.1, 0.9), Adam(0.05)]
SMOOTH = Adam(0.05, eps_root=1e-3)


def smooth_loss(weights: Tensor, batch: Batch) -> Tensor:
    """A two-layer network with masked cosine-like loss, float64."""
    first, second = weights[:24].view(6, 4), weights[24:].view(3, 6)
    prediction = torch.tanh(batch.image @ first.T) @ second.T
    unit = prediction / (prediction.square().sum(-1, keepdim=True) + 0.1).sqrt()
    return (batch.mask * (1.0 - (unit * batch.target).sum(-1, keepdim=True))).mean(-1)


def random_batch(n: int) -> Batch:
    return Batch(*(torch.randn(n, k, dtype=torch.float64) for k in (4, 3)), torch.rand(n, 1, dtype=torch.float64))


def train_step(rule: InnerOptimizer, state: State, batch: Batch, tape: Tape | None = None) -> State:
    gradient = losses_and_gradient(smooth_loss, state.weights, batch)[1]
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
        smooth_loss(theirs, batch).mean().backward()
        optimizer.step()
        state = train_step(rule, state, batch)
    torch.testing.assert_close(state.weights, theirs.detach(), rtol=1e-12, atol=1e-13)


def test_eps_root_is_inside_the_root() -> None:
    """optax's: m / (sqrt(v + eps_root) + eps); the first step by hand."""
    gradient = torch.tensor([0.0, 1e-9, -0.02, 3.0], dtype=torch.float64)
    state = SMOOTH.update(SMOOTH.init(torch.zeros(4, dtype=torch.float64)), gradient)
    expected = -0.05 * gradient / ((gradient**2 + 1e-3).sqrt() + 1e-8)
    torch.testing.assert_close(state.weights, expected, rtol=1e-12, atol=0.0)


FALLING = (SGD(0.05, 0.6, until=9), Adam(0.05, until=9))


@pytest.mark.parametrize("rule", [*RULES, SMOOTH, *FALLING])
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
    (by_weights,) = torch.autograd.grad(smooth_loss(weights, validation).mean(), weights)
    ours = list(reverse(smooth_loss, tape, by_weights))[::-1]

    leaves = [Batch(*(part.clone().requires_grad_() for part in batch)) for batch in batches]
    unrolled = state._replace(weights=state.weights.clone().requires_grad_())
    for leaf in leaves:
        (gradient,) = torch.autograd.grad(
            smooth_loss(unrolled.weights, leaf).mean(), unrolled.weights, create_graph=True
        )
        unrolled = rule.update(unrolled, gradient)
    inputs = [part for leaf in leaves for part in leaf]
    expected = torch.autograd.grad(smooth_loss(unrolled.weights, validation).mean(), inputs)
    got = [part for step in ours for part in step.sensitivity or ()]
    assert len(got) == len(expected)
    scale = max(part.abs().max() for part in expected)
    assert scale > 1e-4
    for a, b in zip(got, expected, strict=True):
        assert (a - b).abs().max() < 1e-10 * max(1.0, scale)


def test_one_sgd_step_has_a_closed_form() -> None:
    """y = w x: after one step, dL/dx, dL/dt and dL/dm of (m / 2)(w x - t)^2 by hand."""
    w, x, t, m, rate = (torch.tensor([v], dtype=torch.float64) for v in (0.7, 1.3, 0.2, 0.9, 0.1))

    def loss(weights: Tensor, batch: Batch) -> Tensor:
        return (0.5 * batch.mask * (weights * batch.image - batch.target) ** 2).sum()

    rule = SGD(0.1, 0.0)
    batch, validation = Batch(x, t, m), Batch(2 * x, t - 1, torch.ones(1, dtype=torch.float64))
    gradient, tape = losses_and_gradient(loss, w, batch)[1], Tape(rule)
    tape.append(rule.init(w), gradient, batch)
    v = losses_and_gradient(loss, rule.update(rule.init(w), gradient).weights, validation)[1]
    ((_, _, by_gradient, sensitivity),) = reverse(loss, tape, v)
    assert sensitivity is not None
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
    assert ours is not None

    leaves = [Batch(*(part.clone().requires_grad_() for part in batch)) for batch in batches]
    unrolled = frozen.init(weights.clone().requires_grad_())
    for leaf in leaves:
        (gradient,) = torch.autograd.grad(
            smooth_loss(unrolled.weights, leaf).mean(), unrolled.weights, create_graph=True
        )
        constant = frozen.update(unrolled, gradient.detach()).moments[1]
        first = 0.9 * unrolled.moments[0] + 0.1 * gradient
        taken = unrolled.taken + 1
        step = 0.05 * (first / (1 - 0.9**taken)) / ((constant / (1 - 0.999**taken)).sqrt() + 1e-8)
        unrolled = State(unrolled.weights - step, (first, constant), taken)
    torch.testing.assert_close(unrolled.weights, state.weights)
    expected = torch.autograd.grad(unrolled.weights @ v, list(leaves[0]))
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", [*RULES, SMOOTH])
@pytest.mark.parametrize("curvature", [True, False])
def test_influence_is_the_derivative_by_a_samples_weight(rule: InnerOptimizer, curvature: bool) -> None:
    """dL/d(weight a_i of sample i at step k), by an unroll with weights; without curvature, with detached weights."""
    torch.manual_seed(3)
    batches, v = [random_batch(4) for _ in range(10)], torch.randn(42, dtype=torch.float64)
    start, tape = rule.init(torch.randn(42, dtype=torch.float64)), Tape(rule)
    state = start
    for batch in batches:
        state = train_step(rule, state, batch, tape)
    steps = list(reverse(smooth_loss, tape, v, sensitivity=False, curvature=curvature))[::-1]
    assert all(step.sensitivity is None for step in steps)

    share, unrolled = torch.ones(10, 4, dtype=torch.float64, requires_grad=True), start
    for k, batch in enumerate(batches):
        at = unrolled.weights if curvature and k else unrolled.weights.detach().requires_grad_()
        (gradient,) = torch.autograd.grad((share[k] * smooth_loss(at, batch)).mean(), at, create_graph=True)
        unrolled = rule.update(unrolled, gradient)
    (expected,) = torch.autograd.grad(unrolled.weights @ v, share)
    for k, step in enumerate(steps):
        for exact, tolerance in ((True, 1e-10), (False, 1e-4)):
            slopes = directional_derivative(smooth_loss, step.weights, batches[k], step.by_gradient, exact) / 4
            assert (slopes - expected[k]).abs().max() < tolerance * expected.abs().max()
        known = smooth_loss(step.weights, batches[k])
        slopes = directional_derivative(smooth_loss, step.weights, batches[k], step.by_gradient, False, known) / 4
        assert (slopes - expected[k]).abs().max() < 1e-3 * expected.abs().max()
    assert expected.abs().max() > 1e-4


def test_difference_along_nothing_is_zero() -> None:
    batch, weights = random_batch(4), torch.randn(42, dtype=torch.float64)
    assert not directional_derivative(smooth_loss, weights, batch, torch.zeros_like(weights), exact=False).any()


class Counting(nn.Module):
    """Writes to a buffer whenever it is called."""

    def __init__(self, *, replaced: bool) -> None:
        super().__init__()
        self.replaced = replaced
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, image: Tensor) -> Tensor:
        if self.replaced:
            self.calls = self.calls + 1
        else:
            self.calls += 1
        return image


class Constant(nn.Module):
    """Has buffers that it only reads."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor([2.0, -torch.inf]))
        self.register_buffer("kernel", torch.ones(1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return image * self.scale[0] * self.kernel


@dataclass(frozen=True)
class Layered(ToyShading):
    """ToyShading with a layer more."""

    layer: nn.Module | None = None

    def network(self) -> nn.Module:
        assert self.layer is not None
        return nn.Sequential(copy.deepcopy(self.layer), *super().network())


FORBIDDEN = {
    "BatchNorm": nn.BatchNorm2d(1),
    "BatchNorm that is not trained": nn.BatchNorm2d(1, affine=False),
    "InstanceNorm": nn.InstanceNorm2d(1, track_running_stats=True),
    "SyncBatchNorm": nn.SyncBatchNorm(1),
    "Dropout": nn.Dropout(0.1),
    "Dropout2d": nn.Dropout2d(),
    "AlphaDropout": nn.AlphaDropout(),
    "a buffer that is written": Counting(replaced=False),
    "a buffer that is replaced": Counting(replaced=True),
}
ALLOWED = {
    "constant buffers": Constant(),
    "Dropout(0)": nn.Dropout(0.0),
    "BatchNorm of the batch": nn.BatchNorm2d(1, track_running_stats=False),
    "InstanceNorm": nn.InstanceNorm2d(1),
    "GroupNorm": nn.GroupNorm(1, 1),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_networks_that_cannot_be_replayed_are_refused(name: str) -> None:
    env = DataGenEnv(Layered(layer=FORBIDDEN[name]), EnvOptions(train_steps=2))
    with pytest.raises(ValueError, match=r"the network has|the forward pass changes the buffer 0\.calls"):
        env.reset(seed=0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.start)


@pytest.mark.parametrize("name", ["BatchNorm", "Dropout"])
def test_a_flat_network_refuses_them_itself(name: str) -> None:
    with pytest.raises(ValueError, match="the network has"):
        FlatNetwork(nn.Sequential(nn.Conv2d(1, 3, 1), FORBIDDEN[name]))


@pytest.mark.parametrize("name", ALLOWED)
def test_networks_whose_training_can_be_replayed_are_trained(name: str) -> None:
    options = EnvOptions(train_steps=2, gradient=ImageDifference(steps=2))
    found = []
    for _ in range(2):
        env = DataGenEnv(Layered(layer=ALLOWED[name]), options)
        env.reset(seed=0)
        found.append(env.step(env.start)[4])
    assert np.isfinite(found[0]["hybrid_gradient"]).all()
    np.testing.assert_equal(found[0], found[1])


def test_a_network_without_anything_to_train_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter that is trained"):
        FlatNetwork(nn.Conv2d(1, 3, 1).requires_grad_(False))


def test_weight_norm_has_the_right_second_derivative() -> None:
    torch.manual_seed(0)
    model = FlatNetwork(nn.Sequential(parametrizations.weight_norm(nn.Conv2d(2, 3, 2)), nn.SiLU()).double())
    image = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    weights = model.initial.clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda w: model.predict(w, image), (weights,))


def test_weight_norm_of_before_torch_2_is_refused() -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        network = nn.utils.weight_norm(nn.Conv2d(1, 2, 1))
    with pytest.raises(ValueError, match=r"use torch\.nn\.utils\.parametrizations'"):
        FlatNetwork(network)


@dataclass(frozen=True)
class Headed(Waves):
    """Waves, learned by one layer whose weight is length x direction: of one entry, it has no gradient by direction."""

    bits: int = 32

    def sample(self, beta: np.ndarray, noise: Noise) -> Batch:
        return Batch(*(part.to(self.dtype) for part in super().sample(beta, noise)))

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32 if self.bits == 32 else torch.float64

    def network(self) -> nn.Module:
        return nn.Sequential(parametrizations.weight_norm(nn.Conv2d(1, 2, 1)), nn.Unflatten(0, (1, -1))).to(self.dtype)


def test_where_the_gradient_is_rounding_noise_the_estimate_is_that_of_float64() -> None:
    """The second moment of the direction is 1e-17. Adam's rule is reversed through it as it is; by the second
    derivative that torch's own weight_norm has, four of these estimates were 1e9 to 1e11 times too large."""
    for seed in range(12):
        found = []
        for bits in (32, 64):
            estimator = InfluenceDifference(exact=bits == 64)
            env = DataGenEnv(Headed(bits=bits), EnvOptions(train_steps=4, gradient=estimator))
            env.reset(seed=seed)
            found.append(env.step(env.start)[4]["hybrid_gradient"])
        assert np.abs(found[1]).max() < 0.01
        np.testing.assert_allclose(found[0], found[1], atol=0.05 * np.abs(found[1]).max())
        second = env.signal.tape.before(3).moments[1]
        assert second[-2:].max() < 1e-20 < second[:-2].min()


MEMORY = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from hgenv import DataGenEnv, EnvOptions, ShapeNormals
from hgenv.learning.gradient import ImageDifference

def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])

k = int(sys.argv[1])
env = DataGenEnv(ShapeNormals(validation_size=16, test_size=1),
                 EnvOptions(gradient=ImageDifference(steps=k, directions=1), train_steps=k))
env.reset(seed=0)
env.contact_sheet(env.start, 1, 1)  # compiles
Path("/proc/self/clear_refs").write_text("5")  # forget the peak
before = peak()
env.step(env.start)
tape = env.signal.tape
state = 3 * tape.gradients[0].nbytes
print(peak() - before, (sum(part.nbytes for part in (*tape.batches[0], tape.gradients[0])) + state // 8) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc to measure peak memory")
def test_a_differentiated_step_leaves_no_graph_behind() -> None:
    """Memory grows by little more than what must be kept of a step: its batch, its gradient, an eighth of a state."""

    def extra(steps: int) -> list[int]:
        at_once = {f"MALLOC_{name}_THRESHOLD_": "65536" for name in ("MMAP", "TRIM")}  # what is freed is given back
        command = [sys.executable, "-c", MEMORY, str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | at_once)
        return [int(word) for word in done.stdout.split()]

    (few, _), (many, kept) = extra(4), extra(64)
    assert few > 10_000
    assert many - few <= 60 * 1.5 * kept, f"{many} kB at 64 steps, {few} kB at 4, {kept} kB to keep a step"


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_is_torchs(dim: int | None) -> None:
    torch.manual_seed(0)
    network = parametrizations.weight_norm(nn.Conv2d(2, 3, 2), dim=dim).double()
    wanted = network.weight.detach().clone()
    with torch.no_grad():
        network.parametrizations.weight.original1.mul_(3.0)  # the direction's length does not count
    found = FlatNetwork(network)._network.weight
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0.0)
