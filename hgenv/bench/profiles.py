"""Runtime profiles: the share of runs that reach targets, against what that costs (Hansen et al. 2021)."""

from __future__ import annotations

import numpy as np

from hgenv.bench.intervals import Array


def targets(control: float, good: float, count: int = 20) -> Array:
    """Levels (count,) at equal distances from the control's, which is not one of them, down to the good one.

    Raises ValueError unless good is below control.
    """
    if not good < control:
        raise ValueError(f"targets lie between a control and something better, got {control:g} and {good:g}")
    return np.linspace(control, good, count + 1)[1:]


def profile(costs: Array) -> tuple[Array, Array]:
    """Costs in ascending order, and the share of (run, target) pairs that are reached by then, where it rises.

    costs: of each pair, infinite if the run never reaches the target; any shape.
    """
    reached, counts = np.unique(costs[np.isfinite(costs)], return_counts=True)
    return reached, np.cumsum(counts) / costs.size
