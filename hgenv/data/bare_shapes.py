"""Shapes to put painted textures on, from disk: SUNCG's objects, catalogues of Sweet Home 3D, ShapeNetCore."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgenv.data.model import load_obj
from hgenv.data.selection import evenly
from hgenv.data.shapenet import find_models
from hgenv.data.sweethome import Piece, load_piece, pieces
from hgenv.render.mesh import Mesh, face_normals, of_unit_size

Array = NDArray[np.float64]
EXPECTED = (
    "expected a catalogue FILE.sh3f or a folder of them, FOLDER/object/MODEL/MODEL.obj (SUNCG), or "
    "FOLDER/SYNSET/MODEL/ (ShapeNet)"
)


def load_shapes(where: str | Path, count: int) -> list[Mesh]:
    """At most `count` shapes, evenly over all, of unit size, under texture 0, which is projected along the axes.

    Their own colours and textures are dropped. Raises FileNotFoundError or ValueError.
    """
    return [_bare(read()) for read in evenly(_sources(Path(where)), count)]


def _sources(path: Path) -> list[Callable[[], Mesh]]:
    catalogues = [path] if path.suffix == ".sh3f" else sorted(path.glob("*.sh3f"))
    if catalogues:
        return [partial(_of_piece, file, piece) for file in catalogues for piece in pieces(file)]
    if (path / "object").is_dir():
        models = [p for p in sorted((path / "object").glob("*/*.obj")) if p.stem == p.parent.name]
        if not models:
            raise FileNotFoundError(f"no model in {path / 'object'}: {EXPECTED}")
        return [partial(_of_obj, model) for model in models]
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {path}: {EXPECTED}")
    return [partial(_of_obj, model) for model in find_models(path)]


def _of_piece(path: Path, piece: Piece) -> Mesh:
    return load_piece(path, piece, materials=False).mesh


def _of_obj(path: Path) -> Mesh:
    return load_obj(path, materials=False).mesh


def _bare(mesh: Mesh) -> Mesh:
    whole = of_unit_size(mesh)
    c = whole.corners
    normal = np.abs(face_normals(c))
    u, v = (np.array(axes)[normal.argmax(1)] for axes in ((2, 0, 0), (1, 2, 1)))  # seen along x, y, z
    rows = np.arange(len(c))
    uv = np.stack([c[rows, :, u], c[rows, :, v]], axis=-1)
    return whole._replace(albedo=np.ones_like(c), uv=uv, texture=np.zeros(len(c), np.int64))
