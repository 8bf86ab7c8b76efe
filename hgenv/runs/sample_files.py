"""Samples of a generator as files: pictures and ground truth in the formats of other tools."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.data.ground_truth import openexr as library_of_exr
from hgenv.quantities.quantity import Part

Format = Literal["png", "exr", "npz"]
_ORDERS = {1: "grey", 3: "red, green, blue"}


class Plane(NamedTuple):
    """A part of a sample as a picture of its own. PNG has so many bits a channel, of which 0 is low and the largest is
    high."""

    part: Part
    bits: int


def planes(parts: tuple[Part, ...], channels: int) -> tuple[Plane, ...]:
    """Of the image of so many channels, of the parts of its ground truth, and of the mask, in this order."""
    image = Part("image", channels, "as the network sees it", 0.0, 1.0)
    mask = Part("mask", 1, "where the ground truth counts", 0.0, 1.0)
    return (Plane(image, 8), *(Plane(part, 16) for part in parts), Plane(mask, 8))


def check_format(format: Format, shown: tuple[Plane, ...]) -> None:
    """Raise ValueError if the format cannot hold these, or if what writes it is not installed."""
    if format == "npz":
        return
    for part, _ in shown:
        if part.channels not in _ORDERS:
            raise ValueError(f"{part.name} has {part.channels} channels, {format} has 1 or 3: take --format npz")
        if format == "png" and not np.isfinite([part.low, part.high]).all():
            raise ValueError(f"{part.name} has no range that PNG's integers could span: take --format npz or exr")
    if format == "exr":
        library_of_exr()


def described(format: Format, shown: tuple[Plane, ...]) -> dict[str, Any]:
    """What is in which file, for the manifest; {file} is that of a line in samples.csv."""
    if format == "npz":
        arrays = {part.name: f"({part.channels}, h, w) float32, {part.meaning}" for part, _ in shown}
        return {"files": "{file}.npz", "arrays": arrays | {"seed": "uint64", "beta": "(d,) float64, physical"}}
    files = dict[str, dict[str, Any]]()
    for part, bits in shown:
        name = f"{{file}}-{part.name}.{format}"
        files[part.name] = {"file": name, "meaning": part.meaning, "channels": _ORDERS[part.channels]}
        if format == "png":
            files[part.name] |= {"bits": bits, "value of 0": part.low, f"value of {2**bits - 1}": part.high}
    return {"files": files}


def files(
    format: Format, shown: tuple[Plane, ...], batch: Batch, row: int, others: Mapping[str, NDArray]
) -> dict[str, bytes]:
    """What follows the sample's number in the name of each of its files, and its content; npz holds others besides."""
    values = np.concatenate([part[row].double().numpy() for part in batch])
    ends = np.cumsum([part.channels for part, _ in shown])
    arrays = dict(zip((part.name for part, _ in shown), np.split(values, ends[:-1]), strict=True))
    if format == "npz":
        return {".npz": _npz({name: array.astype(np.float32) for name, array in arrays.items()} | dict(others))}
    write: Callable[[Plane, NDArray], bytes] = _png if format == "png" else _exr
    return {f"-{plane.part.name}.{format}": write(plane, arrays[plane.part.name]) for plane in shown}


def _npz(arrays: Mapping[str, NDArray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _png(plane: Plane, values: NDArray) -> bytes:
    """Values (c, h, w); raises ValueError for one beyond the range: it would be cut off."""
    (name, _, _, low, high), most = plane.part, 2**plane.bits - 1
    if values.min() < low - 1e-6 or values.max() > high + 1e-6:
        raise ValueError(
            f"{name} goes from {values.min():.4g} to {values.max():.4g}, its PNG from {low:.4g} to {high:.4g}: take "
            "--format npz or exr"
        )
    levels = np.rint(most * np.clip((values - low) / (high - low), 0.0, 1.0))
    pixels = levels.astype(np.uint8 if plane.bits == 8 else np.uint16).transpose(1, 2, 0)
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()  # blue comes first there


def _exr(plane: Plane, values: NDArray) -> bytes:
    openexr = library_of_exr()
    pixels = np.ascontiguousarray(values.astype(np.float32).transpose(1, 2, 0))
    channels = {"RGB": pixels} if plane.part.channels == 3 else {"Y": pixels[..., 0].copy()}
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    with tempfile.TemporaryDirectory() as folder:  # it writes to paths only
        path = Path(folder) / "one.exr"
        openexr.File(header, channels).write(str(path))
        return path.read_bytes()
