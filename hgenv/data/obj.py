"""Reader of OBJ meshes with the materials of their MTL files, for all datasets that come as such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from hgenv.scene import Mesh, joined

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Look = Array | Path
"""What a material looks like: a colour (3,) in [0, 1], or a picture's file."""


@dataclass(frozen=True, eq=False)
class Model:
    """A mesh, and the textures that it refers to, (h, w, 3) RGB."""

    mesh: Mesh
    textures: list[Pixels]


def load_obj(
    path: Path, looks: Mapping[str, Look] | None = None, largest: int | None = None, materials: bool = True
) -> Model:
    """One model, flat-shaded: faces without a texture have their material's diffuse colour.

    looks replace those of materials by name. largest: textures are shrunk to this side in pixels. materials=False
    reads the shape only.
    Raises FileNotFoundError for a material or texture that is named but not there, ValueError for what is not a mesh.
    """
    _check_files(path, materials)
    textures: list[Pixels] = []
    try:
        resolver = trimesh.resolvers.FilePathResolver(str(path), allow_anywhere=True)  # pictures are in ../.. too
        scene = trimesh.load_scene(
            path, process=False, group_material=True, resolver=resolver, skip_materials=not materials
        )
        parts = [part for part in scene.geometry.values() if isinstance(part, trimesh.Trimesh) and len(part.faces)]
        meshes = [_part(part, textures if materials else None, looks or {}, largest) for part in parts]
    except FileNotFoundError:
        raise
    except Exception as error:  # trimesh and Pillow raise many types on damaged files
        raise ValueError(f"{path} is not an OBJ mesh with readable textures: {error}") from error
    if not parts:
        raise ValueError(f"{path} has no faces")
    whole = joined(meshes)
    points = whole.corners.reshape(-1, 3)
    if not (np.isfinite(points).all() and np.isfinite(whole.uv).all() and np.ptp(points, axis=0).any()):
        raise ValueError(f"{path} has vertices that are not finite, or all the same")
    return Model(whole, textures)


def load_picture(path: Path, largest: int | None = None) -> Pixels:
    """A picture as (h, w, 3) RGB. Raises FileNotFoundError or ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} is not a picture")
    return shrunk(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), largest)


def shrunk(picture: Pixels, largest: int | None) -> Pixels:
    """The picture with no side longer than `largest` pixels, by averaging: the renderer has no mip-maps."""
    scale = 1.0 if largest is None else min(1.0, largest / max(picture.shape[:2]))
    if scale < 1.0:
        size = [max(1, round(scale * side)) for side in picture.shape[1::-1]]
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(picture)


def _check_files(path: Path, materials: bool) -> None:
    """Every material and diffuse texture that is named must be there: a mesh would load without them, in white."""
    named = _named(path, "mtllib")
    for material in named if materials else ():
        for texture in _named(material, "map_Kd"):
            if not texture.is_file():
                raise FileNotFoundError(f"no file {texture}, which {material} names")


def _named(path: Path, keyword: str) -> list[Path]:
    """The files that lines of a keyword name, relative to the file's folder. Options before a texture are skipped."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    lines = path.read_text(errors="replace").splitlines()
    return [path.parent / line.split()[-1] for line in lines if line.strip().startswith(keyword + " ")]


def _part(part: trimesh.Trimesh, textures: list[Pixels] | None, looks: Mapping[str, Look], largest: int | None) -> Mesh:
    """One material's faces; its texture is appended to `textures`. None: the shape only, in grey."""
    corners, count = np.array(part.triangles, np.float64), len(part.faces)
    material = getattr(part.visual, "material", None) if textures is not None else None
    uv = getattr(part.visual, "uv", None)
    look = looks.get(str(getattr(material, "name", "")))
    picture = getattr(material, "image", None) if look is None else look
    mapped, index = np.zeros((count, 3, 2)), -1
    albedo = np.asarray(getattr(material, "main_color", (150, 150, 150, 255)), np.float64)[:3] / 255.0
    if isinstance(picture, np.ndarray):
        albedo = picture
    elif uv is not None and picture is not None and textures is not None:
        pixels = load_picture(picture) if isinstance(picture, Path) else np.asarray(picture.convert("RGB"), np.uint8)
        textures.append(shrunk(pixels, largest))
        mapped, index, albedo = np.asarray(uv, np.float64)[part.faces], len(textures) - 1, np.ones(3)
    # Creases of real models are sharp: flat faces, of which scans have enough.
    colours = np.broadcast_to(albedo, corners.shape).copy()
    return Mesh(corners, np.zeros_like(corners), colours, mapped, np.full(count, index))
