"""Snapshots of runs: weights and beta of the best validation, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.files import read_arrays

_MOST = 2**28  # bytes


def load_snapshot(path: Path) -> dict[str, NDArray]:
    """Read a snapshot without unpickling. Raises FileNotFoundError, or ValueError for what is not a snapshot."""
    if path.is_dir():
        path = path / "best.npz"
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected a run folder, or the best.npz in it")
    content = read_arrays(path, _MOST)
    if "beta" not in content or "state.weights" not in content:
        raise ValueError(f"{path} is not a snapshot of a run: it lacks beta or state.weights")
    beta = content["beta"]
    if beta.dtype.kind != "f" or beta.ndim != 1 or not np.isfinite(beta).all():
        raise ValueError(f"{path} is not a snapshot of a run: beta must be finite numbers (d,)")
    spread = content.get("spread", np.zeros_like(beta))
    if spread.dtype.kind != "f" or spread.shape != beta.shape or not np.all((spread >= 0) & (spread < np.inf)):
        raise ValueError(f"{path} is not a snapshot of a run: spread must be finite numbers (d,) of 0 or more")
    return content


def snapshot_of(state: Mapping[str, Any], row: Mapping[str, float]) -> dict[str, Any]:
    """An environment's state, and the answer and metrics of its row, as plain arrays by name; no networks beside the
    one, and no gradients."""
    parts = {what: [x for name, x in row.items() if name.startswith(f"{what}.")] for what in ("beta", "spread")}
    answer = {what: np.array(values) for what, values in parts.items() if values}
    scores = {name: value for name, value in row.items() if name.startswith(("validation.", "test."))}
    kept = {f"state.{name}": value for name, value in state.items() if not name.startswith(("members", "gradients"))}
    return {**answer, "step": row["step"], **scores, **kept}
