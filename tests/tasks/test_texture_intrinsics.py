"""TextureIntrinsics: images of any beta, scores, a domain of photographs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hgenv.beta.noise import Noise
from hgenv.domains import baselines, measured
from hgenv.tasks.texture_intrinsics import TextureIntrinsics

LAYOUT = TextureIntrinsics.layout


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


def test_the_truth_is_perfect_and_baselines_are_not() -> None:
    task = TextureIntrinsics()
    assert measured(task.quantity, task.domain, task.domain.batch("test").target, "test")["si_rmse"] == pytest.approx(
        0.0, abs=1e-7
    )
    assert all(row["si_rmse"] > 0.05 for row in baselines(task.quantity, task.domain, "test").values())


def test_bad_options_are_refused() -> None:
    for knobs in ({"resolution": 30}, {"ambient": -0.1}, {"models": 3}, {"shape_count": 0}, {"target": "x"}):
        with pytest.raises(ValueError, match="got"):
            TextureIntrinsics(**knobs)


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
