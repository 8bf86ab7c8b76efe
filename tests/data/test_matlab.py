"""Numbers of MATLAB's files of version 5, against scipy, and what lies."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from crafted import element, mat, matrix

from hgenv.data.matlab import read_variables
from hgenv.data.mit_berkeley import SUBFOLDER, read_depth

RNG = np.random.default_rng(0)
CONTENT = {
    "doubles": RNG.normal(size=(5, 7)),
    "floats": RNG.normal(size=(3, 4)).astype(np.float32),
    "whole": np.arange(300).reshape(10, 30),
    "bytes": np.arange(20, dtype=np.uint8),
    "yes": np.array([True, False]),
    "deep": RNG.normal(size=(2, 3, 4)),
    "one": 3,
    "empty": np.zeros((0, 3)),
    "text": "words",
    "complex": 1j * RNG.normal(size=3),
    "cells": np.array([1.0, "x"], object),
    "sparse": scipy.sparse.eye_array(3),
    "struct": {"doubles": np.eye(3), "text": "words", "whole": np.arange(5)},
    "structs": np.zeros((2, 2), [("one", "O")]),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_are_those_that_scipy_reads(compressed: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, CONTENT, do_compression=compressed)
    wanted = scipy.io.loadmat(path)
    names = ("doubles", "floats", "whole", "bytes", "yes", "deep", "one", "empty", "nothing")
    found = read_variables(path, names)
    assert found.keys() == {*names} - {"nothing"}
    for name, value in found.items():
        np.testing.assert_array_equal(value, wanted[name])
        assert value.dtype == wanted[name].dtype
    struct = read_variables(path, ["struct", "doubles", "whole"])["struct"]
    assert struct.keys() == {"doubles", "whole"}
    np.testing.assert_array_equal(struct["whole"], wanted["struct"][0, 0]["whole"])
    for name, problem in {
        "text": "text is text", "complex": "complex is not of real numbers", "cells": "cells is a cell array",
        "sparse": "sparse is a sparse matrix", "structs": "structs is not of real numbers",
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=rf"a\.mat .*{problem}, expected numbers"):
            read_variables(path, [name])
    with pytest.raises(ValueError, match="text is text"):
        read_variables(path, ["struct", "text"])


def test_real_files_are_read_as_by_scipy(photographs: Path) -> None:
    for path in sorted((photographs / SUBFOLDER).glob("*/Z.mat"))[:4]:
        np.testing.assert_array_equal(read_depth(path), scipy.io.loadmat(path)["depth"])


def test_big_endian_and_whole_numbers_in_few_bytes(tmp_path: Path) -> None:
    stored = matrix("a", (2, 3), element(2, bytes(range(6)), order=">"), order=">")
    (tmp_path / "a.mat").write_bytes(mat(element(14, stored, order=">"), ">"))
    found = read_variables(tmp_path / "a.mat", ["a"])["a"]
    np.testing.assert_array_equal(found, [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]])
    assert found.dtype == np.float64
    with pytest.raises(ValueError, match="more than the 100 bytes"):
        read_variables(tmp_path / "a.mat", ["a"], most=100)


NUMBERS = element(9, np.arange(6.0).tobytes())
FIELDS = element(5, struct.pack("<i", 4)) + element(1, b"a\0\0\0")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a MATLAB v5 file"),
        (b"words " * 100, "not a MATLAB v5 file"),
        (bytes(124) + b"\0\2IM" + bytes(100), "not a MATLAB v5 file"),
        (mat(b"123"), "not a whole"),
        (mat(element(14, matrix("a", (2, 3), NUMBERS))[:-20]), "it ends 20 bytes early"),
        (mat(element(14, matrix("a", (2, 4), NUMBERS))), "a has 6 numbers, but says that it is 2 x 4"),
        (mat(element(14, matrix("a", (-2, -3), NUMBERS))), "says that it is -2 x -3"),
        (mat(element(14, matrix("a", (65536, 65536), NUMBERS))), "65536 x 65536"),
        (mat(element(14, matrix("a", (), NUMBERS))), "a has 6 numbers"),
        (mat(element(14, matrix("a", (2, 3), element(9, b"", 2**31)))), "more than the 67108864 bytes"),
        (mat(element(14, matrix("a", (2, 3), element(16, b"words")))), "an element of type 16"),
        (mat(element(14, matrix("a", (46341, 46341), element(16, b""), kind=4))), "a is text"),
        (mat(element(14, matrix("a", (46341, 46341), b"", kind=1))), "a is a cell array"),
        (mat(element(14, matrix("a", (46341, 46341), FIELDS, kind=2))), "not of real numbers"),
        (mat(element(14, matrix("a", (1, 1), FIELDS + element(9, b""), kind=2))), "field a is no matrix"),
        (mat(element(14, matrix("a", (1, 1), FIELDS + element(14, matrix("", (2, 3), NUMBERS), 9), kind=2))), "longer"),
        (mat(element(14, matrix("a", (1, 1), element(5, bytes(4)) + FIELDS[16:], kind=2))), "without letters"),
        (mat(element(15, zlib.compress(element(14, matrix("a", (2, 3), NUMBERS)))[:-20])), "early"),
        (mat(element(15, b"no such thing")), "Error -3"),
        (mat(element(15, b"")), "it ends 8 bytes early"),
    ],
)
def test_what_lies_is_refused(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.mat .*{problem}"):
        read_variables(tmp_path / "a.mat", ["a"])
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_variables(tmp_path / "nothing", ["a"])


def test_any_bytes_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    for compressed in (False, True):
        scipy.io.savemat(path, CONTENT, do_compression=compressed)
        whole = path.read_bytes()
        for _ in range(80):
            changed = bytearray(whole[: RNG.integers(128, len(whole))] if RNG.random() < 0.3 else whole)
            for _ in range(RNG.integers(1, 6)):
                changed[RNG.integers(128, len(changed))] = RNG.integers(256)
            path.write_bytes(changed)
            try:
                read_variables(path, [*CONTENT])
            except ValueError as error:
                assert str(path) in str(error)  # noqa: PT017
