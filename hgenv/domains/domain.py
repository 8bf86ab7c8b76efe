"""Domain: images of the target with their ground truth, in two disjoint splits; the one place where it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch, Split
from hgenv.quantities.quantity import Quantity

SPLITS: tuple[Split, ...] = get_args(Split)
Scores = dict[str, float]


class Domain(ABC):
    """The validation split gives L, the test split is only ever reported. A domain is scored by the task's quantity."""

    @abstractmethod
    def batch(self, split: Split) -> Batch:
        """The whole split at the network's resolution."""

    def examined(self) -> Batch:
        """What the validation loss is of: the validation split, or more that follows from it."""
        return self.batch("validation")

    def on(self, what: Split | Literal["examined"], device: torch.device) -> Batch:
        """A whole split, or what is examined, on a device, where it stays once it has been sent there."""
        if device.type != "cpu" and (what, device) in self._resident:
            return self._resident[what, device]
        batch = self.examined() if what == "examined" else self.batch(what)
        if device.type == "cpu":
            return batch
        self._resident[what, device] = batch.to(device)
        return self._resident[what, device]

    @cached_property
    def _resident(self) -> dict[tuple[str, torch.device], Batch]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Another process sends what it needs itself."""
        return {name: value for name, value in vars(self).items() if name != "_resident"}

    def truth(self, split: Split) -> Sequence[Batch]:
        """What predictions are scored against, a batch of one row a picture, at the resolution that is scored."""
        batch = self.batch(split)
        return [batch.rows(slice(i, i + 1)) for i in range(len(batch.image))]

    def enlarged(self, prediction: NDArray, split: Split) -> Sequence[NDArray]:
        """Predictions (n, t, h, w) at the resolution of `truth`, (t, height, width) each."""
        return list(prediction)

    def answers(self, split: Split) -> dict[str, Sequence[NDArray]]:
        """Predictions for `truth` that need no learning, by name."""
        return {}

    def prepare(self) -> None:
        """Load both splits, so that broken data show now."""
        for split in SPLITS:
            self.batch(split)


Answer = Callable[[Batch], NDArray]
"""Pictures (n) -> predictions (n, t, h, w)."""


@dataclass(frozen=True, eq=False)
class Pictures(Domain):
    """Pictures at hand, scored at the network's resolution."""

    validation: Batch
    test: Batch
    ladder: Mapping[str, Answer] = field(default_factory=dict)
    """Answers that need no learning, by name."""

    def batch(self, split: Split) -> Batch:
        return self.validation if split == "validation" else self.test

    def answers(self, split: Split) -> dict[str, Sequence[NDArray]]:
        return {name: list(answer(self.batch(split))) for name, answer in self.ladder.items()}


def measured(quantity: Quantity, domain: Domain, prediction: Tensor, split: Split) -> Scores:
    """The quantity's metrics of predictions (n, t, h, w) for a whole split."""
    return quantity.metrics(domain.enlarged(prediction.detach().cpu().numpy(), split), domain.truth(split))


def baselines(quantity: Quantity, domain: Domain, split: Split) -> dict[str, Scores]:
    """The quantity's metrics of the domain's answers that need no learning, by name."""
    truth = domain.truth(split)
    return {name: quantity.metrics(answer, truth) for name, answer in domain.answers(split).items()}
