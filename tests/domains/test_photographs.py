"""Photographs as target domain: published numbers, broken folders."""

import dataclasses
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch

from hgenv.batch import Batch
from hgenv.beta.noise import Noise
from hgenv.data import mit_berkeley
from hgenv.domains import baselines, measured
from hgenv.domains.crop import exposed
from hgenv.domains.photographs import turned
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
    """Through crop, 64 x 64 and back to full resolution nothing is lost for a constant."""
    toward = torch.zeros(10, 3, 64, 64)
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


def test_training_images_are_exposed_and_cut_as_the_photographs_are(task: ShapeNormals) -> None:
    """Of both: the 99th percentile inside the mask, and the object's larger extent."""
    ours = task.sample(np.tile(task.layout.initial, (64, 1)), Noise(np.arange(64)))
    for batch in (ours, task.domain.batch("test")):
        bright = [float(np.percentile(i[m > 0], 99.0)) for i, m in zip(batch.image, batch.mask, strict=True)]
        assert np.median(bright) == pytest.approx(1.0, abs=0.03)
        assert float(batch.image.max()) == pytest.approx(1.0, abs=1e-6)
        extents = torch.maximum(batch.mask.amax((1, 2)).sum(1), batch.mask.amax((1, 3)).sum(1)) / 64
        assert float(extents.min()) == pytest.approx(1 / 1.1, abs=0.085)
        assert float(extents.max()) == pytest.approx(1 / 1.1, abs=0.05)


def test_a_black_picture_stays_black() -> None:
    image, mask = np.zeros((8, 8)), np.ones((8, 8), bool)
    np.testing.assert_array_equal(exposed(image, mask), image)
    np.testing.assert_array_equal(exposed(image + 0.5, ~mask), image + 0.5)
    half = exposed(np.where(np.arange(64).reshape(8, 8) < 32, 0.25, 4.0), np.arange(64).reshape(8, 8) < 32)
    assert half.min() == half.max() == 1.0


def test_normals_turn_with_their_picture() -> None:
    """The normals of a sphere are its places, however it is turned; its shading then is that of a light turned."""
    centres = (torch.arange(32) + 0.5) / 16 - 1
    x, y = torch.broadcast_tensors(centres, -centres[:, None])
    mask = (x**2 + y**2 < 0.9).float()
    normal = mask * torch.stack([x, y, (1 - x**2 - y**2).clamp(min=0).sqrt()])
    light = torch.tensor([0.3, -0.1, 0.9])
    image = torch.einsum("c,chw->hw", light, normal)
    copies = turned(Batch(image[None, None], normal[None], mask[None, None]))
    assert len(copies.image) == 8
    lights = set()
    for one, target in zip(copies.image[:, 0], copies.target, strict=True):
        torch.testing.assert_close(target, normal)
        inside = target[:, mask > 0]
        found = torch.linalg.lstsq(inside.T, one[mask > 0][:, None]).solution[:, 0]
        torch.testing.assert_close(torch.einsum("c,chw->hw", found, target), one, atol=1e-5, rtol=0)
        lights.add(tuple(round(float(v), 4) for v in found))
    turns = {(a, b, 0.9) for a, b in ((0.3, -0.1), (0.1, 0.3), (-0.3, 0.1), (-0.1, -0.3))}
    assert lights == turns | {(-a, b, z) for a, b, z in turns}


def test_the_validation_loss_sees_turned_photographs_and_the_score_does_not(task: ShapeNormals) -> None:
    domain = task.domain
    assert len(domain.examined().image) == 80
    assert len(domain.truth("validation")) == len(domain.batch("validation").image) == 10
    torch.testing.assert_close(domain.examined().image[::8], domain.batch("validation").image)
    own = dataclasses.replace(task, light="learned").domain  # which says where the light comes from
    assert len(own.examined().image) == 10


def test_beta_may_say_where_the_light_comes_from() -> None:
    task = ShapeNormals(light="learned", ambient=0.0)
    assert task.layout.names[:29] == ShapeNormals().layout.names
    given = {"light.mean.x": -1.4, "light.mean.y": 0.26, "light.std.x": 0.05, "light.std.y": 0.05}
    beta = np.tile(task.layout.named(given), (32, 1))
    batch = task.sample(beta, Noise(np.arange(32)))
    lit = (batch.image > 0)[:, 0]
    normal, shading = batch.target.permute(0, 2, 3, 1)[lit], batch.image[:, 0][lit]
    light = torch.linalg.lstsq(normal, shading[:, None]).solution[:, 0].numpy()
    np.testing.assert_allclose(light, np.array([-1.4, 0.26, 1.0]) / np.linalg.norm([-1.4, 0.26, 1.0]), atol=0.03)


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
