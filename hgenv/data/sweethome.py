"""Furniture catalogues of Sweet Home 3D (.sh3f): ZIP files of OBJ models with PluginFurnitureCatalog.properties."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.data.obj import Model, load_obj

Array = NDArray[np.float64]
CATALOGUE = "PluginFurnitureCatalog.properties"
EXPECTED = f"expected a Sweet Home 3D catalogue, a ZIP file .sh3f with {CATALOGUE} and the OBJ models that it names"


class Piece(NamedTuple):
    """An entry: id, name, category, the model's path in the file, and size (3,) in metres: width, height, depth."""

    id: str
    name: str
    category: str
    model: str
    size: Array


def pieces(path: str | Path) -> list[Piece]:
    """The entries of a catalogue, in its order. Raises FileNotFoundError or ValueError."""
    with _open(Path(path)) as file:
        try:
            text = file.read(CATALOGUE).decode("latin-1")
        except KeyError as error:
            raise ValueError(f"{path} has no {CATALOGUE}: {EXPECTED}") from error
    fields = _properties(text)
    found = []
    for number in sorted({int(key.split("#")[1]) for key in fields if key.startswith("id#")}):
        entry = {name: fields.get(f"{name}#{number}") for name in ("id", "name", "category", "model")}
        missing = [name for name, value in entry.items() if value is None]
        try:
            size = np.array([float(fields[f"{name}#{number}"]) for name in ("width", "height", "depth")]) / 100.0
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path}: entry {number} needs width, height and depth in cm: {error}") from error
        if missing or not ((size > 0) & (size < np.inf)).all():
            raise ValueError(f"{path}: entry {number} lacks {', '.join(missing) or 'a positive size'}")
        found.append(Piece(**{k: str(v) for k, v in entry.items()}, size=size))
    if not found:
        raise ValueError(f"{path} has no entry: {EXPECTED}")
    return found


def load_piece(path: str | Path, piece: Piece, largest: int | None = None, materials: bool = True) -> Model:
    """A model in the catalogue's size, y up, its bounding box centred; largest and materials are those of
    `hgenv.data.obj.load_obj`. (Of 820 models of Debian's catalogues 20 name textures that are not there.)

    Raises FileNotFoundError or ValueError.
    """
    inner = PurePosixPath(piece.model.lstrip("/"))
    with _open(Path(path)) as file, tempfile.TemporaryDirectory() as folder:
        beside = [name for name in file.namelist() if PurePosixPath(name).parent == inner.parent]
        if str(inner) not in beside:
            raise ValueError(f"{path} has no {inner}, which its entry {piece.id!r} names")
        try:
            for name in beside:  # by their last names only: no path of the file's reaches outside the folder
                (Path(folder) / PurePosixPath(name).name).write_bytes(file.read(name))
        except (zipfile.BadZipFile, OSError) as error:
            raise ValueError(f"{path} is damaged at {inner}: {error}") from error
        try:
            model = load_obj(Path(folder) / inner.name, largest=largest, materials=materials)
        except (ValueError, FileNotFoundError) as error:
            raise type(error)(f"{path}, {inner}: {error}") from error
    points = model.mesh.corners.reshape(-1, 3)
    low, high = points.min(0), points.max(0)
    scale = piece.size / np.maximum(high - low, 1e-9)
    return Model(model.mesh._replace(corners=(model.mesh.corners - 0.5 * (low + high)) * scale), model.textures)


def _open(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a whole ZIP file: {EXPECTED}") from error


def _properties(text: str) -> dict[str, str]:
    """Lines KEY=VALUE of Java's format; a backslash at the end of a line continues it."""
    lines = text.replace("\\\n", "").replace("\\\r\n", "").splitlines()
    pairs = (line.strip().partition("=") for line in lines if line.strip() and line.strip()[0] not in "#!")
    return {key.strip(): value.strip() for key, _, value in pairs}
