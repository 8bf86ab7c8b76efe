"""Learner: weights in, weights out. It trains, averages, validates and predicts; it keeps nothing."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from hgenv.batch import Batch
from hgenv.devices import on_host, sent, tf32
from hgenv.learning.training import FlatNetwork, InnerOptimizer, Loss, State, losses_and_gradient
from hgenv.quantities.quantity import Quantity

Precision = Literal["float32", "tf32", "bfloat16"]
Validation = Literal["loss", "error"]
_CHUNK = 64  # images a forward pass when predicting


class Outcome(NamedTuple):
    """The mean loss of a validation batch, and whether weights and moments are finite."""

    loss: float
    finite: bool


@dataclass(frozen=True, eq=False)
class Learner:
    """A network that learns a quantity by a rule; decay is that of the averaged weights, 0 for the last weights."""

    model: FlatNetwork
    quantity: Quantity
    rule: InnerOptimizer
    decay: float
    device: torch.device
    precision: Precision = "float32"
    """Of plain steps, which nothing differentiates: `plain_gradient`, `gradients`, `trained`, `trained_together`."""
    validation: Validation = "loss"
    """What the validation loss is: that which trains, or the quantity's `error_loss`."""

    def start(self) -> State:
        """The state before the first step."""
        return self.rule.init(self.model.initial)

    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        """Losses of the rows, (n,), at weights (p,)."""
        return self._losses(self.model.predict(weights, batch.image), batch)

    def validation_loss(self, weights: Tensor, batch: Batch) -> Tensor:
        """Validation losses of the rows, (n,), at weights (p,)."""
        return self._losses(self.model.predict(weights, batch.image), batch, self.validation)

    def _losses(self, prediction: Tensor, batch: Batch, which: Validation = "loss") -> Tensor:
        given = self.quantity.loss if which == "loss" else self.quantity.error_loss
        losses = given(prediction, batch)
        if losses.shape != (len(batch.image),):
            raise ValueError(
                f"{type(self.quantity).__name__}.{given.__name__} must give a loss a row, ({len(batch.image)},), got "
                f"shape {tuple(losses.shape)}"
            )
        return losses

    def gradient(self, weights: Tensor, batch: Batch) -> Tensor:
        """grad_w of the mean loss of a batch, (p,)."""
        return self.losses_and_gradient(weights, batch)[1]

    def losses_and_gradient(self, weights: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Losses of the rows, (n,), and grad_w of their mean, (p,)."""
        return losses_and_gradient(self.loss, weights, batch)

    def plain_gradient(self, weights: Tensor, batch: Batch) -> Tensor:
        """`gradient` of a step that nothing differentiates, at the learner's precision."""
        with self._rounding():
            return losses_and_gradient(self._plain_loss, weights, batch)[1]

    def _rounding(self) -> AbstractContextManager[None]:
        return tf32(True) if self.precision == "tf32" else nullcontext()

    def _plain_loss(self, weights: Tensor, batch: Batch) -> Tensor:
        if self.precision != "bfloat16":
            return self.loss(weights, batch)
        with torch.autocast(self.device.type, torch.bfloat16):
            prediction = self.model.predict(weights, batch.image)
        return self._losses(prediction.to(weights.dtype), batch)

    def trained(self, state: State, batches: Iterable[Batch]) -> State:
        """The state after a step on each batch."""
        for batch in batches:
            state = self.rule.update(state, self.plain_gradient(state.weights, batch))
        return state

    def validation_gradient(self, weights: Tensor, batch: Batch) -> Tensor:
        """grad_w of the mean validation loss of a batch, (p,)."""
        return losses_and_gradient(self.validation_loss, weights, batch)[1]

    def losses(self, weights: Tensor, batch: Batch) -> Tensor:
        """The mean validation losses (k,) at weights (k, p), each of a batch of its own (k, n, ...) or all of one
        (n, ...)."""
        return means(self.validation_loss, weights, batch)

    def gradients(self, weights: Tensor, batch: Batch) -> Tensor:
        """grad_w of the mean losses of k batches (k, n, ...), each at weights of its own (k, p): (k, p)."""
        # No loss depends on the weights of another, so that the gradient of their sum is all of theirs. torch.func.grad
        # inside vmap would keep what a second derivative needs as well, three times the memory.
        leaf = weights.detach().requires_grad_()
        with self._rounding():
            return torch.autograd.grad(means(self._plain_loss, leaf, batch).sum(), leaf)[0]

    def trained_together(self, state: State, batches: Iterable[Batch]) -> State:
        """The state of k trainings, weights and moments (k, p), after a step on each batch (k, n, ...)."""
        for batch in batches:
            state = self.rule.update(state, self.gradients(state.weights, batch))
        return state

    def averaged(self, average: Tensor, state: State) -> Tensor:
        """The running average of the weights, with a state's added."""
        # The decay grows with the number of steps, so that the first weights are soon forgotten.
        decay = min(self.decay, state.taken / (state.taken + 9.0))
        return average * decay + state.weights * (1.0 - decay)

    def validate(self, weights: Tensor, batch: Batch) -> float:
        """The mean validation loss of a batch."""
        with torch.no_grad():
            (found,) = on_host([self.validation_loss(weights, batch).mean()])
        return float(found)

    def outcome(self, state: State, batch: Batch) -> Outcome:
        """What a training has come to: the one moment of a step at which the host waits for the device."""
        with torch.no_grad():
            loss = self.validation_loss(state.weights, batch).mean()
            finite = torch.stack([part.isfinite().all() for part in (state.weights, *state.moments)]).all()
        found, whole = on_host([loss, finite])
        return Outcome(float(found), bool(whole))

    def predict(self, weights: Tensor, images: Tensor) -> Tensor:
        """Predictions (stacks, n, t, h, w) of images (n, c, h, w), on the CPU."""
        with torch.no_grad():
            parts = [self.model.predict(weights, sent(part, self.device)) for part in torch.split(images, _CHUNK)]
        return torch.cat(parts, dim=1).cpu()


def means(loss: Loss, weights: Tensor, batch: Batch) -> Tensor:
    """The mean losses (k,) at weights (k, p), each of a batch of its own (k, n, ...) or all of one (n, ...)."""
    own = 0 if batch.image.ndim == 5 else None

    def mean(one: Tensor, *parts: Tensor) -> Tensor:
        return loss(one, Batch(*parts)).mean()

    found: Tensor = vmap(mean, in_dims=(0, own, own, own))(weights, *batch)
    return found
