"""Arrays of HDF5 files: those that lie elsewhere or nowhere, or grow when they are read."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from crafted import hdf5_bomb

from hgenv.data import nyu
from hgenv.data.hdf5 import dataset, has, open_hdf5, read

FRAMES = np.arange(48, dtype=np.uint8).reshape(4, 3, 2, 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["plain"] = FRAMES
        for name, options in {
            "chunked": {"chunks": (3, 2, 1, 2)}, "gzip": {"chunks": (3, 2, 1, 2), "compression": "gzip"},
            "all": {"chunks": (2, 3, 2, 2), "compression": "gzip", "shuffle": True, "fletcher32": True},
        }.items():  # fmt: skip
            file.create_dataset(name, data=FRAMES, **options)
        file.create_dataset("unwritten", (10**12, 3, 2, 2), "u1", chunks=(1, 3, 2, 2), compression="gzip")
    return tmp_path / "a.mat"


def test_arrays_are_read_whole_and_by_number(path: Path) -> None:
    with open_hdf5(path) as file:
        for name in ("plain", "chunked", "gzip", "all"):
            found = dataset(file, name)
            np.testing.assert_array_equal(read(found), FRAMES)
            np.testing.assert_array_equal(read(found, 2), FRAMES[2])
        unwritten = dataset(file, "unwritten")
        np.testing.assert_array_equal(read(unwritten, 10**12 - 1), np.zeros((3, 2, 2)))
        with pytest.raises(ValueError, match=r"a\.mat .*at /unwritten: 12000000000000 bytes of the array, at most"):
            read(unwritten)
        assert dataset(file, "nothing") is None


def loop(file: h5py.File) -> None:
    file["images"], file["again"] = h5py.SoftLink("/again"), h5py.SoftLink("/images")


def other_file(file: h5py.File) -> None:
    file["images"] = h5py.ExternalLink(f"{file.filename}.other", "images")
    with h5py.File(f"{file.filename}.other", "w") as other:
        other["images"] = np.zeros((4, 3, 640, 480), np.uint8)


def other_bytes(file: h5py.File) -> None:
    Path(f"{file.filename}.raw").write_bytes(bytes(4 * 3 * 640 * 480))
    raw = [(f"{file.filename}.raw", 0, h5py.h5f.UNLIMITED)]
    file.create_dataset("images", (4, 3, 640, 480), np.uint8, external=raw)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4, 3, 640, 480), np.uint8)
    layout[:] = h5py.VirtualSource(f"{file.filename}.other", "images", layout.shape)
    file.create_virtual_dataset("images", layout)


def a_group(file: h5py.File) -> None:
    file.create_group("images")


def no_shape(file: h5py.File) -> None:
    file["images"] = h5py.Empty("u1")


def text(file: h5py.File) -> None:
    file["images"] = "words"


def other_rank(file: h5py.File) -> None:
    file["images"] = np.zeros((3, 640, 480), np.uint8)


def wide(file: h5py.File) -> None:
    file["images"] = np.zeros((1, 3, 640, 480), np.uint16)


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (loop, "nothing"),
        (other_file, "nothing"),
        (other_bytes, "nothing"),
        (virtual, "nothing"),
        (a_group, "nothing"),
        (no_shape, "nothing"),
        (text, r"object \(\)"),
        (other_rank, r"uint8 \(3, 640, 480\)"),
        (wide, "uint16"),
    ],
)
def test_what_is_elsewhere_or_of_another_kind_is_refused(
    make: Callable[[h5py.File], None], got: str, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / nyu.RELEASE, "w") as file:
        make(file)
        assert has(file, "images") == (make not in (loop, other_file))
    with pytest.raises(ValueError, match=rf"{nyu.RELEASE}: expected images of \(n, 3, 640, 480\), bytes, got {got}"):
        nyu.load(tmp_path, 10)


def test_chunks_that_are_no_honest_ones_are_refused(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.create_dataset("large", (2000, 700, 700), "u1", chunks=(1000, 700, 700), compression="gzip")
        file.create_dataset("small", (2, 700, 700), "u1", chunks=(1, 1, 2), compression="gzip")
        file.create_dataset("lzf", data=FRAMES, compression="lzf")
    hdf5_bomb(path, "bomb", (2, 3, 2, 2), "u1", 2**20)
    with h5py.File(path, "a") as file:
        file["bomb"].id.write_direct_chunk((1, 0, 0, 0), b"no deflated bytes")
    with open_hdf5(path) as file:
        for name, problem in {
            "large": "490000000 bytes a chunk, at most", "small": "245000 chunks, at most",
            "lzf": "MATLAB does not use", "bomb": r"more than its 12 bytes",
        }.items():  # fmt: skip
            with pytest.raises(ValueError, match=rf"a\.mat .*at /{name}, number 1: .*{problem}"):
                read(dataset(file, name), 0)
        with pytest.raises(ValueError, match=r"a\.mat .*at /bomb, number 2: Error -3"):
            read(dataset(file, "bomb"), 1)


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        (np.zeros(4, [("r", "f8"), ("i", "f8")]), "expected whole numbers"),
        (["a", "b"], "expected whole numbers"),
        (np.ones((4, 1000)), "expected 4 different whole numbers, got 4000 numbers"),
    ],
)
def test_numbers_of_frames_that_are_none(numbers: object, problem: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / nyu.RELEASE, "w") as file:
        file.create_dataset("images", (4, 3, 640, 480), "u1")
        file.create_dataset("depths", (4, 640, 480), "f4")
        file["frameIndices"] = numbers
    with pytest.raises(ValueError, match=rf"{nyu.RELEASE}: frameIndices must name each of its 4 frames: {problem}"):
        nyu.load(tmp_path, 10)
