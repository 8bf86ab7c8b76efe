"""Wavefront OBJ and MTL: shapes, texture coordinates, materials by name. What is damaged is an error with its line.

General loaders pass over materials that they cannot read; a training image must not lose its textures in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Options of a texture statement and how many words follow each; -o, -s and -t take one to three numbers.
_OPTIONS = {"-blendu": 1, "-blendv": 1, "-boost": 1, "-mm": 2, "-texres": 1, "-clamp": 1, "-bm": 1, "-imfchan": 1,
            "-type": 1, "-cc": 1, "-o": 3, "-s": 3, "-t": 3}  # fmt: skip


GREY = np.full(3, 0.6)
"""Of what has no colour."""


class Material(NamedTuple):
    """colour (3,): diffuse, in [0, 1]. picture: the file of its diffuse texture, if it has one."""

    colour: Array = GREY
    picture: Path | None = None

    @property
    def look(self) -> Array | Path:
        """The picture if there is one, else the colour."""
        return self.colour if self.picture is None else self.picture


@dataclass(frozen=True, eq=False)
class Shape:
    """vertices (v, 3); faces (f, 3), polygons cut into fans; uv (f, 3, 2), NaN where a corner has none that exist;
    material (f,): an index of `materials`, or -1; libraries: the MTL files that are named."""

    vertices: Array
    faces: NDArray[np.int64]
    uv: Array
    material: NDArray[np.int64]
    materials: list[str]
    libraries: list[Path]


def read_obj(path: Path) -> Shape:
    """Read a mesh. Raises FileNotFoundError, or ValueError that names the line."""
    vertices: list[list[float]] = []
    uvs: list[list[float]] = []
    corners: list[tuple[int, int]] = []
    rows: list[int] = []
    materials: list[str] = []
    libraries: list[Path] = []
    current = -1
    for number, word, rest in _lines(path):
        try:
            if word == "v":
                vertices.append([float(x) for x in rest.split()[:3]])
            elif word == "vt":
                uvs.append([float(x) for x in rest.split()[:2]])
            elif word == "f":
                polygon = [_corner(text, len(vertices), len(uvs)) for text in rest.split()]
                for i in range(1, len(polygon) - 1):  # of two corners, which some exporters write, there is nothing
                    corners += [polygon[0], polygon[i], polygon[i + 1]]
                    rows.append(current)
            elif word == "usemtl":
                if rest not in materials:
                    materials.append(rest)
                current = materials.index(rest)
            elif word == "mtllib":
                libraries += _library(path, rest)
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path}, line {number}: {word} {rest[:60]!r}: {error}") from error
    if not rows:
        raise ValueError(f"{path} has no faces: it is not an OBJ mesh")
    if any(len(v) != 3 for v in vertices) or any(len(t) != 2 for t in uvs):
        raise ValueError(f"{path}: vertices need three numbers and texture coordinates two")
    index = np.array(corners, np.int64).reshape(-1, 3, 2)
    table = np.array([*uvs, [np.nan, np.nan]])
    points = np.array(vertices, np.float64)
    if not np.isfinite(points).all() or not np.isfinite(table[:-1]).all():
        raise ValueError(f"{path} has numbers that are not finite")
    return Shape(points, index[..., 0], table[index[..., 1]], np.array(rows, np.int64), materials, libraries)


def read_mtl(path: Path) -> dict[str, Material]:
    """The materials of a library by name. Raises FileNotFoundError, or ValueError that names the line."""
    found: dict[str, Material] = {}
    name = None
    for number, word, rest in _lines(path):
        try:
            if word == "newmtl":
                name = rest
                found[name] = Material()
            elif word == "Kd" and name is not None:
                colour = np.array([float(x) for x in rest.split()])
                if colour.shape not in ((1,), (3,)) or not ((colour >= 0) & (colour <= 1)).all():
                    raise ValueError("a colour needs three numbers in [0, 1]")
                found[name] = found[name]._replace(colour=np.broadcast_to(colour, 3).copy())
            elif word.lower() == "map_kd" and name is not None:
                found[name] = found[name]._replace(picture=path.parent / _file(rest))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {word} {rest[:60]!r}: {error}") from error
    if not found:
        raise ValueError(f"{path} has no newmtl: it is not an MTL library")
    return found


def _lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Number, first word and rest of every statement; a backslash at its end continues a line."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
    for number, line in enumerate(text.splitlines(), 1):
        word, _, rest = line.strip().replace("\t", " ").partition(" ")
        if word and not word.startswith("#"):
            yield number, word, (rest.split("#")[0] if word in ("v", "vt", "f", "Kd") else rest).strip()


def _corner(text: str, vertices: int, uvs: int) -> tuple[int, int]:
    """Indices, from 0, of the vertex and of its texture coordinates, -1 without, of v, v/t, v//n or v/t/n."""
    parts = text.split("/")
    first, second = _index(parts[0], vertices), _index(parts[1], uvs) if len(parts) > 1 and parts[1] else -1
    if first < 0:
        raise ValueError(f"there is no vertex {parts[0]} of {vertices}")
    return first, second


def _index(text: str, count: int) -> int:
    """From 0, of numbers that count from 1, or back from -1; -1 for what does not exist."""
    number = int(text)
    found = number - 1 if number > 0 else count + number
    return found if number != 0 and 0 <= found < count else -1


def _library(path: Path, rest: str) -> list[Path]:
    """One file, whose name may hold spaces, or several."""
    whole = path.parent / rest
    names = rest.split()
    return [whole] if whole.is_file() or len(names) == 1 else [path.parent / name for name in names]


def _file(rest: str) -> str:
    """The name of a texture without the options before it."""
    words = rest.split()
    while words and words[0] in _OPTIONS:
        most, option = _OPTIONS[words[0]], words.pop(0)
        for _ in range(most):
            if option in ("-o", "-s", "-t") and not _is_number(words[0] if words else ""):
                break
            words = words[1:]
    if not words:
        raise ValueError("it names no picture")
    return " ".join(words).replace("\\", "/")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
