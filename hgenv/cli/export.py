"""hgenv export: runs in the formats of other tools."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import tyro

from hgenv.cli.commands import EXPORTS
from hgenv.cli.options import parse
from hgenv.fields import OnDisk, check
from hgenv.registry import unknown
from hgenv.runs.exports.found import FoundRun, find_runs
from hgenv.runs.exports.study import Value, write_studies
from hgenv.runs.exports.table import write_csv, write_parquet


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """All runs in folders, or below them."""

    folders: tyro.conf.Positional[tuple[str, ...]]
    """Folders of runs, of a bench, or of one run."""
    out: OnDisk | None = None
    """File to write; rows.csv, rows.parquet or study.db if not given."""
    overwrite: bool = False
    """Write it even if it is there."""

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class StudyOptions(ExportOptions):
    """The finished runs in folders, or below them, as trials of an Optuna study."""

    value: Value = "test"
    """Of a trial: the primary metric on the test split, of the run itself, or retrained on the beta that it found."""


def command(words: list[str]) -> int:
    if words[:1] in (["-h"], ["--help"]):
        print("usage: hgenv export FORMAT FOLDER [FOLDER ...]\n\nformats:")
        print("\n".join(f"  {name:14} {text}" for name, text in EXPORTS.items()))
        print("\noptions: hgenv export FORMAT --help")
        return 0
    formats = {"csv": _csv, "parquet": _parquet, "optuna": _optuna}
    if not words or words[0].startswith("-"):
        raise ValueError(f"name a format first: one of {', '.join(formats)}")
    if words[0] not in formats:
        raise ValueError(unknown("format", words[0], EXPORTS))
    print(formats[words[0]](words[1:]))
    return 0


def _csv(words: list[str]) -> str:
    return _table("csv", "rows.csv", words, write_csv)


def _parquet(words: list[str]) -> str:
    return _table("parquet", "rows.parquet", words, write_parquet)


def _table(name: str, file: str, words: list[str], write: Callable[[Path, list[FoundRun]], int]) -> str:
    s = parse(f"export {name}", words, export=ExportOptions).export
    path, runs = _asked(s, file)
    return f"{path}: {write(path, runs)} lines of {len(runs)} runs"


def _optuna(words: list[str]) -> str:
    s = parse("export optuna", words, export=StudyOptions).export
    path, runs = _asked(s, "study.db")
    told = [f"{count} trials of {env}" for env, count in write_studies(path, runs, s.value).items()]
    return f"{path}: {', '.join(told)}, of {sum(run.retrains is None for run in runs)} runs"


def _asked(s: ExportOptions, file: str) -> tuple[Path, list[FoundRun]]:
    """Where to write, and the runs. Raises FileExistsError for a file that may not be overwritten."""
    path = Path(s.out or file)
    if path.exists() and not s.overwrite:
        raise FileExistsError(f"{path} exists: name another file with --out, or give --overwrite")
    if not s.folders:
        raise ValueError("name at least one folder")
    return path, find_runs([Path(folder) for folder in s.folders])
