"""Your own pictures with ground truth: a folder of pairs, and what its target.toml says of them.

FOLDER/validation/desk-image.png    FOLDER/test/sofa-image.png      pictures
FOLDER/validation/desk-normals.png  FOLDER/test/sofa-normals.png    or -depth, or -albedo and -shading
FOLDER/validation/desk-mask.png                                     where it counts; left out: where it is known

`Convention` has what target.toml can say, for other names, axes, units and splits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Split
from hgenv.cache import say_once
from hgenv.data.convention import CONVENTION, NAME, Convention, read_convention
from hgenv.data.ground_truth import READERS, Known, read_image, read_mask
from hgenv.data.reading import content
from hgenv.data.selection import evenly

EXPECTED = (
    "expected FOLDER/validation/NAME-image.png and FOLDER/test/NAME-image.png, each with NAME-normals, NAME-depth, or "
    f"NAME-albedo and NAME-shading beside it (PNG, EXR or npy); or FOLDER/{CONVENTION} that says how they are named"
)
MOST = 2**27
"""Pixels of all pictures of a folder together, which are kept in memory: about two gigabytes."""


class Pair(NamedTuple):
    """image (H, W) or (H, W, 3), as `read_image` gives it; target (t, h, w) float32, of the same size or another of
    the same shape, 0 where valid (h, w) is false; mask (H, W): the object, or everything."""

    name: str
    image: NDArray
    target: NDArray[np.float32]
    valid: NDArray[np.bool_]
    mask: NDArray[np.bool_]


def load(folder: str | Path, parts: Sequence[str], targets: int) -> dict[Split, list[Pair]]:
    """The pairs of both splits that have all parts of a ground truth, as ["albedo", "shading"], of so many channels.

    How many have not is said in a line.

    Raises FileNotFoundError, or ValueError that names the file and what was expected.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: {EXPECTED}")
    convention = read_convention(root)
    read = _reader(convention, parts, targets)
    found: dict[Split, list[Pair]] = {}
    room = MOST
    for split, pictures in splits(root, convention).items():
        lacking, found[split] = list[str](), []
        for picture in pictures:
            pair = read(picture)
            if isinstance(pair, str):
                lacking.append(pair)
                continue
            found[split].append(pair)
            room -= pair.mask.size + pair.valid.size
            if room < 0:
                raise ValueError(f"{root} has more than {MOST:,} pixels of pictures and ground truth: shrink them")
        if not found[split]:
            raise ValueError(f"none of {len(pictures)} pictures of the {split} has ground truth: {lacking[0]}")
        if lacking:
            what = f"{len(lacking)} of {len(pictures)} pictures of the {split} in {root}"
            say_once(f"{what} have no ground truth and are left out: {'; '.join(lacking[:3])}")
    return found


class Picture(NamedTuple):
    """Where a picture is, in which folder its ground truth is looked for, and what they share."""

    path: Path
    folder: Path
    name: str


def splits(root: Path, convention: Convention) -> dict[Split, list[Picture]]:
    """The pictures of both splits. FileNotFoundError or ValueError that says what was expected."""
    if convention.share is not None:
        every = _pictures(root, convention)
        first = evenly(every, max(1, round(convention.share * len(every))))
        chosen = {picture.path for picture in first}
        rest = [picture for picture in every if picture.path not in chosen]
        if not rest:
            raise ValueError(f"{root} has {len(every)} pictures: a validation and a test need two at least")
        return {"validation": first, "test": rest}
    validation, test = (_split(root, convention, where) for where in (convention.validation, convention.test))
    if shared := {picture.path for picture in validation} & {picture.path for picture in test}:
        raise ValueError(f"{min(shared)} is in the validation and in the test: expected pictures of one of both")
    return {"validation": validation, "test": test}


def _split(root: Path, convention: Convention, where: str) -> list[Picture]:
    place = root / where
    if place.is_dir():
        return _pictures(place, convention)
    if not place.is_file():
        raise FileNotFoundError(f"no folder or list {place}: {EXPECTED}")
    by_name = {picture.name: picture for picture in _pictures(root, convention)}
    names = [line.strip() for line in content(place, 2**24).decode().splitlines() if line.strip()]
    for name in names:
        if name not in by_name:
            raise ValueError(
                f"{place} names {name}, and no picture {convention.image.replace(NAME, name)} is in {root}"
            )
    if not names:
        raise ValueError(f"{place} names no picture")
    return [by_name[name] for name in names]


def _pictures(folder: Path, convention: Convention) -> list[Picture]:
    """All pictures of a folder, by name, which has the folders below it in front."""
    before, after = (re.escape(part).replace(r"\*", "[^/]*") for part in convention.image.split(NAME))
    pattern, found = re.compile(f"{before}(?P<name>.+){after}"), dict[str, Picture]()
    anywhere = "*" if re.search("[^/]" + re.escape(NAME), convention.image) else "**/*"
    for path in sorted(folder.glob(convention.image.replace(NAME, anywhere))):
        match = pattern.fullmatch(path.relative_to(folder).as_posix())
        if match and path.is_file():
            found.setdefault(match["name"], Picture(path, folder, match["name"]))
    if not found:
        raise FileNotFoundError(f"no picture {convention.image} in {folder}: {EXPECTED}")
    return list(found.values())


def _reader(convention: Convention, names: Sequence[str], targets: int) -> Callable[[Picture], Pair | str]:
    """What reads a pair, or says what it lacks."""

    def read(picture: Picture) -> Pair | str:
        paths = [_beside(picture, getattr(convention, name)) for name in names]
        for name, path in zip(names, paths, strict=True):
            if path is None:
                return f"{picture.path} has no {getattr(convention, name).replace(NAME, picture.name)}"
        parts = [READERS[name](path, convention) for name, path in zip(names, paths, strict=True) if path is not None]
        image, masked = read_image(picture.path), _beside(picture, convention.mask)
        return _pair(picture, image, parts, None if masked is None else read_mask(masked), targets)

    return read


def _beside(picture: Picture, pattern: str) -> Path | None:
    """The file of a picture whose name follows a pattern."""
    escaped = re.sub(r"([\[\]?*])", r"[\1]", picture.name)
    return next((path for path in sorted(picture.folder.glob(pattern.replace(NAME, escaped))) if path.is_file()), None)


def _pair(
    picture: Picture, image: NDArray, parts: Sequence[Known], mask: NDArray[np.bool_] | None,
    targets: int,
) -> Pair:  # fmt: skip
    sizes = {values.shape[1:] for values, _ in parts}
    if len(sizes) > 1:
        raise ValueError(f"{picture.path}: its ground truth has parts of the sizes {sorted(sizes)}, expected one")
    target = np.concatenate([values for values, _ in parts])
    valid = np.logical_and.reduce([known for _, known in parts])
    if len(target) != targets:
        raise ValueError(f"{picture.path}: its ground truth has {len(target)} channels, expected {targets}")
    _check_shapes(picture.path, image.shape[:2], valid.shape, "ground truth")
    if mask is None:
        mask = resized(valid, image.shape[:2])
    _check_shapes(picture.path, image.shape[:2], mask.shape, "mask")
    valid = valid & resized(mask, valid.shape)
    if not valid.any():
        raise ValueError(f"{picture.path}: no pixel of its ground truth is known")
    return Pair(
        picture.name, image, np.where(valid, target, 0.0).astype(np.float32), valid, resized(mask, image.shape[:2])
    )


def _check_shapes(path: Path, size: tuple[int, ...], other: tuple[int, ...], what: str) -> None:
    """ValueError unless both have the same aspect, to a pixel of the smaller."""
    (h, w), (a, b) = size, other
    if abs(a * w / h - b) > 1.0 and abs(b * h / w - a) > 1.0:
        raise ValueError(f"{path} is {w} x {h} pixels, and its {what} {b} x {a}: expected the same aspect")


def resized(mask: NDArray[np.bool_], size: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask at another size, by the nearest pixel."""
    if mask.shape == tuple(size):
        return mask
    return cv2.resize(mask.astype(np.uint8), (size[1], size[0]), interpolation=cv2.INTER_NEAREST) > 0


def described(found: dict[Split, list[Pair]]) -> str:
    """What a folder has, in words."""
    counts = [f"{len(pairs)} for the {split}" for split, pairs in found.items()]
    sizes = sorted({pair.image.shape[1::-1] for pairs in found.values() for pair in pairs})
    extent = " to ".join(f"{w} x {h}" for w, h in dict.fromkeys((sizes[0], sizes[-1])))
    return f"pairs: {', '.join(counts)}; pictures of {extent} pixels"


KINDS: dict[tuple[str, ...], int] = {("normals",): 3, ("depth",): 1, ("albedo", "shading"): 4}
"""The channels of ground truths by their parts."""


def kinds(root: Path) -> list[tuple[str, ...]]:
    """Those of KINDS that some picture of a folder has."""
    convention: Any = read_convention(root)
    pictures = [picture for split in splits(root, convention).values() for picture in split]
    return [parts for parts in KINDS if any(all(_beside(p, getattr(convention, n)) for n in parts) for p in pictures)]
