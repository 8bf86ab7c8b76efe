"""The MIT-Berkeley photographs: broken folders."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from hgenv.data import mit_berkeley


def test_broken_photographs_are_named(photographs: Path, tmp_path: Path) -> None:
    shutil.copytree(photographs / mit_berkeley.SUBFOLDER / "pear", tmp_path / "pear")
    assert mit_berkeley.load_intrinsics(tmp_path, ("pear",))[0].image.shape[0] == 3
    reflectance = tmp_path / "pear" / "reflectance.png"
    cv2.imwrite(str(reflectance), np.zeros((4, 4, 3), np.uint16))
    with pytest.raises(ValueError, match="differ in size"):
        mit_berkeley.load_intrinsics(tmp_path, ("pear",))
    cv2.imwrite(str(reflectance), np.zeros((4, 4), np.uint16))
    with pytest.raises(ValueError, match=r"reflectance\.png: expected 3 channels"):
        mit_berkeley.load_intrinsics(tmp_path, ("pear",))
    reflectance.unlink()
    with pytest.raises(FileNotFoundError, match=r"reflectance\.png"):
        mit_berkeley.load_intrinsics(tmp_path, ("pear",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"height": np.eye(3)}, "has no variable `depth`"),
        ({"depth": {"a": 1.0}}, "got a struct"),
        ({"depth": "words"}, "depth is text, expected numbers"),
        ({"depth": np.array([1.0, "x"], object)}, "depth is a cell array, expected numbers"),
        ({"depth": np.ones((3, 3), np.uint8)}, "height x width floats, got .* uint8"),
        ({"depth": np.ones((3, 3, 2))}, r"height x width floats, got shape \(3, 3, 2\)"),
        ({"depth": np.eye(3) * 1j}, "depth is not of real numbers"),
    ],
)
def test_depth_that_is_none_is_named(content: dict, message: str, tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "Z.mat", content)
    with pytest.raises(ValueError, match=rf"Z\.mat.*{message}"):
        mit_berkeley.read_depth(tmp_path / "Z.mat")


def test_depth_may_be_endless_or_unknown(photographs: Path, tmp_path: Path) -> None:
    shutil.copytree(photographs / mit_berkeley.SUBFOLDER / "pear", tmp_path / "pear")
    depth = mit_berkeley.read_depth(tmp_path / "pear" / "Z.mat")
    whole = mit_berkeley.load_object(tmp_path / "pear")
    middle = tuple(np.argwhere(whole.valid)[whole.valid.sum() // 2])
    for value in (np.inf, np.nan, 1e308):
        depth[middle] = value
        scipy.io.savemat(tmp_path / "pear" / "Z.mat", {"depth": depth})
        found = mit_berkeley.load_object(tmp_path / "pear")
        assert np.isfinite(found.normal).all()
        assert 0 < whole.valid.sum() - found.valid.sum() <= 9
