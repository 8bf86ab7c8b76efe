"""Interiors: the layout, perturbations against closed forms, rooms."""

from typing import Any

import numpy as np
import pytest

from hgenv.render.mesh import NO_TEXTURES
from hgenv.render.raster import render
from hgenv.render.renderer import Scene
from hgenv.rotations import turn, unit_vector
from hgenv.scenes.furniture import box
from hgenv.scenes.interiors import DEGREES, Interior, Lighting, View, look, rotations, staged
from hgenv.scenes.rooms import room
from hgenv.tasks.scene_normals import SceneNormals

UP = np.array([0.0, 1.0, 0.0])
TANGENTS = np.array([0.6, 0.45])
LAYOUT = SceneNormals.layout


def plain(mesh: Any) -> Any:
    return mesh._replace(texture=np.full(len(mesh.corners), -1))


def hall() -> Interior:
    """A floor, and one box of side 1 m at (0, 0.5, 0); the camera stands at z = 4 and looks along -z."""
    floor = plain(box(np.array([-9.0, -0.1, -9.0]), np.array([9.0, 0.0, 9.0])))
    cube = plain(box(np.array([-0.5, 0.0, -0.5]), np.array([0.5, 1.0, 0.5])))
    return Interior(floor, [cube], NO_TEXTURES, [look(np.array([0.0, 0.5, 4.0]), np.array([0.0, 0, -1]), UP, TANGENTS)])


def seen(scene: Interior, shapes: np.ndarray, camera: np.ndarray) -> Any:
    return render(staged(scene, scene.views[0], shapes, camera, (96, 128), Lighting(np.zeros(3), 1.0, 0.3), 64))


def one(**degrees: float) -> np.ndarray:
    return np.array([degrees.get(name, 0.0) for name in DEGREES])


def test_layout_is_the_papers_108_coordinates() -> None:
    assert len(LAYOUT.names) == 108
    assert LAYOUT.discrete.sum() == 36
    assert len(LAYOUT.distributions) == 12
    assert all(len(d.parameters()) == 9 for d in LAYOUT.distributions.values())
    start = dict(zip(LAYOUT.names, LAYOUT.initial, strict=True))
    assert max(abs(v) for k, v in start.items() if "mean" in k) <= 0.05
    assert max(v for k, v in start.items() if "std" in k) <= 0.05


def test_objects_shift_along_the_rooms_axes_and_turn_about_their_middles() -> None:
    scene, none = hall(), np.zeros(6)
    middle = (48, 64)
    at_rest = seen(scene, none[None], none)
    assert at_rest.depth[middle] == pytest.approx(3.5, abs=1e-6)
    assert seen(scene, one(z=0.4)[None], none).depth[middle] == pytest.approx(3.1, abs=1e-6)
    right = seen(scene, one(x=0.4)[None], none)
    columns = np.flatnonzero(np.isclose(right.depth[40], 3.5, atol=1e-5))
    focal = 64 / 0.6
    assert columns.min() == pytest.approx(64 + focal * -0.1 / 3.5, abs=1)
    assert columns.max() + 1 == pytest.approx(64 + focal * 0.9 / 3.5, abs=1)
    turned = seen(scene, one(yaw=0.3)[None], none)
    np.testing.assert_allclose(turned.normal[:, 48, 64], [np.sin(0.3), 0.0, np.cos(0.3)], atol=1e-6)
    assert turned.depth[middle] == pytest.approx(4 - 0.5 / np.cos(0.3), abs=0.02)
    tipped = seen(scene, one(pitch=0.3)[None], none)
    np.testing.assert_allclose(tipped.normal[:, 40, 64], [0.0, -np.sin(0.3), np.cos(0.3)], atol=1e-6)


def test_the_camera_shifts_and_turns_along_its_own_axes() -> None:
    scene, none = hall(), np.zeros(6)
    assert seen(scene, none[None], one(z=0.5)).depth[48, 64] == pytest.approx(4.0, abs=1e-6)
    down = seen(scene, none[None], one(pitch=0.3))  # a positive pitch looks down
    floor = down.normal[:, 90, 10]
    np.testing.assert_allclose(floor, turn(0.0, 0.3) @ UP, atol=1e-6)
    assert down.mask.mean() > seen(scene, none[None], none).mask.mean()
    rolled = seen(scene, none[None], one(roll=0.2))
    np.testing.assert_allclose(rolled.normal[:, 90, 64], turn(0.0, 0.0, 0.2) @ UP, atol=1e-6)
    aside = seen(scene, none[None], one(x=0.3))
    columns = np.flatnonzero(np.isclose(aside.depth[40], 3.5, atol=1e-5))
    assert 0.5 * (columns.min() + columns.max() + 1) == pytest.approx(64 - 64 / 0.6 * 0.3 / 3.5, abs=1)


def frame_of(view: View, camera: np.ndarray) -> np.ndarray:
    return rotations(view, np.zeros((0, 6)), camera)[0]


def all_placed(scene: Interior, view: Any, shapes: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Corners of the shell and of all objects, placed one by one."""
    frame, eye = frame_of(view, camera), view.eye + view.frame.T @ camera[:3]
    parts = [(scene.shell.corners - eye) @ frame.T]
    for mesh, s in zip(scene.objects, shapes, strict=True):
        points = mesh.corners.reshape(-1, 3)
        centre = 0.5 * (points.min(0) + points.max(0))
        parts.append(((mesh.corners - centre) @ turn(*s[3:]).T + centre + s[:3] - eye) @ frame.T)
    return np.concatenate(parts)


@pytest.mark.parametrize("number", range(8))
def test_culling_leaves_out_nothing_that_is_seen_or_throws_a_shadow(number: int) -> None:
    """The same pictures as with all objects placed one by one, at perturbations from the start's to the largest."""
    rng, scene = np.random.default_rng(number), room(number)
    view, size = scene.views[number % 4], 0.1 * (number + 1)
    shapes, camera = rng.normal(0.0, size, (len(scene.objects), 6)), rng.normal(0.0, 0.7 * size, 6)
    light = Lighting(unit_vector(rng.random(2) * [0.7, 1.0] + [0.3, 0.0]), 0.5, 0.3)
    ours = staged(scene, view, shapes, camera, (48, 64), light, 128)
    whole = ours.mesh._replace(corners=all_placed(scene, view, shapes, camera))
    first, second = render(ours), render(ours._replace(mesh=whole))
    same = np.isclose(first.depth, second.depth, atol=1e-6)
    assert same.mean() > 0.999, "but for ties of faces in one plane"
    for name in ("normal", "albedo", "shading"):
        off = np.abs(getattr(first, name) - getattr(second, name)).reshape(-1, 48, 64).max(0)
        assert np.mean(off[same] > 1e-5) < 0.01, name


def test_only_furniture_throws_shadows() -> None:
    """In a closed room, whose walls would leave it dark."""
    scene = room(2)
    view, none = scene.views[0], np.zeros(6)
    toward = frame_of(view, none) @ np.array([0.48, 0.8, 0.36])
    shapes = np.zeros((len(scene.objects), 6))
    drawn = {s: staged(scene, view, shapes, none, (96, 128), Lighting(toward, 0.0, 0.3), s) for s in (0, 256)}
    pictures = {s: render(d) for s, d in drawn.items()}
    up = np.einsum("khw,k->hw", pictures[0].normal, frame_of(view, none) @ UP) > 0.99
    assert up.sum() > 500
    dark = pictures[256].shading[up] < 0.31
    assert 0.02 < dark.mean() < 0.6
    assert not (pictures[0].shading[up] < 0.31).any()
    closed = render(drawn[256]._replace(casters=None))
    assert (closed.shading[up] < 0.31).mean() > 0.9


@pytest.mark.parametrize("number", range(6))
def test_rooms_are_furnished_closed_and_seen_from_inside(number: int) -> None:
    scene = room(number)
    assert len(scene.objects) >= 2
    low, high = scene.shell.corners.reshape(-1, 3).min(0), scene.shell.corners.reshape(-1, 3).max(0)
    for view in scene.views:
        assert ((view.eye > low + 0.1) & (view.eye < high - 0.1)).all()
        np.testing.assert_allclose(view.frame @ view.frame.T, np.eye(3), atol=1e-12)
        shapes, none = np.zeros((len(scene.objects), 6)), np.zeros(6)
        mesh, _ = scene.seen(view, shapes, none, rotations(view, shapes, none), UP)
        picture = render(Scene(mesh, view.camera(48, 64), UP, textures=scene.textures))
        assert picture.mask.all(), "a room has no holes"
        assert picture.depth.max() < 9
    for thing in scene.objects:
        assert thing.corners[..., 1].min() >= -1e-9, "nothing stands in the floor"
