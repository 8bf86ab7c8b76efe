"""What the commands share: options of an environment and of a budget, parsing, and where a run starts."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Collection, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from hgenv.beta.layout import Layout
from hgenv.env import DataGenEnv
from hgenv.fields import shown
from hgenv.files import read_json
from hgenv.options import build, choice_of, knobs, split_options
from hgenv.registry import find, load_plugins, unknown
from hgenv.run import Budget
from hgenv.runs.folder import start_at
from hgenv.sizes import SMALL, of_size
from hgenv.snapshot import load_snapshot
from hgenv.task import Task

DEFAULT_ENV = "hgenv/ShapeNormals-v0"
OF_GENERATORS = "hgenv/OwnGenerator-v0"
"""The environment if there is a --generator, and nothing else is said."""
AsJson = tyro.conf.FlagCreatePairsOff[bool]


@dataclasses.dataclass(frozen=True)
class EnvId:
    """Which environment."""

    env: str = DEFAULT_ENV
    """Environment id, or MODULE:ID; its own options follow from it."""


@dataclasses.dataclass(frozen=True)
class EnvChoice(EnvId):
    """Which environment."""

    size: str = SMALL
    """Size of pictures and network, small, medium or paper where the task has them: defaults of the task's options."""


@dataclasses.dataclass(frozen=True)
class DefaultBudget(Budget):
    """When the run ends: at the first limit reached; 60 CPU seconds if none is given."""

    default: ClassVar[tuple[str, float]] = ("max_seconds", 60.0)

    def __post_init__(self) -> None:
        if all(getattr(self, f.name) is None for f in dataclasses.fields(self)):
            object.__setattr__(self, *self.default)
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class BenchBudget(DefaultBudget):
    """When a run ends: at the first limit reached; 3,000 training steps, probes included, if none is given, as seconds
    differ between machines."""

    default = ("max_train_steps", 3000)


def parse(
    prog: str,
    words: list[str],
    defaults: Mapping[str, Any] = {},
    without: Mapping[str, Collection[str]] = {},
    **parts: type[Any],
) -> Any:
    """Parse words into one value that has an instance of every given dataclass, their options side by side.

    Their help comes in the same order. defaults: of options, by their names, instead of the dataclasses' own. Options
    of a part that can be chosen, as the gradient, are those of what the words choose, or `defaults` do.
    without: by the part, options of it that cannot be given.
    """
    flats = {
        part: flat_class(cls, _choices_of(cls, words, defaults), defaults, without.get(part, ()))
        for part, cls in parts.items()
    }
    _check_names(flats)
    settings = dataclasses.make_dataclass(
        "Settings", [(name, cls, dataclasses.field(default_factory=cls)) for name, cls in flats.items()]
    )
    config = (tyro.conf.OmitArgPrefixes,)
    found: Any = tyro.cli(settings, args=words, prog=f"hgenv {prog}", description="", config=config)
    return SimpleNamespace(**{part: build(cls, vars(getattr(found, part))) for part, cls in parts.items()})


def _choices_of(cls: type[Any], words: list[str], defaults: Mapping[str, Any]) -> dict[str, str | None]:
    """What each part of a dataclass that can be chosen is, by the words, by `defaults`, or as it is."""
    found: dict[str, str | None] = {}
    for field in dataclasses.fields(cls):
        if "choices" not in field.metadata:
            continue
        known, name = field.metadata["choices"], field.name
        if "plugins" in field.metadata:
            load_plugins(field.metadata["plugins"])
        found[name] = value_of(words, name, defaults.get(name, choice_of(known, field.default)))
        if found[name] not in known and not (found[name] is None and field.default is None):
            raise ValueError(unknown(f"--{name}", str(found[name]), known))
    return found


def _check_names(parts: Mapping[str, type[Any]]) -> None:
    """Raise ValueError if two parts have an option of the same name."""
    owners: dict[str, str] = {}
    for part, cls in parts.items():
        for field in dataclasses.fields(cls):
            if field.name in owners:
                raise ValueError(
                    f"--{field.name} would be an option of both {owners[field.name]} and {part}: rename one"
                )
            owners[field.name] = part


def flat_class(
    cls: type[Any], chosen: Mapping[str, str | None], defaults: Mapping[str, Any], without: Collection[str]
) -> type[Any]:
    """A dataclass of the plain options of another but some, of whose choosable parts only the chosen ones'."""
    parts = {f.name: f for f in dataclasses.fields(cls)}
    fields: list[tuple[str, Any, Any]] = []
    for name, knob in knobs(cls).items():
        owner: Any = _class_of(parts[knob.part], chosen) if knob.part else cls
        known = {} if owner is None else {f.name: f for f in dataclasses.fields(owner)}
        if knob.field.name not in known or name in without:
            continue  # an option of another choice, or one that cannot be given
        field, hint = known[knob.field.name], _hints(owner)[knob.field.name]
        default = field.default
        if name in chosen:
            names: Any = tuple(field.metadata["choices"])
            hint, default = Literal[names] | None if field.default is None else Literal[names], chosen[name]
        elif name in defaults:
            default = defaults[name]
        elif knob.part:
            part = parts[knob.part].default
            default = getattr(part if type(part) is owner else owner(), field.name)
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        said = tyro.conf.arg(help=field_docs(owner).get(field.name, ""))
        fields.append((name, Annotated[hint, said], dataclasses.field(default=default)))
    flat = dataclasses.make_dataclass(cls.__name__, fields, frozen=True)
    flat.__doc__ = cls.__doc__
    return flat


def _class_of(part: dataclasses.Field, chosen: Mapping[str, str | None]) -> type[Any] | None:
    """The class of a part, which may have been chosen."""
    if "choices" not in part.metadata:
        return type(part.default)
    name = chosen[part.name]
    return None if name is None else part.metadata["choices"][name]


def value_of(words: list[str], name: str, default: str | None) -> str | None:
    """The value that words give an option, if they do: of several the last, as the parser has it."""
    flag = f"--{name.replace('_', '-')}"
    for i in reversed(range(len(words))):
        word = words[i]
        value = words[i + 1] if word == flag and i + 1 < len(words) else word.partition("=")[2]
        if word == flag or word.startswith(f"{flag}="):
            return None if value == "None" else value
    return default


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


@cache
def field_docs(cls: Any) -> dict[str, str]:
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
                    found[name] = " ".join(words.split())
    return found


def _env_of(words: list[str]) -> str:
    """The environment that words name, or the default."""
    declared = value_of(words, "generator", None) is not None
    return str(value_of(words, "env", OF_GENERATORS if declared else DEFAULT_ENV))


def chosen_task(words: list[str]) -> type[Task]:
    """The task named by --env, whose fields are options too."""
    cls = find(_env_of(words))
    split_options(cls, {})
    return cls


def size_of(words: list[str]) -> dict[str, Any]:
    """What --size makes the defaults of the task named by --env; and that name."""
    return of_size(chosen_task(words), str(value_of(words, "size", SMALL))) | {"env": _env_of(words)}


def start_from(env: DataGenEnv, where: str, seed: int) -> None:
    """Start at a run's best, at what a JSON file says, or anywhere ("random", which depends on the seed)."""
    layout = env.task.layout
    if where == "random":
        env.start_from(layout.from_action(np.random.default_rng([seed, 2]).uniform(-1.0, 1.0, len(layout.low))))
    elif where.endswith(".json"):
        env.start_from(_read_beta(layout, Path(where)))
    else:
        snapshot, names = load_snapshot(Path(where)), layout.names
        if snapshot["beta"].shape != (len(names),):
            raise ValueError(f"{where} has a beta of {len(snapshot['beta'])} coordinates, expected {len(names)}")
        _named(layout, dict(zip(names, snapshot["beta"].tolist(), strict=True)), where)
        try:
            start_at(env, snapshot)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error


def _read_beta(layout: Layout, path: Path) -> NDArray[np.float64]:
    """Beta (d,) with the coordinates that a JSON file names, the others as at the start."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise ValueError(f'{path} must hold {{"NAME": NUMBER, ...}}, got {shown(found)}')
    return _named(layout, found, str(path))


def _named(layout: Layout, values: Mapping[str, float], where: str) -> NDArray[np.float64]:
    """Beta (d,) with the coordinates that are named; an error says where they come from."""
    try:
        return layout.named(values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
