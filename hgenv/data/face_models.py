"""Readers of morphable face models: the ICT Face Kit, light and whole, and the Basel Face Model. Nothing is unpickled.

All become a FaceModel whose head is 2 units high about the origin, with geometry and texture in standard deviations.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.data import hdf5
from hgenv.data.matlab import Variable, read_variables
from hgenv.data.wavefront import read_obj, read_vertices
from hgenv.files import read_arrays
from hgenv.scenes.faces import COMPONENTS, FaceModel, head_frame

Array = NDArray[np.float64]
ICT_FILE = "ict_face_light.npz"
ICT_NEUTRAL = "generic_neutral_mesh.obj"
BASEL_FILES = ("BFM.mat", "01_MorphableModel.mat")
BASEL_H5 = "model201*.h5"
EXPECTED = (
    f"expected {ICT_FILE} (ICT Face Kit Light), FaceXModel/{ICT_NEUTRAL} with identity000.obj ... and an OBJ an "
    f"expression (github.com/ICT-VGL/ICT-FaceKit), or {BASEL_FILES[1]}, face3d's {BASEL_FILES[0]} or {BASEL_H5} (Basel "
    "Face Model 2009, 2017, 2019)"
)
MARKERS = (ICT_FILE, f"FaceXModel/{ICT_NEUTRAL}", ICT_NEUTRAL, *BASEL_FILES, BASEL_H5)
"""Files, relative to a model's folder, that say that it is there."""
_ICT_VERTICES = 11_248  # face, head and neck come first
_ICT_HEAD = 0.67  # share of the height, from the top, that is head
_IDENTITIES, _EXPRESSIONS = 100, 57
_MOST_ICT = 2**26  # bytes; in doubles it would have 43 MB
_MOST_BASEL = 570_000_000  # bytes; the release has 257 MB, one of doubles with expressions 550
_BASEL = {"shapeMU", "shapePC", "shapeEV", "texMU", "texPC", "texEV", "expMU", "expPC", "expEV", "tl", "tri", "model"}


def load_face_model(folder: str | Path) -> FaceModel:
    """The model in a folder, by the files that it has. Raises FileNotFoundError or ValueError."""
    root = Path(folder)
    if (root / ICT_FILE).is_file():
        return load_ict(root)
    for place in (root / "FaceXModel", root):
        if (place / ICT_NEUTRAL).is_file():
            return load_ict_objs(place)
    for name in BASEL_FILES:
        if (root / name).is_file():
            return load_basel(root / name)
    if files := sorted(root.glob(BASEL_H5)):
        return load_basel(files[0])
    raise FileNotFoundError(f"no face model in {root}: {EXPECTED}")


# -- ICT Face Kit


def load_ict(folder: str | Path) -> FaceModel:
    """The ICT Face Kit Light (MIT licence): 11,248 vertices, 100 identities, 57 expressions, no texture.

    The coefficients of its expressions lie in 0..1, those of its identities are N(0, 1), one deviation each. Skin is
    grey, with components of brightness only. Raises FileNotFoundError, or ValueError that says what does not fit.
    """
    path = Path(folder) / ICT_FILE
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    content = read_arrays(path, _MOST_ICT)
    if missing := {"mean", "faces", "identity", "expression"} - content.keys():
        raise ValueError(f"{path} is not the ICT Face Kit Light: it lacks {', '.join(sorted(missing))}")
    vertices = len(np.atleast_1d(content["mean"]))
    for name, wanted in {
        "mean": (vertices, 3),
        "identity": (_IDENTITIES, vertices, 3),
        "expression": (_EXPRESSIONS, vertices, 3),
    }.items():
        if content[name].shape != wanted or content[name].dtype.kind != "f" or not np.isfinite(content[name]).all():
            raise ValueError(f"{path}: {name} must be finite, of shape {wanted}, got {content[name].shape}")
    return _ict(path, *(content[name] for name in ("mean", "faces", "identity", "expression")))


def load_ict_objs(folder: Path) -> FaceModel:
    """The ICT Face Kit as it is published: one OBJ for the neutral head, each identity and each expression.

    Raises FileNotFoundError, or ValueError for meshes that do not correspond.
    """
    shape = read_obj(folder / ICT_NEUTRAL)
    neutral, faces = shape.vertices, shape.faces
    identities = sorted(folder.glob("identity*.obj"))
    others = sorted({*folder.glob("*.obj")} - {*identities, folder / ICT_NEUTRAL})
    if len(identities) < COMPONENTS or len(others) < COMPONENTS:
        raise FileNotFoundError(
            f"{folder} has {len(identities)} identities and {len(others)} expressions, fewer than {COMPONENTS}: "
            f"{EXPECTED}"
        )
    parts = []
    for paths in (identities, others):
        moved = [read_vertices(path) for path in paths]
        for path, vertices in zip(paths, moved, strict=True):
            if vertices.shape != neutral.shape:
                raise ValueError(f"{path} has {len(vertices)} vertices, {ICT_NEUTRAL} {len(neutral)}")
        parts.append(np.stack(moved)[:, :_ICT_VERTICES] - neutral[:_ICT_VERTICES])
    inside = (faces < _ICT_VERTICES).all(1)
    return _ict(folder / ICT_NEUTRAL, neutral[:_ICT_VERTICES], faces[inside], *parts)


def _ict(path: Path, mean: Array, faces: NDArray, identity: Array, expression: Array) -> FaceModel:
    faces = checked_faces(path, faces, len(mean))
    mean = checked_head(path, mean.astype(np.float64))
    middle, scale = head_frame(mean, _ICT_HEAD)
    grey = np.full(mean.shape, 0.6)
    texture = np.zeros((COMPONENTS, *mean.shape))
    texture[0] = 0.1
    geometry, expressions = (scale * part.astype(np.float64) for part in (identity, expression))
    return FaceModel(scale * (mean - middle), faces, geometry, expressions, grey, texture, bounded=True)


def checked_head(path: Path, vertices: Array) -> Array:
    """The vertices (v, 3), which must be finite and of some height. Raises ValueError for others."""
    with np.errstate(over="ignore", invalid="ignore"):
        extent = np.ptp(vertices, axis=0) if len(vertices) else np.zeros(3)
    if not np.isfinite(extent).all() or not extent[1] > 0:
        raise ValueError(f"{path} must have finite vertices of some height")
    return vertices


def checked_faces(path: Path, faces: NDArray, vertices: int) -> NDArray[np.int64]:
    """Faces (f, 3) as indices of vertices, from 0. Raises ValueError for others."""
    whole = faces.ndim == 2 and faces.shape[1] == 3 and len(faces) > 0 and faces.dtype.kind in "iu"
    if not whole or faces.min() < 0 or faces.max() >= vertices:
        raise ValueError(f"{path}: faces must be (f, 3) indices of its {vertices} vertices")
    return faces.astype(np.int64)


# -- Basel Face Model


def load_basel(path: Path) -> FaceModel:
    """The Basel Face Model: 2009, of 01_MorphableModel.mat, or with expressions of face3d's BFM.mat; 2017 and 2019, of
    their .h5.

    Components are multiplied by their standard deviations. Without expressions those components move nothing. Raises
    FileNotFoundError, or ValueError that names the variable.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    if path.suffix == ".h5":
        return _basel(path, _statismo(path))
    content = read_variables(path, _BASEL, _MOST_BASEL)
    fields = content.get("model", content)
    if not isinstance(fields, dict):
        raise ValueError(f"{path}: model must be a struct, got numbers")
    return _basel(path, fields)


_STATISMO = {
    f"{kind}{short}": f"{group}/model/{long}"
    for kind, group in (("shape", "shape"), ("tex", "color"), ("exp", "expression"))
    for short, long in (("MU", "mean"), ("PC", "pcaBasis"), ("EV", "pcaVariance"))
}


def _statismo(path: Path) -> dict[str, Variable]:
    """The variables of the release of 2009, as those of 2017 and 2019 have them in the format of Statismo: variances
    for deviations, colours in [0, 1], triangles from 0."""
    with hdf5.open_hdf5(path) as file:
        found = {name: _of_hdf5(path, file, place) for name, place in _STATISMO.items()}
        found["tri"] = _of_hdf5(path, file, "shape/representer/cells") + 1.0
    for name in ("shapeEV", "texEV", "expEV"):
        if (found[name] < 0).any():
            raise ValueError(f"{path}: {_STATISMO[name]} has negative variances")
        found[name] = np.sqrt(found[name])
    return {**found, "texMU": 255.0 * found["texMU"], "texEV": 255.0 * found["texEV"]}


def _of_hdf5(path: Path, file: Any, place: str) -> Array:
    array = hdf5.dataset(file, place)
    if array is None or array.dtype.kind not in "fiu":
        raise ValueError(f"{path} has no numbers {place}: {EXPECTED}")
    return np.asarray(hdf5.read(array), np.float64)


def _basel(path: Path, fields: Mapping[str, Variable]) -> FaceModel:
    """The variables of the release of 2009: shape in any unit, texture 0..255, triangles from 1."""
    mean = _numbers(path, fields, "shapeMU").reshape(-1)
    if len(mean) % 3 or not len(mean):
        raise ValueError(f"{path}: shapeMU must hold x, y, z of every vertex, got {len(mean)} numbers")
    albedo = _numbers(path, fields, "texMU").reshape(-1) / 255.0
    geometry = _components(path, fields, "shape", len(mean))
    texture = _components(path, fields, "tex", len(mean)) / 255.0
    if "expPC" in fields:
        expression = _components(path, fields, "exp", len(mean))
        offset = _numbers(path, fields, "expMU").reshape(-1) if "expMU" in fields else np.zeros(len(mean))
        if offset.shape != mean.shape:
            raise ValueError(f"{path}: expMU has {len(offset)} numbers, shapeMU {len(mean)}")
        mean = mean + offset
    else:
        expression = np.zeros((COMPONENTS, len(mean)))
    triangles = _numbers(path, fields, "tl" if "tl" in fields else "tri") - 1.0
    if triangles.ndim == 2 and triangles.shape[0] == 3 != triangles.shape[1]:  # as face3d has them
        triangles = triangles.T
    if (triangles % 1.0).any() or not (np.abs(triangles) < 2**31).all():
        raise ValueError(f"{path}: triangles must be whole numbers")
    if albedo.shape != mean.shape:
        raise ValueError(f"{path}: texMU has {len(albedo)} numbers, shapeMU {len(mean)}")
    vertices = checked_head(path, mean.reshape(-1, 3))
    middle, scale = head_frame(vertices, 1.0)
    apart = [part.reshape(len(part), -1, 3) for part in (scale * geometry, scale * expression, texture)]
    faces = checked_faces(path, triangles.astype(np.int64), len(vertices))
    return FaceModel(scale * (vertices - middle), faces, apart[0], apart[1], albedo.reshape(-1, 3), apart[2])


def _numbers(path: Path, fields: Mapping[str, Variable], name: str, shape: tuple[int, int] | None = None) -> Array:
    """A variable, which must be finite and of the shape if that is given."""
    found = fields.get(name)
    if found is None:
        raise ValueError(f"{path} has no variable {name}: {EXPECTED}")
    if isinstance(found, dict) or not np.isfinite(found).all():
        raise ValueError(f"{path}: {name} must be finite numbers")
    if shape is not None and found.shape != shape:
        raise ValueError(f"{path}: {name} must be {shape[0]} x {shape[1]}, got {found.shape}")
    return found.astype(np.float64, copy=False)


def _components(path: Path, fields: Mapping[str, Variable], kind: str, length: int) -> Array:
    """Components of one standard deviation each, (k, 3 v)."""
    deviations = _numbers(path, fields, f"{kind}EV").reshape(-1)
    if len(deviations) < COMPONENTS:
        raise ValueError(f"{path}: {kind}EV has {len(deviations)} numbers, at least {COMPONENTS} are needed")
    with np.errstate(over="ignore"):
        found = _numbers(path, fields, f"{kind}PC", (length, len(deviations))) * deviations
    if not np.isfinite(found).all():
        raise ValueError(f"{path}: {kind}PC times {kind}EV must be finite")
    return found.T
