"""Arrays of HDF5 files, which MATLAB's of version 7.3 are: of what lies in the file itself, within bounds."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

MOST = 2**28
"""Bytes of a chunk, which is what a file is compressed in, that are inflated; and of an array that is read."""
_MOST_CHUNKS = 2**14
_KNOWN = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
_CHECKSUM = 4  # bytes that FILTER_FLETCHER32 may add before the chunk is deflated


def open_hdf5(path: Path) -> h5py.File:
    """A file to be closed. Raises ValueError for one that is damaged or of another kind."""
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is not a whole MATLAB 7.3 (HDF5) file: {error}") from error


def has(file: h5py.File, name: str) -> bool:
    """Whether the file has something of this name; soft links and those to other files do not count."""
    name_of_file = name.encode()
    links = file.id.links
    return bool(links.exists(name_of_file)) and links.get_info(name_of_file).type == h5py.h5l.TYPE_HARD


def dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """What the file itself holds of this name, if it is an array. Raises ValueError if it is damaged there."""
    try:
        found = file[name] if has(file, name) else None
    except Exception as error:  # h5py raises many types on damaged files
        raise ValueError(f"{file.filename} is damaged at {name}: {error}") from error
    if not isinstance(found, h5py.Dataset) or found.shape is None or found.is_virtual or found.external:
        return None
    return found


def read(found: h5py.Dataset, number: int | None = None) -> NDArray:
    """The array, or the one of a number along its first axis. Raises ValueError that names file and array."""
    path = found.file.filename
    try:
        region = [(0, n) for n in found.shape]
        region[:1] = region[:1] if number is None else [(number, number + 1)]
        _check(found, region)
        return np.asarray(found[()] if number is None else found[number])
    except Exception as error:  # h5py raises many types on damaged files
        place = "" if number is None else f", number {number + 1}"
        raise ValueError(f"{path} is damaged or too large at {found.name}{place}: {error}") from error


def _check(found: h5py.Dataset, region: Sequence[tuple[int, int]]) -> None:
    """That a region, (from, to) an axis, is no larger than it may be, nor is what has to be inflated for it."""
    _at_most(found.dtype.itemsize * math.prod(b - a for a, b in region), "of the array")
    if found.chunks is None:
        return
    plan = found.id.get_create_plist()
    filters = [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]
    if not _KNOWN.issuperset(filters) or len(set(filters)) < len(filters):
        raise ValueError("it is compressed by what MATLAB does not use")
    size = found.dtype.itemsize * math.prod(found.chunks)
    _at_most(size, "a chunk")
    starts = [range(a - a % chunk, b, chunk) for (a, b), chunk in zip(region, found.chunks, strict=True)]
    if math.prod(map(len, starts)) > _MOST_CHUNKS:
        raise ValueError(f"it lies in {math.prod(map(len, starts))} chunks, at most {_MOST_CHUNKS} are read")
    if h5py.h5z.FILTER_DEFLATE in filters:
        for start in itertools.product(*starts):
            _check_chunk(found, start, size)


def _check_chunk(found: h5py.Dataset, start: tuple[int, ...], size: int) -> None:
    """HDF5 inflates a chunk to whatever length it comes to."""
    info = found.id.get_chunk_info_by_coord(start)
    if info.byte_offset is None:  # not written: all of one value
        return
    _at_most(info.size, "a chunk in the file")
    skipped, stored = found.id.read_direct_chunk(start)
    if not skipped and len(zlib.decompressobj().decompress(stored, size + _CHECKSUM + 1)) > size + _CHECKSUM:
        raise ValueError(f"a chunk at {start} has more than its {size} bytes")


def _at_most(count: int, of: str) -> None:
    if count > MOST:
        raise ValueError(f"{count} bytes {of}, at most {MOST} are read")
