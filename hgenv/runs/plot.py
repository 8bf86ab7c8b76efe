"""Figures of runs: learning curves, contact sheets, predictions beside the ground truth."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import NDArray

from hgenv.env import DataGenEnv
from hgenv.files import whole
from hgenv.pages.picture import png
from hgenv.pictures import colours, sheet
from hgenv.run import cost_axes
from hgenv.runs import beta_figures
from hgenv.runs.folder import read_rows, restore
from hgenv.snapshot import load_snapshot


def write_png(path: Path, picture: NDArray[np.uint8], scale: int = 1) -> None:
    """Write a picture (h, w, 3) uint8, each pixel enlarged `scale` times."""
    with whole(path) as partial:
        partial.write_bytes(png(picture.repeat(scale, 0).repeat(scale, 1)))


def curves(folders: list[Path], metric: str, path: Path) -> None:
    """Validation and test metric of runs, against renders, training steps, CPU seconds, and GPU seconds if any."""
    runs = [read_rows(folder) for folder in folders]
    axes = cost_axes(row for rows in runs for row in rows)
    figure = Figure(figsize=(13, 4), layout="constrained")
    panels = figure.subplots(1, len(axes), sharey=True)
    for i, (folder, every) in enumerate(zip(folders, runs, strict=True)):
        rows = [row for row in every if f"test.{metric}" in row]
        if not rows:
            raise ValueError(f"{folder} has no reported {metric!r}; known: {_metrics(folder)}")
        if missing := [axis for axis in axes if any(axis not in row for row in rows)]:
            raise ValueError(f"{folder} has rows without {missing[0]}")
        rows = rows[1:] or rows  # the untrained network would squeeze the rest
        for panel, axis in zip(panels, axes, strict=True):
            x = [row[axis] for row in rows]
            panel.plot(x, [row[f"test.{metric}"] for row in rows], color=f"C{i}", label=f"{folder.name}, test")
            panel.plot(
                x,
                [row[f"validation.{metric}"] for row in rows],
                color=f"C{i}",
                ls=":",
                lw=1,
                label=None if i else "validation",
            )
    for panel, label in zip(panels, axes.values(), strict=True):
        panel.set_xlabel(label)
        panel.grid(alpha=0.3)
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panels[0].set_ylabel(metric)
    panels[-1].legend(fontsize=8)
    with whole(path) as partial:
        figure.savefig(partial, dpi=110)


def _metrics(folder: Path) -> list[str]:
    return sorted({k.removeprefix("test.") for row in read_rows(folder) for k in row if k.startswith("test.")})


def predictions(env: DataGenEnv, path: Path, count: int = 10) -> None:
    """Test images, ground truth, predictions of the averaged weights and their error (the paper's Fig. B.1)."""
    quantity, batch = env.task.quantity, env.task.domain.batch("test").rows(slice(0, count))
    answer = env.predict("test")[-1, :count]
    error, unit, top = quantity.error(answer, batch)
    rows = [
        colours(batch.image),
        quantity.picture(batch.target, batch.mask),
        quantity.picture(answer, batch.mask),
        np.ma.masked_where(batch.mask[:, 0].numpy() == 0, error),
    ]
    n = len(batch.image)
    figure = Figure(figsize=(1.2 * n + 1.2, 5), layout="constrained")
    axes = figure.subplots(4, n, squeeze=False)
    heat = matplotlib.colormaps["inferno"].with_extremes(bad="white")
    for name, line, pictures in zip(
        ("image", "ground truth", "prediction", f"error [{unit}]"), axes, rows, strict=True
    ):
        for cell, picture in zip(line, pictures, strict=True):
            is_error = name.startswith("error")
            shown = cell.imshow(picture, cmap=heat if is_error else "gray", vmin=0, vmax=top if is_error else 1)
            cell.set_xticks([])
            cell.set_yticks([])
        line[0].set_ylabel(name)
    figure.colorbar(shown, ax=axes[3, :].tolist(), shrink=0.9)
    with whole(path) as partial:
        figure.savefig(partial, dpi=110)


def of_run(env: DataGenEnv, folder: Path) -> None:
    """The figures of one run, from what its folder holds: curves, distributions and samples over time, predictions."""
    rows = read_rows(folder)
    curves([folder], env.task.quantity.primary, folder / "curves.png")
    beta_figures.distributions(env.task.layout, rows, folder / "beta.png")
    write_png(folder / "samples.png", beta_figures.samples(env, rows), scale=2)
    restore(env, load_snapshot(folder))
    predictions(env, folder / "predictions.png")


def target_samples(env: DataGenEnv, count: int, columns: int = 12) -> NDArray[np.uint8]:
    """A contact sheet of the target domain's validation images."""
    return sheet(env.task.quantity, env.task.domain.batch("validation").rows(slice(0, count)), columns)
