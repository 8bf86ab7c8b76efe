"""What was found: of the best seed of each label, beta and samples at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.bench.intervals import Array
from hgenv.bench.statistics import Result, best_seeds
from hgenv.beta.layout import Layout
from hgenv.pages.numbers import short
from hgenv.run import betas_of
from hgenv.runs.folder import open_run, start_at
from hgenv.runs.plot import target_samples

Strip = NDArray[np.uint8]
COUNT = 12
"""Samples of a strip."""


class Found(NamedTuple):
    """The best seed of a label: beta (d,) at its start and at its best validation, physical, and samples of that."""

    result: Result
    start: Array
    beta: Array
    strip: Strip

    @property
    def caption(self) -> str:
        """Whose it is, and when it was found."""
        r = self.result
        gpu = f", {short(r.best['gpu_seconds'], 3)} GPU s" if r.best["gpu_seconds"] else ""
        return (
            f"{r.label}, seed {r.seed}: after {short(r.best['train_steps'])} training steps, "
            f"{short(r.best['cpu_seconds'], 3)} CPU s{gpu}"
        )


class Finds(NamedTuple):
    """Those of a setting; target and start: samples of the target domain, and of where the first label started."""

    layout: Layout
    target: Strip
    start: Strip
    labels: list[Found]

    def strips(self) -> dict[str, Strip]:
        """All samples by what they are."""
        begun = f"start of {self.labels[0].result.label}, seed {self.labels[0].result.seed}"
        return {"target domain": self.target, begun: self.start} | {one.caption: one.strip for one in self.labels}


def finds(results: Sequence[Result]) -> Finds:
    """Of every label of a setting. Opens one run of each; raises ValueError for one that is broken."""
    labels, first = list[Found](), None
    for r in best_seeds(results):
        opened = open_run(r.folder)
        env, layout = opened.env, opened.env.task.layout
        first = first or (layout, target_samples(env, COUNT, COUNT), env.contact_sheet(env.start, COUNT, COUNT))
        start_at(env, opened.snapshot)
        start, beta = betas_of(layout, [opened.rows[0], r.best])
        labels.append(Found(r, start, beta, env.contact_sheet(env.start, COUNT, COUNT)))
    if first is None:
        raise ValueError("there is no result")
    return Finds(*first, labels)
