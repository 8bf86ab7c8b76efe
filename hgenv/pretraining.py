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

from hgenv.noise import keys
from hgenv.snapshot import load_snapshot
from hgenv.task import Batch
from hgenv.training import Adam, Model, weight_gradient

Sampler = Callable[[NDArray[np.uint64]], Batch]
"""Seeds (n,) -> a batch of n."""
Loss = Callable[[Tensor, Batch], Tensor]
"""Predictions and a batch -> losses of the rows, as `Task.loss`."""
_BATCH, _RATE, _AVERAGE = 8, 3e-3, 0.98


def cache_folder() -> Path:
    """$HGENV_CACHE, or hgenv in the user's cache folder."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HGENV_CACHE") or user / "hgenv")


def from_snapshot(network: nn.Module, path: Path) -> None:
    """Give a network the averaged weights of a run's best.npz. Raises FileNotFoundError or ValueError."""
    snapshot = load_snapshot(path)
    _set(network, torch.from_numpy(np.asarray(snapshot.get("state.average", snapshot["state.weights"]))), path)


def pretrain(network: nn.Module, sample: Sampler, loss: Loss, steps: int, key: str, folder: Path | None = None) -> None:
    """Train a network in place: Adam at 3e-3, batches of 8, averaged weights, seeds of its own.

    The result is kept in `folder`, `cache_folder()` if not given, under a digest of what it depends on: the caller's
    key, which has to say what the samples are made from; the weights at the start, the steps, the first batches, their
    losses and gradients; the version of torch. Raises ValueError for a damaged file or a training that diverged,
    OSError if the folder cannot be written.
    """
    folder = folder or cache_folder()
    with torch.enable_grad():
        path = folder / f"pretrained-{_digest(network, sample, loss, steps, key)}.npz"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):  # two runs that start together train it once
                if not path.is_file():
                    _save(path, _trained(network, sample, loss, steps))
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


def _set(network: nn.Module, weights: Tensor, path: Path) -> None:
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


def _digest(network: nn.Module, sample: Sampler, loss: Loss, steps: int, key: str) -> str:
    model = Model(network)
    found = hashlib.sha256(f"{key} {steps} {_BATCH} {_RATE} {_AVERAGE} {torch.__version__}".encode())
    for step in range(2):
        batch = sample(_seeds(step))
        gradient = _gradient(model, loss, model.initial, batch)
        for part in (*batch, model.initial, gradient):
            found.update(part.detach().numpy().tobytes())
    return found.hexdigest()[:24]


def _gradient(model: Model, loss: Loss, weights: Tensor, batch: Batch) -> Tensor:
    return weight_gradient(lambda w, b: loss(model.predict(w, b.image), b), weights, batch)


def _trained(network: nn.Module, sample: Sampler, loss: Loss, steps: int) -> Tensor:
    model, rule = Model(network), Adam(_RATE, 0.9)
    state, average = rule.init(model.initial), model.initial
    for step in tqdm(range(steps), desc="pretraining", unit="step", disable=None):
        gradient = _gradient(model, loss, state.weights, sample(_seeds(step)))
        state = rule.update(state, gradient)
        decay = min(_AVERAGE, (step + 1) / (step + 10))
        average = average * decay + state.weights * (1.0 - decay)
    return average.detach()
