"""What the fields of a dataclass of options may hold, said once: choices by Literal, bounds by Annotated.

@dataclass(frozen=True)
class Options:
    rule: Literal["adam", "sgd"] = "adam"
    steps: Natural = 20
    decay: Annotated[float, AtLeast(0), Under(1)] = 0.9

    def __post_init__(self) -> None:
        check(self)
"""

from __future__ import annotations

import dataclasses
import os
import sys
import types
import typing
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import numpy as np

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class AtLeast:
    """Not below. Bounds of different kinds are never equal: typing may keep one Annotated for all that are."""

    limit: float

    def holds(self, value: float) -> bool:
        return value >= self.limit

    def __str__(self) -> str:
        return f">= {self.limit:.16g}"


class Over(AtLeast):
    """Above."""

    def holds(self, value: float) -> bool:
        return value > self.limit

    def __str__(self) -> str:
        return f"> {self.limit:.16g}"


class AtMost(AtLeast):
    """Not above."""

    def holds(self, value: float) -> bool:
        return value <= self.limit

    def __str__(self) -> str:
        return f"<= {self.limit:.16g}"


class Under(AtLeast):
    """Below."""

    def holds(self, value: float) -> bool:
        return value < self.limit

    def __str__(self) -> str:
        return f"< {self.limit:.16g}"


class _OnDisk(NamedTuple):
    """Marks text that is the path of a file or folder."""


OnDisk = Annotated[str, _OnDisk()]
MOST = AtMost(10**6)
"""Of what is there at once, or done without a word in between: more is a slip of the hand, and fills any memory."""
Natural = Annotated[int, AtLeast(1), MOST]
Many = Annotated[int, AtLeast(1), AtMost(10**15)]
"""A number of things done one after another, which float64 counts exactly."""
Side = Annotated[int, AtLeast(1), AtMost(4096)]
"""Of a picture, in pixels."""
Processes = Annotated[int, AtLeast(1), AtMost(1024)]
"""Or threads, at a time."""
Threads = Annotated[int, AtLeast(0), AtMost(256)]
"""Beside the one that there is anyway."""
Seed = Annotated[int, AtLeast(0), AtMost(2**32 - 1)]
Positive = Annotated[float, Over(0)]
Length = Annotated[float, Over(0), MOST]
"""Of a move in the box, whose coordinates are 2 long."""
Share = Annotated[float, AtLeast(0), Under(1)]
Decay = Share


def on_disk(options: Any) -> dict[str, str]:
    """The paths that options name, by the fields that say OnDisk."""
    names = [name for name, hint in _hints(type(options)).items() if _is_path(hint)]
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def absolute(options: T) -> T:
    """The same options, with absolute paths where they say OnDisk."""
    paths = {name: os.path.abspath(path) for name, path in on_disk(options).items()}
    return dataclasses.replace(options, **paths)  # type: ignore[type-var]


def _is_path(hint: Any) -> bool:
    return any(_OnDisk() in getattr(kind, "__metadata__", ()) for kind in (hint, *get_args(hint)))


def plain(value: Any) -> Any:
    """A scalar of numpy's as Python's; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


class MisfitError(ValueError):
    """A field's value that its annotation does not admit."""

    def __init__(self, name: str, problem: str, value: Any) -> None:
        super().__init__(f"{name} must be {problem}, got {shown(value)}")
        self.parts = (name, problem, value)

    def within(self, part: str) -> MisfitError:
        """The same, with the name that the option has in the whole of which `part` is a field."""
        name, problem, value = self.parts
        return MisfitError(f"{part}_{name}", problem, value)


def shown(value: Any, most: int = 200) -> str:
    """A value in one line of about so many letters."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no integer of thousands of digits
        return f"an integer of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 4 :]}"


def check(options: Any) -> None:
    """Raise MisfitError, a ValueError, that names the first field whose value its annotation does not admit; numpy's
    scalars become Python's."""
    hints = _hints(type(options))
    for field in dataclasses.fields(options):
        value = plain(getattr(options, field.name))
        if problem := _problem(hints[field.name], value):
            raise MisfitError(field.name, problem, value)
        if value is not getattr(options, field.name):
            object.__setattr__(options, field.name, value)


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(cls: type) -> dict[str, Any]:
    if cls not in _HINTS:
        _HINTS[cls] = typing.get_type_hints(cls, include_extras=True)
    return _HINTS[cls]


def _problem(hint: Any, value: Any) -> str:
    """What the value should have been; nothing if it is that."""
    origin = get_origin(hint)
    if origin is Annotated:
        kind, *bounds = get_args(hint)
        if _OnDisk() in bounds and isinstance(value, str) and not value:
            return "the path of a file or folder"
        bounds = [b for b in bounds if isinstance(b, AtLeast)]
        if not _problem(kind, value) and (value is None or all(b.holds(value) for b in bounds)):
            return ""
        return " and ".join([_named(kind), *map(str, bounds)])
    if origin in (Union, types.UnionType):
        problems = [_problem(kind, value) for kind in get_args(hint)]
        return "" if "" in problems else " or ".join(problems)
    if origin is Literal:
        fits = any(type(value) is type(choice) and value == choice for choice in get_args(hint))
        return "" if fits else "one of " + ", ".join(map(repr, get_args(hint)))
    if origin is tuple and get_args(hint)[-1:] == (...,):
        inner = get_args(hint)[0]
        fits = isinstance(value, tuple | list) and not any(_problem(inner, plain(v)) for v in value)
        return "" if fits else f"several, each {_named(inner)}"
    return "" if _fits(hint, value) else _named(hint)


def _fits(kind: Any, value: Any) -> bool:
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if kind is None or kind is type(None):
        return value is None
    return not isinstance(kind, type) or isinstance(value, kind)  # what is not a class is not checked


def _named(kind: Any) -> str:
    names = {int: "an integer", float: "a finite number", bool: "True or False", str: "text", type(None): "None"}
    if kind in names:
        return names[kind]
    return kind.__name__ if isinstance(kind, type) else _problem(kind, object()) or str(kind)
