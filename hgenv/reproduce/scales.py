"""At what size a table is played: by a demonstration, on real samples, or as published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hgenv.recipes import PAPER_TRAINING

_TARGETS = {
    "hgenv/ShapeNormals-v0": ("--target", "mit-berkeley"),
    "hgenv/ShapeEvolution-v0": ("--target", "mit-berkeley"),
}


@dataclass(frozen=True)
class Scale:
    """Seeds of each row, random betas of Table 1, training steps of a run, and options of all runs; those of `targets`
    by environment."""

    said: str
    seeds: int
    betas: int
    train_steps: int
    report_every: int
    options: tuple[str, ...] = ()
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


SCALES = {
    "demo": Scale(
        "Small networks and pictures, built-in target domains, minutes of training: it shows that all parts work, and "
        "no more.", 2, 4, 160, 4, ("--validation", "error"),
    ),
    "small": Scale(
        "Small networks and pictures, real target domains, networks trained by Adam whose averaged weights are scored.",
        5, 10, 7200, 20, ("--validation", "error"), _TARGETS,
    ),
    "paper": Scale(
        "The paper's network and resolution, plain SGD, the weights themselves. How long it trained is not published: "
        "100,000 steps are ours.", 3, 10, 100_000, 50, ("--size", "paper", *PAPER_TRAINING.split()), _TARGETS,
    ),
}  # fmt: skip
