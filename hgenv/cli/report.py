"""hgenv report: the page of a run, as far as it has come."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro

from hgenv.runs import open_run
from hgenv.runs.folder import CONFIG


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """report.html of a run, at any time: it may go on, be over, or have been cut short."""

    folder: tyro.conf.Positional[str]
    """Folder of the run."""


def command(words: list[str]) -> int:
    s = tyro.cli(ReportOptions, args=words, prog="hgenv report")
    folder = Path(s.folder)
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"no file {folder / CONFIG}: expected the folder of a run")
    opened = open_run(folder)
    from hgenv.runs import report  # matplotlib, once there is something to draw

    print(report.write(opened, folder))
    return 0
