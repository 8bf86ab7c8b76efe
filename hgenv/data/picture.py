"""Pictures of files: one reader for all of them, at their full depth and within bounds."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from hgenv.data.reading import opened

MOST = 2**26
"""Pixels, as of 8192 x 8192, that a picture may have with 8 bits a channel; with 16 half, with floats a quarter as
many, so that none takes a gigabyte; of formats whose decoders take more accordingly fewer."""
_WEIGHTS = {"WEBP": 2, "JPEG2000": 4}
_MOST_SCANS, _MOST_BYTES = 100, 2**29
_FORMATS = ("BMP", "DDS", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "SGI", "TGA", "TIFF", "WEBP")
_BITS, _WHITE_IS, _SAMPLE_FORMAT, _FLOAT = 258, 262, 339, 3  # of TIFF
_EIGHT_OF_SIXTEEN = np.round(np.arange(65536) / 257.0).astype(np.uint8)


def load_picture(path: Path, largest: int | None = None) -> NDArray[np.uint8]:
    """A picture as (h, w, 3) RGB of 8 bits, no side longer than `largest` pixels. Raises as `read_picture` does."""
    return shrunk(eight_bits(read_picture(path)), largest)


def read_picture(path: Path, most: int = MOST) -> NDArray:
    """A picture at its full depth: grey (h, w) or RGB (h, w, 3), as uint8, uint16, or float32 in [0, 1].

    1 and the largest integer are white. The numbers are the file's own, be they linear or made for a display: neither
    gamma nor colour profile is applied; nor the orientation of EXIF, as texture coordinates and depth refer to the rows
    as they are stored. Palettes and CMYK become RGB; alpha is left out; of several frames the first is taken.

    Raises FileNotFoundError, or ValueError that names the file: for what is damaged, truncated or in a format that is
    not read (OpenEXR, Radiance), for more than `most` pixels (MOST says how they count), for floats outside of [0, 1]
    or not finite, for integers of which the largest is not known to be white.
    """
    with opened(path, _MOST_BYTES) as file:
        with _sound(path, most):
            header = _header(file)
        if not 0 < header.pixels <= most:
            raise ValueError(
                f"{path} has {' x '.join(map(str, header.size))} pixels, which take as much memory as {header.pixels} "
                f"of 8 bits a channel: expected 1 to {most}"
            )
        with _sound(path, most):
            pixels = _pixels(path, header)
    if problem := _problem(header.image, pixels):
        raise ValueError(f"{path}: {problem}")
    return pixels if pixels.dtype.kind == "u" else pixels.astype(np.float32, copy=False)


def brightness(pixels: NDArray) -> NDArray[np.float64]:
    """What `read_picture` gives as values in [0, 1]: 1 is white."""
    return pixels / 1.0 if pixels.dtype.kind == "f" else pixels / float(np.iinfo(pixels.dtype).max)


def eight_bits(pixels: NDArray) -> NDArray[np.uint8]:
    """What `read_picture` gives as RGB (h, w, 3) of 8 bits, rounded to the nearest."""
    if pixels.dtype == np.uint16:
        pixels = _EIGHT_OF_SIXTEEN[pixels]
    elif pixels.dtype.kind == "f":
        pixels = np.rint(255.0 * pixels).astype(np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def shrunk(picture: NDArray[np.uint8], largest: int | None) -> NDArray[np.uint8]:
    """The picture with no side longer than `largest` pixels, by averaging: the renderer has no mip-maps."""
    scale = 1.0 if largest is None else min(1.0, largest / max(picture.shape[:2]))
    if scale < 1.0:
        size = [max(1, round(scale * side)) for side in picture.shape[1::-1]]
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(picture)


class _Header(NamedTuple):
    """What a file says of itself: width and height; what it takes to decode it, in pixels of 8 bits a channel.

    image: None where Pillow cannot read it and OpenCV can, which are colours as floats.
    """

    image: ImageFile.ImageFile | None
    size: tuple[int, int]
    pixels: int


@contextmanager
def _sound(path: Path, most: int) -> Iterator[None]:
    """Whatever decoders raise and warn of becomes one ValueError that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        count = re.search(r"\d+", str(error))
        raise ValueError(f"{path} has {count and count[0]} pixels: expected 1 to {most}") from error
    except Exception as error:  # Pillow raises many types on damaged files
        raise ValueError(f"{path} is not a picture, or not a whole one: {error}") from error


def _header(file: IO[bytes]) -> _Header:
    try:
        image = Image.open(file, formats=_FORMATS)
        if image.format == "PNG":  # Pillow's decoder leaves out the checksums
            image.verify()
            image = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:
        tags = _tiff_tags(file)
        if set(tags.get(_SAMPLE_FORMAT, ())) != {_FLOAT}:
            raise ValueError(f"expected one of {', '.join(_FORMATS)}") from None
        size = (int(tags[256]), int(tags[257]))
        return _Header(None, size, max(math.prod(size), _tile(tags)) * max(tags[_BITS]) // 8)
    if image.format in ("JPEG", "MPO") and _scans(file) > _MOST_SCANS:
        raise ValueError(f"it is drawn {_scans(file)} times over, at most {_MOST_SCANS} times are read")
    pixels = math.prod(image.size)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        pixels = max(pixels, _tile(image.tag_v2))
    return _Header(image, image.size, pixels * _weight(image))


def _weight(image: ImageFile.ImageFile) -> int:
    """Bytes a channel, or what a decoder's own memory comes to."""
    if image.mode in ("I", "F"):
        return 4
    return _WEIGHTS.get(image.format or "", 2 if "16" in image.mode or _is_deep(image) else 1)


def _scans(file: IO[bytes]) -> int:
    """How often a JPEG goes over its pixels, at no cost of bytes: progressive ones do about ten times."""
    file.seek(0)
    return file.read().count(b"\xff\xda")


def _tile(tags: TiffImagePlugin.ImageFileDirectory_v2 | dict) -> int:
    """Pixels of a TIFF's tile, which may be larger than the picture."""
    return int(tags.get(322, 0)) * int(tags.get(323, 0))


def _is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether the file has colours of 16 bits, of which Pillow would make 8."""
    stored = image.tile[0].args if image.tile else ""
    return ";16" in str(stored) or (image.format == "PPM" and isinstance(stored, tuple) and stored[1:] == (65535,))


def _tiff_tags(file: IO[bytes]) -> TiffImagePlugin.ImageFileDirectory_v2 | dict:
    file.seek(0)
    start = file.read(8)
    if start[:4] not in TiffImagePlugin.PREFIXES:
        return {}
    tags = TiffImagePlugin.ImageFileDirectory_v2(start + (file.read(8) if 43 in start[2:4] else b""))
    file.seek(tags.next)
    tags.load(file)
    return tags


def _pixels(path: Path, header: _Header) -> NDArray:
    image = header.image
    if image is None:
        return _decoded(path, header.size)
    deep = _is_deep(image)
    image.load()
    if image.mode in ("RGB", "RGBA") and deep:
        image.close()  # it is whole, and there is room for one
        return _decoded(path, header.size)
    if image.mode == "F":
        return np.asarray(image)
    if image.mode == "I" or image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    return _bytes(image, "L" if image.mode in ("1", "L", "LA") else "RGB")


def _bytes(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    """Row by row, as Pillow holds RGB in four bytes and would copy it three times."""
    image.info.pop("transparency", None)
    width, height = image.size
    pixels, rows = np.empty((height, width, 3)[: 2 if mode == "L" else 3], np.uint8), 256
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.asarray(strip.convert(mode))
    return pixels


def _problem(image: Image.Image | None, pixels: NDArray) -> str:
    """Why 65535, or 1 for floats, is not white: TIFF has many kinds of numbers."""
    if pixels.dtype.kind == "f":
        low, high = pixels.min(), pixels.max()
        if not (low >= 0 and high <= 1):
            return f"floats must be finite and in [0, 1], got {low:.4g} to {high:.4g}"
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.mode in ("I", "I;16", "I;16B", "F"):
        tags = image.tag_v2
        if image.mode == "I" or tags.get(_WHITE_IS) == 0 or tags.get(_BITS) not in ((16,), (32,)):
            return "grey must be unsigned integers of 8 or 16 bits, or floats, of which 0 is black"
    return ""


def _decoded(path: Path, size: tuple[int, int]) -> NDArray:
    """What Pillow has no mode for, by OpenCV. It gets bytes: it cannot open files of every name."""
    told = cv2.utils.logging.setLogLevel(0)
    try:
        found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(told)
    width, height = size
    shapes = [(height, width), (height, width, 3), (height, width, 4)]
    if found is None or found.shape not in shapes or found.dtype not in (np.uint16, np.float32, np.float64):
        raise ValueError("it cannot be decoded")
    return found if found.ndim == 2 else found[..., 2::-1]
