"""What the commands share: options of an environment and of a budget, parsing, and where a run starts."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import typing
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from hgenv.env import DataGenEnv, split_options
from hgenv.options import EnvOptions, build, knobs
from hgenv.registry import find, load_plugins
from hgenv.run import Budget
from hgenv.snapshot import load_snapshot
from hgenv.task import Task

DEFAULT_ENV = "hgenv/ShapeNormals-v0"


@dataclasses.dataclass(frozen=True)
class EnvChoice:
    """Which environment."""

    env: str = DEFAULT_ENV
    """Environment id, or MODULE:ID; its own options follow from it."""


@dataclasses.dataclass(frozen=True)
class DefaultBudget(Budget):
    """When the run ends: at the first limit reached; 60 CPU seconds if none is given."""

    def __post_init__(self) -> None:
        if all(getattr(self, f.name) is None for f in dataclasses.fields(self)):
            object.__setattr__(self, "max_seconds", 60.0)
        super().__post_init__()


def parse(prog: str, words: list[str], choices: Mapping[str, str | None] = {}, **parts: type[Any]) -> Any:
    """Parse words into one value that has an instance of every given dataclass, their options side by side.

    Options of a part that can be chosen, as the gradient, are those of what the words choose, or `choices` does.
    """
    owners: dict[str, str] = {}
    flats: dict[str, type[Any]] = {}
    for part, cls in parts.items():
        chosen = {
            field.name: _value_of(words, field.name, choices.get(field.name, _default_choice(field)))
            for field in dataclasses.fields(cls) if "choices" in field.metadata
        }  # fmt: skip
        flats[part] = flat_class(cls, chosen)
        for field in dataclasses.fields(flats[part]):
            if field.name in owners:
                raise ValueError(
                    f"--{field.name} would be an option of both {owners[field.name]} and {part}: rename one"
                )
            owners[field.name] = part
    settings = dataclasses.make_dataclass(
        "Settings", [(name, cls, dataclasses.field(default_factory=cls)) for name, cls in flats.items()]
    )
    found = tyro.cli(settings, args=words, prog=f"hgenv {prog}", description="", config=(tyro.conf.OmitArgPrefixes,))
    given = {part: vars(getattr(found, part)) for part in parts}
    return typing.cast(Any, _Settings({part: build(cls, given[part]) for part, cls in parts.items()}))


class _Settings:
    """The parts that were parsed, as attributes."""

    def __init__(self, parts: dict[str, Any]) -> None:
        vars(self).update(parts)


def flat_class(cls: type[Any], chosen: Mapping[str, str | None]) -> type[Any]:
    """A dataclass of the plain options of another, of whose choosable parts only the chosen ones'."""
    fields: list[tuple[str, Any, Any]] = []
    for name, knob in knobs(cls).items():
        if knob.choice and knob.choice != chosen[knob.part] and not _has(cls, knob.part, chosen[knob.part], name):
            continue
        owner, default = cls, knob.field.default
        hint = _hints(cls).get(knob.field.name)
        if knob.part:
            owner = _part_class(cls, knob.part, chosen.get(knob.part))
            part = owner() if knob.choice else next(f for f in dataclasses.fields(cls) if f.name == knob.part).default
            default, hint = getattr(part, knob.field.name), _hints(owner)[knob.field.name]
        elif name in chosen:
            names = tuple(knob.field.metadata["choices"])
            hint, default = Literal[names] | None if knob.field.default is None else Literal[names], chosen[name]
        elif default is dataclasses.MISSING and knob.field.default_factory is not dataclasses.MISSING:
            default = knob.field.default_factory()
        documented = Annotated[hint, tyro.conf.arg(help=field_docs(owner).get(knob.field.name, ""))]
        fields.append((name, documented, dataclasses.field(default=default)))
    flat = dataclasses.make_dataclass(cls.__name__, fields, frozen=True)
    flat.__doc__ = cls.__doc__
    return flat


def _has(cls: type[Any], part: str, choice: str | None, name: str) -> bool:
    """Whether the chosen part has an option that `knobs` found at another choice."""
    if choice is None:
        return False
    return name.removeprefix(f"{part}_") in {f.name for f in dataclasses.fields(_part_class(cls, part, choice))}


def _part_class(cls: type[Any], part: str, choice: str | None) -> type[Any]:
    field = next(f for f in dataclasses.fields(cls) if f.name == part)
    return field.metadata["choices"][choice] if "choices" in field.metadata else type(field.default)


def _default_choice(field: dataclasses.Field) -> str | None:
    return next((name for name, cls in field.metadata["choices"].items() if type(field.default) is cls), None)


def _value_of(words: list[str], name: str, default: str | None) -> str | None:
    """The value that words give an option, if they do."""
    flag = f"--{name.replace('_', '-')}"
    for i, word in enumerate(words):
        value = words[i + 1] if word == flag and i + 1 < len(words) else word.partition("=")[2]
        if word == flag or word.startswith(f"{flag}="):
            return None if value == "None" else value
    return default


@cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


@cache
def field_docs(cls: type[Any]) -> dict[str, str]:
    """The strings below the fields of a dataclass and of its bases."""
    found: dict[str, str] = {}
    for owner in reversed(cls.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
        except (OSError, TypeError):  # defined where there is no file, as in a notebook
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = inspect.cleandoc(words)
    return found


def chosen_task(words: list[str]) -> type[Task]:
    """The task named by --env, whose fields are options too."""
    cls = find(_value_of(words, "env", DEFAULT_ENV) or DEFAULT_ENV)
    split_options(cls, {})
    return cls


def start_from(env: DataGenEnv, where: str, seed: int) -> None:
    """Start at a run's best, at what a JSON file says, or anywhere ("random", which depends on the seed)."""
    layout = env.task.layout
    if where == "random":
        env.start_from(layout.from_action(np.random.default_rng([seed, 2]).uniform(-1.0, 1.0, len(layout.low))))
    elif where.endswith(".json"):
        env.start_from(layout.named(_read_beta(Path(where))))
    else:
        snapshot = load_snapshot(Path(where))
        env.start_from(snapshot["beta"], snapshot.get("state.memory"))


def _read_beta(path: Path) -> dict[str, float]:
    """The coordinates of beta that a JSON file names."""
    try:
        return {str(name): float(value) for name, value in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} must hold {{"NAME": NUMBER, ...}}: {error}') from error


def estimators() -> tuple[str, ...]:
    """Names of all estimators, other packages' included."""
    load_plugins("hgenv.estimators")
    return tuple(next(f for f in dataclasses.fields(EnvOptions) if f.name == "gradient").metadata["choices"])
