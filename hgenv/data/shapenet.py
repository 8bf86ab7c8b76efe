"""Reader of textured models in the layout of ShapeNetCore, versions 1 and 2, with the materials of their MTL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from hgenv.scene import Mesh, joined, of_unit_size

_V1, _V2 = "model.obj", "models/model_normalized.obj"


@dataclass(frozen=True, eq=False)
class Model:
    """A mesh, its bounding box centred and its diagonal 1, y up, and the textures that it refers to, (h, w, 3) RGB."""

    mesh: Mesh
    textures: list[NDArray[np.uint8]]


def find_models(root: str | Path) -> list[Path]:
    """The OBJ files ROOT/SYNSET/MODEL/model.obj, or .../models/model_normalized.obj where there is none, sorted.

    Raises FileNotFoundError if there is none.
    """
    folder = Path(root)
    candidates = [next((d / v for v in (_V1, _V2) if (d / v).is_file()), None) for d in sorted(folder.glob("*/*"))]
    found = [path for path in candidates if path is not None]
    if not found:
        raise FileNotFoundError(
            f"no model in {folder}: expected SYNSET/MODEL/{_V1} or SYNSET/MODEL/{_V2}, as shapenet.org has them"
        )
    return found


def load_model(path: Path) -> Model:
    """One model: faces without a texture have their material's diffuse colour.

    Raises FileNotFoundError for a material or texture that is named but not there, ValueError for what is not a mesh.
    """
    _check_files(path)
    textures: list[NDArray[np.uint8]] = []
    try:
        resolver = trimesh.resolvers.FilePathResolver(str(path), allow_anywhere=True)  # version 2 has ../images
        scene = trimesh.load_scene(path, process=False, group_material=True, resolver=resolver)
        parts = [part for part in scene.geometry.values() if isinstance(part, trimesh.Trimesh) and len(part.faces)]
        meshes = [_part(part, textures) for part in parts]
    except Exception as error:  # trimesh and Pillow raise many types on damaged files
        raise ValueError(f"{path} is not an OBJ mesh with readable textures: {error}") from error
    if not parts:
        raise ValueError(f"{path} has no faces")
    whole = joined(meshes)
    points = whole.corners.reshape(-1, 3)
    if not (np.isfinite(points).all() and np.isfinite(whole.uv).all() and np.ptp(points, axis=0).any()):
        raise ValueError(f"{path} has vertices that are not finite, or all the same")
    return Model(of_unit_size(whole), textures)


def _check_files(path: Path) -> None:
    """Every material and diffuse texture that is named must be there: a mesh would load without them, in white."""
    for material in _named(path, "mtllib"):
        for texture in _named(material, "map_Kd"):
            if not texture.is_file():
                raise FileNotFoundError(f"no file {texture}, which {material} names")


def _named(path: Path, keyword: str) -> list[Path]:
    """The files that lines of a keyword name, relative to the file's folder. Options before a texture are skipped."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    lines = path.read_text(errors="replace").splitlines()
    return [path.parent / line.split()[-1] for line in lines if line.strip().startswith(keyword + " ")]


def _part(part: trimesh.Trimesh, textures: list[NDArray[np.uint8]]) -> Mesh:
    """One material's faces; its texture is appended to `textures`."""
    corners, count = np.array(part.triangles, np.float64), len(part.faces)
    material = getattr(part.visual, "material", None)
    uv = getattr(part.visual, "uv", None)
    picture = getattr(material, "image", None)
    if uv is not None and picture is not None:
        textures.append(np.ascontiguousarray(np.asarray(picture.convert("RGB"), np.uint8)))
        mapped, index, albedo = np.asarray(uv, np.float64)[part.faces], len(textures) - 1, np.ones(3)
    else:
        mapped, index = np.zeros((count, 3, 2)), -1
        albedo = np.asarray(getattr(material, "main_color", (150, 150, 150, 255)), np.float64)[:3] / 255.0
    # Creases of real models are sharp: flat faces, of which scans have enough.
    colours = np.broadcast_to(albedo, corners.shape).copy()
    return Mesh(corners, np.zeros_like(corners), colours, mapped, np.full(count, index))
