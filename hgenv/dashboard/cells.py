"""Which runs belong together: the cells of a bench are OUT/ENV/LABEL-sSEED, those with random starts one folder deeper;
other runs stand for themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hgenv.bench.compare import RANDOM_STARTS
from hgenv.dashboard.places import check_no_links
from hgenv.dashboard.watched import State, Watched
from hgenv.files import read_json
from hgenv.registry import short

FAILED = ".failed.json"
_CELL = re.compile(rf"(?P<name>(?P<label>.+)-s(?P<seed>\d{{1,9}}))(?P<what>-retrained|{re.escape(FAILED)})?")
_MOST = 2**16  # bytes of a word on a failure


class Group(NamedTuple):
    """The folder of a bench, or that in which runs lie; their environment, without its namespace; whether these are the
    cells with random starts."""

    folder: Path
    env: str
    random_starts: bool = False


@dataclass
class Cell:
    """One chip of the overview: a run, and the training from scratch that a bench has it followed by.

    failure: why the bench could not run it, and the end of what it wrote to standard error.
    """

    label: str
    seed: int | None
    run: Watched | None = None
    retrained: Watched | None = None
    failure: tuple[str, str] | None = None

    @property
    def runs(self) -> list[Watched]:
        """The run and the training from scratch, as far as they are there."""
        return [run for run in (self.run, self.retrained) if run is not None]

    @property
    def retraining(self) -> bool:
        """Whether the training from scratch is what runs now."""
        return self.retrained is not None and self.retrained.state == "running"

    @property
    def state(self) -> State:
        """The state of both together: done if both are."""
        states = {run.state for run in self.runs}
        if "running" in states:
            return "running"
        if self.failure is not None:
            return "failed"
        order: tuple[State, ...] = ("failed", "cut short", "done")
        return next((state for state in order if state in states), "cut short")

    @property
    def reason(self) -> str:
        """Why it has failed, if it has."""
        if self.state != "failed":
            return ""
        return self.failure[0] if self.failure else next(run.reason for run in self.runs if run.reason)


def grouped(runs: Mapping[Path, Watched], failures: Iterable[Path]) -> dict[Group, dict[str, Cell]]:
    """Cells by their names, in their groups. failures: files in which a bench has said why a cell could not be run."""
    groups: dict[Group, dict[str, Cell]] = {}
    for path, run in runs.items():
        named = _CELL.fullmatch(path.name)
        if named is None or _bench(path).env != short(run.env):
            groups.setdefault(Group(path.parent, short(run.env)), {})[path.name] = Cell(path.name, None, run)
        elif named["what"]:
            _cell(groups, path, named).retrained = run
        else:
            _cell(groups, path, named).run = run
    for path in failures:
        if named := _CELL.fullmatch(path.name):
            _cell(groups, path, named).failure = _failure(path)
    return groups


def _cell(groups: dict[Group, dict[str, Cell]], path: Path, named: re.Match[str]) -> Cell:
    group = groups.setdefault(_bench(path), {})
    return group.setdefault(named["name"], Cell(named["label"], int(named["seed"])))


def _bench(path: Path) -> Group:
    """The group of a cell's folder, if that is what it is."""
    random = path.parent.name == RANDOM_STARTS
    above = path.parent.parent if random else path.parent
    return Group(above.parent, above.name, random)


def _failure(path: Path) -> tuple[str, str]:
    try:
        check_no_links(path.parent, [path.name])
        if path.stat().st_size > _MOST:
            raise ValueError(f"{path.name} is too large")
        found: dict[str, Any] = read_json(path)
        return str(found["reason"]), str(found.get("output", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{path.name} cannot be read: {error}", ""
