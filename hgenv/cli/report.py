"""hgenv report: the page of a run or of a comparison, as far as it has come."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro

from hgenv.runs import open_run
from hgenv.runs.folder import CONFIG


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """report.html of a run or of a comparison, at any time: it may go on, be over, or have been cut short."""

    folder: tyro.conf.Positional[str]
    """Folder of the run, or of the comparison."""


def command(words: list[str]) -> int:
    s = tyro.cli(ReportOptions, args=words, prog="hgenv report")
    folder = Path(s.folder)
    print(_of_run(folder) if (folder / CONFIG).is_file() else _of_comparison(folder))
    return 0


def _of_run(folder: Path) -> Path:
    opened = open_run(folder)
    from hgenv.runs import report  # matplotlib, once there is something to draw

    return report.write(opened, folder)


def _of_comparison(folder: Path) -> Path:
    from hgenv.bench.plan import PLAN, read

    if not (folder / PLAN).is_file():
        expected = "expected the folder of a run or of a comparison"
        raise FileNotFoundError(f"no file {folder / PLAN} or {folder / CONFIG}: {expected}")
    plan = read(folder)
    from hgenv.bench import report

    return report.write(plan)
