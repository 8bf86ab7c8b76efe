"""NYU Depth V2 (Silberman et al. 2012): photographs of rooms with their normals, from three layouts.

1. The release: nyu_depth_v2_labeled.mat with splits.mat (or test_indices.txt); normals of norm_gt_l.mat and masks.mat
   where they have the frame, of the measured depth elsewhere.
2. Labelled frames as 8-bit pictures with index.csv, mirrored; depth of 39 mm steps.
3. Kinect frames with 16-bit depth, named by frames.json.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Split
from hgenv.data import hdf5
from hgenv.data.matlab import read_variables
from hgenv.data.picture import eight_bits, read_picture
from hgenv.data.selection import evenly
from hgenv.files import read_json
from hgenv.kernels import kernel
from hgenv.scenes.interiors import FRAME, INTRINSICS

Array = NDArray[np.float64]
RELEASE = "nyu_depth_v2_labeled.mat"
EXPECTED = (
    f"expected {RELEASE} with splits.mat or test_indices.txt (and norm_gt_l.mat with masks.mat), or index.csv with "
    "8-bit pictures, or frames.json with 16-bit depth"
)
_CROP = (slice(45, 470), slice(41, 601))  # what lies outside is a white border
_HALF, _TOLERANCE, _FEWEST = 8, 0.05, 20
_GRID = 4
_FARTHEST = 100.0  # metres: no room is as large
_COUNT, _TESTS = 1449, 654
_MOST = 2**23  # pixels of a frame, as `read_picture` counts them


class Frame(NamedTuple):
    """image (h, w, 3) uint8 RGB. On every fourth row and column from the third on, normal (3, h / 4, w / 4): x right,
    y up, z toward the viewer; valid, where it is known."""

    name: str
    image: NDArray[np.uint8]
    normal: Array
    valid: NDArray[np.bool_]


@kernel()
def _fit(inverse: Any, focal: Any, centre: Any, step: int, out: Any) -> None:
    height, width = inverse.shape
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            row, column = i * step + step // 2, j * step + step // 2
            q = inverse[row, column]
            if q <= 0.0:
                continue
            n, sx, sy, sq, sxx, sxy, syy, sxq, syq = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for a in range(max(0, row - _HALF), min(height, row + _HALF + 1)):
                for b in range(max(0, column - _HALF), min(width, column + _HALF + 1)):
                    r = inverse[a, b] - q
                    if inverse[a, b] <= 0.0 or abs(r) > _TOLERANCE * q:
                        continue
                    x, y = float(b - column), float(row - a)
                    n, sx, sy, sq = n + 1.0, sx + x, sy + y, sq + r
                    sxx, sxy, syy, sxq, syq = sxx + x * x, sxy + x * y, syy + y * y, sxq + x * r, syq + y * r
            if n < _FEWEST:
                continue
            mx, my, mq = sx / n, sy / n, sq / n
            xx, xy, yy = sxx / n - mx * mx, sxy / n - mx * my, syy / n - my * my
            determinant = xx * yy - xy * xy
            if determinant < 1e-3 * (xx + yy) ** 2:  # all in a line
                continue
            xq, yq = sxq / n - mx * mq, syq / n - my * mq
            u, v = (yy * xq - xy * yq) / determinant * focal[0], (xx * yq - xy * xq) / determinant * focal[1]
            x0, y0 = (column + 0.5 - centre[0]) / focal[0], (centre[1] - row - 0.5) / focal[1]
            w = q + mq - u * (x0 + mx / focal[0]) - v * (y0 + my / focal[1])
            length = np.sqrt(u * u + v * v + w * w)
            out[0, i, j], out[1, i, j], out[2, i, j] = -u / length, -v / length, w / length


def depth_normals(depth: Array, intrinsics: Sequence[float] = INTRINSICS, step: int = _GRID) -> Array:
    """Normals (3, h / step, w / step) of a measured depth map (h, w) in metres, 0 or not finite where it is unknown.

    Along a pixel's ray (x, y, -1) the inverse depth of a plane is linear in x and y, and a Kinect's noise is even in
    it: least squares over 17 x 17 pixels, of those within 5 % of the middle's. 0 where there are too few.
    """
    with np.errstate(invalid="ignore"):
        known = np.isfinite(depth) & (depth > 0)
    inverse = np.where(known, 1.0 / np.where(known, depth, 1.0), 0.0)
    out = np.zeros((3, depth.shape[0] // step, depth.shape[1] // step))
    _fit(inverse, np.array(intrinsics[:2]), np.array(intrinsics[2:]), step, out)
    return out


def load(folder: str | Path, frames: int) -> dict[Split, list[Frame]]:
    """At most `frames` frames a split, evenly over all; validation is the official training split.

    Kinect frames have no official split: every second one is for the test.
    Raises FileNotFoundError or ValueError that name the file and what was expected.
    """
    root = Path(folder)
    for name, reader in (("index.csv", _pictures), ("frames.json", _kinect)):
        if (root / name).is_file() and not (root / RELEASE).is_file():
            return reader(root, frames)
    return _release(root, frames)


def _measured(name: str, image: NDArray[np.uint8], depth: Array, intrinsics: Sequence[float]) -> Frame:
    """A frame with the normals of its depth, without the border of whole frames."""
    if not (depth[np.isfinite(depth)] < _FARTHEST).all():
        raise ValueError(f"{name}: depth must be in metres, got {np.nanmax(depth):.4g}")
    if depth.shape == FRAME:
        inside = np.zeros(FRAME, bool)
        inside[_CROP] = True
        depth = np.where(inside, depth, 0.0)
    normal = depth_normals(depth, intrinsics)
    valid = np.asarray(normal.any(axis=0))
    if not valid.any():
        raise ValueError(f"{name}: no normal can be had from its depth")
    return Frame(name, image, normal, valid)


# -- the release


def _release(root: Path, frames: int) -> dict[Split, list[Frame]]:
    path = root / RELEASE
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    with ExitStack() as stack:
        file = stack.enter_context(hdf5.open_hdf5(path))
        images, depths = _entry(file, "images", (3, 640, 480), "u"), _entry(file, "depths", (640, 480), "f")
        if len(images) != len(depths):
            raise ValueError(f"{path} has {len(images)} images but {len(depths)} depths")
        numbers = _numbers(file, len(images))
        known = _known_normals(root, stack)
        test = test_numbers(root)
        chosen: dict[Split, list[int]] = {
            "validation": evenly([k for k in numbers if k not in test], frames),
            "test": evenly([k for k in numbers if k in test], frames),
        }
        if not all(chosen.values()):
            raise ValueError(f"{path} needs frames of both splits")

        def frame(number: int) -> Frame:
            i = numbers.index(number)
            image = np.ascontiguousarray(hdf5.read(images, i).transpose(2, 1, 0))
            if number in known:
                return Frame(f"frame {number}", image, *known[number]())
            return _measured(f"{path}, frame {number}", image, hdf5.read(depths, i).T.astype(np.float64), INTRINSICS)

        return {split: [frame(number) for number in some] for split, some in chosen.items()}


def _known_normals(root: Path, stack: ExitStack) -> dict[int, Callable[[], tuple[Array, NDArray[np.bool_]]]]:
    """By frame, what reads its normals and mask from norm_gt_l.mat and masks.mat; nothing if neither is there."""
    paths = [root / name for name in ("norm_gt_l.mat", "masks.mat")]
    if not any(path.is_file() for path in paths):
        return {}
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}: norm_gt_l.mat and masks.mat come together")
    normals, masks = (stack.enter_context(hdf5.open_hdf5(path)) for path in paths)
    normal, mask = _entry(normals, "norm_gt_l", (3, 640, 480), "f"), _entry(masks, "masks", (640, 480), "u")
    if len(normal) != len(mask):
        raise ValueError(f"{paths[0]} has {len(normal)} frames but {paths[1]} {len(mask)}")
    numbers = _numbers(normals, len(normal))
    if hdf5.dataset(masks, "frameIndices") is not None and _numbers(masks, len(mask)) != numbers:
        raise ValueError(f"{paths[0]} and {paths[1]} are of different frames")
    rows, columns = (slice(_GRID // 2, None, _GRID),) * 2

    def read(i: int) -> tuple[Array, NDArray[np.bool_]]:
        left, up, toward = hdf5.read(normal, i).transpose(0, 2, 1)[:, rows, columns].astype(np.float64)
        found = np.stack([-left, up, toward])
        valid = (hdf5.read(mask, i).T[rows, columns] > 0) & (np.abs(np.linalg.norm(found, axis=0) - 1.0) < 0.01)
        if not valid.any():
            raise ValueError(f"{paths[0]}: frame {i + 1} of the file has no unit normal inside its mask")
        return found, valid

    return {number: lambda i=i: read(i) for i, number in enumerate(numbers)}  # type: ignore[misc]


def _numbers(file: h5py.File, count: int) -> list[int]:
    """The frames of a file, from 1: all 1449, or those that its `frameIndices` name."""
    found = hdf5.dataset(file, "frameIndices")
    if found is None:
        if count != _COUNT:
            raise ValueError(f"{file.filename} has {count} frames: expected {_COUNT}, or frameIndices that say which")
        return list(range(1, count + 1))
    try:
        return _whole(hdf5.read(found), count)
    except ValueError as error:
        raise ValueError(f"{file.filename}: frameIndices must name each of its {count} frames: {error}") from error


def _whole(values: NDArray, count: int) -> list[int]:
    """Different whole numbers in 1..1449, as many as `count`."""
    if values.dtype.kind not in "fiu":
        raise ValueError(f"expected whole numbers, got {values.dtype}")
    found = values.astype(np.float64).ravel()
    if (
        not np.isfinite(found).all()
        or (found % 1.0).any()
        or len(np.unique(found)) != len(found)
        or len(found) != count
    ):
        raise ValueError(f"expected {count} different whole numbers, got {len(found)} numbers")
    if found.min(initial=1) < 1 or found.max(initial=1) > _COUNT:
        raise ValueError(f"expected numbers in 1..{_COUNT}")
    return [int(k) for k in found]


def test_numbers(root: Path) -> set[int]:
    """The official 654 test frames, from 1, of splits.mat or test_indices.txt."""
    mat, text = root / "splits.mat", root / "test_indices.txt"
    path = mat if mat.is_file() else text
    if not path.is_file():
        raise FileNotFoundError(f"no file {mat}: {EXPECTED}")
    try:
        found = read_variables(mat, ["testNdxs"])["testNdxs"] if path == mat else text.read_text().split()
        return set(_whole(np.asarray(found, None if path == mat else np.float64), _TESTS))
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} does not name the {_TESTS} test frames: {error!r}") from error


def _entry(file: h5py.File, name: str, shape: tuple[int, ...], kind: str) -> h5py.Dataset:
    """A variable of n arrays of a shape, as HDF5 sees it: MATLAB's axes reversed. kind: u for bytes, f for floats."""
    found, widest = hdf5.dataset(file, name), {"u": 1, "f": 8}[kind]
    if found is not None and found.shape[1:] == shape and found.dtype.kind == kind and found.dtype.itemsize <= widest:
        return found
    got = "nothing" if found is None else f"{found.dtype} {found.shape}"
    wanted = f"(n, {', '.join(map(str, shape))}), {'bytes' if kind == 'u' else 'floats'}"
    raise ValueError(f"{file.filename}: expected {name} of {wanted}, got {got}")


# -- frames as pictures


def _pictures(root: Path, frames: int) -> dict[Split, list[Frame]]:
    """index.csv: index, split (train, test), image, depth. Pictures and depth are mirrored."""
    path, columns = root / "index.csv", ("split", "image", "depth")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a CSV file: {error}") from error
    if not rows or not all(row.get(name) for row in rows for name in columns):
        raise ValueError(f"{path} must have the columns {', '.join(columns)}, in every row")

    def read(row: dict[str, str]) -> Frame:
        image = eight_bits(read_picture(_beside(path, row["image"]), _MOST))
        grey = read_depth(_beside(path, row["depth"]), np.uint8, image.shape[:2])
        depth = (grey[:, ::-1] + 0.5) * 9.99547 / 255.0
        return _measured(row["image"], np.ascontiguousarray(image[:, ::-1]), depth, INTRINSICS)

    splits: dict[Split, str] = {"validation": "train", "test": "test"}
    return _read(path, {split: [r for r in rows if r["split"] == name] for split, name in splits.items()}, frames, read)


def _beside(path: Path, name: str) -> Path:
    """A file that an index names, with either slash. Raises ValueError for one outside of the index's folder."""
    inner = PureWindowsPath(name)
    if inner.anchor or ".." in inner.parts:
        raise ValueError(f"{path} names {name}, which lies outside of its folder")
    return path.parent.joinpath(*inner.parts)


def _kinect(root: Path, frames: int) -> dict[Split, list[Frame]]:
    """frames.json: a list of {name, rgb, depth, depth_scale, K}; the files stand beside it."""
    path = root / "frames.json"
    try:
        rows = read_json(path)
        if not isinstance(rows, list):
            raise ValueError("it is not a list")
        for row in rows:
            _check_kinect(row)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} must list frames with name, rgb, depth, depth_scale and K: {error!r}") from error

    def read(row: dict[str, Any]) -> Frame:
        image = eight_bits(read_picture(root / PureWindowsPath(row["rgb"]).name, _MOST))
        depth = read_depth(root / PureWindowsPath(row["depth"]).name, np.uint16, image.shape[:2]) / float(
            row["depth_scale"]
        )
        return _measured(row["name"], image, depth, row["K"])

    return _read(path, {"validation": rows[::2], "test": rows[1::2]}, frames, read)


def _check_kinect(row: dict[str, Any]) -> None:
    names, numbers = (row["name"], row["rgb"], row["depth"]), (row["depth_scale"], *row["K"])
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError("name, rgb and depth must be words")
    if len(row["K"]) != 4 or not all(type(n) in (int, float) and abs(n) < 1e9 for n in numbers):
        raise ValueError(f"{row['name']}: K must be fx, fy, cx, cy, numbers as depth_scale")
    if not min(numbers[:3]) > 0:
        raise ValueError(f"{row['name']}: depth_scale and focal lengths must be positive")


def _read(path: Path, rows: dict[Split, list], frames: int, read: Callable[[Any], Frame]) -> dict[Split, list[Frame]]:
    if not all(rows.values()):
        raise ValueError(f"{path} needs frames of both splits")
    return {split: [read(row) for row in evenly(some, frames)] for split, some in rows.items()}


def read_depth(path: Path, kind: type, size: tuple[int, ...]) -> Array:
    """A one-channel picture of depth at its full bit depth, (h, w)."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: {EXPECTED}")
    depth = read_picture(path, _MOST)
    if depth.dtype != kind or depth.shape != size:
        raise ValueError(f"{path}: expected {np.dtype(kind)} {size}, got {depth.dtype} {depth.shape}")
    return depth.astype(np.float64)
