"""How far the cells of a comparison are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from hgenv.bench.compare import Cell, ended, failure_of, finished
from hgenv.runs.folder import CONFIG
from hgenv.runs.writer import is_written

State = Literal["done", "running", "failed", "cut short", "not begun"]


def state(cell: Cell) -> State:
    """Of a cell's run and its training from scratch together: done if both are."""
    folders = [folder for folder, _ in cell.runs()]
    if any(map(is_written, folders)):
        return "running"
    if all(map(finished, folders)):
        return "done"
    if failure_of(cell) is not None or ended(cell):
        return "failed"
    return "cut short" if (cell.folder / CONFIG).is_file() else "not begun"


def counts(cells: Sequence[Cell]) -> dict[State, int]:
    """How many there are of each state."""
    found = [state(cell) for cell in cells]
    return {name: found.count(name) for name in get_args(State)}
