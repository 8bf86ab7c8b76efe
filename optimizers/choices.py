"""Choices that the annotations of an optimizer's fields give, checked."""

from __future__ import annotations

import typing
from typing import Any, Literal, get_args, get_origin


def check_choices(optimizer: Any) -> None:
    """Raise ValueError that names the first field whose value is none of its Literal's."""
    for name, hint in typing.get_type_hints(type(optimizer)).items():
        if get_origin(hint) is Literal and getattr(optimizer, name) not in get_args(hint):
            choices = ", ".join(map(str, get_args(hint)))
            raise ValueError(f"{name} must be one of {choices}, got {getattr(optimizer, name)!r}")
