"""What the commands share: the environment and the budget as options, parsing, and where a run starts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from hgenv.beta import Layout
from hgenv.env import DataGenEnv
from hgenv.run import Budget
from hgenv.snapshot import load_snapshot
from hgenv.task import Task, find

DEFAULT_ENV = "hgenv/ShapeNormals-v0"


@dataclasses.dataclass(frozen=True)
class EnvChoice:
    """Which environment."""

    env: str = DEFAULT_ENV
    """Environment id; its own options follow from it."""


@dataclasses.dataclass(frozen=True)
class DefaultBudget(Budget):
    """When the run ends: at the first limit reached; 60 CPU seconds if none is given."""

    def __post_init__(self) -> None:
        if all(getattr(self, f.name) is None for f in dataclasses.fields(self)):
            object.__setattr__(self, "max_seconds", 60.0)
        super().__post_init__()


def parse(prog: str, words: list[str], **parts: Any) -> Any:
    """Parse words into one dataclass whose fields are the given dataclasses, their options side by side."""
    owners: dict[str, str] = {}
    for part, cls in parts.items():
        for field in dataclasses.fields(cls):
            if field.name in owners:
                raise ValueError(
                    f"--{field.name} would be an option of both {owners[field.name]} and {part}: rename one"
                )
            owners[field.name] = part
    settings = dataclasses.make_dataclass(
        "Settings", [(k, v, dataclasses.field(default_factory=v)) for k, v in parts.items()]
    )
    return tyro.cli(settings, args=words, prog=f"hgenv {prog}", description="", config=(tyro.conf.OmitArgPrefixes,))


def chosen_task(words: list[str]) -> type[Task]:
    """The task named by --env, whose fields are options too."""
    for i, word in enumerate(words):
        if word == "--env" and i + 1 < len(words):
            return find(words[i + 1])
        if word.startswith("--env="):
            return find(word.removeprefix("--env="))
    return find(DEFAULT_ENV)


def start_from(env: DataGenEnv, where: str, seed: int) -> None:
    """Start at a run's best, at what a JSON file says, or anywhere ("random", which depends on the seed)."""
    layout = env.task.layout
    if where == "random":
        env.start_from(layout.from_action(np.random.default_rng([seed, 2]).uniform(-1.0, 1.0, len(layout.low))))
    elif where.endswith(".json"):
        env.start_from(_read_beta(layout, Path(where)))
    else:
        snapshot = load_snapshot(Path(where))
        env.start_from(snapshot["beta"], snapshot.get("state.memory"))


def _read_beta(layout: Layout, path: Path) -> NDArray[np.float64]:
    """Physical beta: the start with the coordinates changed that a JSON file names."""
    try:
        given = json.loads(path.read_text())
        values = {str(name): float(value) for name, value in given.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} must hold {{"NAME": NUMBER, ...}}: {error}') from error
    unknown = values.keys() - set(layout.names)
    if unknown:
        raise ValueError(f"{path} names {sorted(unknown)}, which beta does not have; see hgenv list -v")
    beta = np.array([values.get(name, start) for name, start in zip(layout.names, layout.initial, strict=True)])
    if not np.all((beta >= layout.low) & (beta <= layout.high)):
        raise ValueError(f"{path} has values outside their range; see hgenv list -v")
    return beta
