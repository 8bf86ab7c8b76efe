"""Networks that start trained: on a generator as it is, once, and kept in a cache; or from a snapshot of a run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

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
    network: nn.Module, sample: Sampler, quantity: Quantity, steps: int, key: str, folder: Path | None = None
) -> None:
    """Train a network in place: Adam at 3e-3, batches of 8, averaged weights, seeds of its own.

    The result is kept in `folder`, hgenv's cache if not given, under a digest of what it depends on: the caller's
    key, which has to say what the samples are made from; the weights at the start, the steps, the first batches, their
    losses and gradients; the version of torch. Raises ValueError for a damaged file or a training that diverged,
    OSError if the folder, or $HGENV_CACHE, cannot be written; a user who has no folder to write to trains anew, which a
    line on stderr says.
    """
    kept, chosen = folder or cache_folder(), folder is not None or "HGENV_CACHE" in os.environ
    learner = Learner(FlatNetwork(network), quantity, Adam(), 0.98, torch.device("cpu"))
    if kept is None or not (chosen or writable(kept)):
        say_once("the trained start of networks cannot be kept: set HGENV_CACHE to a folder that can be written")
        with torch.enable_grad():
            _set(network, _trained(learner, sample, steps), "this training")
        return
    with torch.enable_grad():
        path = kept / f"pretrained-{_digest(learner, sample, steps, key)}.npz"
        if not path.is_file():
            make_writable(kept)
            with FileLock(path.with_suffix(".lock")):  # two runs that start together train it once
                if not path.is_file():
                    _save(path, _trained(learner, sample, steps))
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            weights = torch.from_numpy(file["weights"])
    except Exception as error:  # zipfile and numpy raise many types on damaged files
        raise ValueError(f"{path} is damaged, delete it: {error}") from error
    _set(network, weights, path)


def fingerprint(folder: Path) -> str:
    """Names, sizes and times of change of all files below a folder, for a key."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return " ".join(f"{path.relative_to(folder)} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)


def _save(path: Path, weights: Tensor) -> None:
    if not torch.isfinite(weights).all():
        raise ValueError("pretraining diverged: its weights are not finite")
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, weights=weights.numpy())
    os.replace(partial, path)


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
        state = learner.trained(state, [sample(_seeds(step))])
        average = learner.averaged(average, state)
    return average.detach()
