"""Samples at moments of a run, of the same seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hgenv.env import DataGenEnv
from hgenv.pages.markup import Html
from hgenv.pages.numbers import short
from hgenv.pages.picture import picture, png
from hgenv.pictures import sheet
from hgenv.run import Row, betas_of
from hgenv.runs.beta_figures import moments
from hgenv.runs.folder import OpenRun, best_of, start_at

COLUMNS, MOMENTS, WIDTH = 12, 5, 800
"""Samples of a moment, moments beside the best, and pixels that a strip is about to have."""


def samples(run: OpenRun) -> Html:
    """The target domain, and samples at the start, at several moments and at the best, images above their targets.

    Of a task with a memory those of the start and of the best, as other memories are not kept.
    """
    env, best = run.env, best_of(run.rows, run.env.task.quantity.primary)
    shown = [_strip(_target(env), "target domain: validation images")]
    chosen = {row["step"]: row for row in [*moments(run.rows, MOMENTS), best or run.rows[0]]}
    env.start_from(betas_of(env.task.layout, run.rows[:1])[0])
    if env.task.memory is None:
        for step in sorted(chosen):
            row = chosen[step]
            shown.append(_strip(_at(env, row), _caption(row, _name(row, run.rows, best))))
    else:
        shown.append(_strip(_at(env, run.rows[0]), _caption(run.rows[0], "start")))
        if run.snapshot:
            start_at(env, run.snapshot)
            shown.append(_strip(env.contact_sheet(env.start, COLUMNS, COLUMNS), _caption(best, "best validation")))
    return Html("\n".join(shown))


def _target(env: DataGenEnv) -> NDArray[np.uint8]:
    return sheet(env.task.quantity, env.task.domain.batch("validation").rows(slice(0, COLUMNS)), COLUMNS)


def _at(env: DataGenEnv, row: Row) -> NDArray[np.uint8]:
    layout = env.task.layout
    action = layout.to_action(betas_of(layout, [row])[0])[env.box.movable]
    return env.contact_sheet(action, COLUMNS, COLUMNS)


def _strip(strip: NDArray[np.uint8], caption: str) -> Html:
    return picture(png(strip), caption, max(1, WIDTH // strip.shape[1]))


def _name(row: Row, rows: list[Row], best: Row) -> str:
    """What is special about a moment."""
    names = ["start"] * (row is rows[0]) + ["last"] * (row is rows[-1]) + ["best validation"] * (row is best)
    return " and ".join(names)


def _caption(row: Row, name: str) -> str:
    gpu = f", {short(row['gpu_seconds'], 3)} GPU s" if row["gpu_seconds"] else ""
    return (
        f"{name}{': ' if name else ''}step {row['step']:.0f}, {short(row['train_steps'])} training steps, "
        f"{short(row['renders'])} renders, {short(row['cpu_seconds'], 3)} CPU s{gpu}"
    )
