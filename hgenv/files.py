"""Files that are whole or as they were before; arrays in them, of which nothing is unpickled."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

MOST = 2**33
"""Bytes of all arrays of a file that are read unless more are allowed."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """`with whole(path) as partial:` write to partial, which then takes the place of path, or is gone if that failed.

    Raises OSError that names path, which is as it was before.
    """
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise not_written(path, error) from error
        raise


def not_written(path: Path, error: OSError) -> OSError:
    """An OSError of the same kind that says which file it was."""
    return OSError(error.errno, f"{path} cannot be written: {error.strerror or error}")


def append(path: Path, text: str) -> None:
    """Write text at the end of a file, all of it or nothing. OSError names path."""
    left = text.encode()
    try:
        with path.open("ab", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            try:
                while left:
                    left = left[file.write(left) :]
            except BaseException:
                file.truncate(before)
                raise
    except OSError as error:
        raise not_written(path, error) from error


def write_arrays(path: Path, content: Mapping[str, ArrayLike]) -> None:
    """Write arrays and numbers by name as .npz. OSError as whole(); TypeError for what needs pickling."""
    arrays = {name: np.asarray(value) for name, value in content.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} must be plain numbers, text or an array of them, got {content[name]!r}")
    with whole(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path, most: int = MOST) -> dict[str, NDArray]:
    """The arrays of an .npz by name. Sizes are looked at before anything is read.

    Raises FileNotFoundError, or ValueError that names the file for one that is damaged, holds what is no plain array,
    or holds more than `most` bytes of them.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            members, left = archive.infolist(), most
            found = {}
            for member in members:
                with archive.open(member) as file:
                    array, left = _read(file, member, left)
                    found[member.filename.removesuffix(".npy")] = array
            return found
    except Exception as error:  # zipfile and numpy raise many types on damaged files
        raise ValueError(f"{path} is no .npz of plain arrays: {error}") from error


def _read(file: IO[bytes], member: zipfile.ZipInfo, left: int) -> tuple[NDArray, int]:
    """An array, and how many bytes may still be read after it."""
    name = member.filename
    if not name.endswith(".npy"):
        raise ValueError(f"its member {name} is not .npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed by what numpy does not use")
    if npy.read_magic(file) != (1, 0):  # later versions have names of fields, and headers of gigabytes
        raise ValueError(f"{name} is not of version 1.0 of .npy")
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    if dtype.hasobject:
        raise ValueError(f"{name} holds objects, which are not unpickled")
    if min(shape, default=0) < 0:
        raise ValueError(f"{name} says that it has the shape {shape}")
    size = math.prod(shape) * dtype.itemsize
    if size > left:
        raise ValueError(f"{name} is {size} bytes large, {left} are left of those allowed")
    content = _bytes(file, size)
    if len(content) < size:
        raise ValueError(f"{name} ends after {len(content)} of {size} bytes")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    return array, left - size


def _bytes(file: IO[bytes], size: int) -> bytearray:
    """At most so many bytes, in parts: zipfile would hold them twice."""
    content = bytearray()
    while part := file.read(min(size - len(content), 2**20)):
        content += part
    return content


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises FileNotFoundError, or ValueError that names the file for one that is damaged."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path} is no JSON that can be read: it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error


def write_json(path: Path, value: Any) -> None:
    """Write JSON. OSError as whole()."""
    write_text(path, as_json(value) + "\n")


def as_json(value: Any, indent: int | None = 2) -> str:
    """JSON, which has no NaN and no infinity: null stands for them. indent: spaces a level; None: all in one line."""
    separators = (",", ":") if indent is None else None
    return json.dumps(_finite(value), indent=indent, separators=separators, allow_nan=False)


def write_text(path: Path, text: str) -> None:
    """Write a text file. OSError as whole()."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def as_csv(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as lines of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
