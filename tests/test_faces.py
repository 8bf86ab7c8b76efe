"""Morphable models, scans and FaceDepth: readers against their files, depth against closed forms, metrics by hand."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hgenv.data.face_models import ICT_FILE, load_ict
from hgenv.data.head_scans import SCANS, load_scan
from hgenv.faces import COMPONENTS, procedural_head
from hgenv.metrics import depth_metrics
from hgenv.noise import Noise
from hgenv.scene import plain_mesh, turn
from hgenv.tasks.face_depth import DISTANCE, FaceDepth, before_camera

ICT = "ict-face"
HEADS = "face-scans"


@pytest.fixture
def folder(request: pytest.FixtureRequest, data: Path) -> Path:
    """A folder of the real data; the test skips where it is missing."""
    path = data / request.param
    if not path.is_dir():
        pytest.skip(f"no {request.param} in {data}")
    return path


def test_the_procedural_head_is_symmetric_and_faces_the_camera() -> None:
    model = procedural_head()
    assert len(model.geometry) > COMPONENTS
    assert len(model.expression) == len(model.texture) == COMPONENTS
    none = np.zeros(COMPONENTS)
    vertices = model.vertices(none, none)
    np.testing.assert_array_equal(vertices, model.mean)
    mirrored = vertices * [-1, 1, 1]
    gaps = np.linalg.norm(vertices[:, None] - mirrored[None, ::7], axis=2).min(0)
    assert gaps.max() < 0.02
    tip = vertices[np.argmax(vertices[:, 2])]
    assert abs(tip[0]) < 0.05, "the tip of the nose is in the middle"
    assert -0.4 < tip[1] < 0.1
    one = np.eye(COMPONENTS)[2]
    np.testing.assert_allclose(model.vertices(2 * one, none) - model.mean, 2 * model.geometry[2])


def test_layout_has_the_papers_204_coordinates() -> None:
    layout = FaceDepth.layout
    assert len(layout.names) == 204
    assert layout.slices["pose"] == slice(183, 204)
    assert layout.discrete.sum() == 6
    start = layout.from_action(layout.to_action(layout.initial))
    np.testing.assert_allclose(start, layout.initial, atol=1e-12)


def test_turns_are_rotations_in_order() -> None:
    for pose in np.random.default_rng(0).uniform(-1, 1, (5, 3)):
        np.testing.assert_allclose(turn(*pose) @ turn(*pose).T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turn(np.pi / 2, 0, 0) @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(turn(0, np.pi / 2, 0) @ [0, 0, 1], [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(turn(0, 0, np.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


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


def test_baselines_and_predictions_are_scored_alike() -> None:
    task = FaceDepth()
    assert len(task.validation().image) == len(task.test().image) == 54
    truth = task.test().target[None]
    assert task.metrics(truth, "test")["rmse"] == 0.0
    constant = task.baselines("test")["constant depth"]
    assert 0.05 < constant["abs_rel"] < 0.3
    assert constant == task.metrics(torch.full_like(truth, DISTANCE), "test")


@pytest.mark.parametrize("folder", [ICT], indirect=True)
def test_the_ict_model_is_what_its_page_says(folder: Path) -> None:
    model = load_ict(folder)
    assert model.mean.shape == (11248, 3)
    assert model.faces.shape == (22288, 3)
    assert len(model.geometry) == 100
    assert len(model.expression) == 57
    width, height, _ = np.ptp(model.mean, axis=0)
    assert width / height == pytest.approx(25 / 34, abs=0.03)
    raw = np.load(folder / ICT_FILE, allow_pickle=False)
    scale = height / np.ptp(raw["mean"][:, 1])
    np.testing.assert_allclose(model.geometry[3], scale * raw["identity"][3].astype(float), atol=1e-12)
    batch = FaceDepth(model=str(folder)).sample(np.tile(FaceDepth.layout.initial, (2, 1)), Noise(np.arange(2)))
    assert (batch.mask.flatten(1).mean(1) > 0.2).all()


@pytest.mark.parametrize("folder", [HEADS], indirect=True)
def test_scans_load_and_their_textures_fit(folder: Path) -> None:
    assert [len(load_scan(folder, split).mesh.corners) for split in SCANS][1] == 17678
    task = FaceDepth(data=str(folder), resolution=64)
    for batch in (task.validation(), task.test()):
        assert len(batch.image) == 27
        seen = batch.mask[:, 0] > 0
        assert seen.flatten(1).float().mean(1).min() > 0.3
        near = batch.target[:, 0][seen]
        assert near.min() > DISTANCE - 1.5
        red, _, blue = batch.image.permute(1, 0, 2, 3)[:, seen].mean(1)
        assert red > 1.1 * blue, "skin"


def test_moving_a_mesh_turns_its_normals_too() -> None:
    mesh = plain_mesh(procedural_head().mean, procedural_head().faces)
    pose = np.array([0.4, -0.2, 0.1])
    there = before_camera(mesh, pose)
    np.testing.assert_allclose(there.corners[:, 0] + [0, 0, DISTANCE], mesh.corners[:, 0] @ turn(*pose).T)
    np.testing.assert_allclose(there.normals[:, 0], mesh.normals[:, 0] @ turn(*pose).T)


@pytest.mark.parametrize("folder", [ICT], indirect=True)
def test_broken_models_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=ICT_FILE):
        load_ict(tmp_path)
    whole = (folder / ICT_FILE).read_bytes()
    (tmp_path / ICT_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is not the ICT Face Kit"):
        load_ict(tmp_path)
    content = dict(np.load(folder / ICT_FILE, allow_pickle=False))
    for name, value in {"identity": content["identity"][:50], "faces": content["faces"] + 20_000}.items():
        np.savez(tmp_path / ICT_FILE, **(content | {name: value}))
        with pytest.raises(ValueError, match=name):
            load_ict(tmp_path)
    del content["mean"]
    np.savez(tmp_path / ICT_FILE, **content)
    with pytest.raises(ValueError, match="mean"):
        load_ict(tmp_path)


@pytest.mark.parametrize("folder", [HEADS], indirect=True)
def test_broken_scans_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"james\.obj"):
        load_scan(tmp_path, "validation")
    shutil.copytree(folder / "james", tmp_path / "james")
    (tmp_path / "james" / "james.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="not a picture"):
        load_scan(tmp_path, "validation")
    (tmp_path / "james" / "james.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(ValueError, match="textur"):
        load_scan(tmp_path, "validation")


def test_bad_options_are_refused() -> None:
    for knobs in ({"resolution": 30}, {"ambient": 1.0}, {"channels": 7}):
        with pytest.raises(ValueError, match="got"):
            FaceDepth(**knobs)
    with pytest.raises(FileNotFoundError, match="face_light"):
        _ = FaceDepth(model="/nowhere").face_model
    with pytest.raises(FileNotFoundError, match="expected james"):
        FaceDepth(data="/nowhere").validation()
