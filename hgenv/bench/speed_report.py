"""What `hgenv bench speed` leaves: speed.csv, table.md and speed.png, all of one run."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hgenv.files import whole, write_text


class Row(NamedTuple):
    """A piece at a size: seconds of one unit, medians and quartiles; None for what does not apply.

    ratio: seconds over those of `ratio_to`, CPU seconds of pieces of one thread on a CPU, else wall seconds. waiting:
    share of an environment step in which it waits for its pictures. picture_bytes: of a sample, with its ground truth.
    flops: of a training step a sample, those of convolutions and matrix products.
    """

    env: str
    size: str
    weights: int
    picture_bytes: int
    flops: int
    piece: str
    workers: str
    render_workers: str
    wall_seconds: float
    wall_low: float
    wall_high: float
    cpu_seconds: float
    samples: int
    ratio: float
    ratio_to: str
    waiting: float | None
    gpu_busy: float | None
    gpu_peak_bytes: int | None
    device: str

    @property
    def label(self) -> str:
        """Its name in the table."""
        return label(self.piece, self.workers, self.render_workers)


GPU_COLUMNS = ("gpu_busy", "gpu_peak_bytes")


def label(piece: str, workers: str, render_workers: str) -> str:
    """A piece with what it is measured with."""
    counts = [(workers, "worker"), (render_workers, "render worker")]
    return ", ".join([piece, *(counted(count, what) for count, what in counts if count)])


def counted(count: str, what: str) -> str:
    """As "1 worker", "2 workers", "workers auto"."""
    return f"{count} {what}{'' if count == '1' else 's'}" if count.isdigit() else f"{what}s {count}"


def write(folder: Path, rows: list[Row], repeats: int) -> None:
    """Write the report. OSError that names the file which cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "speed.csv", as_csv(rows))
    write_text(folder / "table.md", table(rows, repeats))
    with whole(folder / "speed.png") as path:
        figure(rows).savefig(path, dpi=110)


def as_csv(rows: list[Row]) -> str:
    """One line a row; of a GPU nothing where there is none."""
    columns = [name for name in Row._fields if name not in GPU_COLUMNS or _on_gpu(rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(row._asdict() for row in rows)
    return text.getvalue()


def _on_gpu(rows: list[Row]) -> bool:
    return any(row.gpu_busy is not None for row in rows)


def table(rows: list[Row], repeats: int) -> str:
    """Markdown, a table a size."""
    first = rows[0]
    text = [
        f"# {first.env}: where the seconds go\n\n"
        f"On {first.device}, torch {torch.__version__} with {torch.get_num_threads()} thread"
        f"{'s' * (torch.get_num_threads() > 1)}, {os.cpu_count()} cores: medians of {repeats}, quartiles in brackets."
    ]
    for size in dict.fromkeys(row.size for row in rows):
        mine = [row for row in rows if row.size == size]
        first = mine[0]
        work = f"{first.picture_bytes} bytes and {first.flops / 1e6:.4g} MFLOP a sample"
        text.append(f"\n{size}: {first.weights} weights, {work}\n")
        header = ["piece", "wall ms", "CPU ms", "ratio", "samples a core-second", "units a second", "waiting"]
        header += ["GPU busy", "GPU peak MB"] if _on_gpu(rows) else []
        text += [_line(header), "|---" * len(header) + "|", *(_line(_cells(row, _on_gpu(rows))) for row in mine)]
    return "\n".join(text) + "\n"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cells(row: Row, on_gpu: bool) -> list[str]:
    cells = [
        row.label, f"{_number(1e3 * row.wall_seconds)} [{_number(1e3 * row.wall_low)}, {_number(1e3 * row.wall_high)}]",
        _number(1e3 * row.cpu_seconds), f"{row.ratio:.2f}" + f" of {row.ratio_to}" * bool(row.ratio_to),
        _number(row.samples / max(row.cpu_seconds, 1e-9)), _number(1.0 / row.wall_seconds), _share(row.waiting),
    ]  # fmt: skip
    peak = "-" if row.gpu_peak_bytes is None else _number(row.gpu_peak_bytes / 1e6)
    return cells + ([_share(row.gpu_busy), peak] if on_gpu else [])


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def figure(rows: list[Row]) -> Figure:
    """Seconds of every piece, probes a second by workers, environment steps by render workers."""
    drawn = Figure(figsize=(13, 4.2), layout="constrained")
    grid: Any = drawn.subplots(1, 3, width_ratios=[1.6, 1, 1])
    pieces, probes, steps = grid
    sizes = list(dict.fromkeys(row.size for row in rows))
    for number, size in enumerate(sizes):
        mine = [row for row in rows if row.size == size]
        single = [row for row in mine if row.piece not in ("probes", "environment step")]
        y = np.arange(len(single)) + 0.5 * (number + 0.5) / len(sizes) - 0.25
        _seconds(pieces, y, single, size)
        _over(probes, [row for row in mine if row.piece == "probes"], size, rate=True)
        _over(steps, [row for row in mine if row.piece == "environment step"], size, rate=False)
    pieces.set_yticks(range(len(single)), [row.label for row in single])
    pieces.invert_yaxis()
    pieces.set(xscale="log", xlabel="wall seconds, with quartiles")
    probes.set(xlabel="workers", ylabel="probes a second", ylim=(0, 1.1 * probes.dataLim.y1))
    seconds = "wall seconds of an environment step"
    steps.set(xlabel="render workers", ylabel=seconds, ylim=(0, 1.1 * steps.dataLim.y1))
    for panel in grid:
        panel.grid(alpha=0.3)
    drawn.legend(
        *pieces.get_legend_handles_labels(), title=f"{rows[0].env} on {rows[0].device}", loc="outside upper center",
        ncols=len(sizes), fontsize=8,
    )  # fmt: skip
    return drawn


def _seconds(panel: Axes, y: np.ndarray, rows: list[Row], size: str) -> None:
    wall = np.array([row.wall_seconds for row in rows])
    spread = np.abs(np.array([[row.wall_low, row.wall_high] for row in rows]).T - wall)
    panel.errorbar(wall, y, xerr=spread, fmt="o", capsize=3, label=size)


def _over(panel: Axes, rows: list[Row], size: str, rate: bool) -> None:
    """Seconds, or units a second, against the number of workers."""
    ends = np.array([[row.wall_seconds, row.wall_low, row.wall_high] for row in rows]).T
    middle, low, high = 1.0 / ends[[0, 2, 1]] if rate else ends
    names = [row.workers or row.render_workers for row in rows]
    panel.errorbar(names, middle, np.abs([middle - low, high - middle]), marker="o", capsize=3, label=size)
