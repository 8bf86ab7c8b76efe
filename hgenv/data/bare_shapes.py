"""Shapes to put painted textures on, from disk: SUNCG's objects, catalogues of Sweet Home 3D, ShapeNetCore, files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgenv.data import shape_files
from hgenv.data.model import load_obj
from hgenv.data.selection import evenly, read_each, say_left_out
from hgenv.data.sweethome import Entry, entries, load_piece
from hgenv.render.mesh import Mesh, face_normals, of_unit_size

Array = NDArray[np.float64]
EXPECTED = (
    f"expected a catalogue FILE.sh3f or a folder of them, FOLDER/object/MODEL/MODEL.obj (SUNCG), {shape_files.EXPECTED}"
)


def load_shapes(where: str | Path, count: int) -> list[Mesh]:
    """At most `count` shapes, evenly over all, of unit size, under texture 0, which is projected along the axes.

    Their own colours and textures are dropped. Of those that are chosen the broken ones are left out, which is said in
    a line. Raises FileNotFoundError or ValueError if there is none, or none is left.
    """
    problems: list[str] = []
    chosen = evenly(_sources(Path(where)), count)
    shapes = [mesh for _, mesh in read_each(chosen, lambda source: _bare(source()), problems)]
    say_left_out(problems, len(chosen), "models", where)
    return shapes


def _sources(path: Path) -> list[Callable[[], Mesh]]:
    if path.suffix == ".sh3f" and not path.is_dir():
        return [partial(_of_entry, entry) for entry in entries(path)]
    if catalogues := sorted(path.glob("*.sh3f")):
        problems: list[str] = []
        found = [entry for _, listed in read_each(catalogues, entries, problems) for entry in listed]
        say_left_out(problems, len(catalogues), "catalogues", path)
        return [partial(_of_entry, entry) for entry in found]
    if (path / "object").is_dir():
        return [partial(_of_obj, model) for model in find_objects(path)]
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {path}: {EXPECTED}")
    return [partial(_of_file, model) for model in shape_files.find_shapes(path)]


def find_objects(root: Path) -> list[Path]:
    """The files object/MODEL/MODEL.obj of SUNCG's layout, sorted. Raises FileNotFoundError if there is none."""
    models = [p for p in sorted((root / "object").glob("*/*.obj")) if p.stem == p.parent.name]
    if not models:
        raise FileNotFoundError(f"no model in {root / 'object'}: {EXPECTED}")
    return models


def _of_entry(entry: Entry) -> Mesh:
    return load_piece(entry.path, entry.piece(), materials=False).mesh


def _of_obj(path: Path) -> Mesh:
    return load_obj(path, materials=False).mesh


def _of_file(path: Path) -> Mesh:
    return shape_files.load_shape(path, materials=False).mesh


def _bare(mesh: Mesh) -> Mesh:
    whole = of_unit_size(mesh)
    c = whole.corners
    normal = np.abs(face_normals(c))
    u, v = (np.array(axes)[normal.argmax(1)] for axes in ((2, 0, 0), (1, 2, 1)))  # seen along x, y, z
    rows = np.arange(len(c))
    uv = np.stack([c[rows, :, u], c[rows, :, v]], axis=-1)
    return whole._replace(albedo=np.ones_like(c), uv=uv, texture=np.zeros(len(c), np.int64))
