"""Ground truth of files: normals, depth, albedo, shading and masks in PNG, EXR and numpy's arrays.

Each reader gives values (c, h, w) float64, 0 where they are unknown, and where they are known (h, w). All raise
FileNotFoundError, or ValueError that names the file and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.data.convention import CONVENTION, Convention, axes_of
from hgenv.data.picture import brightness, read_picture
from hgenv.data.reading import opened
from hgenv.fields import shown

Array = NDArray[np.float64]
Known = tuple[Array, NDArray[np.bool_]]
_MOST_BYTES = 2**30


def _numbers(path: Path) -> tuple[NDArray, bool]:
    """The numbers of a file, (h, w) or (h, w, c); and whether they are integers of a picture."""
    if path.suffix == ".npy":
        return _npy(path), False
    if path.suffix == ".exr":
        return _exr(path), False
    pixels = read_picture(path)
    return pixels, pixels.dtype.kind == "u"


def _npy(path: Path) -> NDArray:
    with opened(path, _MOST_BYTES) as file:
        try:
            found = np.load(file, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(f"{path} is not an array of numpy's: {error}") from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu" or found.ndim not in (2, 3):
        raise ValueError(f"{path}: expected an array of numbers with two or three axes, got {shown(found)}")
    return found


def openexr() -> Any:
    """The library that reads and writes EXR. ValueError if it is not installed."""
    try:
        import OpenEXR
    except ImportError as error:
        raise ValueError("EXR needs OpenEXR: pip install 'hgenv[exr]'") from error
    return OpenEXR


def _exr(path: Path) -> NDArray:
    library = openexr()
    opened(path, _MOST_BYTES).close()
    try:
        with library.File(str(path)) as file:
            found = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    except Exception as error:  # it raises many types
        raise ValueError(f"{path} is not a picture in EXR: {error}") from error
    for names in ("RGB", "RGBA", "XYZ", "Y", "Z", "V"):
        if names in found:
            return found[names][..., :3] if found[names].ndim == 3 else found[names]
        if len(names) == 3 and set(names) <= found.keys():
            return np.stack([found[name] for name in names], -1)
    raise ValueError(f"{path} has the channels {', '.join(found)}, expected RGB, XYZ, Y, Z or V")


def _channels(path: Path, values: NDArray, count: int) -> Array:
    """Values as (count, h, w): the channels may come first or last."""
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3 if count == 3 else 1, -1)
    if values.shape[-1] != count and values.shape[0] == count:
        values = np.moveaxis(values, 0, -1)
    if values.shape[-1] != count:
        raise ValueError(f"{path}: expected {count} channel{'s' * (count > 1)}, got the shape {values.shape}")
    return np.moveaxis(values, -1, 0).astype(np.float64)


def _normals(path: Path, convention: Convention) -> Known:
    values, are_integers = _numbers(path)
    if values.ndim == 2:
        raise ValueError(f"{path}: expected three channels of normals, got grey")
    found = _channels(path, 2.0 * brightness(values) - 1.0 if are_integers else values, 3)
    found = np.tensordot(axes_of(convention), np.nan_to_num(found, posinf=0.0, neginf=0.0), 1)
    length = np.linalg.norm(found, axis=0)
    known = (length > 0.8) & (length < 1.2)
    black = (values == 0).all(-1) if are_integers else np.zeros(known.shape, bool)
    meant = ~black & (length > 0.1)  # black and grey, which is no direction, are no normals
    if known.sum() < 0.5 * meant.sum() or not known.any():
        raise ValueError(f"{path}: expected unit vectors, of which 0 is -1 and white 1 in a PNG; most are none")
    if found[2][known].mean() <= 0.0:
        raise ValueError(f"{path}: its normals point away from the viewer: say in {CONVENTION} where their axes point")
    return np.where(known, found / np.maximum(length, 1e-6), 0.0), known


def _depth(path: Path, convention: Convention) -> Known:
    values, are_integers = _numbers(path)
    if are_integers and convention.scale is None:
        raise ValueError(f"{path} has integers: say in {CONVENTION} what a step is, as scale = 0.001")
    found = _channels(path, values, 1) * (convention.scale or 1.0)
    known = np.isfinite(found[0]) & (found[0] > 0.0)
    return np.where(known, found, 0.0), known


def _colour(path: Path, convention: Convention) -> Known:
    return _shares(path, 3)


def _grey(path: Path, convention: Convention) -> Known:
    return _shares(path, 1)


def _shares(path: Path, count: int) -> Known:
    values, are_integers = _numbers(path)
    if count == 1 and values.ndim == 3 and values.shape[-1] == 3:
        values = values.mean(-1) if not are_integers else brightness(values).mean(-1)
        are_integers = False
    found = _channels(path, brightness(values) if are_integers else values, count)
    known = np.asarray(np.isfinite(found).all(0))
    if (found[:, known] < 0.0).any():
        raise ValueError(f"{path}: expected shares of light from 0 on, got {found[:, known].min():.4g}")
    return np.where(known, found, 0.0), known


def _array(path: Path, convention: Convention) -> Known:
    values = _npy(path)
    found = (values[None] if values.ndim == 2 else values).astype(np.float64)
    known = np.asarray(np.isfinite(found).all(0))
    return np.where(known, found, 0.0), known


def read_image(path: Path) -> NDArray:
    """A picture (h, w) or (h, w, 3): as `read_picture` gives it, or floats of EXR, of which 1 is white."""
    if path.suffix != ".exr":
        return read_picture(path)
    found = _exr(path)
    if not np.isfinite(found).all() or (found < 0).any():
        raise ValueError(f"{path}: expected finite numbers from 0 on")
    return found.astype(np.float32)


def read_mask(path: Path) -> NDArray[np.bool_]:
    values, are_integers = _numbers(path)
    values = values if values.ndim == 2 else values.mean(-1)
    return (brightness(values) if are_integers else values) > 0.5


READERS: dict[str, Callable[[Path, Convention], Known]] = {
    "normals": _normals, "depth": _depth, "albedo": _colour, "shading": _grey, "target": _array,
}  # fmt: skip
"""By the name of a quantity's part."""
