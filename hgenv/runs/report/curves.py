"""Learning curves of one run."""

from __future__ import annotations

from collections.abc import Sequence

from hgenv.domains.domain import SPLITS
from hgenv.pages.chart import Chart, Series, charts, frame_of
from hgenv.pages.markup import Html, folded
from hgenv.run import COST, Row, cost_axes
from hgenv.runs.folder import OpenRun

_COUNTED = {"step", "failed", "val_loss", *COST}


def curves(run: OpenRun) -> Html:
    """The validation loss of every step and the primary metric; the other metrics and what the task reports, folded."""
    rows, primary = run.rows, run.env.task.quantity.primary
    axes, splits = _axes(rows), tuple(f"{split}." for split in SPLITS)
    names = list(dict.fromkeys(name.partition(".")[2] for name in rows[0] if name.startswith(splits)))
    loss = _single("val_loss", rows, axes, "validation loss", "Validation loss of every step, on images of its own")
    shown = charts([loss, *(_metric(name, rows, axes) for name in names if name == primary)])
    others = [_metric(name, rows, axes) for name in names if name != primary]
    reported = [_single(name, rows, axes, name, name) for name in rows[0] if _is_report(name)]
    return Html(
        shown
        + (folded(f"{len(others)} more metrics", charts(others)) if others else "")
        + (folded("what the task reports", charts(reported)) if reported else "")
    )


def _axes(rows: Sequence[Row]) -> dict[str, str]:
    """The costs along which the rows lie, that which all runs have in common first."""
    found = cost_axes(rows)
    return {"train_steps": found.pop("train_steps")} | found | {"step": "environment steps"}


def _is_report(name: str) -> bool:
    return name not in _COUNTED and "." not in name and not name.endswith("_seconds")


def _values(name: str, rows: Sequence[Row]) -> list[float]:
    return [row[name] for row in rows if name in row]


def _line(label: str, name: str, rows: Sequence[Row], axes: dict[str, str]) -> Series:
    having = [row for row in rows if name in row]
    return Series(label, {axis: _values(axis, having) for axis in axes}, _values(name, having))


def _single(name: str, rows: Sequence[Row], axes: dict[str, str], label: str, title: str) -> Chart:
    return Chart(title, axes, label, [_line(label, name, rows, axes)], frame=frame_of(_values(name, rows)))


def _metric(name: str, rows: Sequence[Row], axes: dict[str, str]) -> Chart:
    """A metric of the averaged weights on both whole splits."""
    lines = [_line(split, f"{split}.{name}", rows, axes) for split in SPLITS]
    frame = frame_of([value for split in SPLITS for value in _values(f"{split}.{name}", rows)])
    return Chart(f"{name} of the whole splits", axes, name, lines, frame=frame)
