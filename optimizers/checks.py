"""What the annotations of an optimizer's fields say, checked."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, Literal, get_args, get_origin

import numpy as np

MOST = 10**6
"""Of every number: more is a slip of the hand, and overflows sooner or later."""
_NAMES: dict[Any, str] = {
    int: f"an integer up to {MOST}", float: f"a number of at most {MOST}", bool: "True or False", str: "text",
    types.NoneType: "None",
}  # fmt: skip


def check_fields(optimizer: Any) -> None:
    """Raise ValueError that names the first field whose value is not what its annotation says: one of a Literal's, or
    of the kinds in _NAMES. Numpy's scalars become Python's."""
    hints = typing.get_type_hints(type(optimizer))
    for field in dataclasses.fields(optimizer):
        value = getattr(optimizer, field.name)
        if isinstance(value, np.generic):
            setattr(optimizer, field.name, value := value.item())
        if problem := _problem(hints[field.name], value):
            raise ValueError(f"{field.name} must be {problem}, got {_shown(value)}")


def _problem(hint: Any, value: Any) -> str:
    """What the value should have been; nothing if it is that."""
    if get_origin(hint) is Literal:
        fits = isinstance(value, str) and value in get_args(hint)
        return "" if fits else "one of " + ", ".join(map(str, get_args(hint)))
    kinds = get_args(hint) or (hint,)
    if not {*kinds} <= _NAMES.keys() or any(_fits(kind, value) for kind in kinds):
        return ""
    return " or ".join(_NAMES[kind] for kind in kinds)


def _fits(kind: type, value: Any) -> bool:
    if kind in (int, float):
        known = isinstance(value, int) or (kind is float and isinstance(value, float))
        return known and not isinstance(value, bool) and abs(value) <= MOST
    return isinstance(value, kind)


def _shown(value: Any) -> str:
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes no integer of thousands of digits
        return f"one of {value.bit_length()} bits"
    return text if len(text) <= 200 else f"{text[:100]} ..."
