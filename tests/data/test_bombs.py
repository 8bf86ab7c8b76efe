"""Small files that would fill the memory: refused, by what they would come to."""

import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from crafted import element, hdf5_bomb, mat, mat_bomb, matrix, npz_bomb, png, tiff, zeros

from hgenv.data import nyu
from hgenv.data.face_models import BASEL_FILES, ICT_FILE

GIGABYTE = 1_000_000  # kB
READ = """
import sys
from pathlib import Path
from hgenv.data import face_models, mit_berkeley, nyu, picture

READERS = {
    "picture": lambda folder: picture.load_picture(folder / "picture"),
    "photograph": mit_berkeley.load_object,
    "frames": lambda folder: nyu.load(folder, 10),
    "face": face_models.load_face_model,
}
for kind, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        print(READERS[kind](Path(folder)).shape)
    except (ValueError, FileNotFoundError) as error:
        print(error)
    print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def read_elsewhere(*files: tuple[str, Path]) -> tuple[list[str], int]:
    """What a process of its own says of each folder, read as a kind of thing, and the most memory that it took (kB)."""
    arguments = [str(part) for file in files for part in file]
    command = [sys.executable, "-c", READ, *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()
    return lines[::2], int(lines[-1])


def picture(folder: Path, content: bytes) -> tuple[str, Path]:
    folder.mkdir()
    (folder / "picture").write_bytes(content)
    return "picture", folder


def photograph(folder: Path) -> tuple[str, Path]:
    folder.mkdir()
    for name in ("shading", "mask"):
        (folder / f"{name}.png").write_bytes(png(4, 4, 16, 0, zlib.compress(bytes(36))))
    (folder / "Z.mat").write_bytes(mat_bomb("depth", 2**31))
    return "photograph", folder


def frames(folder: Path) -> tuple[str, Path]:
    folder.mkdir()
    path = folder / nyu.RELEASE
    hdf5_bomb(path, "images", (1449, 3, 640, 480), "u1", 2**31)
    hdf5_bomb(path, "depths", (1449, 640, 480), "f4", 2**31)
    (folder / "test_indices.txt").write_text("\n".join(map(str, range(2, 656))))
    return "frames", folder


def face(folder: Path, name: str, content: bytes) -> tuple[str, Path]:
    folder.mkdir()
    (folder / name).write_bytes(content)
    return "face", folder


def test_each_is_refused_within_a_gigabyte(tmp_path: Path) -> None:
    cells = mat(element(14, matrix("shapeMU", (46341, 46341), b"", kind=4)))
    bombs = [
        (picture(tmp_path / "a", png(13_000, 13_000, 8, 2, zeros(13_000 * 39_001))), "169000000 pixels"),
        (picture(tmp_path / "b", png(50_000, 50_000, 8, 0, zeros(50_000 * 50_001))), "2500000000 pixels"),
        (picture(tmp_path / "c", tiff({256: 9, 257: 9, 258: 8, 259: 8, 262: 1, 277: 1, 322: 40_000, 323: 40_000, 324: 0,
                                       325: 1_600_000}, zeros(40_000**2))), "as much memory as 1600000000"),
        (photograph(tmp_path / "d"), "Z.mat is not a whole MATLAB v5 file of numbers: it holds more than the 67108864"),
        (frames(tmp_path / "e"), "images, number 1: a chunk at (0, 0, 0, 0) has more than its 921600 bytes"),
        (face(tmp_path / "f", ICT_FILE, npz_bomb("mean", 2_300_000_000)), "2300000000 bytes large, 67108864 are left"),
        (face(tmp_path / "g", BASEL_FILES[1], mat_bomb("shapeMU", 2**31)), "it holds more than the 570000000 bytes"),
        (face(tmp_path / "h", BASEL_FILES[1], cells), "shapeMU is text, expected numbers"),
    ]  # fmt: skip
    for (_, folder), _ in bombs:
        assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000
    said, memory = read_elsewhere(*[file for file, _ in bombs])
    for line, (_, problem) in zip(said, bombs, strict=True):
        assert problem in line
    assert memory < GIGABYTE


@pytest.mark.long
@pytest.mark.parametrize(
    ("bits", "colours", "width"), [(8, 0, 1), (8, 2, 3), (8, 4, 2), (8, 6, 4), (16, 0, 2), (16, 2, 6), (16, 6, 8)]
)
def test_the_largest_pictures_take_less_than_a_gigabyte(bits: int, colours: int, width: int, tmp_path: Path) -> None:
    rows = 8192 * 8 // bits
    (shape,), memory = read_elsewhere(
        picture(tmp_path / "a", png(8192, rows, bits, colours, zlib.compress(bytes(rows * (1 + 8192 * width)), 9)))
    )
    assert shape == f"({rows}, 8192, 3)"
    assert memory < GIGABYTE
