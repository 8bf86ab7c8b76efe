"""How a folder of your own pictures names its files, and what their numbers mean: its target.toml."""

from __future__ import annotations

import inspect
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from hgenv.data.reading import content
from hgenv.fields import AtMost, Over, Positive, check, shown
from hgenv.registry import unknown

CONVENTION, NAME = "target.toml", "{name}"
_WORDS = {
    "right": (0, 1.0),
    "left": (0, -1.0),
    "up": (1, 1.0),
    "down": (1, -1.0),
    "toward": (2, 1.0),
    "away": (2, -1.0),
}


@dataclass(frozen=True)
class Convention:
    """How the files of a folder are named, and what their numbers mean."""

    image: str = "{name}-image.*"
    """Pictures, in the folder or below it; {name} is what their ground truth shares with them."""
    normals: str = "{name}-normals.*"
    """Surface normals: PNG of 8 or 16 bits, 0 for -1 and white for 1; EXR or npy of the numbers themselves."""
    depth: str = "{name}-depth.*"
    """Depth along the viewing axis: grey PNG of 8 or 16 bits, EXR or npy; 0 and what is not finite is unknown."""
    albedo: str = "{name}-albedo.*"
    """Albedo in [0, 1], linear."""
    shading: str = "{name}-shading.*"
    """Shading in [0, 1], linear, so that the image is albedo x shading."""
    target: str = "{name}-target.npy"
    """Anything else: an array (t, h, w)."""
    mask: str = "{name}-mask.*"
    """Where the ground truth counts: grey, white for yes."""
    axes: str = "right up toward"
    """Where the three axes of normals point: right or left, up or down, toward or away from the viewer."""
    scale: Positive | None = None
    """Depth, in the unit of the task, of a step of the files' integers, or of 1.0; needed where they are integers."""
    validation: str = "validation"
    """Subfolder of the pictures that are validated on, or a text file of their names, one a line."""
    test: str = "test"
    """The same of those that are only scored."""
    share: Annotated[float, Over(0), AtMost(0.9)] | None = None
    """Instead of both: so much of all pictures is validated on, evenly over them, and the others are scored."""


def read_convention(root: Path) -> Convention:
    """What target.toml says, or the defaults. ValueError that names it."""
    path = root / CONVENTION
    if not path.is_file():
        return Convention()
    try:
        given, known = tomllib.loads(content(path, 2**20).decode()), [*inspect.signature(Convention).parameters]
        if wrong := [name for name in given if name not in known]:
            raise ValueError(unknown("key", wrong[0], known))
        found = Convention(**given)
        check(found)
        axes_of(found)
        for name in ("image", "normals", "depth", "albedo", "shading", "target", "mask"):
            if getattr(found, name).count(NAME) != 1:
                raise ValueError(f"{name} must have {NAME} once, got {shown(getattr(found, name))}")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    return found


def axes_of(convention: Convention) -> NDArray[np.float64]:
    """The matrix (3, 3) from the files' axes to right, up, toward. ValueError for words that name no three axes."""
    words, matrix = convention.axes.split(), np.zeros((3, 3))
    for column, word in enumerate(words):
        if word in _WORDS and column < 3:
            row, sign = _WORDS[word]
            matrix[row, column] = sign
    if len(words) != 3 or np.abs(matrix).sum() != 3 or not (np.abs(matrix).sum(1) == 1).all():
        raise ValueError(
            f'axes must be three of {", ".join(_WORDS)}, as "right up toward", got {shown(convention.axes)}'
        )
    return matrix
