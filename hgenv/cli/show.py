"""hgenv show: contact sheets of an environment's samples and its target domain."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from hgenv.cli.options import EnvChoice, chosen_task, parse, size_of, start_from
from hgenv.env import DataGenEnv
from hgenv.fields import Natural, OnDisk, check
from hgenv.options import EnvOptions


@dataclasses.dataclass(frozen=True)
class ShowOptions:
    """Contact sheets."""

    out: str = "show.png"
    """PNG to write: samples above, target domain below."""
    count: Natural = 24
    """Pictures of each kind."""
    start: OnDisk | None = None
    """What is shown instead of the start: a run folder, a JSON file of beta, or "random"."""

    def __post_init__(self) -> None:
        check(self)
        if not self.out.endswith(".png"):
            raise ValueError(f"--out must end in .png, got {self.out!r}")


def command(words: list[str]) -> int:
    s = parse(
        "show", words, size_of(words), show=ShowOptions, environment=EnvChoice, task=chosen_task(words),
        training=EnvOptions,
    )  # fmt: skip
    env = DataGenEnv(s.task, s.training)
    if s.show.start:
        start_from(env, s.show.start, seed=0)
    from hgenv.runs import plot  # matplotlib, once the words are known to be right

    ours, target = env.contact_sheet(env.start, s.show.count, 12), plot.target_samples(env, s.show.count)
    line = np.full((4, ours.shape[1], 3), 255, np.uint8)
    plot.write_png(Path(s.show.out), np.concatenate([ours, line, target]), 2)
    print(f"{s.show.out}: {s.show.count} samples above, the target domain below; each with its ground truth under it")
    return 0
