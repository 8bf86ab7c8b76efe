"""The command line: list, show, baselines, data, run, plot, film, bench, doctor. Options are fields of dataclasses."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import tyro

from hgenv.cli import bench as cli_bench
from hgenv.cli import run as cli_run
from hgenv.cli.options import EnvChoice, chosen_task, parse, start_from
from hgenv.domains.domain import SPLITS, baselines
from hgenv.env import DataGenEnv
from hgenv.learning.gradient import ImageDifference
from hgenv.options import EnvOptions
from hgenv.registry import TASKS
from hgenv.render.choice import find_renderer
from hgenv.runs.folder import open_run, versions

USAGE = """hgenv COMMAND ...

  list [-v]               the environments; with -v every coordinate of beta
  show                    contact sheets of an environment's samples and its target domain
  baselines               scores that need no learning
  data [FOLDER]           the datasets: what is expected where, on what terms, and whether the folder has it
  run OPTIMIZER           optimise beta; writes a run folder
  run sb3                 the same by an agent of stable-baselines3
  plot RUN [RUN ...]      learning curves of runs in one figure
  film RUN                a GIF of beta's distributions and samples over a run
  bench ENV [ENV ...]     optimizers against the controls at an equal budget: tables, figures, a page
  bench fidelity          estimates of the gradient against brute force
  bench linearity         the paper's scalar against the exact difference of influence
  bench render            images per core-second of the renderer and of others
  doctor                  what is installed and whether it works

Every command explains its options with --help.
"""


@dataclasses.dataclass(frozen=True)
class ShowOptions:
    """Contact sheets."""

    out: str = "show.png"
    """PNG to write: samples above, target domain below."""
    count: int = 24
    """Pictures of each kind."""
    start: str | None = None
    """What is shown instead of the start: a run folder, a JSON file of beta, or "random"."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count must be positive, got {self.count}")


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """The datasets that can be read."""

    folder: tyro.conf.Positional[str | None] = None
    """Folder in which, and two levels below, they are looked for and read."""
    datasets: tuple[str, ...] = ()
    """Their names; all if none is given."""


@dataclasses.dataclass(frozen=True)
class PlotOptions:
    """Learning curves."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders."""
    metric: str = "mae"
    """Column to plot, without its split: mae, median, n_mae, ... or loss, as the runs' tasks have it."""
    out: str = "curves.png"
    """PNG to write."""


@dataclasses.dataclass(frozen=True)
class FilmOptions:
    """A film of one run."""

    run: tyro.conf.Positional[str]
    """Run folder."""
    out: str = "beta.gif"
    """GIF to write."""
    frames: int = 24
    """Moments of the run that it shows."""

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ValueError(f"a film needs at least 2 frames, got {self.frames}")


@dataclasses.dataclass(frozen=True)
class ListOptions:
    """The environments."""

    verbose: tyro.conf.FlagCreatePairsOff[bool] = dataclasses.field(default=False)
    """Every coordinate of beta: range, start, meaning (-v)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 2 for a mistake of the user's, 130 for an interruption."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {
        "list": _list, "show": _show, "baselines": _baselines, "data": _data, "run": cli_run.command, "plot": _plot,
        "film": _film, "bench": cli_bench.command, "doctor": _doctor,
    }  # fmt: skip
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if words[0] not in commands:
        return _fail(f"unknown command {words[0]!r}; known: {', '.join(commands)}")
    torch.set_num_threads(1)  # two threads on two busy cores were several times slower
    try:
        return commands[words[0]](words[1:])
    except (ValueError, KeyError, TypeError, OSError) as error:
        if os.environ.get("HGENV_TRACEBACK"):  # for those who look for the cause
            raise
        return _fail(str(error.args[0] if isinstance(error, KeyError) else error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _fail(message: str) -> int:
    print(f"hgenv: error: {message}", file=sys.stderr)
    return 2


def _list(words: list[str]) -> int:
    verbose = tyro.cli(
        ListOptions, args=["--verbose" if word == "-v" else word for word in words], prog="hgenv list"
    ).verbose
    for name, task in sorted(TASKS.items()):
        layout = task().layout
        print(f"{name:28} beta {len(layout.names):4}  {(task.__doc__ or '').splitlines()[0]}")
        for p, discrete in zip(layout.parameters, layout.discrete, strict=True) if verbose else ():
            kind = "discrete" if discrete else "continuous"
            print(f"    {p.name:28} [{p.low:6.2f}, {p.high:6.2f}]  start {p.initial:6.2f}  {kind:10}  {p.meaning}")
    return 0


def _show(words: list[str]) -> int:
    from hgenv import plot  # here and below: what only some commands need is imported by them

    s = parse("show", words, env=EnvChoice, task=chosen_task(words), training=EnvOptions, show=ShowOptions)
    if not s.show.out.endswith(".png"):
        raise ValueError(f"--out must end in .png, got {s.show.out!r}")
    env = DataGenEnv(s.task, s.training)
    if s.show.start:
        start_from(env, s.show.start, seed=0)
    ours, target = env.contact_sheet(env.start, s.show.count, 12), plot.target_samples(env, s.show.count)
    plot.write_png(Path(s.show.out), np.concatenate([ours, np.full((4, ours.shape[1], 3), 255, np.uint8), target]), 2)
    print(f"{s.show.out}: {s.show.count} samples above, the target domain below; each with its ground truth under it")
    return 0


def _baselines(words: list[str]) -> int:
    s = parse("baselines", words, env=EnvChoice, task=chosen_task(words))
    env = DataGenEnv(s.task)
    env.reset(seed=0)
    for split in SPLITS:
        found = baselines(s.task.quantity, s.task.domain, split)
        for name, metrics in (found | {"the network's start": env.metrics(split)}).items():
            print(f"{split:10}  {name:16}" + "".join(f"  {k} {v:.4g}" for k, v in metrics.items()))
    return 0


def _data(words: list[str]) -> int:
    from hgenv.data import catalogue

    s = tyro.cli(DataOptions, args=words, prog="hgenv data")
    known = [dataset.name for dataset in catalogue.DATASETS]
    if unknown := [name for name in s.datasets if name not in known]:
        raise ValueError(f"unknown dataset {unknown[0]!r}; known: {', '.join(known)}")
    folder = None if s.folder is None else Path(s.folder)
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    wanting = []
    for text, whole in catalogue.report(folder, list(s.datasets) or known):
        print(text, end="\n\n", flush=True)
        wanting += [] if whole else [text]
    # That a dataset is not there is an error only if it was asked for by name.
    return 1 if any(s.datasets or "PROBLEM" in text for text in wanting) else 0


def _plot(words: list[str]) -> int:
    from hgenv.runs import plot

    s = tyro.cli(PlotOptions, args=words, prog="hgenv plot")
    if not s.runs:
        raise ValueError("name at least one run folder")
    plot.curves([Path(folder) for folder in s.runs], s.metric, Path(s.out))
    print(s.out)
    return 0


def _film(words: list[str]) -> int:
    from hgenv.runs import beta_figures

    s = tyro.cli(FilmOptions, args=words, prog="hgenv film")
    if not s.out.endswith(".gif"):
        raise ValueError(f"--out must end in .gif, got {s.out!r}")
    opened = open_run(Path(s.run))
    beta_figures.film(opened.env, opened.rows, Path(s.out), s.frames)
    print(s.out)
    return 0


def _opengl() -> str:
    """Whether the second renderer can be used."""
    try:
        find_renderer("opengl")
    except ValueError as error:
        return f"no (not needed): {error}"
    return "yes"


def _doctor(words: list[str]) -> int:
    s = parse("doctor", words, env=EnvChoice, task=chosen_task(words))
    for name, version in versions().items():
        print(f"{name:12} {version}")
    print(f"{'cores':12} {os.cpu_count()}")
    print(f"{'cuda':12} {'yes' if torch.cuda.is_available() else 'no (not needed)'}")
    print(f"{'opengl':12} {_opengl()}")
    env = DataGenEnv(s.task, EnvOptions(gradient=ImageDifference(steps=1), train_steps=2))
    env.reset(seed=0)
    _, _, _, _, info = env.step(env.start)
    finite = bool(np.isfinite(info["hybrid_gradient"]).all())
    print(f"{s.env.env}: one step with its gradient: {'works' if finite else 'gradient is not finite'}")
    return 0 if finite else 1
