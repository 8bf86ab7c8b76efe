"""Which targets the runs of each label have reached, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hgenv.bench.compare import FIXED, GOOD
from hgenv.bench.intervals import Array, interquartile_mean
from hgenv.bench.profiles import profile, targets
from hgenv.bench.statistics import Result, best_first


class Reached(NamedTuple):
    """Runtime profiles; lines: label -> costs in ascending order, and shares from each of them on. targets and what
    say in words which levels they are, and shares of what."""

    lines: dict[str, tuple[Array, Array]]
    targets: str
    what: str


def reached(results: Sequence[Result], axis: str) -> Reached | None:
    """Shares of the targets between fixed beta's test metric and the good beta's, or the best optimizer's where none is
    known, that runs reach at a cost. None if nothing is better than fixed beta."""
    tests = {label: np.array([r.test for r in results if r.label == label]) for label in best_first(results)}
    means = {label: interquartile_mean(values) for label, values in tests.items()}
    goal = GOOD if GOOD in means else next(iter(means))
    if FIXED not in means or not means[goal] < means[FIXED]:
        return None
    levels = targets(means[FIXED], means[goal])
    begin = min(r.curve[axis][min(1, len(r.curve[axis]) - 1)] for r in results)
    lines = {}
    for label in means:
        mine = [r for r in results if r.label == label]
        x, y = profile(np.array([[max(r.cost_to(level)[axis], begin) for level in levels] for r in mine]))
        end = max(r.last[axis] for r in mine)
        lines[label] = np.array([begin, *x, end]), np.array([0.0, *y, *(y[-1:] if len(y) else [0.0])])
    said = f"targets: test {results[0].metric} from fixed's {means[FIXED]:.4g} to {goal}'s {means[goal]:.4g}"
    return Reached(lines, said, f"share of {len(levels)} targets x seeds")
