"""Metrics of known errors, by hand."""

import numpy as np
import pytest

from hgenv.quantities import metrics
from hgenv.quantities.metrics import depth_metrics, intrinsic_metrics


def test_normals_of_a_paraboloid_point_up_and_right_as_they_should() -> None:
    """z = -(x^2 + y^2) / 2 has the normal (x, y, 1), y up."""
    rows, columns = np.mgrid[-5:6, -5:6].astype(float)
    normal = metrics.sobel_normals(-0.01 * (rows**2 + columns**2) / 2)[:, 1:-1, 1:-1]
    expected = np.stack([0.01 * columns, -0.01 * rows, np.ones_like(rows)])[:, 1:-1, 1:-1]
    np.testing.assert_allclose(normal, expected / np.linalg.norm(expected, axis=0), atol=1e-12)


def test_metrics_of_known_angles() -> None:
    angle = np.radians([[10.0, 20.0], [25.0, 40.0]])
    prediction = 3 * np.stack([np.sin(angle), 0 * angle, np.cos(angle)])
    target = np.stack([0 * angle, 0 * angle, 1 + 0 * angle])
    errors = metrics.angular_error(prediction, target, np.ones((2, 2), bool))
    score = metrics.normal_metrics([errors, np.array([90.0])])
    assert score["mae"] == pytest.approx((10 + 20 + 25 + 40 + 90) / 5)
    assert score["median"] == pytest.approx(25)
    assert (score["within_11"], score["within_22"], score["within_30"]) == pytest.approx((20, 40, 60))
    assert score["mse"] == pytest.approx(np.mean(np.radians([10, 20, 25, 40, 90]) ** 2))
    assert score["image_mae"] == pytest.approx((95 / 4 + 90) / 2)
    assert score["n_mae"] == pytest.approx(np.sqrt(np.radians(95 / 4) * np.radians(90)))
    with pytest.raises(ValueError, match=r"valid pixel"):
        metrics.normal_metrics([np.array([])])


def test_depth_metrics_by_hand() -> None:
    found = depth_metrics(np.array([1.0, 4.0]), np.array([2.0, 2.0]))
    assert found["abs_rel"] == pytest.approx(0.75)
    assert found["sq_rel"] == pytest.approx((0.5 + 2.0) / 2)
    assert found["rmse"] == pytest.approx(np.sqrt(2.5))
    assert found["rmse_log"] == pytest.approx(np.log(2))
    assert found["si_log"] == pytest.approx(np.log(2))
    assert depth_metrics(np.array([2.0, 6.0]), np.array([1.0, 3.0]))["si_log"] == pytest.approx(0.0, abs=1e-12)
    for bad in ((np.array([]), np.array([])), (np.ones(1), np.zeros(1))):
        with pytest.raises(ValueError, match="depth metrics"):
            depth_metrics(*bad)


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
    assert found["reconstruction_abs"] == pytest.approx(0.25)
    with pytest.raises(ValueError, match="valid pixel"):
        intrinsic_metrics(prediction, target, target[:, :3], np.zeros((1, 1, 2), bool))
