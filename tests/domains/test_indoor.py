"""Target domains indoors."""

from pathlib import Path

import pytest
import torch

from hgenv.domains import baselines, measured
from hgenv.domains.indoor import other_rooms
from hgenv.tasks.scene_normals import SceneNormals


def test_the_built_in_target_is_other_rooms_looked_down_upon() -> None:
    domain = other_rooms((48, 64), 24, 24)
    batch = domain.batch("test")
    floor = batch.target[:, 1, 36:].mean()
    ceiling = -batch.target[:, 1, :12].mean()
    assert floor > max(0.0, ceiling) + 0.2
    assert 40 < baselines(SceneNormals.quantity, domain, "test")["constant normal"]["mae"] < 70
    assert not torch.equal(batch.image, domain.batch("validation").image)


def test_the_target_is_scored_at_the_frames_grid(samples: Path) -> None:
    task = SceneNormals(data=str(samples / "labeled-8bit"), frames=6, rooms=2, pretrain_steps=0)
    batch = task.domain.batch("test")
    assert batch.image.shape == (6, 3, 48, 64)
    assert 0.5 < batch.mask.mean() < 0.8, "without the white border"
    truth = measured(task.quantity, task.domain, batch.target, "test")["mae"]
    shifted = measured(task.quantity, task.domain, batch.target.roll(4, dims=-1), "test")["mae"]
    assert truth < 14 < shifted
    constant = torch.zeros(6, 3, 48, 64)
    constant[:, 2] = 1.0
    assert measured(task.quantity, task.domain, constant, "test") == pytest.approx(
        baselines(task.quantity, task.domain, "test")["constant normal"]
    )
