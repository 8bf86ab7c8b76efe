"""Which items of a large dataset are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of the items, evenly over all, in their order."""
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, count).round().astype(int))]
