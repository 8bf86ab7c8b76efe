"""Images per core-second of our renderers, beside trimesh.ray and pyrender on the same shapes in the same run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from hgenv.beta.noise import Noise
from hgenv.csg import raycast as ray_csg
from hgenv.csg.export import to_mesh
from hgenv.csg.grammar import derive
from hgenv.csg.shapes import Shapes
from hgenv.fields import Natural, OnDisk, Side, check
from hgenv.render import raster
from hgenv.render.choice import Backend, find_renderer
from hgenv.render.renderer import Camera, Scene, Tracing
from hgenv.rotations import unit_vector
from hgenv.tasks.face_depth import FaceDepth
from hgenv.tasks.rendered import RenderedTask
from hgenv.tasks.scene_normals import SceneNormals
from hgenv.tasks.shape_normals import ShapeNormals
from hgenv.tasks.texture_intrinsics import TextureIntrinsics

Array = NDArray[np.float64]
Frame = Callable[[], object]
_SAMPLES = (1, 4, 16)
"""A pixel, of renderers that trace paths."""


@dataclass(frozen=True)
class RenderOptions:
    """Speed of the renderers, at the start beta of every environment."""

    count: Natural = 48
    """Samples a frame."""
    repeats: Natural = 5
    """Repetitions; the median counts."""
    resolutions: tuple[Side, ...] = (32, 64, 128)
    """Sides of the pictures in pixels; of the environments of meshes, widths from 64 on."""
    scenes: OnDisk | None = None
    """Folder of scenes in SUNCG's layout, measured besides the procedural rooms."""
    model: OnDisk | None = None
    """Folder of a morphable face model, measured besides the procedural head."""

    def __post_init__(self) -> None:
        check(self)
        if not self.resolutions:
            raise ValueError("name at least one resolution")


def measure(o: RenderOptions) -> Iterator[str]:
    """Lines of Markdown tables as they are measured. Core-seconds are CPU seconds of all threads of the process."""
    kinds: list[tuple[str, type[RenderedTask], dict[str, Any]]] = [
        ("SceneNormals, procedural rooms", SceneNormals, {}),
        ("FaceDepth, procedural head", FaceDepth, {}),
        ("TextureIntrinsics", TextureIntrinsics, {}),
    ]
    if o.scenes:
        kinds.append(("SceneNormals, scenes from disk", SceneNormals, {"scenes": o.scenes}))
    if o.model:
        kinds.append(("FaceDepth, model from disk", FaceDepth, {"model": o.model}))
    for _, task, knobs in kinds:
        if knobs:  # what cannot be read shows before anything is measured
            task(**knobs).prepare()
    yield f"images per core-second, {o.count} samples at the start beta, median of {o.repeats}:"
    yield from _shapes(o)
    for title, task, knobs in kinds:
        yield from _meshes_of(title, task, knobs, o)


def _table(title: str, resolutions: list[int]) -> str:
    columns = "".join(f" {r} px |" for r in resolutions)
    return f"\n| {title} |{columns}\n|---{'|---' * len(resolutions)}|"


def _row(name: str, frames: list[Frame], o: RenderOptions, clock: Callable[[], float] = time.process_time) -> str:
    """One frame a resolution."""
    return f"| {name} |" + "".join(f" {o.count / _seconds(frame, o.repeats, clock):.0f} |" for frame in frames)


def _rival(
    name: str, check: Callable[[], object], frames: list[Frame], o: RenderOptions,
    clock: Callable[[], float] = time.process_time,
) -> str:  # fmt: skip
    """The row of a renderer that may not be installed, which `check` says by ImportError or ValueError."""
    try:
        check()
    except (ImportError, ValueError) as error:
        return f"| {name} | not measured: {error} |"
    return _row(name, frames, o, clock)


def _seconds(frame: Frame, repeats: Natural, clock: Callable[[], float]) -> float:
    frame()  # compiles, makes contexts
    seconds = []
    for _ in range(repeats):
        begin = clock()
        frame()
        seconds.append(clock() - begin)
    return float(np.median(seconds))


# -- environments of meshes


def _meshes_of(title: str, cls: type[RenderedTask], knobs: dict[str, Any], o: RenderOptions) -> Iterator[str]:
    sides = [r for r in o.resolutions if r >= 64]
    if not sides:
        return
    tasks = [cls(**knobs | {"resolution": side}) for side in sides]
    betas, seeds = np.tile(tasks[0].layout.initial, (o.count, 1)), np.arange(o.count)
    first = list(tasks[0].scenes_of(betas, Noise(seeds)))
    drawn = [[_enlarged(scene, side / sides[0]) for scene in first] for side in sides]
    yield _table(title, sides)
    yield _row("f(beta, r): drawn, rendered, batched", [partial(t.sample, betas, Noise(seeds)) for t in tasks], o)
    what = "the renderer alone: image, normal, depth, mask, albedo, shading; shadows where the task has them"
    yield _row(what, [partial(_all, raster.render, scenes) for scenes in drawn], o)
    what = "trimesh.ray (embree): normal, depth, Lambertian image without texture and shadow"
    yield _rival(what, _need_embree, [partial(_all, cast, scenes) for scenes in drawn], o)
    what = "pyrender (EGL): colour and depth, without shadow"
    yield _rival(what, partial(find_renderer, "opengl"), [partial(_all, _opengl, scenes) for scenes in drawn], o)
    traced: tuple[Backend, ...] = ("blender", "mitsuba")
    for backend in traced:
        for samples in _SAMPLES:
            seen = [[scene._replace(tracing=Tracing(samples)) for scene in scenes] for scenes in drawn]
            what = f"{backend}: image by {samples} samples a pixel, all of the default's ground truth, a wall second"
            frames: list[Frame] = [partial(_traced, backend, scenes) for scenes in seen]
            yield _rival(what, partial(_try, backend, seen[0][0]), frames, o, time.perf_counter)


def _enlarged(scene: Scene, factor: float) -> Scene:
    """The same mesh in a larger picture."""
    c = scene.camera
    camera = Camera(
        round(factor * c.height), round(factor * c.width), (factor * c.focal[0], factor * c.focal[1]),
        (factor * c.centre[0], factor * c.centre[1]),
    )  # fmt: skip
    return scene._replace(camera=camera)


def _all(draw: Callable[[Scene], object], scenes: list[Scene]) -> None:
    for scene in scenes:
        draw(scene)


def _try(backend: Backend, scene: Scene) -> None:
    find_renderer(backend)(scene)


def _traced(backend: Backend, scenes: list[Scene]) -> None:
    """In another process, or with no other thread at work: wall seconds are those of one core."""
    _all(find_renderer(backend), scenes)


def _opengl(scene: Scene) -> object:
    from hgenv.render.opengl import draw

    return draw(scene._replace(shadow=0))


def cast(scene: Scene) -> tuple[Array, Array, Array]:
    """Image (h, w), normals (h, w, 3) and depths (h, w) by embree's rays."""
    c, mesh = scene.camera, scene.mesh.corners
    fresh = trimesh.Trimesh(mesh.reshape(-1, 3), np.arange(3 * len(mesh)).reshape(-1, 3), process=False)
    j, i = np.meshgrid(np.arange(c.width) + 0.5, np.arange(c.height) + 0.5)
    x, y = (j - c.centre[0]) / c.focal[0], (c.centre[1] - i) / c.focal[1]
    directions = np.stack([x, y, -np.ones_like(x)], -1).reshape(-1, 3)
    points, rays, faces = fresh.ray.intersects_location(np.zeros_like(directions), directions, multiple_hits=False)
    normal, image, depth = np.zeros((x.size, 3)), np.zeros(x.size), np.zeros(x.size)
    found = fresh.face_normals[faces]
    normal[rays] = found * -np.sign(np.sum(found * directions[rays], axis=1, keepdims=True))
    image[rays] = np.maximum(0.0, normal[rays] @ scene.light)
    depth[rays] = -points[:, 2]
    return image.reshape(x.shape), normal.reshape(*x.shape, 3), depth.reshape(x.shape)


def _need_embree() -> None:
    if not trimesh.ray.has_embree:
        raise ImportError("no embreex, without which it would be far slower")


# -- ShapeNormals


def _shapes(o: RenderOptions) -> Iterator[str]:
    layout, noise = ShapeNormals().layout, Noise(np.arange(o.count))
    betas = np.tile(layout.initial, (o.count, 1))
    shapes = derive(layout, betas, noise, 3)
    lights = unit_vector(noise.uniform("light", (2,)) * [0.5, 1.0] + [0.5, 0.0])
    meshes = _composed(shapes)
    sides = list(o.resolutions)
    tasks = [ShapeNormals(resolution=side) for side in sides]
    yield _table("ShapeNormals", sides)
    yield _row(
        "f(beta, r): composed, rendered, batched",
        [partial(task.sample, betas, Noise(np.arange(o.count))) for task in tasks],
        o,
    )
    yield _row(
        "the renderer alone: image with shadow, normal, depth, mask",
        [partial(ray_csg.render, shapes, lights, side) for side in sides],
        o,
    )
    yield _rival(
        "trimesh.ray (embree): the same without shadow, meshes at hand",
        _need_embree,
        [partial(_cast_orthographic, meshes, lights, side) for side in sides],
        o,
    )
    yield _rival(
        "pyrender (EGL): colour and depth, meshes at hand",
        partial(find_renderer, "opengl"),
        [partial(_draw, meshes, lights, side) for side in sides],
        o,
    )
    yield _row("composing the meshes (manifold3d)", [partial(_composed, shapes)] * len(sides), o)
    cores = os.cpu_count() or 1
    task = ShapeNormals(resolution=64, threads=cores)
    wall = [_wall(lambda: task.sample(betas, Noise(np.arange(o.count)))) for _ in range(o.repeats)]
    rate = o.count / np.median(wall)
    yield f"\nf(beta, r) at 64 px on {cores} cores, threads={cores}: {rate:.0f} images a second of wall time"


def _wall(work: Frame) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _composed(shapes: Shapes) -> list[trimesh.Trimesh]:
    """The shapes as meshes; those of which nothing is left are a small ball instead."""
    found = []
    for row in range(len(shapes.kind)):
        try:
            found.append(to_mesh(shapes, row, segments=32))
        except ValueError:
            found.append(trimesh.creation.icosphere(radius=0.1))
    return found


def _cast_orthographic(meshes: list[trimesh.Trimesh], lights: Array, resolution: int) -> None:
    """Orthographic first hits along -z, Lambertian."""
    centres = (np.arange(resolution) + 0.5) * 2.0 / resolution - 1.0
    x, y = np.meshgrid(centres, -centres)
    origins = np.stack([x.ravel(), y.ravel(), np.full(x.size, 10.0)], axis=-1)
    directions = np.broadcast_to([0.0, 0.0, -1.0], origins.shape)
    for mesh, light in zip(meshes, lights, strict=True):
        fresh = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)  # a new mesh every frame
        points, rays, faces = fresh.ray.intersects_location(origins, directions, multiple_hits=False)
        normal, image, depth = np.zeros((x.size, 3)), np.zeros(x.size), np.zeros(x.size)
        normal[rays] = fresh.face_normals[faces]
        image[rays] = np.maximum(0.0, normal[rays] @ light)
        depth[rays] = -points[:, 2]


def _draw(meshes: list[trimesh.Trimesh], lights: Array, resolution: int) -> None:
    """Orthographic colour and depth through OpenGL; pyrender has no pass for normals."""
    import pyrender

    from hgenv.render import opengl
    from hgenv.render.lights import facing

    camera_pose = np.eye(4)
    camera_pose[2, 3] = 5.0
    for mesh, light in zip(meshes, lights, strict=True):
        scene = pyrender.Scene(ambient_light=[0.1] * 3)
        scene.add(pyrender.Mesh.from_trimesh(mesh, smooth=False))
        scene.add(pyrender.OrthographicCamera(1.0, 1.0, znear=0.1, zfar=10.0), pose=camera_pose)
        scene.add(pyrender.DirectionalLight(intensity=3.0), pose=facing(light))
        opengl.shot(scene, resolution, resolution)
