"""MIT-Berkeley Intrinsic Images (Grosse et al. 2009; Barron & Malik's SIRFS 1.5 release): photographs with depth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.io
from numpy.typing import NDArray

from hgenv.metrics import sobel_normals

VALIDATION = ("apple", "box", "cup1", "dinosaur", "frog1", "panther", "paper1", "phone", "squirrel", "teabag2")
TEST = ("cup2", "deer", "frog2", "paper2", "pear", "potato", "raccoon", "sun", "teabag1", "turtle")
SUBFOLDER = "MIT-Berkeley-Laboratory"
EXPECTED = (
    f"expected FOLDER/{SUBFOLDER}/OBJECT/ (or FOLDER/OBJECT/) with shading.png, mask.png and Z.mat for the 20 objects "
    f"{', '.join(sorted(VALIDATION + TEST))}; they come with SIRFS 1.5, by J. Barron and J. Malik, UC Berkeley"
)


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


def load(folder: str | Path, names: tuple[str, ...]) -> list[Photograph]:
    """Read the named objects. Raises FileNotFoundError or ValueError that name the file and what was expected."""
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: {EXPECTED}")
    if (root / SUBFOLDER).is_dir():
        root = root / SUBFOLDER
    return [load_object(root / name) for name in names]


def load_object(folder: Path) -> Photograph:
    """Read one object's folder."""
    shading = read_png(folder / "shading.png", np.uint16)
    mask = read_png(folder / "mask.png", np.uint16) > 0
    height = read_depth(folder / "Z.mat")
    if not shading.shape == mask.shape == height.shape:
        raise ValueError(
            f"{folder}: shading.png {shading.shape}, mask.png {mask.shape} and Z.mat {height.shape} differ in size"
        )
    normal = sobel_normals(np.where(mask, height, np.nan))
    # SIRFS scores the pixels whose 3 x 3 neighbours are all inside the mask.
    interior = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    valid = interior & np.isfinite(normal).all(axis=0)
    if not valid.any():
        raise ValueError(f"{folder}: no pixel of the mask has a depth")
    if not shading[mask].any():
        raise ValueError(f"{folder}: shading.png is black inside the mask")
    return Photograph(folder.name, shading / 65535.0, np.where(valid, normal, 0.0), mask, valid)


def read_png(path: Path, dtype: type) -> NDArray:
    """A one-channel PNG at its full bit depth."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(f"{path} is not a whole PNG: truncated or damaged")
    if image.dtype != dtype or image.ndim != 2:
        raise ValueError(f"{path}: expected one channel of {np.dtype(dtype)}, got shape {image.shape} of {image.dtype}")
    return image


def read_depth(path: Path) -> NDArray[np.float64]:
    """Variable `depth` of a MATLAB v5 file: height in pixels toward the camera, NaN where unknown."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    try:
        content = scipy.io.loadmat(path, variable_names=["depth"])
    except Exception as error:  # scipy raises many types on damaged files
        raise ValueError(f"{path} is not a whole MATLAB v5 file: {error}") from error
    if "depth" not in content:
        raise ValueError(f"{path} has no variable `depth` (height x width, float64)")
    depth = np.asarray(content["depth"])
    if depth.ndim != 2 or depth.dtype.kind != "f":
        raise ValueError(f"{path}: expected `depth` as height x width floats, got shape {depth.shape} of {depth.dtype}")
    return depth.astype(np.float64)
