"""Furniture catalogues of Sweet Home 3D (.sh3f): ZIP files of OBJ models with PluginFurnitureCatalog.properties."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.data.model import Model, load_obj
from hgenv.render.mesh import bounds

Array = NDArray[np.float64]
CATALOGUE = "PluginFurnitureCatalog.properties"
EXPECTED = f"expected a Sweet Home 3D catalogue, a ZIP file .sh3f with {CATALOGUE} and the OBJ models that it names"
_WORDS = ("id", "name", "category", "model")


class Piece(NamedTuple):
    """An entry: id, name, category, the model's path in the file; size (3,) in metres: width, height, depth; rotation
    (3, 3), that of the model before it is brought to its size."""

    id: str
    name: str
    category: str
    model: str
    size: Array
    rotation: Array


def pieces(path: str | Path) -> list[Piece]:
    """The entries of a catalogue, in its order. Raises FileNotFoundError or ValueError."""
    with _open(Path(path)) as file:
        fields = _properties(_read(Path(path), file, CATALOGUE).decode("latin-1"))
    numbers = [key.removeprefix("id#") for key in fields if key.startswith("id#")]
    if not numbers or not all(number.isdecimal() for number in numbers):
        raise ValueError(f"{path} has no entry, or one without a number: {EXPECTED}")
    return [_piece(path, fields, number) for number in sorted(numbers, key=int)]


def _piece(path: str | Path, fields: dict[str, str], number: str) -> Piece:
    words = [fields.get(f"{name}#{number}", "") for name in _WORDS]
    missing = [name for name, value in zip(_WORDS, words, strict=True) if not value]
    if missing:
        raise ValueError(f"{path}: entry {number} lacks {', '.join(missing)}")
    try:
        size = np.array([float(fields[f"{name}#{number}"]) for name in ("width", "height", "depth")]) / 100.0
        turned = fields.get(f"modelRotation#{number}", "1 0 0 0 1 0 0 0 1").split()
        rotation = np.array([float(x) for x in turned]).reshape(3, 3)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path}: entry {number} needs width, height and depth in cm, and a modelRotation of 9 numbers, if any: "
            f"{error}"
        ) from error
    if not ((size > 0) & (size < np.inf)).all() or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
        raise ValueError(f"{path}: entry {number} has a size that is not positive, or a modelRotation that is none")
    return Piece(words[0], words[1], words[2], words[3], size, rotation)


def load_piece(path: str | Path, piece: Piece, largest: int | None = None, materials: bool = True) -> Model:
    """A model in the catalogue's size, y up, its bounding box centred; largest and materials are those of
    `hgenv.data.model.load_obj`. (Of 820 models of Debian's catalogues 21 name textures that are not there.)

    Its files are unpacked to a temporary folder, and what lies outside of that is not read.
    Raises FileNotFoundError or ValueError.
    """
    inner = PurePosixPath(piece.model.lstrip("/"))
    with _open(Path(path)) as file, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in file.namelist():
            part = PurePosixPath(name)
            if part.is_relative_to(inner.parent) and not name.endswith("/") and ".." not in part.parts:
                target = folder / part.relative_to(inner.parent)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_read(Path(path), file, name))
        if not (folder / inner.name).is_file():
            raise ValueError(f"{path} has no {inner}, which its entry {piece.id!r} names")
        try:
            model = load_obj(folder / inner.name, None, largest, materials, inside=[folder])
        except (ValueError, FileNotFoundError) as error:
            message = str(error).replace(f"{folder}/", "")
            raise type(error)(f"{path}, {inner.parent}: {message}") from error
    corners = model.mesh.corners @ piece.rotation.T
    low, high = bounds(corners)
    scale = piece.size / np.maximum(high - low, 1e-9)
    return Model(model.mesh._replace(corners=(corners - 0.5 * (low + high)) * scale), model.textures)


def _read(path: Path, file: zipfile.ZipFile, name: str) -> bytes:
    if file.namelist().count(name) != 1:
        raise ValueError(f"{path} must have one {name}: {EXPECTED}")
    try:
        return file.read(name)
    except Exception as error:  # zipfile and zlib raise many types on damaged or encrypted files
        raise ValueError(f"{path} is damaged at {name}: {error}") from error


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
