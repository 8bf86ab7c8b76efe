"""Which items of a large dataset are used, and what becomes of those that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from hgenv.cache import say_once

T = TypeVar("T")
R = TypeVar("R")
_NAMED = 3  # broken items that a line names


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly over all, in their order.

    Whether they can be read does not matter here: of those that are chosen the broken ones are left out later, so that
    the others stay the same.
    """
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))]


def read_each(items: Iterable[T], read: Callable[[T], R], problems: list[str]) -> Iterator[tuple[T, R]]:
    """Every item with what is read of it, in their order, but those whose reading raises ValueError or
    FileNotFoundError: these are left out, and what they said is added to problems."""
    for item in items:
        try:
            found = read(item)
        except (ValueError, FileNotFoundError) as error:
            problems.append(str(error))
        else:
            yield item, found


def say_left_out(problems: Sequence[str], count: int, what: str, where: str | Path) -> None:
    """Says in one line, once, how many of `count` items are left out, and which come first.

    what: their name in the plural. where: the file or folder that has them. Raises ValueError if none is left.
    """
    if not problems:
        return
    if len(problems) >= count:
        raise ValueError(f"none of {count} {what} in {where} can be read: {problems[0]}")
    more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    say_once(
        f"{len(problems)} of {count} {what} in {where} are broken and left out (`hgenv data` lists all): "
        f"{'; '.join(problems[:_NAMED])}{more}"
    )
