"""Sizes of a task by name: other defaults of its options, and nothing else. What is given wins over its size."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from hgenv.learning.networks import HourglassSize
from hgenv.options import knobs
from hgenv.task import Task

SMALL = "small"
"""The size of every task that is as its fields say."""
HOURGLASS: dict[str, dict[str, Any]] = {
    "medium": {"resolution": 64, "stacks": 1, "channels": 64, "hourglass_depth": 3, "stem_stride": 2},
    "paper": {"resolution": 128, "stacks": 2, "channels": 256, "hourglass_depth": 4, "stem_stride": 2},
}
"""Those of a task that declares none, and has a resolution and an HourglassSize."""


def sizes_of(cls: type[Task]) -> dict[str, dict[str, Any]]:
    """The plain options of every size of a task, by its name; TypeError for a size that sets what the task lacks."""
    known = knobs(cls)
    if "size" in known:
        raise TypeError(f"{cls.__name__} has the option size, as every environment has: rename it")
    declared = cls.sizes
    if declared is None:
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        suits = "resolution" in known and any(isinstance(field.default, HourglassSize) for field in fields)
        declared = HOURGLASS if suits else {}
    for size, options in declared.items():
        if lacking := sorted(options.keys() - known.keys()):
            raise TypeError(f"{cls.__name__}.sizes: {size} sets {lacking[0]!r}, which is no option of the task")
    return {SMALL: {}} | {name: dict(options) for name, options in declared.items() if name != SMALL}


def of_size(cls: type[Task], size: str) -> dict[str, Any]:
    """The plain options of a task's size. ValueError, with the sizes that there are, for another."""
    known = sizes_of(cls)
    if not isinstance(size, str) or size not in known:
        raise ValueError(f"size must be one of {', '.join(known)} for {cls.__name__}, got {size!r}")
    return known[size]


def with_size(cls: type[Task], size: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options that are given, and for the others what the size says; a part that is given as a value is whole."""
    known = knobs(cls)
    others = {name: value for name, value in of_size(cls, size).items() if known[name].part not in given}
    return others | dict(given)
