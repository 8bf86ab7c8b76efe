"""The file that declares a generator in a process of its own: TOML, or JSON of the same shape:

    command = "{python} mine.py"        # run in the file's folder; {python} is hgenv's own, $NAME a variable
    quantity = "normals"                # or depth, intrinsics, other

    [beta.radius]                       # one table a distribution, by the name of its class, with its arguments
    distribution = "LogNormal"
    mean = [-1.0, 0.0]
    std = [0.02, 0.5]
    count = 3                           # independent draws a sample; left out: one

`Declaration` has the other keys; [target] names a beta, of which the target domain is where there is no other.
"""

from __future__ import annotations

import inspect
import json
import os
import shlex
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from hgenv.beta import distributions, mixtures
from hgenv.beta.distributions import Distribution
from hgenv.beta.layout import DeclaredLayout
from hgenv.data.reading import content
from hgenv.fields import MOST, AtLeast, AtMost, Positive, check, shown
from hgenv.quantities import Depth, Intrinsics, Normals, Quantity
from hgenv.quantities.quantity import SquaredError
from hgenv.registry import unknown

_MOST_BYTES = 2**24
DISTRIBUTIONS: dict[str, type[Distribution]] = {
    cls.__name__: cls
    for module in (distributions, mixtures)
    for cls in vars(module).values()
    if isinstance(cls, type) and issubclass(cls, Distribution) and not inspect.isabstract(cls)
}
"""What `distribution` may be, by the name of the class."""


@dataclass(frozen=True)
class Declaration:
    """What the file says, but beta."""

    command: str | tuple[str, ...]
    """What starts the generator, in the folder of the file: words, or a line that is split as a shell does."""
    quantity: Literal["normals", "depth", "intrinsics", "other"]
    """What is learned."""
    channels: Annotated[int, AtLeast(1), AtMost(64)] = 3
    """Of an image."""
    targets: Annotated[int, AtLeast(1), AtMost(64)] = 1
    """Channels of the target, where `quantity` is other."""
    middle: Positive = 2.0
    """Depth about which predictions begin, and which figures show in grey."""
    half: Positive = 1.0
    """How much nearer white is in figures, and how much farther black."""
    unit: str = "m"
    """Of depths."""
    sample_seconds: Positive = 60.0
    """After which a sample counts as hanging, and the generator is started again."""
    start_seconds: Positive = 120.0
    """After which the generator counts as hanging at its start."""


@dataclass(frozen=True)
class Declared:
    """A generator as its file declares it."""

    path: Path
    options: Declaration
    layout: DeclaredLayout
    counts: Mapping[str, int] = field(default_factory=dict)
    """Independent draws a sample, by the names of those distributions that have them."""
    target: Mapping[str, float] = field(default_factory=dict)
    """A beta, of which the target domain is where no other is named."""

    @property
    def words(self) -> list[str]:
        """What is executed. ValueError for a variable that is not set."""
        given = self.options.command
        words = shlex.split(given) if isinstance(given, str) else list(given)
        return [self._expanded(word) for word in words]

    def _expanded(self, word: str) -> str:
        found = os.path.expandvars(word.replace("{python}", sys.executable))
        if "$" in found and found == word:
            raise ValueError(f"{self.path}: the command has {word}, and no such variable is set")
        return found

    @property
    def quantity(self) -> Quantity:
        """What is learned."""
        o = self.options
        if o.quantity == "depth":
            return Depth(o.middle, o.half, o.unit)
        if o.quantity == "normals":
            return Normals()
        return Intrinsics() if o.quantity == "intrinsics" else SquaredError()

    @property
    def targets(self) -> int:
        """Channels of the target."""
        return {"normals": 3, "depth": 1, "intrinsics": 4}.get(self.options.quantity, self.options.targets)


def read(path: Path) -> Declared:
    """The declaration in a file. Raises FileNotFoundError, or ValueError that names the file and what was expected."""
    try:
        found = _parsed(path)
        tables = _tables(found.pop("beta", None), "[beta.NAME]")
        target = _tables({"target": found.pop("target", {})}, "[target]")["target"]
        layout, counts = _layout(tables)
        layout.named(target)
        return Declared(path, _declaration(found), layout, counts, target)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _parsed(path: Path) -> dict[str, Any]:
    text = content(path, _MOST_BYTES).decode()
    found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"expected an object, got {shown(found)}")
    return found


def _tables(given: Any, name: str) -> dict[str, dict[str, Any]]:
    if not isinstance(given, dict) or not given or not all(isinstance(table, dict) for table in given.values()):
        raise ValueError(f"expected tables {name}, got {shown(given)}")
    return given


def _declaration(given: dict[str, Any]) -> Declaration:
    found = _called(Declaration, {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}, "it")
    check(found)
    if not found.command:
        raise ValueError("command is empty")
    return found


def _layout(tables: dict[str, dict[str, Any]]) -> tuple[DeclaredLayout, dict[str, int]]:
    """Beta, and the numbers of draws."""
    members, counts = dict[str, Distribution](), dict[str, int]()
    for name, table in tables.items():
        given = dict(table)
        if "count" in given:
            counts[name] = _count(given.pop("count"), name)
        members[name] = _distribution(name, given)
    return DeclaredLayout(tuple(members.items())), counts


def _count(given: Any, name: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MOST.limit:
        raise ValueError(f"[beta.{name}]: count must be an integer from 1 to {MOST.limit}, got {shown(given)}")
    return given


def _distribution(name: str, given: dict[str, Any]) -> Distribution:
    if not name.isidentifier():
        raise ValueError(f"[beta.{name}]: expected a name of letters, digits and underscores")
    kind = given.pop("distribution", None)
    if kind not in DISTRIBUTIONS:
        raise ValueError(f"[beta.{name}]: {unknown('distribution', str(kind), DISTRIBUTIONS)}")
    arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    names = arguments.pop("names", ())
    try:
        return _called(DISTRIBUTIONS[kind], arguments, kind, *names)
    except (ValueError, TypeError) as error:
        raise ValueError(f"[beta.{name}]: no {kind} of {shown(given)}: {error}") from error


def _called(f: Callable[..., Any], given: dict[str, Any], what: str, *positional: Any) -> Any:
    """f of arguments by name. ValueError, in the file's words, for one that it has not or that it lacks."""
    known = inspect.signature(f).parameters
    named = [name for name, p in known.items() if p.kind != p.VAR_POSITIONAL]
    for name in given:
        if name not in named:
            raise ValueError(unknown("key", name, named))
    for name in named:
        if known[name].default is inspect.Parameter.empty and name not in given:
            raise ValueError(f"{what} needs {name}")
    return f(*positional, **given)
