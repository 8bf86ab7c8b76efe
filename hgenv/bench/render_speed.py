"""Images per core-second of our renderer, beside trimesh.ray and pyrender on the same shapes in the same run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from hgenv.csg import Shapes
from hgenv.grammar import derive, unit_vector
from hgenv.mesh import to_mesh
from hgenv.noise import Noise
from hgenv.render.ray_csg import render
from hgenv.tasks.shape_normals import ShapeNormals

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RenderOptions:
    """Speed of the renderer."""

    count: int = 48
    """Shapes at the start beta."""
    repeats: int = 5
    """Repetitions; the median counts."""
    resolutions: tuple[int, ...] = (32, 64, 128)
    """Sides of the pictures in pixels."""

    def __post_init__(self) -> None:
        if not self.resolutions or min(self.count, self.repeats, *self.resolutions) < 1:
            raise ValueError("count, repeats and resolutions must be positive")


def measure(o: RenderOptions) -> Iterator[str]:
    """Lines of a Markdown table as they are measured. Core-seconds are CPU seconds of all threads of the process."""
    layout, noise = ShapeNormals.layout, Noise(np.arange(o.count))
    betas = np.tile(layout.initial, (o.count, 1))
    shapes = derive(layout, betas, noise, 3)
    lights = unit_vector(noise.uniform("light", (2,)) * [0.5, 1.0] + [0.5, 0.0])

    def composed(resolution: int) -> None:
        task = ShapeNormals(resolution=resolution)
        task.sample(betas, Noise(np.arange(o.count)))

    def cast(resolution: int) -> None:
        render(shapes, lights, resolution)

    meshes = _meshes(shapes)
    columns = "".join(f" {r} px |" for r in o.resolutions)
    yield f"images per core-second, {o.count} shapes, median of {o.repeats}:\n"
    yield f"| renderer |{columns}\n|---{'|---' * len(o.resolutions)}|"
    yield _row("hgenv, f(beta, r): composed, rendered, batched", composed, o)
    yield _row("hgenv, the renderer alone: image with shadow, normal, depth, mask", cast, o)
    for name, make in (
        ("trimesh.ray (embree): the same without shadow, meshes at hand", _trimesh),
        ("pyrender (EGL): colour and depth, meshes at hand", _pyrender),
    ):
        try:
            yield _row(name, make(meshes, lights), o)
        except ImportError as error:
            yield f"| {name} | not measured: {error} |"
    yield _row("composing the meshes (manifold3d)", lambda _: _meshes(shapes), o)
    cores = os.cpu_count() or 1
    task = ShapeNormals(resolution=64, threads=cores)
    wall = [_wall(lambda: task.sample(betas, Noise(np.arange(o.count)))) for _ in range(o.repeats)]
    rate = o.count / np.median(wall)
    yield f"\nf(beta, r) at 64 px on {cores} cores, threads={cores}: {rate:.0f} images a second of wall time"


def _row(name: str, frame: Callable[[int], object], o: RenderOptions) -> str:
    cells = []
    for resolution in o.resolutions:
        frame(resolution)  # compiles, makes contexts
        seconds = []
        for _ in range(o.repeats):
            begin = time.process_time()
            frame(resolution)
            seconds.append(time.process_time() - begin)
        cells.append(f" {o.count / np.median(seconds):.0f} |")
    return f"| {name} |{''.join(cells)}"


def _wall(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _meshes(shapes: Shapes) -> list[trimesh.Trimesh]:
    """The shapes as meshes; those of which nothing is left are a small ball instead."""
    found = []
    for row in range(len(shapes.kind)):
        try:
            found.append(to_mesh(shapes, row, segments=32))
        except ValueError:
            found.append(trimesh.creation.icosphere(radius=0.1))
    return found


def _trimesh(meshes: list[trimesh.Trimesh], lights: Array) -> Callable[[int], object]:
    """Orthographic first hits along -z, Lambertian. ImportError without embree, which would be far slower."""
    if not trimesh.ray.has_embree:
        raise ImportError("no embreex")

    def frame(resolution: int) -> None:
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

    return frame


def _pyrender(meshes: list[trimesh.Trimesh], lights: Array) -> Callable[[int], object]:
    """Orthographic colour and depth through OpenGL; pyrender has no pass for normals. ImportError without EGL."""
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    np.infty = np.inf  # type: ignore[attr-defined]  # noqa: NPY201  (pyrender 0.1.45 asks for it)
    import pyrender

    camera_pose, renderers = np.eye(4), {}
    camera_pose[2, 3] = 5.0

    def frame(resolution: int) -> None:
        if resolution not in renderers:
            renderers[resolution] = _context(pyrender, resolution)
        for mesh, light in zip(meshes, lights, strict=True):
            scene = pyrender.Scene(ambient_light=[0.1] * 3)
            scene.add(pyrender.Mesh.from_trimesh(mesh, smooth=False))
            scene.add(pyrender.OrthographicCamera(1.0, 1.0, znear=0.1, zfar=10.0), pose=camera_pose)
            scene.add(pyrender.DirectionalLight(intensity=3.0), pose=_facing(light))
            renderers[resolution].render(scene)

    return frame


def _context(pyrender: Any, resolution: int) -> Any:
    try:
        return pyrender.OffscreenRenderer(resolution, resolution)
    except Exception as error:  # OpenGL's loaders raise many types
        raise ImportError(f"no EGL: {error}") from error


def _facing(light: Array) -> Array:
    """A pose whose -z axis points away from the light."""
    pose = np.eye(4)
    across = np.cross([0.0, 1.0, 0.0] if abs(light[1]) < 0.9 else [1.0, 0.0, 0.0], light)
    pose[:3, 0] = across / np.linalg.norm(across)
    pose[:3, 1], pose[:3, 2] = np.cross(light, pose[:3, 0]), light
    return pose
