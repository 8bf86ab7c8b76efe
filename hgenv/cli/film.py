"""hgenv film: a GIF of beta's distributions and samples over a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from hgenv.fields import MOST, AtLeast, check
from hgenv.runs import beta_figures, open_run


@dataclasses.dataclass(frozen=True)
class FilmOptions:
    """A film of one run."""

    run: tyro.conf.Positional[str]
    """Run folder."""
    out: str = "beta.gif"
    """GIF to write."""
    frames: Annotated[int, AtLeast(2), MOST] = 24
    """Moments of the run that it shows."""

    def __post_init__(self) -> None:
        check(self)


def command(words: list[str]) -> int:
    s = tyro.cli(FilmOptions, args=words, prog="hgenv film")
    if not s.out.endswith(".gif"):
        raise ValueError(f"--out must end in .gif, got {s.out!r}")
    opened = open_run(s.run)
    beta_figures.film(opened.env, opened.rows, Path(s.out), s.frames)
    print(s.out)
    return 0
