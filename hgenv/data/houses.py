"""Houses on disk, in whichever layout a folder has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hgenv.data import front3d, suncg
from hgenv.scenes.interiors import Interior


def find(root: str | Path) -> tuple[list[Path], Callable[..., Interior]]:
    """The files of houses of 3D-FRONT where there is a folder of that name, else of SUNCG's layout; and their reader.

    Raises FileNotFoundError if there is none.
    """
    module = front3d if Path(root, front3d.HOUSES).is_dir() else suncg
    return module.find_houses(root), module.load_house
