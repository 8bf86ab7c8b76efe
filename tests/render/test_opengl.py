"""The two backends against each other."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
import trimesh

from hgenv.beta.noise import Noise
from hgenv.render import raster
from hgenv.render.choice import find_renderer
from hgenv.render.mesh import pack, plain_mesh
from hgenv.render.renderer import Camera, Renderer, Scene
from hgenv.tasks.face_depth import FaceDepth
from hgenv.tasks.scene_normals import SceneNormals
from hgenv.tasks.texture_intrinsics import TextureIntrinsics

CAMERA = Camera.of_angle(96, 128, 0.8)
LIGHT = np.array([0.48, 0.6, 0.64])


@pytest.fixture(scope="module")
def opengl() -> Renderer:
    """pyrender; the test skips where it or EGL is missing."""
    try:
        renderer = find_renderer("opengl")
        renderer(Scene(plain_mesh(np.eye(3) - [0, 0, 3.0], np.array([[0, 1, 2]])), CAMERA, LIGHT))
    except ValueError as error:
        pytest.skip(str(error))
    return renderer


def check_depth(scene: Scene, inside: np.ndarray) -> None:
    """OpenGL's own depths against ours: pyrender keeps those of one of four samples, which is not in the middle."""
    from hgenv.render.opengl import draw

    theirs, off, c = draw(scene)[1], [], scene.camera
    for x, y in ((0.125, 0.375), (0.375, 0.125)):
        for centre in ((c.centre[0] + i * x, c.centre[1] + j * y) for i in (-1, 1) for j in (-1, 1)):
            ours = raster.render(scene._replace(camera=dataclasses.replace(c, centre=centre)))
            off.append(np.abs(ours.depth - theirs)[inside & (ours.mask > 0)])
    assert min(part.max() for part in off) < 3e-3


def inner(mask: np.ndarray) -> np.ndarray:
    """Pixels whose neighbours are inside too: OpenGL smooths edges."""
    return cv2.erode((mask > 0).astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0


def test_a_smooth_ball_has_the_same_colours(opengl: Renderer) -> None:
    ball = trimesh.creation.icosphere(subdivisions=4)
    mesh = plain_mesh(ball.vertices - [0.2, -0.1, 3.5], ball.faces, 0.2 + 0.6 * np.abs(ball.vertices))
    scene = Scene(mesh, CAMERA, LIGHT, 0.2)
    ours, theirs = raster.render(scene), opengl(scene)
    inside = inner(ours.mask)
    assert inside.sum() > 1000
    off = np.abs(ours.image - theirs.image)[:, inside]
    assert off.mean() < 0.012
    assert off.max() < 0.06
    check_depth(scene, inside)
    assert np.abs(ours.image[:, ::-1] - theirs.image)[:, inside & inner(ours.mask[::-1])].mean() > 0.05


def test_textures_have_the_same_place_and_colour(opengl: Renderer) -> None:
    """Seen from in front, from behind and aside; with an off-centre principal point."""
    rng = np.random.default_rng(0)
    picture = np.repeat(np.repeat(rng.integers(0, 255, (4, 4, 3), np.uint8), 16, 0), 16, 1)
    index = np.array([[0, 1, 2], [0, 2, 3]])
    corners = np.array([[-1.0, -0.8, -3], [1, -0.8, -2.6], [1, 0.8, -2.6], [-1, 0.8, -3]])
    uv = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
    camera = Camera(96, 128, (110.0, 100.0), (60.0, 52.0))
    for order in (index, index[:, ::-1]):
        mesh = plain_mesh(corners, order, smooth=False)
        mesh = mesh._replace(uv=uv[order], texture=np.zeros(2, np.int64))
        scene = Scene(mesh, camera, np.array([0.0, 0.0, 1.0]), 0.3, pack([picture]))
        ours, theirs = raster.render(scene), opengl(scene)
        inside = inner(ours.mask)
        off = np.abs(ours.image - theirs.image)[:, inside]
        assert np.median(off) < 0.012
        assert off.mean() < 0.03
        check_depth(scene, inside)


def test_shadows_fall_to_the_same_side(opengl: Renderer) -> None:
    floor = np.array([[-3.0, -1, -2], [3, -1, -2], [3, -1, -8], [-3, -1, -8]])
    lid = np.array([[-0.5, 0, -4.5], [0.5, 0, -4.5], [0.5, 0, -5.5], [-0.5, 0, -5.5]])
    index = np.array([[0, 1, 2], [0, 2, 3]])
    mesh = plain_mesh(np.concatenate([floor, lid]), np.concatenate([index, index + 4]), smooth=False)
    scene = Scene(mesh, CAMERA, np.array([0.6, 0.8, 0.0]), 0.2, shadow=512)
    ours, theirs = raster.render(scene), opengl(scene)
    ground = (ours.normal[1] > 0.99) & (np.arange(96)[:, None] > 60)
    dark = ours.shading[ground] < 0.21
    assert dark.sum() > 50
    assert ((theirs.image[0][ground] < 0.5) == dark).mean() > 0.95
    without = opengl(scene._replace(casters=np.arange(4) < 2))
    assert (without.image[0][ground] > 0.5).mean() > 0.97, "but for the far edge, which is smoothed"
    assert (theirs.image[0][ground] > 0.5).mean() < 0.97


@pytest.mark.parametrize("cls", [FaceDepth, SceneNormals, TextureIntrinsics])
def test_tasks_keep_their_ground_truth(cls: type, opengl: Renderer) -> None:
    knobs = {"shadow": 0, "rooms": 2} if cls is SceneNormals else {}
    ours, theirs = cls(resolution=64, **knobs), cls(resolution=64, renderer="opengl", **knobs)
    betas = np.tile(ours.layout.initial, (4, 1))
    first, second = ours.sample(betas, Noise(np.arange(4))), theirs.sample(betas, Noise(np.arange(4)))
    assert (first.target == second.target).all()
    assert (first.mask == second.mask).all()
    inside = first.mask.expand_as(first.image) > 0
    assert 0.0 < (first.image - second.image)[inside].abs().mean() < 0.04
    assert np.corrcoef(first.image[inside], second.image[inside])[0, 1] > 0.93


def test_a_context_serves_all_threads_one_after_the_other(opengl: Renderer) -> None:
    """Threads that come after the one which made it, and several at a time."""
    ball = trimesh.creation.icosphere(subdivisions=2)
    scenes = [
        Scene(
            plain_mesh(ball.vertices - [0.1 * i, 0, 4.0], ball.faces),
            Camera.of_angle(32 + 16 * (i % 2), 32, 0.8),
            LIGHT,
        )
        for i in range(8)
    ]
    wanted = [opengl(scene).image for scene in scenes]
    for threads in (1, 3):
        with ThreadPoolExecutor(threads) as pool:
            found = [picture.image for picture in pool.map(opengl, scenes)]
        assert all(np.array_equal(a, b) for a, b in zip(wanted, found, strict=True))
    assert np.array_equal(opengl(scenes[0]).image, wanted[0]), "and the first thread again"


@pytest.mark.parametrize("threads", [2, 3])
def test_opengl_gives_the_same_with_threads(threads: int, opengl: Renderer) -> None:
    one, several = (FaceDepth(renderer="opengl", threads=count) for count in (1, threads))
    betas = np.tile(one.layout.initial, (5, 1))
    for part, other in zip(*(task.sample(betas, Noise(np.arange(5))) for task in (one, several)), strict=True):
        assert torch.equal(part, other)


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ValueError, match="renderer must be one of"):
        FaceDepth(renderer="directx")
