"""trackio: its database on this machine, unless its own variables name a server; `trackio show` shows it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

import trackio

from hgenv.runs.logs.log import PROJECT, Beginning


class Trackio:
    """A run by the same name whenever the run goes on; rows that come again are there twice."""

    def __init__(self, beginning: Beginning) -> None:
        known = beginning.known_as("trackio")
        with redirect_stdout(sys.stderr):  # it says where the run is
            self._run = trackio.init(
                PROJECT, name=f"{beginning.title}-{known or beginning.remember('trackio')}", resume="allow",
                config=beginning.settings, embed=False, auto_log_cpu=False, auto_log_gpu=False,
            )  # fmt: skip

    def row(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step)

    def picture(self, name: str, png: Path, step: int) -> None:
        self._run.log({name: trackio.Image(str(png))}, step)

    def close(self, best: Mapping[str, float], step: int, ended: str) -> None:
        self._run.log(dict(best), step)
        with redirect_stdout(sys.stderr):
            trackio.finish()


begin = Trackio
