"""TextureIntrinsics: the painter's polygons and noise against other implementations, furniture, models, metrics."""

import shutil
from pathlib import Path

import cv2
import matplotlib.path
import numpy as np
import pytest
import torch

from hgenv.beta.noise import Noise
from hgenv.data import mit_berkeley
from hgenv.domains import baselines, measured
from hgenv.quantities.metrics import intrinsic_metrics
from hgenv.scenes.furniture import SHAPES, box, cylinder, furniture
from hgenv.scenes.texture import MAX_POLYGONS, TextureBeta, _perlin, _signed_distance, _simple, paint
from hgenv.tasks.texture_intrinsics import TextureIntrinsics

LAYOUT = TextureBeta()


def test_layout_has_the_papers_36_coordinates() -> None:
    assert len(LAYOUT.names) == 36
    assert LAYOUT.discrete.sum() == 1 + 1 + 4 + 5 + 5


def test_signed_distances_are_those_of_the_polygon() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        count = int(rng.integers(3, 7))
        x, y = (c[0] for c in _simple(*rng.random((2, 1, 6)), np.array([count])))
        polygon = matplotlib.path.Path(np.stack([x[:count], y[:count]], 1))
        ends = np.stack([x[:count], y[:count]], 1)
        along = np.concatenate([np.linspace(a, b, 2000) for a, b in zip(ends, np.roll(ends, -1, 0), strict=True)])
        for point in rng.uniform(-0.2, 1.2, (20, 2)):
            found = _signed_distance(*point, x, y, count)
            assert abs(found) == pytest.approx(np.linalg.norm(along - point, axis=1).min(), abs=2e-3)
            if abs(found) > 1e-6:
                assert (found < 0) == polygon.contains_point(point)


def test_perlin_noise_by_its_definition() -> None:
    angles = np.random.default_rng(1).uniform(0, 2 * np.pi, (6, 6))
    for i, j in ((0, 0), (2, 5), (5, 3)):
        assert _perlin(i / 6, j / 6, angles) == pytest.approx(0.0, abs=1e-12)
        h = 1e-6
        slope = (_perlin(i / 6 + h, j / 6, angles) - _perlin(i / 6 - h, j / 6, angles)) / (2 * h)
        assert slope == pytest.approx(6 * np.cos(angles[i, j]), rel=1e-4)
    points = np.random.default_rng(2).random((200, 2))
    values = np.array([_perlin(*p, angles) for p in points])
    np.testing.assert_allclose(values, [_perlin(p[0] + 1, p[1] - 2, angles) for p in points], atol=1e-9)
    assert 0.1 < values.std() < 0.5
    assert np.abs(values).max() <= 1.0


def painted(**changes: float) -> np.ndarray:
    beta = LAYOUT.initial.copy()
    for name, value in changes.items():
        beta[LAYOUT.names.index(name.replace("__", "."))] = value
    return paint(LAYOUT.bind(np.tile(beta, (40, 1))), Noise(np.arange(40)), 24)[0]


def test_one_polygon_more_is_painted_on_top() -> None:
    """Under common seeds canvases with few polygons change where the new ones lie, and nowhere else."""
    few, more = painted(polygons__rate=2.0), painted(polygons__rate=2.6)
    changed = (few != more).any(-1).mean((1, 2))
    assert 0.05 < np.mean(changed > 0) < 0.8
    assert (changed[changed > 0] < 1).any()
    colours = [len(np.unique(canvas.reshape(-1, 3), axis=0)) for canvas in painted(polygons__rate=16.0)]
    assert np.mean(colours) > np.mean([len(np.unique(c.reshape(-1, 3), axis=0)) for c in few]) + 2
    assert max(colours) <= MAX_POLYGONS + 1


def test_polygons_lie_where_beta_says() -> None:
    low = {f"x__mean__{i}": 0.1 for i in range(5)} | {f"x__std__{i}": 0.03 for i in range(5)}
    canvases = painted(**low).astype(int)
    background = canvases[:, 12, -1]
    other = (canvases != background[:, None, None]).any(-1).mean((0, 1))
    assert other[:6].mean() > 5 * other[8:].mean()


def test_furniture_is_whole_and_of_unit_size() -> None:
    rng = np.random.default_rng(0)
    for kind in range(len(SHAPES)):
        for u in rng.random((5, 4)):
            mesh = furniture((kind + 0.5) / len(SHAPES), u)
            points = mesh.corners.reshape(-1, 3)
            assert np.linalg.norm(np.ptp(points, axis=0)) == pytest.approx(1.0)
            np.testing.assert_allclose(points.min(0) + points.max(0), 0.0, atol=1e-12)
            assert np.isfinite(mesh.uv).all()
            assert (mesh.texture == 0).all()


def test_boxes_and_cylinders_have_their_areas() -> None:
    def area(mesh: object) -> float:
        corners = mesh.corners  # type: ignore[attr-defined]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        return float(np.linalg.norm(cross, axis=1).sum() / 2)

    assert area(box(np.zeros(3), np.array([1.0, 2.0, 3.0]))) == pytest.approx(2 * (2 + 3 + 6))
    found = area(cylinder(np.zeros(3), np.array([0.0, 2.0, 0.0]), 0.5, 0.5, sides=200))
    assert found == pytest.approx(np.pi * 0.5 * 2 * (2 + 0.5), rel=1e-3)


def test_images_are_albedo_times_shading_for_any_beta() -> None:
    task = TextureIntrinsics()
    betas = LAYOUT.from_action(np.random.default_rng(0).uniform(-1, 1, (24, 36)))
    batch = task.sample(betas, Noise(np.arange(24)))
    assert all(torch.isfinite(part).all() for part in batch)
    np.testing.assert_array_equal(batch.image, batch.target[:, :3] * batch.target[:, 3:])
    seen = batch.mask > 0
    assert (batch.mask.flatten(1).mean(1) > 0.02).all()
    assert (batch.target[:, 3:][seen] >= task.ambient - 1e-6).all()
    assert batch.target.max() <= 1
    assert task.quantity.picture(batch.target, batch.mask).shape == (24, 64, 32, 3)


def test_intrinsic_metrics_by_hand() -> None:
    target = np.full((1, 4, 1, 2), 0.5)
    prediction = target.copy()
    prediction[:, :3] *= 2  # a wrong scale only
    prediction[0, 3] = [[0.6, 0.4]]
    found = intrinsic_metrics(prediction, target, np.full((1, 3, 1, 2), 0.25), np.ones((1, 1, 2), bool))
    assert found["albedo_abs"] == found["albedo_rmse"] == pytest.approx(0.5)
    assert found["albedo_si_rmse"] == pytest.approx(0.0)
    assert found["shading_abs"] == found["shading_rmse"] == pytest.approx(0.1)
    scale = 0.5 / (0.36 + 0.16)
    assert found["shading_si_rmse"] == pytest.approx(np.sqrt(np.mean((scale * np.array([0.6, 0.4]) - 0.5) ** 2)))
    assert found["reconstruction"] == pytest.approx(np.sqrt(np.mean((np.array([0.6, 0.4]) - 0.25) ** 2)))
    with pytest.raises(ValueError, match="valid pixel"):
        intrinsic_metrics(prediction, target, target[:, :3], np.zeros((1, 1, 2), bool))


def test_the_truth_is_perfect_and_baselines_are_not() -> None:
    task = TextureIntrinsics()
    assert measured(task.quantity, task.domain, task.domain.batch("test").target, "test")["si_rmse"] == pytest.approx(
        0.0, abs=1e-7
    )
    assert all(row["si_rmse"] > 0.05 for row in baselines(task.quantity, task.domain, "test").values())


# -- MIT-Berkeley's reflectance and shading


def test_photographs_as_a_second_target(photographs: Path) -> None:
    task = TextureIntrinsics(target="mit-berkeley", data=str(photographs), resolution=64)
    for batch in (task.domain.batch("validation"), task.domain.batch("test")):
        assert batch.image.shape == (10, 3, 64, 64)
        assert batch.target.min() >= 0
        assert batch.image.max() <= 1
        inside = batch.mask.expand(-1, 3, -1, -1) > 0
        product = (batch.target[:, :3] * batch.target[:, 3:])[inside]
        assert np.corrcoef(product, batch.image[inside])[0, 1] > 0.9, "albedo x shading is the image, nearly"
    scores = baselines(task.quantity, task.domain, "test")
    assert all(0.05 < row["albedo_si_rmse"] < 0.4 for row in scores.values())
    truth = measured(task.quantity, task.domain, task.domain.batch("test").target, "test")
    assert truth["si_rmse"] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < truth["reconstruction"] < 0.1


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


def test_bad_options_are_refused() -> None:
    for knobs in ({"resolution": 30}, {"ambient": -0.1}, {"models": 3}, {"shape_count": 0}, {"target": "x"}):
        with pytest.raises(ValueError, match="got"):
            TextureIntrinsics(**knobs)
