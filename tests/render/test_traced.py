"""Renderers that trace paths against the default one."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import trimesh

from hgenv.beta.noise import Noise
from hgenv.process import crew
from hgenv.render import raster
from hgenv.render.choice import Backend, find_renderer
from hgenv.render.mesh import pack, plain_mesh
from hgenv.render.renderer import Camera, Rendered, Renderer, Scene, Tracing
from hgenv.tasks.face_depth import FaceDepth
from hgenv.tasks.scene_normals import SceneNormals
from hgenv.tasks.shape_normals import ShapeNormals
from hgenv.tasks.texture_intrinsics import TextureIntrinsics

CAMERA = Camera(96, 128, (150.0, 150.0), (70.0, 44.0))
LIGHT = np.array([0.48, 0.6, 0.64])
BACKENDS: tuple[Backend, ...] = ("blender", "mitsuba")


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    for one in crew._CREWS.values():
        one.close()
    crew._CREWS.clear()


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    """The test skips where one is missing."""
    found: Backend = request.param
    try:
        find_renderer(found)(Scene(plain_mesh(np.eye(3) - [0, 0, 3.0], np.array([[0, 1, 2]])), CAMERA, LIGHT))
    except ValueError as error:
        pytest.skip(str(error))
    return found


@pytest.fixture(scope="module")
def blender() -> Any:
    from hgenv.render import blender as module

    try:
        module.executable()
    except ValueError as error:
        pytest.skip(str(error))
    return module


def ball(smooth: bool = True) -> Scene:
    """Off the middle of a camera whose principal point is off the middle."""
    made = trimesh.creation.icosphere(subdivisions=3)
    mesh = plain_mesh(made.vertices - [0.2, -0.1, 4.5], made.faces, 0.2 + 0.6 * np.abs(made.vertices), smooth)
    return Scene(mesh, CAMERA, LIGHT, 0.0, shadow=1, tracing=Tracing(16))


def inner(mask: np.ndarray) -> np.ndarray:
    return cv2.erode((mask > 0).astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0


def both(backend: Backend, scene: Scene) -> tuple[Rendered, Rendered, np.ndarray]:
    ours, theirs = raster.render(scene._replace(shadow=0)), find_renderer(backend)(scene)
    for name in ("normal", "depth", "mask", "albedo"):
        np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))
    return ours, theirs, inner(ours.mask)


def test_a_ball_in_the_sun_has_the_same_colours(backend: Backend) -> None:
    """Nothing hides from a convex body what it sees, and one light without extent leaves no noise."""
    ours, theirs, inside = both(backend, ball())
    lit = inside & (ours.shading > 0.1)
    assert lit.sum() > 1000
    off = np.abs(ours.image - theirs.image)[:, lit]
    assert off.mean() < 0.005
    assert off.max() < 0.06
    moved = raster.render(ball()._replace(camera=dataclasses.replace(CAMERA, centre=(72.0, 44.0)), shadow=0))
    assert np.abs(moved.image - theirs.image)[:, lit].mean() > 3.0 * off.mean(), "two pixels aside would show"


def test_ambient_light_on_a_ball_is_the_same_on_average(backend: Backend) -> None:
    ours, theirs, inside = both(backend, ball()._replace(ambient=0.5, tracing=Tracing(64)))
    np.testing.assert_allclose(theirs.image[:, inside].mean(1), ours.image[:, inside].mean(1), rtol=0.03)


def test_a_texture_lies_as_it_does(backend: Backend) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(40, 255, (4, 6, 3), dtype=np.uint8)
    corners = np.array([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]]) - [0.0, 0.0, 3.5]
    mesh = plain_mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]), np.full((4, 3), 0.9), smooth=False)
    uv = np.array([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]]])
    scene = ball()._replace(mesh=mesh._replace(uv=uv, texture=np.zeros(2, np.int64)), textures=pack([picture]))
    ours, theirs, inside = both(backend, scene)
    correlation = np.corrcoef(ours.image[:, inside].ravel(), theirs.image[:, inside].ravel())[0, 1]
    assert correlation > 0.95
    assert theirs.image[:, inside].mean() == pytest.approx(ours.image[:, inside].mean(), rel=0.02)


def test_a_plate_throws_its_shadow_where_it_does(backend: Backend) -> None:
    def plate(half: float, z: float) -> tuple[np.ndarray, np.ndarray]:
        at = np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]])
        return at, np.array([[0, 1, 2], [0, 2, 3]])

    (far, faces), (near, _) = plate(2.0, -6.0), plate(0.4, -5.0)
    mesh = plain_mesh(np.concatenate([far, near]), np.concatenate([faces, faces + 4]), smooth=False)
    scene = ball()._replace(mesh=mesh, light=np.array([0.6, 0.0, 0.8]), shadow=1024)
    theirs, ours = find_renderer(backend)(scene), raster.render(scene)
    inside = inner(ours.mask)
    same = (ours.image.mean(0) > 0.1) == (theirs.image.mean(0) > 0.1)
    assert (ours.image.mean(0)[inside] < 0.1).mean() > 0.03, "there is a shadow"
    assert same[inside].mean() > 0.985


SAMPLED: dict[str, Callable[[Backend], Any]] = {
    "faces": lambda b: FaceDepth(resolution=32, renderer=b, samples_per_pixel=4),
    "textures": lambda b: TextureIntrinsics(resolution=32, renderer=b, samples_per_pixel=32),
    "shapes": lambda b: ShapeNormals(resolution=32, renderer=b, samples_per_pixel=4),
}


@pytest.mark.parametrize("what", SAMPLED)
def test_samples_are_keyed_and_look_like_the_defaults(backend: Backend, what: str) -> None:
    task = SAMPLED[what](backend)
    plain = dataclasses.replace(task, renderer="raycast" if what == "shapes" else "raster")
    beta, seeds = np.tile(task.layout.initial, (3, 1)), np.arange(3)
    one, again, ours = (t.sample(beta, Noise(seeds)) for t in (task, task, plain))
    assert all(map(torch.equal, one, again))
    torch.testing.assert_close(one.target, ours.target, rtol=0, atol=0)
    for a, b in zip(one.image, ours.image, strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.85
    assert one.image.min() >= 0


def test_blenders_own_passes_are_the_default_ground_truth(blender: Any) -> None:
    """Of pixel centres: the same mask, depths and normals."""
    scenes = [ball(), ball(smooth=False)]
    task = TextureIntrinsics(resolution=64)
    scenes += [make() for make in task.makers(np.tile(task.layout.initial, (3, 1)), Noise(np.arange(3)))]
    rooms = SceneNormals(rooms=2)
    scenes += [make() for make in rooms.makers(np.tile(rooms.layout.initial, (2, 1)), Noise(np.arange(2)))]
    for scene in scenes:
        found, ours = blender.draw(scene, passes=True), raster.render(scene)
        seen = ours.mask > 0
        assert ((found["depth"][0] > 0) != seen).mean() < 0.002
        shared = seen & (found["depth"][0] > 0)
        off = np.abs(found["depth"][0] - ours.depth)[shared] / ours.depth[shared]
        assert np.quantile(off, 0.99) < 1e-4
        cosine = np.clip((found["normal"] * ours.normal).sum(0)[shared], -1.0, 1.0)
        assert np.quantile(np.degrees(np.arccos(np.abs(cosine))), 0.99) < 0.5


def test_mitsubas_own_passes_are_the_default_ground_truth() -> None:
    """Of a point somewhere in each pixel: the same in the middle of large faces, and near it elsewhere."""
    try:
        find_renderer("mitsuba")
    except ValueError as error:
        pytest.skip(str(error))
    from hgenv.render import mitsuba

    scene = ball(smooth=False)
    (normal, distance), ours = mitsuba.passes(scene), raster.render(scene)
    inside = inner(ours.mask)
    cosine = np.clip((normal * ours.normal).sum(0)[inside], -1.0, 1.0)
    assert np.quantile(np.degrees(np.arccos(np.abs(cosine))), 0.7) < 0.1
    x, y = (np.arange(n) + 0.5 for n in (CAMERA.width, CAMERA.height))
    along = np.hypot(
        np.hypot((x - CAMERA.centre[0]) / CAMERA.focal[0], ((y - CAMERA.centre[1]) / CAMERA.focal[1])[:, None]), 1
    )
    expected, block = (ours.depth * along).astype(np.float32), np.ones((3, 3), np.uint8)
    between = (cv2.erode(expected, block) - 1e-4 <= distance) & (distance <= cv2.dilate(expected, block) + 1e-4)
    assert between[inner(inside)].mean() > 0.99, "a point of a pixel lies between its neighbours"
    assert ((distance > 0) != (ours.mask > 0)).mean() < 0.02


def test_light_goes_through_skin(blender: Any) -> None:
    task = FaceDepth(resolution=32, renderer="blender", samples_per_pixel=8, subsurface=0.8)
    beta = np.tile(task.layout.initial, (2, 1))
    skin, dull = (t.sample(beta, Noise(np.arange(2))).image for t in (task, dataclasses.replace(task, subsurface=0.0)))
    assert (skin - dull).abs().mean() > 0.005


def test_walls_that_throw_no_shadow(blender: Any) -> None:
    task = SceneNormals(rooms=2, renderer="blender", samples_per_pixel=8)
    beta = np.tile(task.layout.initial, (2, 1))
    one, ours = (
        t.sample(beta, Noise(np.arange(2))).image for t in (task, dataclasses.replace(task, renderer="raster"))
    )
    assert one.mean() == pytest.approx(float(ours.mean()), rel=0.4)
    with pytest.raises(ValueError, match=r"some of this scene are to throw none|needs Mitsuba"):
        dataclasses.replace(task, renderer="mitsuba").sample(beta, Noise(np.arange(2)))


def test_no_blender_and_one_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scene = ball()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("HGENV_BLENDER", raising=False)
    with pytest.raises(ValueError, match=r"renderer='blender' needs Blender: set [$]HGENV_BLENDER"):
        find_renderer("blender")(scene)
    monkeypatch.setenv("HGENV_BLENDER", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="none cannot be started"):
        find_renderer("blender")(scene)
    script = tmp_path / "blender"
    script.write_text("#!/bin/sh\necho 'no display' >&2\nexit 3\n")
    script.chmod(0o755)
    monkeypatch.setenv("HGENV_BLENDER", str(script))
    monkeypatch.setenv("PATH", os.defpath)
    with pytest.raises(ValueError, match=r"does not start: blender_side.py died with exit code 3; .*no display"):
        find_renderer("blender")(scene)


def test_pixels_that_are_not_square(backend: Backend) -> None:
    scene = ball()._replace(camera=dataclasses.replace(CAMERA, focal=(150.0, 180.0)))
    if backend == "mitsuba":
        with pytest.raises(ValueError, match="square pixels, got focal lengths 150 and 180"):
            find_renderer(backend)(scene)
        return
    ours, theirs, inside = both(backend, scene)
    assert np.abs(ours.image - theirs.image)[:, inside & (ours.shading > 0.1)].mean() < 0.006


def test_renderer_is_one_of_these() -> None:
    with pytest.raises(ValueError, match="renderer must be one of"):
        FaceDepth(renderer="povray")  # type: ignore[arg-type]


def test_a_backend_is_a_renderer(backend: Backend) -> None:
    found: Renderer = find_renderer(backend)
    assert found(ball()).image.shape == (3, 96, 128)
