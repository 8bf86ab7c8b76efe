"""Photographs as target domain: published numbers, broken folders."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch

from hgenv.data import mit_berkeley
from hgenv.domains import baselines, measured
from hgenv.tasks.shape_normals import ShapeNormals


@pytest.fixture(scope="module")
def task(photographs: Path) -> ShapeNormals:
    return ShapeNormals(target="mit-berkeley", data=str(photographs))


def test_constant_normal_gives_the_published_errors(task: ShapeNormals) -> None:
    """SIRFS's naive baseline, 0.7223 rad, and the pooled errors of the same prediction."""
    score = baselines(task.quantity, task.domain, "test")["constant normal"]
    assert score["n_mae"] == pytest.approx(0.7223, abs=1e-4)
    assert score["mae"] == pytest.approx(43.39, abs=0.01)
    assert score["median"] == pytest.approx(43.04, abs=0.01)
    shares = [score[k] for k in ("within_11", "within_22", "within_30")]
    np.testing.assert_allclose(shares, [3.0, 12.0, 22.0], atol=0.06)


def test_dome_over_the_silhouette(task: ShapeNormals) -> None:
    score = baselines(task.quantity, task.domain, "test")["dome"]
    assert score["mae"] == pytest.approx(29.63, abs=0.1)
    assert score["median"] == pytest.approx(25.98, abs=0.2)


def test_a_network_that_says_constant_normal_scores_like_the_baseline(task: ShapeNormals) -> None:
    """Through crop, 32 x 32 and back to full resolution nothing is lost for a constant."""
    toward = torch.zeros(10, 3, 32, 32)
    toward[:, 2] = 2.0
    for split in ("validation", "test"):
        assert measured(task.quantity, task.domain, toward, split)["mae"] == pytest.approx(
            baselines(task.quantity, task.domain, split)["constant normal"]["mae"], 1e-9
        )


def test_the_ground_truth_at_network_resolution_scores_well_at_full_resolution(photographs: Path) -> None:
    """Cut, shrink and enlarge are each other's inverse up to blur: a shift by a pixel would show."""
    for resolution, bound in ((32, 11.0), (128, 4.5)):
        task = ShapeNormals(target="mit-berkeley", data=str(photographs), resolution=resolution)
        target = task.domain.batch("test").target
        score = measured(task.quantity, task.domain, target, "test")["mae"]
        shifted = measured(task.quantity, task.domain, target.roll(2, dims=-1), "test")["mae"]
        assert score < bound
        assert shifted > 1.1 * score


def test_splits_have_ten_objects_each_and_16_bits_are_kept(photographs: Path, task: ShapeNormals) -> None:
    assert not set(mit_berkeley.VALIDATION) & set(mit_berkeley.TEST)
    assert len(task.domain.batch("validation").image) == len(task.domain.batch("test").image) == 10
    pear = mit_berkeley.load(photographs, ("pear",))[0]
    levels = np.unique(np.round(pear.shading * 65535))
    assert len(levels) > 2000
    assert pear.shading.max() <= 1
    assert pear.valid.sum() < pear.mask.sum()
    np.testing.assert_allclose(np.linalg.norm(pear.normal, axis=0)[pear.valid], 1.0)


@pytest.fixture
def copy(photographs: Path, tmp_path: Path) -> Path:
    source = photographs / mit_berkeley.SUBFOLDER
    shutil.copytree(source, tmp_path / "photographs")
    return tmp_path / "photographs"


def short_file(folder: Path) -> None:
    (folder / "pear" / "mask.png").unlink()


def truncated_png(folder: Path) -> None:
    path = folder / "pear" / "shading.png"
    path.write_bytes(path.read_bytes()[:3000])


def eight_bits(folder: Path) -> None:
    path = folder / "pear" / "shading.png"
    cv2.imwrite(str(path), (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) // 256).astype(np.uint8))


def no_depth(folder: Path) -> None:
    scipy.io.savemat(folder / "pear" / "Z.mat", {"height": np.zeros((3, 3))})


def damaged_mat(folder: Path) -> None:
    path = folder / "pear" / "Z.mat"
    path.write_bytes(path.read_bytes()[:200])


def other_size(folder: Path) -> None:
    scipy.io.savemat(folder / "pear" / "Z.mat", {"depth": np.zeros((3, 3))})


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (short_file, FileNotFoundError, r"mask\.png.*SIRFS"),
        (truncated_png, ValueError, "shading.png.*not a whole one"),
        (eight_bits, ValueError, "shading.png.*uint16"),
        (no_depth, ValueError, "Z.mat.*depth"),
        (damaged_mat, ValueError, "Z.mat"),
        (other_size, ValueError, "differ in size"),
    ],
)
def test_broken_folders_give_one_clear_error(copy: Path, spoil, error: type[Exception], message: str) -> None:
    spoil(copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(error, match=message) as caught:
        ShapeNormals(target="mit-berkeley", data=str(copy)).domain.batch("validation")
    assert "pear" in str(caught.value)
    assert before == {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere.*shading\.png"):
        ShapeNormals(target="mit-berkeley", data=str(tmp_path / "nowhere")).domain.batch("validation")
