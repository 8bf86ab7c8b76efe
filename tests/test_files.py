import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hgenv.files import read_arrays, whole, write_arrays, write_json


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    given = {
        "weights": np.float32([[1, 2], [3, 4]]), "empty": np.zeros((0, 3)), "count": 7, "text": "π", "yes": True,
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "big": np.arange(3, dtype=">u2"), "nan": np.nan,
    }  # fmt: skip
    write_arrays(tmp_path / "a.npz", given)
    found = read_arrays(tmp_path / "a.npz")
    assert found.keys() == given.keys()
    for name, value in given.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == np.asarray(value).dtype
    found["weights"][0, 0] = 9.0  # they are the caller's


def interrupted(path: Path) -> None:
    with whole(path) as partial:
        partial.write_bytes(b"half")
        raise KeyboardInterrupt


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": 1})
    before = path.read_bytes()
    with pytest.raises(TypeError, match="y must be plain"):
        write_arrays(path, {"y": np.array([object()])})
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    with pytest.raises(OSError, match=r"nowhere/b\.json cannot be written"):
        write_json(tmp_path / "nowhere" / "b.json", {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def member(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


def header(shape: str, dtype: str = "<f8", order: bool = False) -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", b"hello", "not .npy"),
        ("a.npy", b"hello", "magic"),
        ("a.npy", header("(1000000, 1000000)"), "8000000000000 bytes"),
        ("a.npy", header("(9,)") + bytes(8), "ends after 8 of 72 bytes"),
        ("a.npy", header("(1,)", "|O") + bytes(8), "objects"),
        ("a.npy", header("(-1,)") + bytes(24000), r"shape \(-1,\)"),
        ("a.npy", header("(0, 99999999999999999999)"), "a.npz"),
        ("a.npy", header("(2,)", "<U99999999"), "799999992 bytes"),
        ("a.npy", b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + bytes(2**16), "version 1.0"),
        ("a.npy", header("(3000,)") + bytes(24000), "24000 bytes large, 20000 are left"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    path = member(tmp_path / "a.npz", name, content)
    with pytest.raises(ValueError, match=problem) as error:
        read_arrays(path, most=20_000)
    assert str(path) in str(error.value)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"a\.npz"):
        read_arrays(path)
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_arrays(tmp_path / "nothing")


def test_columns_first_and_big_endian(tmp_path: Path) -> None:
    content = header("(2, 3)", ">i2", order=True) + b"".join(bytes([k, 2]) for k in range(6))
    found = read_arrays(member(tmp_path / "a.npz", "a.npy", content))["a"]
    np.testing.assert_array_equal(found, np.array([[0, 2, 4], [1, 3, 5]]) * 256 + 2)


def test_packing_that_numpy_has_not_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", header("(1,)") + bytes(8))
    with pytest.raises(ValueError, match=r"a\.npz.*compressed by"):
        read_arrays(tmp_path / "a.npz")


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": float("nan"), "b": [np.inf, 1.5], "c": {"d": "text"}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "b": [None, 1.5], "c": {"d": "text"}}
