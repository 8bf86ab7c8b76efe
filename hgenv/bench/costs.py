"""What a step, a picture and a probe cost, as `hgenv bench speed` has measured them; the searches made of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hgenv.bench.scaling import Search

WINDOW, DIRECTIONS = 4, 4
"""Training steps that the estimator "influence" goes through, and its directions a step, by default."""
VALIDATION = 16
"""Images of a validation, by default."""
CHECKPOINT = 60.0
"""Seconds between the checkpoints of a run, by default."""
NUMBER = 4  # bytes of a float32


class Costs(NamedTuple):
    """Seconds of a batch on one core or GPU: a training step, one there and back, a forward pass, rendering on a core.

    flops: of a training step of the batch.
    """

    step: float
    differentiated: float
    forward: float
    render: float
    batch: int
    weights: int
    picture_bytes: int
    flops: float

    def at(self, flops_per_second: float) -> Costs:
        """On a GPU that achieves so much: its passes are in the measured proportion to a step; cores still render."""
        faster = self.flops / flops_per_second / self.step
        return self._replace(
            step=faster * self.step, differentiated=faster * self.differentiated, forward=faster * self.forward
        )

    def ahead(self, render_workers: int) -> float:
        """Seconds of a training step and its pictures, which so many cores draw meanwhile; with 0 it draws itself."""
        return max(self.step, self.render / render_workers) if render_workers else self.step + self.render

    @property
    def validation(self) -> float:
        """Seconds of a validation."""
        return self.forward * VALIDATION / self.batch


def read_costs(path: Path, size: str) -> Costs:
    """The CPU seconds of a size in a speed.csv. Raises FileNotFoundError, or ValueError that names the file."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected the speed.csv of `hgenv bench speed --sizes {size}`")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = {row["piece"]: row for row in csv.DictReader(file) if row["size"] == size}
        seconds = {piece: float(row["cpu_seconds"]) for piece, row in rows.items()}
        first, images = rows["training step"], int(rows["validation"]["samples"])
        batch = int(first["samples"])
        return Costs(
            seconds["training step"], seconds["differentiated step"], seconds["validation"] / images * batch,
            seconds["rendering a batch"], batch, int(first["weights"]), int(first["picture_bytes"]),
            batch * float(first["flops"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path} is no speed.csv that has measured the size {size!r}: {error}") from error


def hybrid_gradient(costs: Costs, train_steps: int, round_steps: int, render_workers: int) -> Iterator[Search]:
    """Steps of the hybrid gradient, whose tasks are the two ends of a difference, of a step along a direction.

    Either they are drawn elsewhere and their pictures come back, and worker 0 takes their influence by two forward
    passes each; or the influence is taken elsewhere, for which the weights before a training step are needed there, and
    dL/d(its gradient).
    """
    steps = round_steps * costs.ahead(render_workers) + WINDOW * (costs.differentiated - costs.step)
    alone = steps + costs.validation + costs.step * VALIDATION / costs.batch  # the loss and its gradient
    rounds, tasks, drawn, passes = train_steps // round_steps, WINDOW * DIRECTIONS, 2 * costs.render, 4 * costs.forward
    pictures, weights = 2.0 * costs.batch * costs.picture_bytes, 2.0 * NUMBER * costs.weights
    yield Search("hybrid gradient, pictures sent", rounds, tasks, drawn, alone + tasks * passes, 0.0, pictures)
    yield Search("hybrid gradient, weights sent", rounds, tasks, drawn + passes, alone, 0.0, weights)


def probing(costs: Costs, train_steps: int, round_steps: int, render_workers: int, probes: int) -> Search:
    """Random search or evolution: probes from the current weights and Adam's moments, then the committed step."""
    one = round_steps * costs.ahead(render_workers) + costs.validation
    rounds = max(1, train_steps // (round_steps * (probes + 1)))
    return Search(f"{probes} probes a step", rounds, probes, one, one, 3.0 * NUMBER * costs.weights)


def cells(costs: Costs, train_steps: int, round_steps: int, render_workers: int, count: int) -> Search:
    """A comparison of so many runs, which leave their weights and moments."""
    one = round_steps * costs.ahead(render_workers) + costs.validation
    seconds = train_steps / count / round_steps * one
    return Search(f"{count} cells", 1, count, seconds, 0.0, 0.0, 3.0 * NUMBER * costs.weights, CHECKPOINT)
