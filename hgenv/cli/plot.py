"""hgenv plot: learning curves of runs in one figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro

from hgenv.runs import plot


@dataclasses.dataclass(frozen=True)
class PlotOptions:
    """Learning curves."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders."""
    metric: str = "mae"
    """Column to plot, without its split: mae, median, n_mae, ... or loss, as the runs' tasks have it."""
    out: str = "curves.png"
    """PNG to write."""


def command(words: list[str]) -> int:
    s = tyro.cli(PlotOptions, args=words, prog="hgenv plot")
    if not s.runs:
        raise ValueError("name at least one run folder")
    plot.curves([Path(folder) for folder in s.runs], s.metric, Path(s.out))
    print(s.out)
    return 0
