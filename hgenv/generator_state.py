"""The state of a PCG64 generator as six words, which need no unpickling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MASK = 2**64 - 1


def to_words(generator: np.random.Generator) -> NDArray[np.uint64]:
    """The state of a generator, (6,)."""
    state: Any = generator.bit_generator.state
    pair = (state["state"]["state"], state["state"]["inc"])
    words = [word for number in pair for word in (number >> 64, number & _MASK)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def from_words(words: NDArray[np.uint64]) -> dict[str, Any]:
    """Inverse of `to_words`. Raises ValueError if the words are not a state."""
    a, b, c, d, has, value = (int(word) for word in words)
    state = {
        "bit_generator": "PCG64", "state": {"state": a << 64 | b, "inc": c << 64 | d}, "has_uint32": has,
        "uinteger": value,
    }  # fmt: skip
    scratch: Any = np.random.PCG64()
    try:
        scratch.state = state
    except (OverflowError, ValueError, TypeError) as error:
        raise ValueError(f"generator is not the state of a random generator: {error}") from error
    return state
