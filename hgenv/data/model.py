"""Textured models: OBJ meshes with the looks of their materials, for all datasets that come as such."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgenv.cache import say_once
from hgenv.data.materials import GREY, MOST_MATERIALS, Material, read_mtl
from hgenv.data.picture import load_picture
from hgenv.data.reading import bounded
from hgenv.data.statements import note, plain, told
from hgenv.data.wavefront import Shape, read_obj
from hgenv.render.mesh import Mesh

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Look = Array | Path
"""What a material looks like: a colour (3,) in [0, 1], or a picture's file."""
MOST_TEXELS = 2**26
"""Of a model's textures together."""


@dataclass(frozen=True, eq=False)
class Model:
    """A mesh, and the textures that it refers to, (h, w, 3) RGB."""

    mesh: Mesh
    textures: list[Pixels]


def load_obj(
    path: Path,
    looks: Mapping[str, Look] | None = None,
    largest: int | None = None,
    materials: bool = True,
    inside: Sequence[Path] | None = None,
    called: str = "",
) -> Model:
    """One model, flat-shaded: faces without a texture, or without texture coordinates, have their material's diffuse
    colour, those whose material is not defined are grey. Colours of vertices, if there are any, multiply them, and
    stand in grey's place. All are taken as they stand, as the numbers of pictures are: no curve is undone.

    looks replace those of materials by name. largest: textures are shrunk to this side in pixels. materials=False
    reads the shape only. inside: folders of which one must hold every file that the model names. What is ignored of a
    model is said once, in a line that has `called` for its path.
    Raises FileNotFoundError for a library of materials or a texture that is named but not there, ValueError for what
    is not a mesh, lies outside or is too large.
    """
    shape = read_obj(path)
    corners = shape.vertices[shape.faces]
    with np.errstate(over="ignore", under="ignore"):
        diagonal = np.linalg.norm(np.ptp(corners.reshape(-1, 3), axis=0))
    if not 0 < diagonal < np.inf:
        raise ValueError(f"{path} has vertices that are all the same, or too far apart")
    mesh = Mesh(
        corners, np.zeros_like(corners), np.broadcast_to(GREY, corners.shape).copy(), np.nan_to_num(shape.uv),
        np.full(len(corners), -1),
    )  # fmt: skip
    model, ignored = Model(mesh, []), Counter(shape.ignored)
    if materials:
        found = _looks(path, shape, looks or {}, inside, ignored)
        model = _painted(path, mesh, shape, found, largest)
    if ignored:
        say_once(f"{called or path}: ignored: {told(ignored)}")
    return model


def _painted(path: Path, mesh: Mesh, shape: Shape, looks: list[tuple[Look, Array]], largest: int | None) -> Model:
    """The mesh in the looks and colours of its materials, those without one in the last, and with its textures."""
    colours = np.array([colour if isinstance(look, Path) else look for look, colour in looks])
    pictured = np.array([isinstance(look, Path) for look, _ in looks])
    textured = pictured[shape.material] & np.isfinite(shape.uv).all((1, 2))
    colours, number = colours[shape.material], np.full(len(looks), -1)
    colours[textured] = 1.0
    files: dict[str, int] = {}
    pictures: list[Pixels] = []
    for i in np.unique(shape.material[textured]):
        look = looks[i][0]
        assert isinstance(look, Path)
        if (file := os.path.realpath(look)) not in files:
            files[file] = len(pictures)
            pictures.append(load_picture(look, largest))
            if (texels := sum(picture.size // 3 for picture in pictures)) > MOST_TEXELS:
                raise ValueError(f"{path} has textures of {texels:,} texels, more than {MOST_TEXELS:,}")
        number[i] = files[file]
    albedo = np.repeat(colours[:, None], 3, axis=1)
    if shape.colours is not None:
        albedo *= shape.colours[shape.faces]
    return Model(mesh._replace(albedo=albedo, texture=np.where(textured, number[shape.material], -1)), pictures)


def _looks(
    path: Path, shape: Shape, looks: Mapping[str, Look], inside: Sequence[Path] | None, ignored: Counter[str]
) -> list[tuple[Look, Array]]:
    """Look and diffuse colour of every material of the shape, then of what has none."""
    defined = _defined(path, shape, looks, inside, ignored)
    spelled = _spelled(defined)
    default = Material() if shape.colours is None else Material(np.ones(3))
    found: list[tuple[Look, Array]] = []
    for name in shape.materials:
        known = name if name in defined else spelled.get(plain(name))
        material = default if known is None else defined[known]
        if known is None and name not in looks:
            note(ignored, f"material {name[:60]!r}, which is not defined")
        look = looks.get(name, material.look)
        found.append((allowed(look, inside, path) if isinstance(look, Path) else look, material.colour))
    return [*found, (default.colour, default.colour)]


def _spelled(names: Iterable[str]) -> dict[str, str | None]:
    """Names by how they read without quotes and comments; None where that is not clear."""
    found: dict[str, str | None] = {}
    for name in names:
        found[plain(name)] = None if plain(name) in found else name
    return found


def _defined(
    path: Path, shape: Shape, looks: Mapping[str, Look], inside: Sequence[Path] | None, ignored: Counter[str]
) -> dict[str, Material]:
    """All materials of the model's libraries. Textures that looks do not replace must be there."""
    found: dict[str, Material] = {}
    for library in shape.libraries:
        if not os.path.isfile(library):
            raise FileNotFoundError(f"no file {library}, which {path} names")
        materials, of_library = read_mtl(allowed(library, inside, path))
        found |= materials
        bounded(len(found), MOST_MATERIALS, f"materials in the libraries of {path}")
        for what, times in of_library.items():
            note(ignored, what, times)
    for name, material in found.items():
        if material.picture is not None and name not in looks and not os.path.isfile(material.picture):
            raise FileNotFoundError(f"no file {material.picture}, which material {name!r} of {path} names")
    return found


def allowed(file: Path, inside: Sequence[Path] | None, path: Path) -> Path:
    """A file that path names. Raises ValueError if it, or what it is a link to, lies in none of the folders."""
    real = os.path.realpath(file)
    if inside is None or any(Path(real).is_relative_to(os.path.realpath(folder)) for folder in inside):
        return file
    raise ValueError(f"{path} names {file}, which lies outside of {' and '.join(str(folder) for folder in inside)}")
