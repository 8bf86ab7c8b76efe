"""Inner training of the network, one step at a time, and its exact reverse.

Hybrid gradient (Yang & Deng 2020, Eqs 6-9): w(k+1) = w(k) - eta grad_w l_train(w(k), X(k)), then L = l_val(w(n+1)).
The reverse rebuilds one step's graph at a time, so graph memory does not grow with the number of steps.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import jvp
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.weight_norm import WeightNorm as HookedWeightNorm

from hgenv.batch import Batch
from hgenv.fields import AtLeast, Decay, Natural, Positive, check

Loss = Callable[[Tensor, Batch], Tensor]
"""(weights (p,), Batch of n rows) -> loss of every row, (n,). Training and validation take the mean."""


class WeightNorm(parametrizations._WeightNorm):
    """torch's weight normalisation (Salimans & Kingma 2016) with the right second derivative.

    The kernel that torch's own is computed by takes the norm for a constant when its derivative is differentiated
    again (torch 2.13), and Adam multiplies what is wrong by up to learning rate / epsilon a step.
    """

    def forward(self, length: Tensor, direction: Tensor) -> Tensor:
        rest = [place for place in range(direction.ndim) if place != self.dim]  # dim is -1 for all as one
        # torch.norm_except_dim would be the same, but vmap has no rule for it.
        norm = torch.linalg.vector_norm(direction, dim=rest, keepdim=True) if rest else direction.abs()
        return direction * (length / norm)


def with_right_derivatives(network: nn.Module) -> nn.Module:
    """The network, in place of whose weight_norm stands one that can be differentiated twice."""
    for module in network.modules():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, HookedWeightNorm):
                raise ValueError("the network has torch.nn.utils.weight_norm: use torch.nn.utils.parametrizations'")
        if parametrize.is_parametrized(module):
            for steps in module.parametrizations.values():  # type: ignore[operator]
                for i, step in enumerate(steps):
                    if type(step) is parametrizations._WeightNorm:
                        steps[i] = WeightNorm(step.dim)
    return network


class FlatNetwork:
    """A network as a function of one flat weight vector (p,)."""

    def __init__(self, network: nn.Module) -> None:
        training = [m for m in network.modules() if m.training]  # in eval mode, neither draws nor learns anything
        if any(isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0 for m in training):
            raise ValueError("the network has dropout, whose noise the reverse of training cannot replay")
        if any(isinstance(m, nn.modules.batchnorm._NormBase) and m.running_mean is not None for m in training):
            raise ValueError(
                "the network has BatchNorm, whose buffers training cannot be reversed through: take GroupNorm, or "
                "freeze it by its eval()"
            )
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]  # others stay as they are
        if not named:
            raise ValueError("the network has no parameter that is trained")
        self._network = with_right_derivatives(network)
        self._buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        self._names, self._own = [n for n, _ in named], [p for _, p in named]
        self._shapes, self._sizes = [p.shape for p in self._own], [p.numel() for p in self._own]
        place = {id(p): k for k, p in enumerate(self._own)}  # one that several modules share has one place
        self._places = [
            (module._parameters, name, place[id(p)])
            for module in network.modules()
            for name, p in module._parameters.items()
            if id(p) in place
        ]
        self.initial = torch.cat([p.detach().reshape(-1) for _, p in named])

    def predict(self, weights: Tensor, image: Tensor) -> Tensor:
        """Predictions (stacks, n, t, h, w)."""
        parts = [p.view(s) for p, s in zip(torch.split(weights, self._sizes), self._shapes, strict=True)]
        # As torch.func.functional_call, which looks every name up anew: a tenth of a small network's step.
        try:
            self._put(parts)
            return self._network(image)
        finally:
            self._put(self._own)

    def _put(self, parts: Sequence[Tensor]) -> None:
        """Let the network compute with these parts of the weights."""
        for parameters, name, k in self._places:
            parameters[name] = parts[k]  # type: ignore[assignment]

    def check_buffers(self) -> None:
        """Raise ValueError if a forward pass has changed a buffer: a constant one is fine."""
        for name, buffer in self._network.named_buffers():
            if not torch.equal(buffer, self._buffers[name]):
                raise ValueError(
                    f"the forward pass changes the buffer {name}, which training cannot be reversed through"
                )

    def network(self, weights: Tensor) -> nn.Module:
        """A copy of the network, of its own memory, with these weights (p,)."""
        network = copy.deepcopy(self._network)
        owned = dict(network.named_parameters())
        parts = zip(self._names, torch.split(weights.detach(), self._sizes), self._shapes, strict=True)
        with torch.no_grad():
            for name, part, shape in parts:
                owned[name].copy_(part.view(shape))
        return network


class State(NamedTuple):
    """Weights (p,), the optimizer's moments (p,) each, and the number of steps taken."""

    weights: Tensor
    moments: tuple[Tensor, ...]
    taken: int

    def copies(self, count: int) -> State:
        """The same state so many times, weights and moments (count, p), for trainings that go on together."""
        weights, *moments = (part.expand(count, -1) for part in (self.weights, *self.moments))
        return State(weights, tuple(moments), self.taken)


class InnerOptimizer(ABC):
    """An update rule of the network's weights and the adjoint of that rule.

    A rule goes entry by entry: what it does to weights (p,) it does to (k, p) of k trainings that have taken as many
    steps.
    """

    @abstractmethod
    def init(self, weights: Tensor) -> State:
        """State before the first step."""

    @abstractmethod
    def update(self, state: State, gradient: Tensor) -> State:
        """One step."""

    @abstractmethod
    def adjoint(self, state: State, gradient: Tensor, after: State) -> tuple[Tensor, State]:
        """Pull dL/d(state after the step) back: (dL/d gradient, dL/d(state before) at a fixed gradient)."""

    @abstractmethod
    def rates(self, state: State) -> Tensor:
        """How far a step moves each weight (p,) by a unit of a gradient that lasts, at the full learning rate."""


def left_of(taken: int, until: int | None) -> float:
    """The share of the learning rate that is left after so many steps: 1 until the last fifth, then down to 0."""
    return 1.0 if until is None else min(1.0, max(0.0, 5.0 * (1.0 - taken / until)))


@dataclass(frozen=True)
class SGD(InnerOptimizer):
    """Stochastic gradient descent with heavy-ball momentum, as torch.optim.SGD(momentum=...)."""

    learning_rate: Positive = 3e-3
    """Learning rate of the network."""
    momentum: Decay = 0.9
    """Share of the last step's velocity that is kept."""
    until: Natural | None = None
    """Training steps after which the learning rate is 0, falling over the last fifth of them; None: it never falls."""

    def __post_init__(self) -> None:
        check(self)

    def init(self, weights: Tensor) -> State:
        return State(weights, (torch.zeros_like(weights),), 0)

    def update(self, state: State, gradient: Tensor) -> State:
        velocity = self.momentum * state.moments[0] + gradient
        return State(state.weights - self._rate(state) * velocity, (velocity,), state.taken + 1)

    def adjoint(self, state: State, gradient: Tensor, after: State) -> tuple[Tensor, State]:
        by_velocity = after.moments[0] - self._rate(state) * after.weights
        return by_velocity, State(after.weights, (self.momentum * by_velocity,), state.taken)

    def rates(self, state: State) -> Tensor:
        return torch.full_like(state.weights, self.learning_rate / (1.0 - self.momentum))

    def _rate(self, state: State) -> float:
        return self.learning_rate * left_of(state.taken, self.until)


@dataclass(frozen=True)
class Adam(InnerOptimizer):
    """Adam (Kingma & Ba 2015), as torch.optim.Adam.

    With `freeze` the second moment counts as a constant in the reverse, which damps the noise of its derivative.
    """

    learning_rate: Positive = 3e-3
    """Learning rate of the network."""
    beta1: Decay = 0.9
    """Decay of the running mean of gradients."""
    beta2: Decay = 0.999
    """Decay of the running mean of their squares."""
    epsilon: Positive = 1e-8
    """Added to the root of that."""
    eps_root: Annotated[float, AtLeast(0)] = 0.0
    """Added inside the root, as optax has it: 1e-6, say, makes what is trained a smoother function of the data."""
    freeze: bool = False
    """Treat the second moment as a constant in the reverse."""
    until: Natural | None = None
    """Training steps after which the learning rate is 0, falling over the last fifth of them; None: it never falls."""

    def __post_init__(self) -> None:
        check(self)

    def init(self, weights: Tensor) -> State:
        return State(weights, (torch.zeros_like(weights), torch.zeros_like(weights)), 0)

    def update(self, state: State, gradient: Tensor) -> State:
        first = self.beta1 * state.moments[0] + (1 - self.beta1) * gradient
        second = self.beta2 * state.moments[1] + (1 - self.beta2) * gradient**2
        correct1, correct2 = self._corrections(state.taken + 1)
        step = self._rate(state) * (first / correct1) / (self._root(second / correct2) + self.epsilon)
        return State(state.weights - step, (first, second), state.taken + 1)

    def adjoint(self, state: State, gradient: Tensor, after: State) -> tuple[Tensor, State]:
        done = self.update(state, gradient)
        correct1, correct2 = self._corrections(done.taken)
        root = self._root(done.moments[1] / correct2)
        scale = self._rate(state) / (root + self.epsilon)
        by_first = after.moments[0] - after.weights * scale / correct1
        if self.freeze:
            by_second = torch.zeros_like(by_first)
        else:
            slope = scale * (done.moments[0] / correct1) / ((root + self.epsilon) * 2 * root * correct2)
            # A weight that never had a gradient has root = 0; it does not move, so the limit is 0.
            by_second = after.moments[1] + after.weights * torch.where(root > 0, slope, 0.0)
        by_gradient = (1 - self.beta1) * by_first + 2 * (1 - self.beta2) * gradient * by_second
        return by_gradient, State(after.weights, (self.beta1 * by_first, self.beta2 * by_second), state.taken)

    def rates(self, state: State) -> Tensor:
        return self.learning_rate / (self._root(state.moments[1] / self._corrections(state.taken)[1]) + self.epsilon)

    def _rate(self, state: State) -> float:
        return self.learning_rate * left_of(state.taken, self.until)

    def _root(self, second: Tensor) -> Tensor:
        return (second + self.eps_root).sqrt() if self.eps_root else second.sqrt()

    def _corrections(self, count: int) -> tuple[float, float]:
        return 1 - self.beta1**count, 1 - self.beta2**count


INNER_OPTIMIZERS: dict[str, type[InnerOptimizer]] = {"adam": Adam, "sgd": SGD}


def losses_and_gradient(loss: Loss, weights: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The losses of the rows, (n,), and grad_w of their mean, (p,)."""
    leaf = weights.detach().requires_grad_()
    losses = loss(leaf, batch)
    return losses.detach(), torch.autograd.grad(losses.mean(), leaf)[0]


def directional_derivative(
    loss: Loss, weights: Tensor, batch: Batch, direction: Tensor, exact: bool = True, known: Tensor | None = None
) -> Tensor:
    """<grad_w l(w, X_i), direction> of every row i, (n,): exactly in forward mode, or by a difference.

    A central difference costs two forward passes, about half of forward mode. Its step is 3e-4 |w| / |direction|, large
    enough for float32 and small enough for the curvature of the loss. Where the losses (n,) at the weights are known, a
    difference to one side costs one; its step is a sixth of that, as curvature does not cancel.
    """
    with torch.no_grad():
        slopes: Tensor
        if exact:
            slopes = jvp(lambda w: loss(w, batch), (weights,), (direction,))[1]
            return slopes
        size = direction.norm()
        there = size != 0  # known on the device only: to ask for it would let the host wait
        step = weights.norm() / torch.where(there, size, 1.0)
        if known is None:
            step = 3e-4 * step
            slopes = (loss(weights + step * direction, batch) - loss(weights - step * direction, batch)) / (2.0 * step)
        else:
            step = 5e-5 * step
            slopes = (loss(weights + step * direction, batch) - known) / step
        return torch.where(there, slopes, 0.0)


class Tape:
    """What the reverse of some consecutive steps needs: their batches and gradients, and a state every few steps.

    The states in between are replayed from the gradients, those of one gap at a time, which costs a few vector
    operations instead of memory.
    """

    def __init__(self, rule: InnerOptimizer, checkpoint_every: int = 8) -> None:
        self.rule, self._every = rule, checkpoint_every
        self.batches: list[Batch] = []
        self.gradients: list[Tensor] = []
        self.losses: list[Tensor | None] = []
        self._checkpoints: list[State] = []
        self._replayed = (-1, list[State]())

    def __len__(self) -> int:
        return len(self.batches)

    def append(self, before: State, gradient: Tensor, batch: Batch, losses: Tensor | None = None) -> None:
        """Record one step: the state before it, its gradient, what it trained on, and its losses (n,) if known."""
        if len(self) % self._every == 0:
            self._checkpoints.append(before)
        self.batches.append(batch)
        self.gradients.append(gradient)
        self.losses.append(losses)

    def before(self, k: int) -> State:
        """The state before step k."""
        gap, place = divmod(k, self._every)
        if gap != self._replayed[0]:
            self._replayed = gap, [self._checkpoints[gap]]
        states = self._replayed[1]
        while len(states) <= place:
            states.append(self.rule.update(states[-1], self.gradients[gap * self._every + len(states) - 1]))
        return states[place]


class ReversedStep(NamedTuple):
    """Step k, reversed: the weights (p,) before it, v(k) = dL/d(grad_w l_train at step k) (p,), and dL/dX(k).

    sensitivity holds dL/d(image, target, mask) of the batch, if it was asked for.
    """

    k: int
    weights: Tensor
    by_gradient: Tensor
    sensitivity: Batch | None


def reverse(
    loss: Loss, tape: Tape, by_weights: Tensor, sensitivity: bool = True, curvature: bool = True
) -> Iterator[ReversedStep]:
    """Differentiate through recorded steps (Eqs 6-9), given dL/d(final weights); yields the last step first.

    Equal to unrolling all steps in one graph. An iterator, so that nothing of a step is held once it is used.
    Without `curvature` the gradients of later steps count as constants (first order): nothing but the optimizer's
    own rule is reversed, which costs a few vector operations a step.
    """
    adjoint = None
    for k in reversed(range(len(tape))):
        before = tape.before(k)
        if adjoint is None:  # L does not depend on the final moments
            adjoint = State(by_weights, tuple(torch.zeros_like(m) for m in before.moments), before.taken + 1)
        by_gradient, adjoint = tape.rule.adjoint(before, tape.gradients[k], adjoint)
        # Nothing before the first step asks for its dL/dw.
        by_batch, by_state = _reverse_gradient(
            loss, before.weights, tape.batches[k], by_gradient, sensitivity, curvature and k > 0
        )
        if by_state is not None:
            adjoint = adjoint._replace(weights=adjoint.weights + by_state)
        yield ReversedStep(k, before.weights, by_gradient, by_batch)


def _reverse_gradient(
    loss: Loss, weights: Tensor, data: Batch, by_gradient: Tensor, by_batch: bool, by_weights: bool
) -> tuple[Batch | None, Tensor | None]:
    """One vector-Jacobian product of the gradient: d<grad_w l_train, v> / d(X, w), as far as asked for."""
    if not (by_batch or by_weights):
        return None, None
    leaf = weights.detach().requires_grad_()
    batch = Batch(*(part.detach().requires_grad_(by_batch) for part in data))
    (gradient,) = torch.autograd.grad(loss(leaf, batch).mean(), leaf, create_graph=True)
    inputs = [*batch] * by_batch + [leaf] * by_weights
    found = torch.autograd.grad(gradient, inputs, grad_outputs=by_gradient, allow_unused=True, materialize_grads=True)
    return Batch(*found[:3]) if by_batch else None, found[-1] if by_weights else None
