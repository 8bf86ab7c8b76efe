"""Shapes in files of their own, GLB, PLY, STL and OBJ in a flat folder, beside the layout of ShapeNetCore."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from hgenv.data import shapenet
from hgenv.data.materials import GREY
from hgenv.data.model import MOST_TEXELS, Model, load_obj
from hgenv.data.reading import content
from hgenv.render.mesh import Mesh, joined, of_unit_size

Array = NDArray[np.float64]
SUFFIXES = (".glb", ".ply", ".stl", ".obj")
EXPECTED = f"FOLDER/SYNSET/MODEL/{shapenet.V1} (ShapeNet), or files {', '.join(SUFFIXES)} in FOLDER"
_MOST_BYTES, _MOST_FACES = 2**28, 2_000_000


def find_shapes(root: str | Path) -> list[Path]:
    """The models of a folder, sorted: files in it, or if there are none, models in ShapeNetCore's layout.

    Raises FileNotFoundError if there is none.
    """
    folder = Path(root)
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if found:
        return found
    try:
        return shapenet.find_models(folder)
    except FileNotFoundError:
        raise FileNotFoundError(f"no model in {folder}: expected {EXPECTED}") from None


def load_shape(path: Path, materials: bool = True) -> Model:
    """One model, y up, its bounding box centred and its diagonal 1, flat-shaded.

    Of GLB, base colour and its texture are kept, multiplied with the vertices' colours; of PLY, the vertices' colours;
    an STL is grey. materials=False reads the shape only. Raises FileNotFoundError, or ValueError that names the file.
    """
    if path.suffix.lower() != ".obj":
        model = _load(path, materials)
        return replace(model, mesh=of_unit_size(model.mesh))
    if path.name in (shapenet.V1, Path(shapenet.V2).name):
        return shapenet.load_model(path) if materials else load_obj(path, materials=False)
    model = load_obj(path, materials=materials, inside=[path.parent])
    return replace(model, mesh=of_unit_size(model.mesh))


def _load(path: Path, materials: bool) -> Model:
    data = content(path, _MOST_BYTES)
    if path.suffix.lower() == ".glb":
        _check_not_compressed(path, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Of a file in memory: what it names beside it is not read.
            scene = trimesh.load_scene(io.BytesIO(data), file_type=path.suffix.lower()[1:], process=False)
            parts = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh) and len(part.faces)]
            faces = sum(len(part.faces) for part in parts)
            if faces > _MOST_FACES:
                raise ValueError(f"it has {faces:,} faces, at most {_MOST_FACES:,} are read")
            models = [_part(part, materials) for part in parts]
    except Exception as error:  # trimesh raises many types on damaged files
        raise ValueError(f"{path} is not a mesh that can be read: {type(error).__name__}: {error}") from error
    if not models:
        raise ValueError(f"{path} has no triangles")
    return _checked(path, models)


def _check_not_compressed(path: Path, data: bytes) -> None:
    """trimesh reads what it cannot decompress as nothing but zeros."""
    length = int.from_bytes(data[12:16], "little")
    for name in (b"KHR_draco_mesh_compression", b"EXT_meshopt_compression"):
        if name in data[20 : 20 + length]:
            raise ValueError(f"{path} is compressed by {name.decode()}, which is not read: export it without")


def _checked(path: Path, models: list[Model]) -> Model:
    """The parts as one model."""
    textures, meshes = list[NDArray[np.uint8]](), list[Mesh]()
    for model in models:
        meshes.append(model.mesh._replace(texture=np.where(model.mesh.texture >= 0, len(textures), -1)))
        textures += model.textures
    if (texels := sum(picture.size // 3 for picture in textures)) > MOST_TEXELS:
        raise ValueError(f"{path} has textures of {texels:,} texels, more than {MOST_TEXELS:,}")
    mesh = joined(meshes)
    extent = np.ptp(mesh.corners.reshape(-1, 3), axis=0)
    if not np.isfinite(mesh.corners).all() or not 0 < np.linalg.norm(extent) < 1e30:
        raise ValueError(f"{path} has vertices that are all the same, too far apart, or not finite")
    return Model(mesh, textures)


def _part(part: Any, materials: bool) -> Model:
    """A mesh of trimesh's in its colours."""
    faces, corners = np.asarray(part.faces), np.asarray(part.vertices, np.float64)[part.faces]
    colours, uv, picture = _looks(part, faces) if materials else (np.full((*corners.shape,), GREY), None, None)
    texture = np.full(len(faces), -1 if picture is None or uv is None else 0)
    mesh = Mesh(corners, np.zeros_like(corners), colours, np.zeros((len(faces), 3, 2)) if uv is None else uv, texture)
    return Model(mesh, [] if picture is None or uv is None else [picture])


def _looks(part: Any, faces: NDArray) -> tuple[Array, Array | None, NDArray[np.uint8] | None]:
    """Colours of the corners (f, 3, 3), texture coordinates (f, 3, 2) and the texture, where there are such."""
    visual, shape = part.visual, (len(faces), 3, 3)
    if visual.kind in ("vertex", "face"):
        colours = np.asarray(visual.vertex_colors if visual.kind == "vertex" else visual.face_colors)[:, :3] / 255.0
        return (colours[faces] if visual.kind == "vertex" else np.repeat(colours[:, None], 3, 1)), None, None
    material = getattr(visual, "material", None)
    if material is None:
        return np.full(shape, GREY), None, None
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    factor = getattr(material, "baseColorFactor", None)
    if factor is None and image is None:
        factor = getattr(material, "diffuse", None)
    tint = np.ones(3) if factor is None else np.asarray(factor, np.float64)[:3] / 255.0
    uv = None if visual.uv is None else np.asarray(visual.uv, np.float64)[faces]
    if image is None or uv is None or not np.isfinite(uv).all():
        return np.broadcast_to(tint, shape).copy(), None, None
    return np.broadcast_to(tint, shape).copy(), uv, np.asarray(image.convert("RGB"), np.uint8)
