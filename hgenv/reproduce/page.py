"""What has been reproduced: a page and table.csv, whose rows are ours, with intervals, and the published."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hgenv.bench.intervals import INTERVALS, Interval, interval
from hgenv.bench.statistics import Result
from hgenv.bench.tables import shown as said
from hgenv.domains.domain import Scores
from hgenv.files import whole, write_text
from hgenv.pages.markup import Html, escaped
from hgenv.pages.page import page
from hgenv.pages.table import table as html_table
from hgenv.reproduce.scales import Scale
from hgenv.reproduce.tables import PaperTable, Row

PAGE, VALUES = "table.html", "table.csv"
_NOTHING = Interval(np.nan, np.nan, np.nan)


class Measured(NamedTuple):
    """A row with our values (columns,), and how many seeds they are of; 0 of what does not learn, or is not over."""

    row: Row
    values: list[Interval]
    seeds: int


def measured(
    table: PaperTable, rows: Sequence[Row], found: Sequence[Result], answers: dict[str, Scores]
) -> list[Measured]:
    """Our values of every row: the best validated snapshot of each seed, on the test split."""
    made = []
    for row in rows:
        mine = [r for r in found if r.label == row.label and r.env == (row.env or table.env)] if row.label else []
        columns = list[Interval]()
        for metric in table.columns.values():
            if mine:
                columns.append(interval([np.array([r.best[f"test.{metric}"] for r in mine])]))
            elif row.answer in answers:
                columns.append(Interval(answers[row.answer][metric], np.nan, np.nan))
            else:
                columns.append(_NOTHING)
        made.append(Measured(row, columns, len(mine)))
    return made


def write(out: Path, table: PaperTable, scale: Scale, command: str, rows: Sequence[Measured]) -> Path:
    """Write both into a folder; returns the page."""
    _write_values(out / VALUES, table, rows)
    header = ["", *table.columns]
    lines = list[list[str]]()
    for row, values, seeds in rows:
        known = [said(value) if np.isfinite(value.low) else _number(value.centre) for value in values]
        lines.append([f"{row.said} ({seeds} seeds)" if seeds else row.said, *known])
        if row.published:
            lines.append(
                [f"{row.said}, published", *(_number(row.published.get(name, np.nan)) for name in table.columns)]
            )
    theirs = [f"{row.said}, published" for row, _, _ in rows]
    note = "Test split, snapshot with the best validation metric. " + INTERVALS
    body = [
        f"<h1>{escaped(table.title)}</h1>", f"<p>{escaped(scale.said)}</p>", html_table(header, lines, theirs),
        f"<p class='quiet'>{escaped(note)}</p>", f"<h2>What differs from the paper</h2><p>{escaped(table.differs)}</p>",
        f"<pre>{escaped(command)}</pre>",
    ]  # fmt: skip
    write_text(out / PAGE, page("hgenv reproduce", Html("\n".join(body))))
    return out / PAGE


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "-"


def _write_values(path: Path, table: PaperTable, rows: Sequence[Measured]) -> None:
    with whole(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "column", "ours", "low", "high", "seeds", "published"])
        for row, values, seeds in rows:
            for name, value in zip(table.columns, values, strict=True):
                writer.writerow([row.said, name, *value, seeds, row.published.get(name, np.nan)])
