"""hgenv plot: learning curves of runs in one figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro

from hgenv.runs import plot
from hgenv.runs.folder import read_config, task_of


@dataclasses.dataclass(frozen=True)
class PlotOptions:
    """Learning curves."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders."""
    metric: str | None = None
    """Column to plot, without its split: mae, median, ... or loss, as the tasks have it; None: the one that picks the
    first run's snapshot."""
    out: str = "curves.png"
    """PNG to write."""


def command(words: list[str]) -> int:
    s = tyro.cli(PlotOptions, args=words, prog="hgenv plot")
    if not s.runs:
        raise ValueError("name at least one run folder")
    folders = [Path(folder) for folder in s.runs]
    plot.curves(folders, s.metric or task_of(read_config(folders[0])).quantity.primary, Path(s.out))
    print(s.out)
    return 0
