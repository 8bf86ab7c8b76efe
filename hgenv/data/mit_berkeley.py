"""MIT-Berkeley Intrinsic Images (Grosse et al. 2009; Barron & Malik's SIRFS 1.5 release): photographs with depth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hgenv.data.matlab import read_variables
from hgenv.data.picture import brightness, read_picture
from hgenv.quantities.metrics import sobel_normals

VALIDATION = ("apple", "box", "cup1", "dinosaur", "frog1", "panther", "paper1", "phone", "squirrel", "teabag2")
TEST = ("cup2", "deer", "frog2", "paper2", "pear", "potato", "raccoon", "sun", "teabag1", "turtle")
SUBFOLDER = "MIT-Berkeley-Laboratory"
EXPECTED = (
    f"expected FOLDER/{SUBFOLDER}/OBJECT/ (or FOLDER/OBJECT/) with shading.png, mask.png and Z.mat for the 20 objects "
    f"{', '.join(sorted(VALIDATION + TEST))}; they come with SIRFS 1.5, by J. Barron and J. Malik, UC Berkeley"
)

_MOST = 2**23  # pixels of a photograph, as `read_picture` counts them
_HIGHEST = 1e9  # pixels; what is not below is unknown


@dataclass(frozen=True)
class Photograph:
    """One object. shading (h, w) float64 in [0, 1], linear; normal (3, h, w): x right, y up, z to the viewer.

    mask (h, w): the object. valid (h, w): pixels of the mask whose normal is known and that SIRFS scores.
    """

    name: str
    shading: NDArray[np.float64]
    normal: NDArray[np.float64]
    mask: NDArray[np.bool_]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Intrinsics:
    """One object. image and albedo (3, h, w) RGB, shading and mask (h, w); linear, each of a scale of its own."""

    name: str
    image: NDArray[np.float64]
    albedo: NDArray[np.float64]
    shading: NDArray[np.float64]
    mask: NDArray[np.bool_]


def find_root(folder: str | Path) -> Path:
    """The folder of the objects' folders. Raises FileNotFoundError."""
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: {EXPECTED}")
    return root / SUBFOLDER if (root / SUBFOLDER).is_dir() else root


def load(folder: str | Path, names: tuple[str, ...]) -> list[Photograph]:
    """Read the named objects. Raises FileNotFoundError or ValueError that name the file and what was expected."""
    root = find_root(folder)
    return [load_object(root / name) for name in names]


def load_intrinsics(folder: str | Path, names: tuple[str, ...]) -> list[Intrinsics]:
    """Read the named objects' diffuse image, reflectance and shading. Raises as `load` does."""
    root, found = find_root(folder), []
    for name in names:
        image, albedo = (read_png(root / name / f"{part}.png", np.uint16, 3) for part in ("diffuse", "reflectance"))
        shading, mask = (read_png(root / name / f"{part}.png", np.uint16) for part in ("shading", "mask"))
        if not image.shape[1:] == albedo.shape[1:] == shading.shape == mask.shape:
            raise ValueError(f"{root / name}: diffuse.png, reflectance.png, shading.png and mask.png differ in size")
        for part, pixels in (("diffuse", image), ("reflectance", albedo), ("shading", shading)):
            if not (mask > 0).any() or not np.percentile(pixels[..., mask > 0], 99.0) > 0:
                raise ValueError(f"{root / name / part}.png is black inside the mask")
        found.append(Intrinsics(name, brightness(image), brightness(albedo), brightness(shading), mask > 0))
    return found


def load_object(folder: Path) -> Photograph:
    """Read one object's folder."""
    shading = read_png(folder / "shading.png", np.uint16)
    mask = read_png(folder / "mask.png", np.uint16) > 0
    height = read_depth(folder / "Z.mat")
    if not shading.shape == mask.shape == height.shape:
        raise ValueError(
            f"{folder}: shading.png {shading.shape}, mask.png {mask.shape} and Z.mat {height.shape} differ in size"
        )
    normal = sobel_normals(np.where(mask & (np.abs(height) < _HIGHEST), height, np.nan))
    # SIRFS scores the pixels whose 3 x 3 neighbours are all inside the mask.
    interior = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    valid = interior & np.isfinite(normal).all(axis=0)
    if not valid.any():
        raise ValueError(f"{folder}: no pixel of the mask has a depth")
    if not np.percentile(shading[mask], 99.0) > 0:
        raise ValueError(f"{folder}: shading.png is black inside the mask")
    return Photograph(folder.name, brightness(shading), np.where(valid, normal, 0.0), mask, valid)


def read_png(path: Path, dtype: type, channels: int = 1) -> NDArray:
    """A PNG at its full bit depth, (h, w), or (3, h, w) RGB."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    image = read_picture(path, _MOST)
    wanted = image.ndim == (2 if channels == 1 else 3)
    if image.dtype != dtype or not wanted:
        kind = f"{channels} channel{'s' * (channels > 1)} of {np.dtype(dtype)}"
        raise ValueError(f"{path}: expected {kind}, got shape {image.shape} of {image.dtype}")
    return image if channels == 1 else image.transpose(2, 0, 1)


def read_depth(path: Path) -> NDArray[np.float64]:
    """Variable `depth` of a MATLAB v5 file: height in pixels toward the camera, NaN where unknown."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    depth = read_variables(path, ["depth"]).get("depth")
    if depth is None:
        raise ValueError(f"{path} has no variable `depth` (height x width, float64)")
    if isinstance(depth, dict):
        raise ValueError(f"{path}: expected `depth` as height x width floats, got a struct")
    if depth.ndim != 2 or depth.dtype.kind != "f":
        raise ValueError(f"{path}: expected `depth` as height x width floats, got shape {depth.shape} of {depth.dtype}")
    return depth.astype(np.float64)
