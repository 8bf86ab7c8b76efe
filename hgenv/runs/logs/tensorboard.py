"""TensorBoard: event files in the run's folder; `tensorboard --logdir RUNS` shows all runs below a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from hgenv.runs.logs.log import Beginning


class TensorBoard:
    """Scalars, images, and the table of hyperparameters when the run is over."""

    def __init__(self, beginning: Beginning) -> None:
        # What was logged from this step on is not shown any more: it comes again.
        self._writer: Any = SummaryWriter(str(beginning.folder / "tensorboard"), purge_step=beginning.step or None)
        self._settings = beginning.settings
        lines = "\n".join(f"    {name}: {value}" for name, value in self._settings.items())
        self._writer.add_text("configuration", lines, beginning.step)

    def row(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def picture(self, name: str, png: Path, step: int) -> None:
        self._writer.add_image(name, np.asarray(Image.open(png).convert("RGB")), step, dataformats="HWC")

    def close(self, best: Mapping[str, float], step: int, ended: str) -> None:
        # Not add_hparams, whose second file of events would hide what is still to come in the first.
        for part in hparams(self._settings, dict(best)):  # type: ignore[no-untyped-call]
            self._writer.file_writer.add_summary(part)
        for name, value in best.items():
            self._writer.add_scalar(name, value, step)
        self._writer.close()


begin = TensorBoard
