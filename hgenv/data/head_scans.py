"""Readers of textured head scans: two that are free, and the layout of the Basel scans with a table of views."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Split
from hgenv.data.face_models import checked_faces, checked_head
from hgenv.data.picture import load_picture
from hgenv.data.reading import content
from hgenv.data.wavefront import read_obj
from hgenv.render.mesh import Mesh, plain_mesh, vertex_normals
from hgenv.scenes.faces import head_frame

Array = NDArray[np.float64]
# Folder, mesh and picture of each split's scan, and which share of its height, from the top, is head.
SCANS: dict[Split, tuple[str, str, str, float]] = {
    "validation": ("james", "james.obj", "james.jpg", 0.85),
    "test": ("LeePerrySmith", "LeePerrySmith.obj", "color.jpg", 0.6),
}
TABLE = "views.csv"
MOST_BYTES = 2**24
"""Of a PLY file, which takes fifty times its size to read."""
_ELEMENTS = re.compile(rb"^element (vertex|face) (\d{1,18})\s*$", re.MULTILINE)
FOCALS = (0.8, 20.0)
"""Focal lengths in heights of a picture that a table may have: nearer, the camera would be inside the head."""
COLUMNS = ("light_x", "light_y", "light_z", "yaw", "pitch", "roll", "focal")
EXPECTED = (
    f"expected james/ and LeePerrySmith/ with an OBJ and a picture each, or *.ply in correspondence with {TABLE}, "
    f"whose columns are {', '.join(COLUMNS)}"
)


@dataclass(frozen=True, eq=False)
class Scan:
    """A head scan: a mesh centred on the head, which is about 2 units high, and its texture (h, w, 3) RGB, if any."""

    mesh: Mesh
    texture: NDArray[np.uint8] | None


class HeadView(NamedTuple):
    """light (3,), a unit vector toward it in the camera's axes; pose (3,): yaw, pitch, roll in radians; focal length in
    heights of a picture."""

    light: Array
    pose: Array
    focal: float


def load_scan(folder: str | Path, split: Split) -> Scan:
    """The scan of a split, SCANS: FOLDER/NAME/NAME.obj and its picture. Raises FileNotFoundError or ValueError."""
    name, obj, picture, share = SCANS[split]
    paths = [Path(folder) / name / file for file in (obj, picture)]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    shape = read_obj(paths[0])
    vertices, faces, uv = checked_head(paths[0], shape.vertices), shape.faces, shape.uv
    if not np.isfinite(uv).all():
        raise ValueError(f"{paths[0]} must have texture coordinates at all corners")
    middle, scale = head_frame(vertices, share)
    vertices = scale * (vertices - middle)
    corners, count = vertices[faces], len(faces)
    # Vertices stand twice where the texture has a seam; their normals are one.
    places, which = np.unique(vertices, axis=0, return_inverse=True)
    merged = which.reshape(-1)[faces]
    normals = vertex_normals(places, merged)[merged]
    mesh = Mesh(corners, normals, np.ones((count, 3, 3)), uv, np.zeros(count, np.int64))
    return Scan(mesh, load_picture(paths[1]))


def load_table(folder: str | Path) -> list[HeadView]:
    """The rows of views.csv. The light need not be a unit vector. Raises FileNotFoundError or ValueError."""
    path = Path(folder) / TABLE
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            numbers = np.array([[float(row[name]) for name in COLUMNS] for row in csv.DictReader(file)])
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path} must have numbers in the columns {', '.join(COLUMNS)}: {error!r}") from error
    if not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError(f"{path} has no rows, or numbers that are not finite")
    lights, poses, focals = numbers[:, :3], numbers[:, 3:6], numbers[:, 6]
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(lights, axis=1)
    if not ((lengths > 0) & np.isfinite(lengths)).all() or not (np.abs(poses) <= 2 * np.pi).all():
        raise ValueError(f"{path}: lights must be neither 0 nor endless, and angles are in radians")
    if not ((focals >= FOCALS[0]) & (focals <= FOCALS[1])).all():
        raise ValueError(f"{path}: focal lengths are in heights of a picture, within {FOCALS}")
    rows = zip(lights / lengths[:, None], poses, focals, strict=True)
    return [HeadView(light, pose, float(focal)) for light, pose, focal in rows]


def find_plys(folder: str | Path) -> dict[Split, list[Path]]:
    """The identities, sorted by name: the first half is for the validation, the second for the test."""
    paths = sorted(Path(folder).glob("*.ply"))
    if len(paths) < 2:
        raise FileNotFoundError(f"{folder} has {len(paths)} files *.ply, at least 2 are needed: {EXPECTED}")
    return {"validation": paths[: len(paths) // 2], "test": paths[len(paths) // 2 :]}


def load_ply(path: Path) -> Scan:
    """A head scan with colours of its vertices, or grey without; y up, looking along z. Raises ValueError."""
    import trimesh  # slow to import

    read: Any
    raw = content(path, MOST_BYTES)
    counts = {name.decode(): int(count) for name, count in _ELEMENTS.findall(raw.partition(b"end_header")[0])}
    try:
        read = trimesh.load(io.BytesIO(raw), process=False, force="mesh", file_type="ply")
        vertices, faces = np.array(read.vertices, np.float64), np.array(read.faces, np.int64)
        coloured = read.visual.kind == "vertex"
        colours = np.array(read.visual.vertex_colors, np.float64)[:, :3] / 255.0 if coloured else None
    except Exception as error:  # trimesh raises many types on damaged files
        raise ValueError(f"{path} is not a PLY mesh: {error}") from error
    if len(vertices) != counts.get("vertex") or len(faces) < counts.get("face", 0):  # more, where polygons are cut
        raise ValueError(f"{path} has {len(vertices)} vertices and {len(faces)} faces, but says {counts}")
    vertices, faces = checked_head(path, vertices), checked_faces(path, faces, len(vertices))
    middle, scale = head_frame(vertices, 1.0)
    grey = np.full(vertices.shape, 0.6)
    return Scan(plain_mesh(scale * (vertices - middle), faces, grey if colours is None else colours), None)
