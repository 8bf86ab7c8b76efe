"""The plan of a comparison, which its folder keeps from before the first cell is played: bench.json."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from hgenv.bench.compare import Cell, CompareOptions, cells
from hgenv.fields import shown
from hgenv.files import read_json, write_json
from hgenv.registry import loaded
from hgenv.run import Budget

PLAN = "bench.json"
_KINDS = {"bench": dict, "budget": dict, "common": list, "imports": list, "command": str}
_NOT_KEPT = ("out", "workers", "retry")  # where it lies and how it is played, which may change


class Plan(NamedTuple):
    """What is compared; common: options of every run; command: what made it, for the reader."""

    options: CompareOptions
    budget: Budget
    common: list[str]
    command: str

    def cells(self) -> list[Cell]:
        """All of them, as `compare.cells`."""
        return cells(self.options, self.budget, self.common)

    def write(self) -> None:
        """Keep it in the folder of the comparison, with the words of every label. OSError if that cannot be written."""
        methods = [f"{label}={shlex.join(words)}" for label, words in self.options.methods()]
        kept = dataclasses.asdict(dataclasses.replace(self.options, optimizers=tuple(methods)))
        bench = {name: value for name, value in kept.items() if name not in _NOT_KEPT}
        content = {"bench": bench, "budget": dataclasses.asdict(self.budget), "common": self.common}
        write_json(Path(self.options.out, PLAN), content | {"imports": loaded(), "command": self.command})


def read(folder: Path) -> Plan:
    """The plan in a folder, wherever that lies by now. Nothing is imported that it names.

    Raises FileNotFoundError if there is none, ValueError that names the file for a damaged one or an environment that
    is not known.
    """
    path = folder / PLAN
    content = read_json(path)
    try:
        return _checked(content, folder)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not the plan of a comparison: {error.args[0]}") from error


def _checked(content: dict[str, Any], folder: Path) -> Plan:
    if missing := _KINDS.keys() - content.keys():
        raise ValueError(f"it lacks {min(missing)}")
    for name, kind in _KINDS.items():
        if not isinstance(content[name], kind):
            raise ValueError(f"{name} is {shown(content[name])}")
    common = content["common"]
    if not all(isinstance(word, str) for word in common):
        raise ValueError(f"common is {shown(common)}")
    if unknown := content["bench"].keys() & {*_NOT_KEPT}:
        raise ValueError(f"it says {min(unknown)}")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content["bench"].items()
    }
    options, budget = CompareOptions(**values, out=str(folder)), Budget(**content["budget"])
    plan = Plan(options, budget, common, content["command"])
    plan.cells()
    return plan
