"""The runs below a folder, whatever made them: a run, a folder of runs, a bench."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hgenv.fields import shown
from hgenv.registry import short
from hgenv.run import Row
from hgenv.runs.folder import CONFIG, METRICS, read_config, read_rows

RETRAINED = "-retrained"
"""NAME-retrained..., beside the run NAME: a training from scratch on the beta that it has found."""

DEEPEST = 5
"""Levels below a folder at which runs are looked for: a bench has them at the second."""


@dataclass(frozen=True)
class FoundRun:
    """A run's folder, as it was reached from the one that was given, its configuration, and the run it retrains."""

    folder: Path
    config: dict[str, Any]
    retrains: FoundRun | None = None

    @property
    def name(self) -> str:
        """The path of its folder."""
        return self.folder.as_posix()

    @property
    def env(self) -> str:
        """Id of its environment."""
        return str(self.config["env"])

    @property
    def optimizer(self) -> str:
        """Its optimizer, by the name that `hgenv run` knows."""
        return str(self.config["optimizer_name"])

    @property
    def seed(self) -> int:
        """Its seed; of a retraining that of the run before. ValueError if it has none."""
        if self.retrains is not None:
            return self.retrains.seed
        seed = self.config["run"].get("seed")
        if not isinstance(seed, int):
            raise ValueError(f"{self.folder / CONFIG} has no seed of the run, got {shown(seed)}")
        return seed

    @property
    def label(self) -> str:
        """What its bench calls it; of a run on its own its folder's name, without environment and seed."""
        if self.retrains is not None:
            return self.retrains.label
        return self.folder.name.removesuffix(f"-s{self.seed}").removeprefix(f"{short(self.env)}-")

    def rows(self) -> list[Row]:
        """All rows so far."""
        return read_rows(self.folder)


def find_runs(folders: Sequence[Path]) -> list[FoundRun]:
    """All runs in the folders or up to DEEPEST levels below them, by their paths, each once.

    Raises FileNotFoundError for what is no folder, ValueError where no run is, or for a broken configuration.
    """
    found: dict[str, FoundRun] = {}
    for top in folders:
        if not top.is_dir():
            raise FileNotFoundError(f"no folder {top}")
        paths = list(_below(top))
        if not paths:
            raise ValueError(f"no run is in {top}: expected folders with {CONFIG} and {METRICS}")
        for path in paths:
            found.setdefault(os.path.realpath(path), FoundRun(path, read_config(path, of_run=True)))
    runs = sorted(found.values(), key=lambda run: run.name)
    return [_linked(run, runs) for run in runs]


def _below(top: Path) -> Iterator[Path]:
    """Folders of runs; what is in them is theirs."""
    for path, folders, files in os.walk(top):
        if {CONFIG, METRICS} <= set(files):
            folders.clear()
            yield Path(path)
        near = len(Path(path).parts) - len(top.parts) < DEEPEST
        folders[:] = [name for name in folders if near and not name.startswith(".")]


def _linked(run: FoundRun, runs: list[FoundRun]) -> FoundRun:
    before, dash, _ = run.folder.name.rpartition(RETRAINED)
    first = next((one for one in runs if dash and one.folder == run.folder.parent / before), None)
    return run if first is None else replace(run, retrains=first)
