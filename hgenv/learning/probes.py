"""How many probes a device has memory for, when they are trained together."""

from __future__ import annotations

import torch
from torch import Tensor

from hgenv.batch import Batch
from hgenv.devices import free_bytes
from hgenv.learning.learner import Learner

_SHARE = 0.5  # of what is free: convolutions need room to work in, and fragments are lost


def probes_at_once(learner: Learner, batch: Batch) -> int:
    """How many probes `Learner.trained_together` may train on batches (n, ...) like this at a time, at least 1.

    On a GPU as many as half of its free memory holds. Elsewhere 1: trained in turn, a probe has the same bits however
    many there are.
    """
    if learner.device.type != "cuda":
        return 1
    return max(1, int(_SHARE * free_bytes(learner.device) / bytes_of_a_probe(learner, batch)))


def bytes_of_a_probe(learner: Learner, batch: Batch) -> int:
    """Memory that one more probe takes: what its gradient keeps of a forward pass on a batch (n, ...), its gradient,
    and its weights and moments before and after a step."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    state = learner.start()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        learner.gradient(state.weights, batch)
    return sum(kept.values()) + (3 + 2 * len(state.moments)) * state.weights.nbytes
