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
from PIL import Image, ImageDraw, ImageFont

from hgenv.beta.layout import Layout
from hgenv.env import DataGenEnv
from hgenv.files import whole
from hgenv.run import Row, betas_of

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]
_MOMENTS = 100  # as many as a figure can show
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_INCHES = 9.6  # of a figure at least, at 100 pixels each
_COLOURS = 160  # of a film


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
    axes.set_title(panel.name, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.set_xlim(x[0], max(x[-1], x[0] + 1))


def _figure(shown: list[Panel], x: Array) -> tuple[Figure, list[Axes]]:
    columns = min(6, len(shown))
    lines, wide = -(-len(shown) // columns), max(2.1, _INCHES / columns)
    figure = Figure(figsize=(wide * columns, (0.75 + 0.45 * wide) * lines), dpi=100, layout="constrained")
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
        figure.savefig(partial)


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
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    pictures = []
    for row, beta in zip(chosen, betas_of(layout, chosen), strict=True):
        parts = [_said(row, drawn.shape[1]), _marked(drawn, grid, row["train_steps"])]
        if env.task.memory is None:
            sheet = env.contact_sheet(layout.to_action(beta)[env.box.movable], 16, 16)
            parts.insert(1, _enlarged(sheet, drawn.shape[1]))
        pictures.append(Image.fromarray(np.concatenate(parts)))
    # One palette for all: what does not change from a frame to the next takes no bytes then.
    palette = Image.fromarray(np.concatenate([np.asarray(one)[::2, ::2] for one in pictures])).quantize(_COLOURS)
    first, *rest = (one.quantize(palette=palette, dither=Image.Dither.NONE) for one in pictures)
    with whole(path) as partial:
        first.save(partial, save_all=True, append_images=rest, duration=200, loop=0)


def _said(row: Row, width: int) -> Picture:
    """The moment in words, above the samples."""
    band = Image.new("RGB", (width, 30), "white")
    words = f"step {row['step']:.0f}, {row['train_steps']:.0f} training steps"
    ImageDraw.Draw(band).text((10, 5), words, "black", ImageFont.load_default(18))
    return np.asarray(band)


def _enlarged(sheet: Picture, width: int) -> Picture:
    height = round(len(sheet) * width / sheet.shape[1])
    return np.asarray(Image.fromarray(sheet).resize((width, height), Image.Resampling.NEAREST))


def _marked(drawn: Picture, grid: list[Axes], steps: float) -> Picture:
    """The figure (h, w, 3) with a line in every panel at so many training steps."""
    marked = drawn.copy()
    for axes in grid:
        x = round(axes.transData.transform((steps, 0.0))[0])
        low, high = (len(drawn) - round(end) for end in axes.bbox.intervaly)
        marked[high:low, max(0, x - 1) : x + 1] = 0
    return marked
