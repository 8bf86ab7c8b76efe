"""The datasets that can be read: what is expected where, on what terms, and what a folder has of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hgenv.data import (
    convention,
    face_models,
    front3d,
    head_scans,
    houses,
    mit_berkeley,
    nyu,
    pairs,
    shape_files,
    shapenet,
    suncg,
    sweethome,
)
from hgenv.data.bare_shapes import find_objects
from hgenv.data.model import load_obj
from hgenv.data.selection import evenly, read_each


class Content(NamedTuple):
    """What a folder holds, in words, and what is broken of it, a line each."""

    text: str
    problems: Sequence[str] = ()


class Dataset(NamedTuple):
    """option: what names its folder. markers: patterns, relative to its folder, of a file that says it is there; where
    another dataset is, one that is unspecific is not.

    check: reads what is in the folder, of houses and models so many, evenly over all, and says how much; raises OSError
    or ValueError at the first problem of what has to be whole.
    """

    name: str
    what: str
    option: str
    expected: str
    terms: str
    markers: tuple[str, ...]
    check: Callable[[Path, int], Content]
    unspecific: bool = False


def find(dataset: Dataset, folder: Path, depth: int = 2) -> list[Path]:
    """The folders, of `folder` and those at most `depth` below it, where the dataset's markers are."""
    found: list[Path] = []
    for level in range(depth + 1):
        for place in sorted(folder.glob("/".join("*" * level))) if level else [folder]:
            inside = any(other == place or other in place.parents for other in found)
            if place.is_dir() and not inside and any(next(place.glob(m), None) for m in dataset.markers):
                found.append(place)
    return found


class Place(NamedTuple):
    """A folder where a dataset is: what it holds, empty if it cannot be read; and what is broken, a line each."""

    folder: Path
    content: str
    problems: Sequence[str]


class Report(NamedTuple):
    """A dataset, and where it was found; places is None if no folder was looked through."""

    dataset: Dataset
    places: list[Place] | None

    @property
    def missing(self) -> bool:
        """Whether it was looked for and is nowhere."""
        return self.places == []

    @property
    def broken(self) -> bool:
        """Whether there is a problem with what was found."""
        return any(place.problems for place in self.places or ())


def report(folder: Path | None, names: Iterable[str], most: int = 10**9) -> Iterator[Report]:
    """What a folder, if one is given, has of the named datasets.

    They are read whole, which takes its time, or at most so many houses and models of each.
    """
    wanted = set(names)
    for dataset in DATASETS:
        if dataset.name in wanted:
            places = None if folder is None else [_place(dataset, at, most) for at in _places(dataset, folder)]
            yield Report(dataset, places)


def _places(dataset: Dataset, folder: Path) -> list[Path]:
    found = find(dataset, folder)
    if dataset.unspecific and found:
        others = [place for other in DATASETS if not other.unspecific for place in find(other, folder)]
        found = [place for place in found if not any(o == place or o in place.parents for o in others)]
    return found


def _place(dataset: Dataset, folder: Path, most: int) -> Place:
    try:
        return Place(folder, *dataset.check(folder, most))
    except (OSError, ValueError) as error:
        return Place(folder, "", [str(error) or type(error).__name__])
    except Exception as error:  # whatever a folder holds, the other datasets are reported
        return Place(folder, "", [f"{type(error).__name__}: {error}"])


def _photographs(folder: Path, most: int) -> Content:
    names = mit_berkeley.VALIDATION + mit_berkeley.TEST
    photographs, parts = mit_berkeley.load(folder, names), mit_berkeley.load_intrinsics(folder, names)
    return Content(f"{len(photographs)} objects with shading and depth, {len(parts)} with reflectance")


def _frames(folder: Path, most: int) -> Content:
    whole = not (folder / nyu.RELEASE).is_file()
    counts = {split: len(frames) for split, frames in nyu.load(folder, 100_000 if whole else 20).items()}
    text = f"{counts['validation']} frames for the validation, {counts['test']} for the test"
    return Content(text if whole else f"the release; read, evenly over all: {text}")


def _houses(folder: Path, most: int) -> Content:
    problems: list[str] = []
    found, load = houses.find(folder)
    count, objects, views = 0, 0, 0
    for _, house in read_each(evenly(found, most), load, problems):
        count, objects, views = count + 1, objects + len(house.objects), views + len(house.views)
        problems += house.left_out
    if (folder / "object").is_dir():  # those of no house are shapes to paint
        for _ in read_each(evenly(find_objects(folder), most), partial(load_obj, materials=False), problems):
            pass
    return Content(f"{len(found)} houses; read {count} of them, with {objects} objects and {views} cameras", problems)


def _models(folder: Path, most: int) -> Content:
    problems: list[str] = []
    found = evenly(shapenet.find_models(folder), most)
    textured = [len(model.textures) > 0 for _, model in read_each(found, shapenet.load_model, problems)]
    return Content(f"{len(found)} models; read {len(textured)} of them, {sum(textured)} with textures", problems)


def _shape_files(folder: Path, most: int) -> Content:
    problems: list[str] = []
    found = evenly(shape_files.find_shapes(folder), most)
    textured = [len(model.textures) > 0 for _, model in read_each(found, shape_files.load_shape, problems)]
    return Content(f"{len(found)} models; read {len(textured)} of them, {sum(textured)} with textures", problems)


def _catalogues(folder: Path, most: int) -> Content:
    problems: list[str] = []
    counts = {}
    for path, entries in read_each(sorted(folder.glob("*.sh3f")), sweethome.entries, problems):
        counts[path.name] = sum(1 for _ in read_each(evenly(entries, most), _read_entry, problems))
    return Content(", ".join(f"{name} {count} models" for name, count in counts.items()), problems)


def _read_entry(entry: sweethome.Entry) -> None:
    sweethome.load_piece(entry.path, entry.piece(), materials=False)


def _face_model(folder: Path, most: int) -> Content:
    model = face_models.load_face_model(folder)
    components = f"{len(model.geometry)} components of geometry, {len(model.expression)} of expression"
    return Content(f"{len(model.mean)} vertices, {components}")


def _scans(folder: Path, most: int) -> Content:
    if (folder / head_scans.TABLE).is_file():
        paths = [path for split in head_scans.find_plys(folder).values() for path in split]
        scans = [head_scans.load_ply(path) for path in paths]
        return Content(f"{len(scans)} heads in {len(head_scans.load_table(folder))} views")
    return Content(f"{len([head_scans.load_scan(folder, split) for split in head_scans.SCANS])} heads")


def _own(folder: Path, most: int) -> Content:
    problems: list[str] = []
    texts = list[str]()
    for parts in pairs.kinds(folder):
        try:
            texts.append(f"{' and '.join(parts)}: {pairs.described(pairs.load(folder, parts, pairs.KINDS[parts]))}")
        except (OSError, ValueError) as error:
            problems.append(str(error))
    return Content("; ".join(texts) or "no ground truth that is read", problems)


DATASETS = (
    Dataset(
        "mit-berkeley",
        "MIT-Berkeley Intrinsic Images: photographs of 20 objects with shape, shading and reflectance",
        "--target mit-berkeley --data FOLDER (ShapeNormals, ShapeEvolution, TextureIntrinsics)",
        mit_berkeley.EXPECTED,
        "free to download with SIRFS 1.5 from its authors' pages, for education, research and what is not for profit; "
        "cite Grosse et al. 2009 and Barron & Malik 2015",
        ("MIT-Berkeley-Laboratory/*/shading.png", "apple/shading.png"),
        _photographs,
    ),
    Dataset(
        "nyu",
        "NYU Depth V2: photographs of rooms with depth",
        "--data FOLDER (SceneNormals)",
        nyu.EXPECTED,
        "free to download from its page at New York University, for research; cite Silberman et al. 2012. "
        "norm_gt_l.mat and masks.mat come with later papers on surface normals",
        (nyu.RELEASE, "frames.json", "nyu_depths/*.png"),
        _frames,
    ),
    Dataset(
        "suncg",
        "houses in SUNCG's layout",
        "--scenes FOLDER (SceneNormals); --shapes FOLDER (TextureIntrinsics)",
        suncg.EXPECTED,
        "SUNCG was withdrawn: only those who hold a copy have it. Other houses can be written in its layout",
        ("house/*/house.json",),
        _houses,
    ),
    Dataset(
        "3d-front",
        "furnished houses: 3D-FRONT with 3D-FUTURE's models",
        "--scenes FOLDER (SceneNormals)",
        front3d.EXPECTED,
        "on request from Alibaba's pages, for research that is not commercial; cite both papers of Fu et al. 2021",
        (f"{front3d.HOUSES}/*.json",),
        _houses,
    ),
    Dataset(
        "shapenet",
        "textured models in the layout of ShapeNetCore, versions 1 and 2",
        "--data FOLDER, --shapes FOLDER (TextureIntrinsics)",
        f"expected FOLDER/SYNSET/MODEL/{shapenet.V1} or FOLDER/SYNSET/MODEL/{shapenet.V2}, with materials and textures",
        "ShapeNetCore: on request from shapenet.org, for research that is not commercial",
        (f"*/*/{shapenet.V1}", f"*/*/{shapenet.V2}"),
        _models,
    ),
    Dataset(
        "shape-files",
        "textured models in files of their own",
        "--data FOLDER, --shapes FOLDER (TextureIntrinsics)",
        f"expected {shape_files.EXPECTED}; of OBJ and PLY alone, too",
        "as their authors say",
        ("*.glb", "*.stl"),
        _shape_files,
        unspecific=True,
    ),
    Dataset(
        "sweethome",
        "furniture catalogues of Sweet Home 3D",
        "--shapes FILE.sh3f or FOLDER (TextureIntrinsics)",
        sweethome.EXPECTED,
        "free, CC0 or CC BY: Debian's package sweethome3d-furniture installs 820 models in "
        "/usr/share/sweethome3d/furniture",
        ("*.sh3f",),
        _catalogues,
    ),
    Dataset(
        "folder",
        "your own pictures with normals, depth, or albedo and shading",
        "--target folder --data FOLDER (ShapeNormals, ShapeEvolution, SceneNormals, FaceDepth, TextureIntrinsics, "
        "OwnGenerator)",
        pairs.EXPECTED,
        "yours",
        (convention.CONVENTION, "validation.txt", "validation/*-image.*", "validation/*/*-image.*"),
        _own,
    ),
    Dataset(
        "face-model",
        "a morphable face model",
        "--model FOLDER (FaceDepth)",
        face_models.EXPECTED,
        "ICT Face Kit: free, MIT licence. Basel Face Model 2009: on request from the University of Basel, for research "
        "that is not commercial; BFM.mat is made from it by face3d",
        face_models.MARKERS,
        _face_model,
    ),
    Dataset(
        "head-scans",
        "textured head scans",
        "--data FOLDER (FaceDepth)",
        head_scans.EXPECTED,
        "LeePerrySmith: CC BY 3.0, Lee Perry-Smith; james: BSD, in menpo3d; both are real persons: for research and "
        "tests. The ten scans of Basel come with its Face Model; their lights and poses have to be written to "
        f"{head_scans.TABLE}, angles in radians, focal in heights of a picture",
        (head_scans.TABLE, "james/james.obj", "LeePerrySmith/LeePerrySmith.obj"),
        _scans,
    ),
)
