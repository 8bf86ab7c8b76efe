"""Weights & Biases: offline, unless $WANDB_MODE says otherwise; `wandb sync RUN/logs/wandb/offline-run-*` sends it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its crashes would be sent, offline or not
import wandb

from hgenv.runs.logs.log import PROJECT, Beginning


class WeightsAndBiases:
    """A run by the same id whenever the run goes on, offline in a folder a part."""

    def __init__(self, beginning: Beginning) -> None:
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=beginning.title, config=beginning.settings,
            id=beginning.known_as("wandb") or beginning.remember("wandb"), resume="allow", allow_val_change=True,
            mode=mode, dir=beginning.folder, settings=wandb.Settings(console="off", quiet=True),
        )  # fmt: skip

    def row(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def picture(self, name: str, png: Path, step: int) -> None:
        self._run.log({name: wandb.Image(str(png))}, step=step)

    def close(self, best: Mapping[str, float], step: int, ended: str) -> None:
        self._run.summary.update(dict(best))
        self._run.finish(exit_code=0 if ended == "budget" else 1)


begin = WeightsAndBiases
