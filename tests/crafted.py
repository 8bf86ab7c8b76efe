"""Files that lie: pictures, arrays and archives made by hand, some of which grow when they are read."""

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np


def zeros(count: int, start: bytes = b"") -> bytes:
    """A zlib stream of `start` and so many zeros, made without making them."""
    part, block = zlib.compressobj(9, wbits=-15), bytes(2**20)
    begun = part.compress(start) + part.flush(zlib.Z_FULL_FLUSH)
    again = part.compress(block) + part.flush(zlib.Z_FULL_FLUSH)
    ended = part.compress(bytes(count % 2**20)) + part.flush()
    high, low = divmod(zlib.adler32(start), 2**16)
    checksum = struct.pack(">HH", (high + count * low) % 65521, low)
    return b"\x78\xda" + begun + again * (count // 2**20) + ended + checksum


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, bits: int, colours: int, rows: bytes, interlaced: bool = False) -> bytes:
    """A PNG: colours as its header has them (0 grey, 2 RGB, 4 grey and alpha, 6 RGBA); rows are a zlib stream."""
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, interlaced)
    parts = _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def interlaced(pixels: np.ndarray) -> bytes:
    """RGB of 16 bits (h, w, 3) as a PNG whose rows come in seven passes (Adam7)."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(
        b"\0" + row.astype(">u2").tobytes()
        for y, x, down, right in passes
        for row in pixels[y::down, x::right]
        if row.size
    )
    return png(pixels.shape[1], pixels.shape[0], 16, 2, zlib.compress(rows), interlaced=True)


def tiff(tags: dict[int, int], pixels: bytes, order: str = "<") -> bytes:
    """A TIFF of one strip or tile with whole numbers (4 bytes) as tags; 273 or 324, where pixels are, is filled in."""
    place = 8 + 2 + 12 * len(tags) + 4
    tags = {tag: place if tag in (273, 324) else value for tag, value in tags.items()}
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    start = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return start + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4) + pixels


def element(kind: int, content: bytes, size: int | None = None, order: str = "<") -> bytes:
    """An element of a MATLAB v5 file; size is what it says, if that is not the truth."""
    tag = struct.pack(f"{order}II", kind, len(content) if size is None else size)
    return tag + content + bytes(0 if kind == 15 else -len(content) % 8)


def matrix(name: str, shape: tuple[int, ...], content: bytes, kind: int = 6, order: str = "<") -> bytes:
    """A variable of a MATLAB v5 file without its tag: its class, shape, name and the elements that follow."""
    parts = element(6, struct.pack(f"{order}II", kind, 0), order=order)
    parts += element(5, struct.pack(f"{order}{len(shape)}i", *shape), order=order)
    return parts + element(1, name.encode(), order=order) + content


def mat(elements: bytes, order: str = "<") -> bytes:
    """A MATLAB v5 file."""
    return b"MATLAB 5.0 MAT-file".ljust(124) + {"<": b"\0\1IM", ">": b"\1\0MI"}[order] + elements


def mat_bomb(name: str, count: int) -> bytes:
    """A variable of so many bytes of doubles, all 0, compressed."""
    header = matrix(name, (count // 8, 1), struct.pack("<II", 9, count))
    return mat(element(15, zeros(count, struct.pack("<II", 14, len(header) + count) + header)))


def npz_bomb(name: str, count: int) -> bytes:
    """An .npz with an array of so many bytes, all 0."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count},), }}".ljust(117) + "\n"
    content = zeros(count, b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.encode())[2:-4]
    member = f"{name}.npy".encode()
    sizes = struct.pack("<LLLHH", 0, len(content), 128 + count, len(member), 0)
    first = struct.pack("<4s5H", b"PK\3\4", 20, 0, 8, 0, 0) + sizes + member + content
    listed = struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, 8, 0, 0) + sizes + bytes(14) + member
    return first + listed + struct.pack("<4s4HLLH", b"PK\5\6", 0, 0, 1, 1, len(listed), len(first), 0)


def hdf5_bomb(path: Path, name: str, shape: tuple[int, ...], dtype: str, count: int) -> None:
    """An array whose first chunk, of a row, inflates to so many bytes."""
    with h5py.File(path, "a") as file:
        chunks = (1, *shape[1:])
        made = file.create_dataset(name, shape, dtype, chunks=chunks, compression="gzip")
        made.id.write_direct_chunk((0,) * len(shape), zeros(count))
