"""Numbers of MATLAB's files of version 5, within bounds. (Those of version 7.3 are HDF5: `hgenv.data.hdf5`.)

scipy reads such files too, but takes as much memory as they say that they need. Mathworks: MAT-File Format, 2019.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hgenv.data.reading import opened

MOST = 2**26
"""Bytes, inflated, that are read of a file unless more are allowed."""
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_STRUCT, _COMPLEX = 2, 0x0800
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHERS = {1: "a cell array", 3: "an object", 4: "text", 5: "a sparse matrix"}
_CHUNK = 2**20
_MOST_BYTES = 2**31  # of the file, of which other variables are not read

Variable = NDArray | dict[str, NDArray]
"""Numbers, or a struct of them by field."""


def read_variables(path: Path, names: Collection[str], most: int = MOST) -> dict[str, Variable]:
    """Those of the named variables that the file has; of structs, which are 1 x 1, the fields that are so named.

    Raises FileNotFoundError, or ValueError that names the file: for one that is damaged or of another version, for a
    variable of that name that does not hold real numbers, for more than `most` bytes, inflated, of variables.
    """
    with opened(path, _MOST_BYTES) as file:
        start = file.read(128)
        order = {b"IM": "<", b"MI": ">"}.get(start[126:128])
        if order is None or start[125 if order == "<" else 124] != 1:
            raise ValueError(f"{path} is not a MATLAB v5 file")
        try:
            return _variables(file, order, names, most)
        except (ValueError, IndexError, zlib.error, struct.error) as error:
            raise ValueError(f"{path} is not a whole MATLAB v5 file of numbers: {error}") from error


def _variables(file: IO[bytes], order: str, names: Collection[str], most: int) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    while start := file.read(8):
        kind, size = struct.unpack(f"{order}II", start)
        following = file.tell() + size
        stream = _Stream(file, size, kind == _COMPRESSED, order, most)
        if kind == _COMPRESSED:
            kind, size = stream.integers(2)
        if kind == _MATRIX:
            name, value = _matrix(stream, names)
            found |= {} if value is None else {name: value}
        most = stream.left
        file.seek(following)
    return found


class _Stream:
    """The bytes of an element, inflated as they are read; no more than `left`."""

    def __init__(self, file: IO[bytes], size: int, compressed: bool, order: str, left: int) -> None:
        self.file, self.size, self.order, self.left, self.most = file, size, order, left, left
        self.inflate, self.ahead, self.position = zlib.decompressobj() if compressed else None, b"", 0

    def spend(self, count: int) -> None:
        if count > self.left:
            raise ValueError(f"it holds more than the {self.most} bytes that are read")
        self.left -= count

    def read(self, count: int) -> bytearray:
        """So many bytes. Raises ValueError if there are fewer."""
        self.spend(count)
        found = bytearray()
        while len(found) < count:
            part = self._part(min(count - len(found), _CHUNK))
            if not part and not self.size:
                raise ValueError(f"it ends {count - len(found)} bytes early")
            found += part
        self.position += count
        return found

    def skip_to(self, position: int) -> None:
        """Go on to a position. Raises ValueError if it is past."""
        if position < self.position:
            raise ValueError("an element is longer than what it is in")
        while self.position < position:
            self.read(min(_CHUNK, position - self.position))

    def _part(self, count: int) -> bytes:
        """At most so many bytes; none at the end, or where the next of those compressed do not suffice for one."""
        if self.inflate is None:
            return self._raw(count)
        self.ahead = self.ahead or self._raw(_CHUNK)
        part = self.inflate.decompress(self.ahead, count)
        self.ahead = self.inflate.unconsumed_tail
        return part

    def _raw(self, count: int) -> bytes:
        part = self.file.read(min(self.size, count))
        self.size = self.size - len(part) if part else 0
        return part

    def integers(self, count: int) -> tuple[int, ...]:
        """So many unsigned integers of 4 bytes."""
        return struct.unpack(f"{self.order}{count}I", self.read(4 * count))

    def element(self) -> tuple[int, bytearray]:
        """The type and the bytes of the element that is next."""
        start = self.read(8)
        first, size = struct.unpack(f"{self.order}II", start)
        if first >> 16:  # small: type, size and data in 8 bytes
            return first & 0xFFFF, start[4 : 4 + (first >> 16)]
        content = self.read(size)
        self.read(-size % 8)
        return first, content

    def numbers(self, wanted: str) -> NDArray:
        """The element that is next, as numbers of a type: whole ones are stored in few bytes."""
        kind, content = self.element()
        if kind not in _NUMBERS:
            raise ValueError(f"expected numbers, got an element of type {kind}")
        stored = np.frombuffer(content, f"{self.order}{_NUMBERS[kind]}")
        if stored.dtype != wanted:
            self.spend(len(stored) * np.dtype(wanted).itemsize)
        return stored.astype(wanted, copy=False)


def _matrix(stream: _Stream, names: Collection[str], field: str = "") -> tuple[str, Any]:
    """The name and the value of what is next, None if it is not wanted; `field` names it where it is a struct's."""
    flags, shape = int(stream.numbers("u4")[0]), tuple(int(n) for n in stream.numbers("i4"))
    name, kind = stream.element()[1].decode("latin-1"), flags & 0xFF
    name = field or name
    if name not in names:
        return name, None
    if kind == _STRUCT and not field and math.prod(shape) == 1:
        return name, _fields(stream, names)
    if kind not in _CLASSES or flags & _COMPLEX:
        raise ValueError(f"{name} is {_OTHERS.get(kind, 'not of real numbers')}, expected numbers")
    values = stream.numbers(_CLASSES[kind])
    if min(shape, default=-1) < 0 or math.prod(shape) != len(values):
        raise ValueError(f"{name} has {len(values)} numbers, but says that it is {' x '.join(map(str, shape))}")
    return name, values.reshape(shape, order="F")


def _fields(stream: _Stream, names: Collection[str]) -> dict[str, NDArray]:
    """The fields of a struct."""
    length, text = int(stream.numbers("i4")[0]), bytes(stream.element()[1])
    if length < 1:
        raise ValueError("a struct has names without letters")
    found = {}
    for start in range(0, len(text), length):
        kind, size = stream.integers(2)
        end = stream.position + size
        name = text[start : start + length].split(b"\0")[0].decode("latin-1")
        if kind != _MATRIX:
            raise ValueError(f"field {name} is no matrix")
        if name in names:
            found[name] = _matrix(stream, names, name)[1]
        stream.skip_to(end)
    return found
