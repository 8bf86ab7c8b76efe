"""Wavefront OBJ: shapes, texture coordinates, colours, materials by name. What is damaged is an error with its line.

General loaders pass over materials that they cannot read; a training image must not lose its textures in silence.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgenv.data.materials import MOST_MATERIALS
from hgenv.data.polygons import triangles
from hgenv.data.reading import bounded
from hgenv.data.statements import named_file, note, numbers, statements

Array = NDArray[np.float64]
MOST_FACES, MOST_VERTICES, MOST_CORNERS, MOST_LIBRARIES = 1_000_000, 3_000_000, 2_048, 1_000
"""Of a mesh; corners are a polygon's, vertices are texture coordinates too."""
_MOST_BYTES = 2**28
_WHITE = (1.0, 1.0, 1.0)  # of vertices without a colour, among others that have one
# What says nothing about surfaces or their colours.
_PASSED = frozenset(
    {"vn", "vp", "g", "s", "o", "mg", "lod", "bevel", "c_interp", "d_interp", "shadow_obj", "trace_obj", "p", "l"}
)


@dataclass(frozen=True, eq=False)
class Shape:
    """vertices (v, 3); faces (f, 3), polygons cut into triangles; uv (f, 3, 2), NaN where a corner has none that exist.

    colours (v, 3) of the vertices in [0, 1], or None; material (f,): an index of `materials`, or -1; libraries: the MTL
    files that are named; ignored: what was, counted.
    """

    vertices: Array
    faces: NDArray[np.int64]
    uv: Array
    colours: Array | None
    material: NDArray[np.int64]
    materials: list[str]
    libraries: list[Path]
    ignored: Counter[str]


def read_obj(path: Path) -> Shape:
    """Read a mesh. Raises FileNotFoundError, or ValueError that names the line."""
    reader = _Reader(path)
    for number, word, rest in statements(path, _MOST_BYTES):
        try:
            reader.add(word, rest)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {word[:20]} {rest[:60]!r}: {error}") from error
    return reader.shape()


def read_vertices(path: Path) -> Array:
    """The vertices alone, (v, 3). Raises what `read_obj` does."""
    found = array("d")
    for number, word, rest in statements(path, _MOST_BYTES):
        if word == "v":
            try:
                found.extend(_vertex(rest)[:3])
                bounded(len(found) // 3, MOST_VERTICES, "vertices")
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: v {rest[:60]!r}: {error}") from error
    if not found or not np.isfinite(found).all():
        raise ValueError(f"{path} has no vertices, or some that are not finite")
    return np.array(found).reshape(-1, 3)


class _Reader:
    """Statements become arrays: a list of numbers would take ten times their memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.vertices, self.colours, self.uvs = array("d"), array("d"), array("d")
        self.corners, self.coordinates = array("i"), array("i")
        self.sizes, self.rows = array("i"), array("i")
        self.faces, self.current = 0, -1
        self.materials: dict[str, int] = {}
        self.libraries: dict[str, None] = {}
        self.files: dict[Path, None] = {}
        self.ignored: Counter[str] = Counter()

    def add(self, word: str, rest: str) -> None:
        """One statement."""
        if word == "v":
            self._add_vertex(rest)
        elif word == "vt":
            u, v = [*numbers(rest), 0.0][:2]  # of one number, v is 0
            self.uvs.extend((u, v))
            bounded(len(self.uvs) // 2, MOST_VERTICES, "texture coordinates")
        elif word in ("f", "fo"):  # as faces were called once
            self._add_polygon(rest)
        elif word == "usemtl":
            self.current = self.materials.setdefault(rest, len(self.materials))
            bounded(len(self.materials), MOST_MATERIALS, "materials")
        elif word == "mtllib":
            if rest not in self.libraries:
                self.libraries[rest] = None
                self.files |= dict.fromkeys(_libraries(self.path.parent, rest))
            bounded(max(len(self.libraries), len(self.files)), MOST_LIBRARIES, "libraries of materials")
        elif word not in _PASSED:
            note(self.ignored, f"statement {word[:20]!r}")

    def _add_vertex(self, rest: str) -> None:
        found = _vertex(rest)
        self.vertices.extend(found[:3])
        bounded(len(self.vertices) // 3, MOST_VERTICES, "vertices")
        if len(found) > 5:
            without = len(self.vertices) // 3 - len(self.colours) // 3 - 1
            self.colours.extend((*_WHITE * without, *found[-3:]))
        elif len(found) == 5:
            note(self.ignored, "fifth number of a vertex")

    def _add_polygon(self, rest: str) -> None:
        words = rest.split()
        if len(words) > MOST_CORNERS:
            raise ValueError(f"a polygon of {len(words):,} corners, more than {MOST_CORNERS:,}")
        found = [_corner(word, len(self.vertices) // 3, len(self.uvs) // 2) for word in words]
        if len(found) < 3:  # which some exporters write; there is nothing of them
            return
        self.faces += len(found) - 2
        bounded(self.faces, MOST_FACES, "faces")
        self.sizes.append(len(found))
        self.rows.append(self.current)
        for vertex, coordinate in found:
            self.corners.append(vertex)
            self.coordinates.append(coordinate)
            if coordinate < -1:
                note(self.ignored, "a texture coordinate that does not exist")

    def shape(self) -> Shape:
        """All of it. Raises ValueError if there are no faces."""
        if not self.faces:
            raise ValueError(f"{self.path} has no faces: it is not an OBJ mesh")
        vertices = np.array(self.vertices).reshape(-1, 3)
        table = np.append(np.array(self.uvs), [np.nan, np.nan]).reshape(-1, 2)
        if not np.isfinite(vertices).all() or not np.isfinite(table[:-1]).all():
            raise ValueError(f"{self.path} has numbers that are not finite")
        corners = np.array(self.corners, np.int64)
        fans, owner = triangles(vertices[corners], np.array(self.sizes, np.int64))
        uv = table[np.maximum(np.array(self.coordinates, np.int64), -1)[fans]]
        colours = self._colours(len(vertices))
        return Shape(
            vertices, corners[fans], uv, colours, np.array(self.rows, np.int64)[owner], list(self.materials),
            list(self.files), self.ignored,
        )  # fmt: skip

    def _colours(self, count: int) -> Array | None:
        """(v, 3), if any vertex has one. Where numbers are beyond [0, 1] they are none, but normals for instance."""
        if not self.colours:
            return None
        colours = np.ones((count, 3))
        colours[: len(self.colours) // 3] = np.array(self.colours).reshape(-1, 3)
        if not ((colours >= 0) & (colours <= 1)).all():
            note(self.ignored, "colours of vertices that are not in [0, 1]")
            return None
        return colours


def _vertex(rest: str) -> list[float]:
    """x y z, and what there is behind them: a weight, a colour, or both."""
    found = numbers(rest)
    if len(found) < 3:
        raise ValueError("a vertex needs three numbers")
    return found


def _corner(text: str, vertices: int, uvs: int) -> tuple[int, int]:
    """Indices, from 0, of the vertex and of its texture coordinates, of v, v/t, v//n or v/t/n.

    Of the latter -1 where there are none, -2 where there are none of that number.
    """
    first, _, rest = text.partition("/")
    vertex = _index(first, vertices)
    if vertex < 0:
        raise ValueError(f"there is no vertex {first[:20]} of {vertices}")
    second = rest.partition("/")[0]
    return vertex, _index(second, uvs) if second else -1


def _index(text: str, count: int) -> int:
    """From 0, of numbers that count from 1, or back from -1; -2 for what does not exist."""
    number = int(text)
    found = number - 1 if number > 0 else count + number
    return found if number != 0 and 0 <= found < count else -2


def _libraries(folder: Path, rest: str) -> list[Path]:
    """The files that a statement names: one, several that end in .mtl and may hold blanks, or several words."""
    words, whole = rest.split(), named_file(folder, rest)
    if os.path.isfile(whole) or len(words) < 2:
        return [whole]
    bounded(len(words), MOST_LIBRARIES, "words")
    names = [""]
    for word in words:
        names[-1] = f"{names[-1]} {word}".strip()
        if word.strip('"').lower().endswith(".mtl"):
            names.append("")
    files = [named_file(folder, name) for name in names if name]
    return files if all(os.path.isfile(file) for file in files) else [named_file(folder, word) for word in words]
