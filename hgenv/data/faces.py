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
from hgenv.render.raster import Mesh, vertex_normals

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

    The coefficients of its expressions lie in 0..1, those of its identities are N(0, 1). Skin is grey, with components
    of brightness only. Raises FileNotFoundError, or ValueError that says what does not fit.
    """
    path = Path(folder) / ICT_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected {ICT_FILE} of the ICT Face Kit Light")
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            content = {name: np.asarray(file[name]) for name in ("mean", "faces", "identity", "expression")}
    except Exception as error:  # zipfile and numpy raise many types on damaged files
        raise ValueError(f"{path} is not the ICT Face Kit Light: {error}") from error
    vertices = len(content["mean"])
    for name, wanted in {
        "mean": (vertices, 3),
        "identity": (100, vertices, 3),
        "expression": (57, vertices, 3),
    }.items():
        if content[name].shape != wanted:
            raise ValueError(f"{path}: {name} must have shape {wanted}, got {content[name].shape}")
    faces = content["faces"].astype(np.int64)
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.min() < 0 or faces.max() >= vertices:
        raise ValueError(f"{path}: faces must be (f, 3) indices of vertices")
    mean = content["mean"].astype(np.float64)
    middle, scale = head_frame(mean, _ICT_HEAD)
    grey = np.full((vertices, 3), 0.6)
    brightness = np.broadcast_to(np.array([[0.1, 0.1, 0.1]]), (vertices, 3))[None]
    texture = np.concatenate([brightness, np.zeros((9, vertices, 3))])
    identity, expression = (scale * content[name].astype(np.float64) for name in ("identity", "expression"))
    return FaceModel(scale * (mean - middle), faces, identity, expression, grey, texture)


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
        mesh: Any = trimesh.load(paths[0], process=False, force="mesh", skip_materials=True)
        vertices, faces, uv = np.array(mesh.vertices), np.array(mesh.faces), np.array(mesh.visual.uv)
    except Exception as error:  # trimesh raises many types on damaged files
        raise ValueError(f"{paths[0]} is not a textured OBJ mesh: {error}") from error
    if uv.shape != (len(vertices), 2) or not np.isfinite(vertices).all():
        raise ValueError(f"{paths[0]} must have finite vertices with texture coordinates")
    image = cv2.imread(str(paths[1]), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{paths[1]} is not a picture")
    middle, scale = head_frame(vertices, share)
    vertices = scale * (vertices - middle)
    corners, count = vertices[faces], len(faces)
    normals = vertex_normals(vertices, faces)[faces]
    whole = Mesh(corners, normals, np.ones((count, 3, 3)), uv[faces], np.zeros(count, np.int64))
    return Scan(whole, np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)))
