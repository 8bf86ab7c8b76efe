"""One long table of all rows of all runs: a line for every number that a run has written. docs/results-format.md."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hgenv.clock import Seconds
from hgenv.files import whole
from hgenv.run import COST
from hgenv.runs.exports.found import FoundRun
from hgenv.runs.folder import METRICS

SECONDS = tuple(f"{name}_seconds" for name in Seconds._fields)
COLUMNS: dict[str, type] = {
    **dict.fromkeys(("run", "env", "optimizer", "label"), str), "seed": int, "retrains": str, "step": int,
    **dict.fromkeys(COST, int), **dict.fromkeys(SECONDS, float), "name": str, "value": float,
}  # fmt: skip
"""The columns in their order, and what they hold. A number that a run has not is empty; so is `retrains` of most."""
Line = list[str | int | float | None]


def lines(run: FoundRun) -> Iterator[Line]:
    """The lines of one run, in the order of its rows. Raises ValueError that names its file for a broken one."""
    before = run.retrains.name if run.retrains is not None else None
    about: Line = [run.name, run.env, run.optimizer, run.label, run.seed, before]
    for row in run.rows():
        for name in ("step", *COST):
            if not (row.get(name, 0.0).is_integer() and abs(row.get(name, 0.0)) < 2**53):
                raise ValueError(f"{run.folder / METRICS} has a {name} that is no count: {row[name]}")
        counts = (int(row[name]) if name in row else None for name in ("step", *COST))
        cost: Line = [*counts, *(row.get(name) for name in SECONDS)]
        yield from ([*about, *cost, name, value] for name, value in row.items() if name not in COLUMNS)


def write_csv(path: Path, runs: Sequence[FoundRun]) -> int:
    """Write the table as CSV; returns the number of lines. OSError as whole(), ValueError for a broken run."""
    count = 0
    with whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for run in runs:
            for line in lines(run):
                writer.writerow(line)
                count += 1
    return count


def write_parquet(path: Path, runs: Sequence[FoundRun]) -> int:
    """Write the table as Parquet, a row group a run; returns the number of lines. Raises as write_csv."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError("Parquet needs pyarrow: pip install 'hgenv[parquet]'") from error
    kinds: dict[type, Any] = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    schema, count = pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()]), 0
    with whole(path) as partial, partial.open("wb") as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for run in runs:
            table = list(lines(run))
            columns = zip(*table, strict=True) if table else ([] for _ in COLUMNS)
            writer.write_table(pyarrow.table(dict(zip(COLUMNS, map(list, columns), strict=True)), schema=schema))
            count += len(table)
    return count
