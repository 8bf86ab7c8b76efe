"""The MIT-Berkeley photographs: broken folders."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

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
