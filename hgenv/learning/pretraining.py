"""Networks that start trained: on a generator as it is, once, and kept in a cache; or from a snapshot of a run."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from tqdm import tqdm

from hgenv.batch import Batch
from hgenv.beta.noise import keys
from hgenv.cache import cache_folder, make_writable, say_once, writable
from hgenv.files import read_arrays, write_arrays
from hgenv.learning.learner import Learner
from hgenv.learning.training import Adam, FlatNetwork
from hgenv.quantities.quantity import Quantity
from hgenv.snapshot import load_snapshot

Sampler = Callable[[NDArray[np.uint64]], Batch]
"""Seeds (n,) -> a batch of n."""
_BATCH = 8


def from_snapshot(network: nn.Module, path: Path) -> None:
    """Give a network the averaged weights of a run's best.npz. Raises FileNotFoundError or ValueError."""
    snapshot = load_snapshot(path)
    _set(network, torch.from_numpy(np.asarray(snapshot.get("state.average", snapshot["state.weights"]))), path)


def pretrain(
    network: nn.Module,
    sample: Sampler,
    quantity: Quantity,
    steps: int,
    key: str,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
) -> None:
    """Train a network in place, whose weights stay on the CPU: Adam at 3e-3, batches of 8, averaged weights, seeds of
    its own, on a device.

    The result is kept in `folder`, hgenv's cache if not given, under a digest of what it depends on: the caller's
    key, which has to say what the samples are made from; the weights at the start, the steps, the first batches, their
    losses and gradients; the kind of device; the version of torch. Raises ValueError for a damaged file or a training
    that diverged, OSError if the folder, or $HGENV_CACHE, cannot be written; a user who has no folder to write to
    trains anew, which a line on stderr says.
    """
    kept, chosen = folder or cache_folder(), folder is not None or "HGENV_CACHE" in os.environ
    learner = _learner(network, quantity, device)
    with torch.enable_grad():
        if kept is None or not (chosen or writable(kept)):
            say_once("the trained start of networks cannot be kept: set HGENV_CACHE to a folder that can be written")
            _set(network, _trained(learner, sample, steps), "this training")
            return
        # The digest's gradients are the CPU's: those of a GPU may differ from run to run.
        digest = _digest(_learner(network, quantity, "cpu"), sample, steps, f"{key} {learner.device.type}")
        path = kept / f"pretrained-{digest}.npz"
        if not path.is_file():
            make_writable(kept)
            with FileLock(path.with_suffix(".lock")):  # two runs that start together train it once
                if not path.is_file():
                    write_arrays(path, {"weights": _trained(learner, sample, steps).numpy()})
    try:
        weights = read_arrays(path)["weights"]
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged, delete it: {error}") from error
    _set(network, torch.from_numpy(weights), path)


def fingerprint(value: Any) -> str:
    """A digest of arrays and numbers in dataclasses and sequences, for a key."""
    found = hashlib.sha256()
    for array in _arrays(value):
        found.update(f"{array.dtype} {array.shape} ".encode() + array.tobytes())
    return found.hexdigest()


def _arrays(value: Any) -> Iterator[NDArray]:
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        for part in value:
            yield from _arrays(part)
    else:
        yield np.asarray(value)


def _learner(network: nn.Module, quantity: Quantity, device: torch.device | str) -> Learner:
    """What trains a copy of the network on a device."""
    there = copy.deepcopy(network).to(device)
    return Learner(FlatNetwork(there), quantity, Adam(), 0.98, torch.device(device))


def _set(network: nn.Module, weights: Tensor, path: Path | str) -> None:
    wanted = parameters_to_vector(network.parameters())
    if weights.shape != wanted.shape or weights.dtype != wanted.dtype:
        raise ValueError(
            f"{path} has weights {tuple(weights.shape)} of {weights.dtype}, expected {tuple(wanted.shape)} of "
            f"{wanted.dtype}: the same size of network"
        )
    if not torch.isfinite(weights).all():
        raise ValueError(f"{path} has weights that are not finite")
    vector_to_parameters(weights, network.parameters())


def _seeds(step: int) -> NDArray[np.uint64]:
    return keys(step, "pretraining", _BATCH)


def _digest(learner: Learner, sample: Sampler, steps: int, key: str) -> str:
    initial = learner.model.initial
    found = hashlib.sha256(f"{key} {steps} {_BATCH} {learner.rule} {learner.decay} {torch.__version__}".encode())
    for step in range(2):
        batch = sample(_seeds(step))
        for part in (*batch, initial, learner.gradient(initial, batch)):
            found.update(part.detach().numpy().tobytes())
    return found.hexdigest()[:24]


def _trained(learner: Learner, sample: Sampler, steps: int) -> Tensor:
    state = learner.start()
    average = state.weights
    for step in tqdm(range(steps), desc="pretraining", unit="step", disable=None):
        state = learner.trained(state, [sample(_seeds(step)).to(learner.device)])
        average = learner.averaged(average, state)
    if not torch.isfinite(average).all():
        raise ValueError(f"pretraining diverged: after {steps} steps its weights are not finite")
    return average.detach().cpu()
