"""Readers of morphable models and of head scans. Nothing is unpickled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from hgenv.faces import FaceModel, head_frame
from hgenv.scene import Mesh, vertex_normals

Array = NDArray[np.float64]
ICT_FILE = "ict_face_light.npz"
# Folder, mesh and picture of each split's scan, and which share of its height, from the top, is head.
SCANS = {
    "validation": ("james", "james.obj", "james.jpg", 0.85),
    "test": ("LeePerrySmith", "LeePerrySmith.obj", "color.jpg", 0.6),
}
_ICT_HEAD = 0.67


def load_ict(folder: str | Path) -> FaceModel:
    """The ICT Face Kit Light (MIT licence): 11,248 vertices, 100 identities, 57 expressions, no texture.

    The coefficients of its expressions lie in 0..1, those of its identities are N(0, 1), one deviation each. Skin is
    grey, with components of brightness only. Raises FileNotFoundError, or ValueError that says what does not fit.
    """
    path = Path(folder) / ICT_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {path}: expected {ICT_FILE} of the ICT Face Kit Light (github.com/ICT-VGL/ICT-FaceKit)"
        )
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            content = {name: np.asarray(file[name]) for name in ("mean", "faces", "identity", "expression")}
    except Exception as error:  # zipfile and numpy raise many types on damaged files
        raise ValueError(f"{path} is not the ICT Face Kit Light: {error}") from error
    vertices = len(np.atleast_1d(content["mean"]))
    for name, wanted in {
        "mean": (vertices, 3),
        "identity": (100, vertices, 3),
        "expression": (57, vertices, 3),
    }.items():
        if content[name].shape != wanted or content[name].dtype.kind != "f" or not np.isfinite(content[name]).all():
            raise ValueError(f"{path}: {name} must be finite, of shape {wanted}, got {content[name].shape}")
    faces = content["faces"]
    whole = faces.ndim == 2 and faces.shape[1] == 3 and len(faces) > 0 and faces.dtype.kind in "iu"
    if not whole or faces.min() < 0 or faces.max() >= vertices:
        raise ValueError(f"{path}: faces must be (f, 3) indices of vertices")
    mean = content["mean"].astype(np.float64)
    middle, scale = head_frame(mean, _ICT_HEAD)
    grey = np.full((vertices, 3), 0.6)
    brightness = np.broadcast_to(np.array([[0.1, 0.1, 0.1]]), (vertices, 3))[None]
    texture = np.concatenate([brightness, np.zeros((9, vertices, 3))])
    identity, expression = (scale * content[name].astype(np.float64) for name in ("identity", "expression"))
    return FaceModel(scale * (mean - middle), faces.astype(np.int64), identity, expression, grey, texture, bounded=True)


@dataclass(frozen=True, eq=False)
class Scan:
    """A textured head scan: a mesh centred on the head, which is about 2 units high, and its texture (h, w, 3) RGB."""

    mesh: Mesh
    texture: NDArray[np.uint8]


def load_scan(folder: str | Path, split: str) -> Scan:
    """The scan of a split, SCANS: FOLDER/NAME/NAME.obj and its picture. Raises FileNotFoundError or ValueError."""
    name, obj, picture, share = SCANS[split]
    paths = [Path(folder) / name / file for file in (obj, picture)]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}: expected {name}/{obj} and {name}/{picture} in {folder}")
    try:
        read: Any = trimesh.load(paths[0], process=False, force="mesh", skip_materials=True)
        vertices, faces, uv = np.array(read.vertices), np.array(read.faces), np.array(read.visual.uv)
    except Exception as error:  # trimesh raises many types on damaged files
        raise ValueError(f"{paths[0]} is not a textured OBJ mesh: {error}") from error
    whole = uv.shape == (len(vertices), 2) and np.isfinite(vertices).all() and np.isfinite(uv).all()
    if not whole or np.ptp(vertices[:, 1]) == 0:
        raise ValueError(f"{paths[0]} must have finite vertices, of some height, with texture coordinates")
    image = cv2.imread(str(paths[1]), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{paths[1]} is not a picture")
    middle, scale = head_frame(vertices, share)
    vertices = scale * (vertices - middle)
    corners, count = vertices[faces], len(faces)
    # Vertices stand twice where the texture has a seam; their normals are one.
    places, which = np.unique(vertices, axis=0, return_inverse=True)
    merged = which.reshape(-1)[faces]
    normals = vertex_normals(places, merged)[merged]
    mesh = Mesh(corners, normals, np.ones((count, 3, 3)), uv[faces], np.zeros(count, np.int64))
    return Scan(mesh, np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)))
