"""Furniture catalogues of Sweet Home 3D (.sh3f): ZIP files of OBJ models with PluginFurnitureCatalog.properties."""

from __future__ import annotations

import errno
import tempfile
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.data.model import Model, load_obj
from hgenv.data.reading import opened
from hgenv.render.mesh import bounds

Array = NDArray[np.float64]
CATALOGUE = "PluginFurnitureCatalog.properties"
EXPECTED = f"expected a Sweet Home 3D catalogue, a ZIP file .sh3f with {CATALOGUE} and the OBJ models that it names"
_WORDS = ("id", "name", "category", "model")


MOST_ENTRIES, MOST_BYTES = 10_000, 2**27
"""Of a catalogue; of the files of one of its models, unpacked."""
_MOST_PROPERTIES, _MOST_ARCHIVE, _MOST_METRES = 2**24, 2**31, 1000.0
_NO_FILE = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)  # of names, not of disks


class Piece(NamedTuple):
    """An entry: id, name, category, the model's path in the file; size (3,) in metres: width, height, depth; rotation
    (3, 3), that of the model before it is brought to its size."""

    id: str
    name: str
    category: str
    model: str
    size: Array
    rotation: Array


class Entry(NamedTuple):
    """A number of the catalogue `path`, and the fields of all its entries as they are written, by FIELD#NUMBER."""

    path: Path
    number: str
    fields: dict[str, str]

    def piece(self) -> Piece:
        """What it says. Raises ValueError."""
        words = [self.fields.get(f"{name}#{self.number}", "") for name in _WORDS]
        if not self.number.isdecimal():
            raise ValueError(f"{self.path}: entry {self.number[:20]!r} is one without a number")
        missing = [name for name, value in zip(_WORDS, words, strict=True) if not value]
        if missing:
            raise ValueError(f"{self.path}: entry {self.number} lacks {', '.join(missing)}")
        try:
            sizes = [float(self.fields[f"{name}#{self.number}"]) for name in ("width", "height", "depth")]
            turned = self.fields.get(f"modelRotation#{self.number}", "1 0 0 0 1 0 0 0 1").split()
            size, rotation = np.array(sizes) / 100.0, np.array([float(x) for x in turned]).reshape(3, 3)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{self.path}: entry {self.number} needs width, height and depth in cm, and a modelRotation of 9 "
                f"numbers, if any: {error}"
            ) from error
        if not ((size > 0) & (size < _MOST_METRES)).all() or not np.allclose(
            rotation @ rotation.T, np.eye(3), atol=1e-3
        ):
            raise ValueError(
                f"{self.path}: entry {self.number} has a size that is not positive or under {_MOST_METRES:.0f} m, "
                "or a modelRotation that is none"
            )
        return Piece(words[0], words[1], words[2], words[3], size, rotation)


def entries(path: str | Path) -> list[Entry]:
    """The entries of a catalogue, in the order of their numbers. Raises FileNotFoundError or ValueError."""
    path = Path(path)
    with _open(path) as file:
        _check(path, file, [CATALOGUE], _MOST_PROPERTIES)
        fields = _properties(_read(path, file, CATALOGUE).decode("latin-1"))
    numbers = [key.removeprefix("id#") for key in fields if key.startswith("id#")]
    if not numbers:
        raise ValueError(f"{path} has no entry: {EXPECTED}")
    if len(numbers) > MOST_ENTRIES:
        raise ValueError(f"{path} has {len(numbers):,} entries, more than {MOST_ENTRIES:,}")
    return [Entry(path, number, fields) for number in sorted(numbers, key=lambda number: (len(number), number))]


def load_piece(path: str | Path, piece: Piece, largest: int | None = None, materials: bool = True) -> Model:
    """A model in the catalogue's size, y up, its bounding box centred; largest and materials are those of
    `hgenv.data.model.load_obj`. (Of 820 models of Debian's catalogues 21 name textures that are not there.)

    Its files are unpacked to a temporary folder, and what lies outside of that is not read.
    Raises FileNotFoundError or ValueError.
    """
    inner = PurePosixPath(piece.model.lstrip("/"))
    where = f"{path}, {inner.parent}"
    with _open(Path(path)) as file, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _unpack(Path(path), file, inner.parent, folder)
        if not (folder / inner.name).is_file():
            raise ValueError(f"{path} has no {inner}, which its entry {piece.id!r} names")
        try:
            model = load_obj(folder / inner.name, None, largest, materials, [folder], f"{where}/{inner.name}")
        except (ValueError, FileNotFoundError) as error:
            message = str(error).replace(f"{folder}/", "")
            raise type(error)(f"{where}: {message}") from error
    corners = model.mesh.corners @ piece.rotation.T
    low, high = bounds(corners)
    scale = piece.size / np.maximum(high - low, 1e-9)
    return Model(model.mesh._replace(corners=(corners - 0.5 * (low + high)) * scale), model.textures)


def _unpack(path: Path, file: zipfile.ZipFile, inner: PurePosixPath, folder: Path) -> None:
    """The members in and below a folder of the archive. Raises ValueError."""
    parts = {name: PurePosixPath(name) for name in file.namelist() if not name.endswith("/")}
    parts = {n: part for n, part in parts.items() if part.is_relative_to(inner) and ".." not in part.parts}
    _check(path, file, list(parts), MOST_BYTES)
    for name, part in parts.items():
        target, content = folder / part.relative_to(inner), _read(path, file, name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise ValueError(f"{path} has {name[:80]!r}, which no file can be: {error.strerror}") from error


def _check(path: Path, file: zipfile.ZipFile, names: list[str], most: int) -> None:
    """Raises ValueError unless every name stands for one member, and they have at most so many bytes together."""
    counts = Counter(file.namelist())
    for name in names:
        if counts[name] != 1:
            raise ValueError(f"{path} must have one {name}: {EXPECTED}")
    if (size := sum(file.getinfo(name).file_size for name in names)) > most:
        raise ValueError(f"{path} has {size:,} bytes in {names[0]} and beside it, unpacked, more than {most:,}")


def _read(path: Path, file: zipfile.ZipFile, name: str) -> bytes:
    """A member, of the size that the archive says: zipfile reads no more, and finds it damaged."""
    try:
        return file.read(name)
    except Exception as error:  # zipfile and zlib raise many types on damaged or encrypted files
        raise ValueError(f"{path} is damaged at {name}: {error}") from error


def _open(path: Path) -> zipfile.ZipFile:
    try:
        opened(path, _MOST_ARCHIVE).close()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}: {EXPECTED}") from error
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # not BadZipFile only, on damaged ones
        raise ValueError(f"{path} is not a whole ZIP file: {EXPECTED}") from error


def _properties(text: str) -> dict[str, str]:
    """Lines KEY=VALUE of Java's format; a backslash at the end of a line continues it."""
    lines = text.replace("\\\n", "").replace("\\\r\n", "").splitlines()
    pairs = (line.strip().partition("=") for line in lines if line.strip() and line.strip()[0] not in "#!")
    return {key.strip(): value.strip() for key, _, value in pairs}
