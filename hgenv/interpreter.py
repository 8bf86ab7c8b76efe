"""Other processes of this Python. They find modules where this process does, and not first in the current folder, where
a file of the user's may have any name: `json.py`, `optimizers.py`."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

COMMAND = [sys.executable, "-P"]
"""Its first words; `-P`: the current folder is not put before all others."""
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
"""Environment variables of a process that has one core."""
_SURROUNDINGS = threading.Lock()  # they are all threads': one at a time changes them
_PACKAGES = (
    "hgenv", "torch", "numpy", "scipy", "numba", "gymnasium", "nevergrad", "stable_baselines3", "manifold3d", "trimesh",
)  # fmt: skip


def surroundings() -> dict[str, str]:
    """Its environment variables."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@contextmanager
def for_children() -> Iterator[None]:
    """What multiprocessing starts while this lasts is such a process too, of one thread."""
    ours = {"PYTHONSAFEPATH": "1"} | ONE_THREAD
    with _SURROUNDINGS:
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


@cache
def versions() -> dict[str, str]:
    """Python, the platform, the processor's kind and arithmetic, and the packages: what results depend on."""
    import torch

    found = {"python": sys.version.split()[0], "platform": platform.platform()}
    found |= {"cpu_capability": torch.backends.cpu.get_cpu_capability(), "arithmetic": arithmetic()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@cache
def arithmetic() -> str:
    """A fingerprint of the bits that torch and numpy compute on this processor, in hexadecimal.

    Their libraries choose kernels by more than the capability that torch names: of two processors with AVX512, one has
    other sums.
    """
    import numpy as np
    import torch
    from torch.nn import functional

    threads, rng = torch.get_num_threads(), np.random.default_rng(0)
    torch.set_num_threads(1)
    image, kernel, many = (rng.standard_normal(size) for size in ((8, 24, 16, 16), (24, 24, 3, 3), (997,)))
    found = [
        np.exp(many),
        np.sin(many),
        np.array([many.sum(), many @ many]),
        np.tensordot(image, image, ((0, 2), (0, 2))),
    ]
    for dtype in (torch.float32, torch.float64):
        x, w = (torch.tensor(part, dtype=dtype, device="cpu", requires_grad=True) for part in (image, kernel))
        y = functional.silu(functional.group_norm(functional.conv2d(x, w, padding=1), 3))
        parts = [y, *torch.autograd.grad(y.square().mean(), (x, w)), w.flatten(1) @ w.flatten(1).T]
        found += [part.detach().numpy() for part in parts]
    torch.set_num_threads(threads)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in found)).hexdigest()[:12]
