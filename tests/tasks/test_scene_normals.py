"""SceneNormals: normals of any beta, bad options."""

import numpy as np
import pytest
import torch

from hgenv.beta.noise import Noise
from hgenv.scenes.interiors import SceneBeta
from hgenv.scenes.rooms import NYU_TANGENTS
from hgenv.tasks.scene_normals import SceneNormals

LAYOUT = SceneNormals.layout


@pytest.mark.parametrize("id", ["rooms", "house"])
def test_random_betas_give_normals_that_face_the_camera(id: str, request: pytest.FixtureRequest) -> None:
    scenes = str(request.getfixturevalue("suncg")) if id == "house" else None
    task = SceneNormals(rooms=4, scenes=scenes)
    betas = LAYOUT.from_action(np.random.default_rng(0).uniform(-1, 1, (16, 108)))
    batch = task.sample(betas, Noise(np.arange(16)))
    assert all(torch.isfinite(part).all() for part in batch)
    assert batch.image.shape == (16, 3, 48, 64)
    assert batch.image.min() >= 0
    assert batch.image.max() <= 1
    inside = batch.mask[:, 0] > 0
    assert inside.float().mean() > 0.8
    torch.testing.assert_close(batch.target.norm(dim=1)[inside], torch.ones(int(inside.sum())), atol=1e-5, rtol=0)
    x = (torch.arange(64) + 0.5 - 32) * NYU_TANGENTS[0] / 32
    y = (24 - torch.arange(48) - 0.5) * NYU_TANGENTS[1] / 24
    along = batch.target[:, 0] * x + batch.target[:, 1] * y[:, None] - batch.target[:, 2]
    assert (along[inside] < 1e-3).all(), "a visible surface faces the ray"


def test_bad_options_are_refused() -> None:
    for knobs in (
        {"resolution": 48},
        {"resolution": 66},
        {"rooms": 0},
        {"detail": -1.0},
        {"shadow": -1},
        {"ambient": 1.0},
    ):
        with pytest.raises(ValueError, match=r"got|positive"):
            SceneNormals(**knobs)
    assert isinstance(SceneNormals().layout, SceneBeta)
