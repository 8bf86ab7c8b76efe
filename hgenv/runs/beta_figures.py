"""How beta changes over a run: its distributions as a figure and a film (the paper's Fig. C.2), and its samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from hgenv.beta.layout import Layout
from hgenv.env import DataGenEnv
from hgenv.files import whole
from hgenv.run import Row, betas_of

Array = NDArray[np.float64]
_MOMENTS = 100  # as many as a figure can show
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


class Panel(NamedTuple):
    """One distribution, or one of its axes, over T moments.

    values (levels, T): its quantiles at the levels if it is continuous, a single line if it is a value, the
    probabilities of its outcomes (outcomes, T) if they have names.
    """

    name: str
    kind: str
    values: Array
    outcomes: tuple[str, ...] = ()


def panels(layout: Layout, betas: Array) -> Iterator[Panel]:
    """The panels of all distributions at physical betas (T, d), in the order of the declaration."""
    for name, distribution in layout.distributions.items():
        parameters = getattr(layout.bind(betas), name).parameters  # (k, T, *event)
        if not distribution.density:
            for i, axis in enumerate(distribution.axes or ("",)):
                line = parameters[0].reshape(len(betas), -1)[:, i]
                yield Panel(f"{name} {axis}".strip(), "value", line[None])
        elif hasattr(distribution, "names"):
            u = (np.arange(400) + 0.5)[:, None] / 400
            drawn = distribution.inverse_cdf(u, parameters[:, None]).astype(int)
            names = distribution.names
            share = np.stack([np.mean(drawn == i, axis=0) for i in range(len(names))])
            yield Panel(name, "discrete", share, tuple(names))
        else:
            if distribution.uniforms == distribution.event:
                u = np.array(_LEVELS).reshape(-1, *[1] * (parameters.ndim - 1))
                quantiles = distribution.inverse_cdf(u, parameters[:, None])
            else:  # of a mixture there is no inverse CDF an axis: quantiles of many draws
                u = np.random.default_rng(0).random((1000, 1, *distribution.uniforms))
                quantiles = np.quantile(distribution.inverse_cdf(u, parameters[:, None]), _LEVELS, axis=0)
            quantiles = quantiles.reshape(len(_LEVELS), len(betas), -1)
            for i, axis in enumerate(distribution.axes or ("",)):
                yield Panel(f"{name} {axis}".strip(), "continuous", quantiles[..., i])


def _draw(axes: Axes, panel: Panel, x: Array) -> None:
    if panel.kind == "discrete":
        axes.stackplot(x, panel.values, labels=panel.outcomes, alpha=0.7)
        axes.legend(fontsize=6, loc="lower left")
        axes.set_ylim(0, 1)
    elif panel.kind == "continuous":
        axes.fill_between(x, panel.values[0], panel.values[4], color="C0", alpha=0.2, lw=0)
        axes.fill_between(x, panel.values[1], panel.values[3], color="C0", alpha=0.3, lw=0)
        axes.plot(x, panel.values[2], color="C0")
    else:
        axes.plot(x, panel.values[0], color="C0")
    axes.set_title(panel.name, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_xlim(x[0], max(x[-1], x[0] + 1))


def _figure(shown: list[Panel], x: Array) -> tuple[Figure, list[Axes]]:
    columns = min(6, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(2.1 * columns, 1.7 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, shown, strict=False):
        _draw(axes, panel, x)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    figure.supxlabel("training steps", fontsize=8)
    return figure, list(grid[: len(shown)])


def distributions(layout: Layout, rows: list[Row], path: Path) -> None:
    """Quantiles (5, 25, 50, 75, 95 %) and probabilities of what beta describes, against training steps."""
    rows = moments(rows, _MOMENTS)
    x = np.array([row["train_steps"] for row in rows])
    figure, _ = _figure(list(panels(layout, betas_of(layout, rows))), x)
    with whole(path) as partial:
        figure.savefig(partial, dpi=100)


def moments(rows: list[Row], count: int) -> list[Row]:
    """At most `count` rows, evenly spaced, the first and the last among them."""
    return [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, count).round().astype(int))]


def samples(env: DataGenEnv, rows: list[Row], columns: int = 16, count: int = 6) -> NDArray[np.uint8]:
    """The same seeds at `count` moments of the run, the first above: images and ground truth, (h, w, 3) uint8.

    Of a task with a memory only the last, as the environment holds that memory alone.
    """
    layout = env.task.layout
    chosen = moments(rows, count) if env.task.memory is None else rows[-1:]
    actions = layout.to_action(betas_of(layout, chosen))[:, env.box.movable]
    return np.concatenate([env.contact_sheet(action, columns, columns) for action in actions])


def film(env: DataGenEnv, rows: list[Row], path: Path, frames: int = 24) -> None:
    """A GIF: samples of the same seeds above, and below the distributions, where a line shows the moment.

    Of a task with a memory the samples are left out. Raises ValueError for a run of one row.
    """
    if len(rows) < 2:
        raise ValueError("a film needs a run of at least one step")
    rows = moments(rows, _MOMENTS)
    layout, chosen = env.task.layout, moments(rows, frames)
    steps = np.array([row["train_steps"] for row in rows])
    figure, grid = _figure(list(panels(layout, betas_of(layout, rows))), steps)
    figure.set_dpi(50)
    canvas = FigureCanvasAgg(figure)
    now = [axes.axvline(steps[0], color="black", lw=1.5) for axes in grid]
    pictures = []
    for row, beta in zip(chosen, betas_of(layout, chosen), strict=True):
        for line in now:
            line.set_xdata([row["train_steps"], row["train_steps"]])
        canvas.draw()  # type: ignore[no-untyped-call]
        drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        picture = drawn[..., :3].copy()
        if env.task.memory is None:
            sheet = env.contact_sheet(layout.to_action(beta)[env.box.movable], 16, 16)
            size = (picture.shape[1], round(len(sheet) * picture.shape[1] / sheet.shape[1]))
            above = Image.fromarray(sheet).resize(size, Image.Resampling.NEAREST)
            picture = np.concatenate([np.asarray(above), picture])
        pictures.append(Image.fromarray(picture).quantize(64))
    with whole(path) as partial:
        pictures[0].save(partial, save_all=True, append_images=pictures[1:], duration=200, loop=0)
