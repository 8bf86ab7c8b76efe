"""The state of an optimizer as plain arrays, from its attributes and back."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = dict[str, NDArray]
"""Arrays by name. Those of a part have its name and a dot before their own; NAME? says that there is none."""


def spread_out(whole: Any) -> State:
    """The attributes of an object that are no dataclass fields. TypeError for one that is nothing plain."""
    found: State = {}
    for name, value in _kept(whole).items():
        if value is None:
            found[f"{name}?"] = np.array(False)
        elif isinstance(value, np.random.Generator):
            found[name] = np.array(json.dumps(value.bit_generator.state))
        elif _is_part(value):
            found |= {f"{name}.{part}": array for part, array in spread_out(value).items()}
        else:
            found[name] = _array(f"{type(whole).__name__}.{name}", value)
    return found


def gather(whole: Any, state: Mapping[str, Any]) -> None:
    """Give an object the attributes of which spread_out() gave these, after it was made alike.

    Raises ValueError that names what does not fit; nothing has changed then.
    """
    after = copy.deepcopy(whole)
    _fill(after, {name: np.asarray(value) for name, value in state.items()})
    vars(whole).update(vars(after))


def _kept(whole: Any) -> dict[str, Any]:
    fields = {field.name for field in dataclasses.fields(whole)} if dataclasses.is_dataclass(whole) else set()
    return {name: value for name, value in vars(whole).items() if name not in fields}


def _is_part(value: Any) -> bool:
    return hasattr(value, "__dict__") and not callable(value)


def _array(name: str, value: Any) -> NDArray:
    try:
        if isinstance(value, np.ndarray | np.generic | int | float | str | list | tuple):
            array = np.array(value)
            if not array.dtype.hasobject:
                return array
    except ValueError:  # lists of unequal lengths
        pass
    raise TypeError(
        f"{name} = {value!r} is no array, number, text, list of these or generator, as a state is made of: override "
        "state_dict and load_state_dict"
    )


def _fill(whole: Any, state: State) -> None:
    mine = _kept(whole)
    for name in mine.keys() | {key.partition(".")[0].removesuffix("?") for key in state}:
        part = {key.removeprefix(f"{name}."): array for key, array in state.items() if key.startswith(f"{name}.")}
        if name not in mine and (part or hasattr(whole, name)):
            raise ValueError(f"the state has {name!r}, which {type(whole).__name__} has not")
        if _is_part(mine.get(name)):
            _fill(mine[name], part)
        elif f"{name}?" in state:
            setattr(whole, name, None)
        elif name not in state:
            raise ValueError(f"the state lacks {name!r} of {type(whole).__name__}")
        else:
            setattr(whole, name, _value(name, mine.get(name), state[name]))


def _value(name: str, before: Any, array: NDArray) -> Any:
    """An array as the attribute has to be, which it is now as it was before."""
    if isinstance(before, np.random.Generator):
        try:
            before.bit_generator.state = json.loads(str(array))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ValueError(f"{name} is no state of {type(before.bit_generator).__name__}: {error}") from error
        return before
    if isinstance(before, list | tuple):
        return type(before)(array if array.ndim > 1 else array.tolist())
    if array.ndim:
        return array.copy()
    return array.item() if array.dtype.type in (np.bool_, np.int64, np.float64, np.str_) else array[()]
