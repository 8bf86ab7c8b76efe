"""FaceDepth: the layout, heads of any beta, scores."""

import numpy as np
import pytest
import torch

from hgenv.beta.noise import Noise
from hgenv.domains import baselines, measured
from hgenv.options import build
from hgenv.scenes.faces import DISTANCE
from hgenv.tasks.face_depth import FaceDepth


def test_layout_has_the_papers_204_coordinates() -> None:
    layout = FaceDepth.layout
    assert len(layout.names) == 204
    assert layout.slices["pose"] == slice(183, 204)
    assert layout.discrete.sum() == 6
    start = layout.from_action(layout.to_action(layout.initial))
    np.testing.assert_allclose(start, layout.initial, atol=1e-12)


def test_random_betas_give_heads_in_range() -> None:
    task = FaceDepth()
    betas = task.layout.from_action(np.random.default_rng(0).uniform(-1, 1, (24, 204)))
    batch = task.sample(betas, Noise(np.arange(24)))
    assert all(torch.isfinite(part).all() for part in batch)
    seen = batch.mask > 0
    assert (batch.mask.flatten(1).mean(1) > 0.1).all()
    assert (batch.target[seen] > DISTANCE - 3).all()
    assert (batch.target[seen] < DISTANCE + 3).all()
    assert (batch.image >= 0).all()
    assert (batch.image <= 1).all()
    assert (batch.image.amax((1, 2, 3)) > 0.1).all()


def test_baselines_and_predictions_are_scored_alike() -> None:
    task = FaceDepth()
    assert len(task.domain.batch("validation").image) == len(task.domain.batch("test").image) == 54
    truth = task.domain.batch("test").target
    assert measured(task.quantity, task.domain, truth, "test")["rmse"] == 0.0
    constant = baselines(task.quantity, task.domain, "test")["constant depth"]
    assert 0.05 < constant["abs_rel"] < 0.3
    assert constant == measured(task.quantity, task.domain, torch.full_like(truth, DISTANCE), "test")


def test_bad_options_are_refused() -> None:
    for knobs in ({"resolution": 30}, {"ambient": 1.0}, {"channels": 7}):
        with pytest.raises(ValueError, match="got"):
            build(FaceDepth, knobs)
    with pytest.raises(FileNotFoundError, match="face_light"):
        _ = FaceDepth(model="/nowhere").face_model
    with pytest.raises(FileNotFoundError, match="expected james"):
        FaceDepth(data="/nowhere").domain.batch("validation")
