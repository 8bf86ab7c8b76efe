"""What a playground can show: an environment at its start, or that of a run with the beta that it has found.

Nothing is imported for it that the command line has not imported: a run's configuration may come from anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.beta.distributions import Parameter
from hgenv.beta.layout import Layout
from hgenv.dashboard.places import check_no_links
from hgenv.files import as_json
from hgenv.options import build, flat
from hgenv.registry import TASKS, loaded, unknown
from hgenv.runs.folder import BEST, CONFIG, read_config
from hgenv.snapshot import load_snapshot
from hgenv.task import Task

_MANY = 24
"""Coordinates of one distribution that are shown together; those of more are told apart by the next part of their
names, as the components of a mixture."""


class Scene(NamedTuple):
    """An environment's id and task; the beta that a run has found, by name, if there is one; what its generator
    remembered then."""

    env: str
    task: Task
    found: dict[str, float] | None = None
    memory: NDArray[np.float64] | None = None

    @property
    def name(self) -> str:
        """What tells scenes apart that render differently."""
        memory = b"" if self.memory is None else np.asarray(self.memory).tobytes()
        return f"{self.env} {as_json(flat(self.task))} {memory.hex()}"


def of_environment(id: str) -> Scene:
    """An environment as its defaults are. ValueError for an id that is not registered."""
    if id not in TASKS:
        raise ValueError(unknown("environment", id, TASKS))
    return Scene(id, TASKS[id]())


def of_run(folder: Path) -> Scene:
    """The environment of a run, with its best beta if it has one.

    Raises FileNotFoundError for what is no run's folder, ValueError for one that is broken, or whose environment is in
    a module that is not loaded.
    """
    check_no_links(folder, (CONFIG, BEST))
    config = read_config(folder)
    module, _, env = config["env"].rpartition(":")
    for name in (*config["imports"], *([module] if module else [])):
        if name not in loaded():
            raise ValueError(f"the run was made with --import {name}: start hgenv dashboard with it too")
    scene = of_environment(env)
    try:
        task = build(TASKS[env], config["task"])
    except (TypeError, KeyError) as error:
        raise ValueError(f"{folder}: {error.args[0]}") from error
    if not (folder / BEST).is_file():
        return scene._replace(task=task)
    snapshot, names = load_snapshot(folder), task.layout.names
    if len(snapshot["beta"]) != len(names):
        raise ValueError(f"{folder} has a beta of {len(snapshot['beta'])} coordinates, expected {len(names)}")
    found = dict(zip(names, snapshot["beta"].tolist(), strict=True))
    task.layout.named(found)  # refuses what is out of range
    return Scene(env, task, found, snapshot.get("state.memory") if task.memory is not None else None)


def groups(layout: Layout, found: Mapping[str, float] | None) -> list[dict[str, Any]]:
    """The coordinates of beta as plain values, in groups that belong together."""
    jumps = dict(zip(layout.names, layout.discrete.tolist(), strict=True))
    shown = []
    for name, own in layout.slices.items():
        block = layout.parameters[own]
        parts = {name: block} if len(block) <= _MANY else _parts(block)
        shown += [_group(part, members, jumps, found) for part, members in parts.items()]
    return shown


def _parts(block: Iterable[Parameter]) -> dict[str, list[Parameter]]:
    """The coordinates by all of their names but the last part."""
    return {name: list(members) for name, members in groupby(block, lambda p: p.name.rpartition(".")[0])}


def _group(
    name: str, members: Sequence[Parameter], jumps: Mapping[str, bool], found: Mapping[str, float] | None
) -> dict[str, Any]:
    whole = {p.meaning.partition(": ")[0] for p in members}
    meaning = whole.pop() if len(whole) == 1 else ""
    coordinates = [
        {
            "name": p.name, "label": p.name.removeprefix(f"{name}."), "low": float(p.low), "high": float(p.high),
            "start": float(p.initial), "found": found and found[p.name], "discrete": jumps[p.name],
            "meaning": p.meaning.removeprefix(meaning).removeprefix(": "),
        }
        for p in members
    ]  # fmt: skip
    return {"name": name, "meaning": meaning, "coordinates": coordinates}
