"""Textured meshes through OpenGL, by pyrender: its colours, with the ground truth of the default renderer.

Needs pyrender and EGL (Debian: libegl1 libgl1 libxrender1) or, with PYOPENGL_PLATFORM=osmesa, OSMesa. Colours are
those of its shader for a rough dielectric: Lambertian, but for a highlight of some hundredths; 8 bits, multisampled,
textures with mip-maps. Shadows are pyrender's own. A process has one context, which belongs to a thread of its own:
what other threads draw is drawn there, one picture after the other.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.render import raster
from hgenv.render.lights import facing
from hgenv.render.mesh import Mesh, SharedMesh, Textures, face_normals
from hgenv.render.renderer import Rendered, Scene

os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
np.infty = np.inf  # type: ignore[attr-defined]  # noqa: NPY201  (pyrender 0.1.45 asks for it)
try:
    import pyrender
except Exception as error:  # OpenGL's loaders raise many types
    raise ValueError(
        f"renderer='opengl' needs pyrender (pip install 'hgenv[opengl]') and EGL or OSMesa: {error}"
    ) from error

Array = NDArray[np.float64]
_DIELECTRIC = 0.96**2  # what the shader leaves for diffuse light
_GAMMA = 2.2


def render(scene: Scene) -> Rendered:
    """As `hgenv.render.raster.render`, but image is OpenGL's, 0 outside the mask.

    There are no shadows where some faces are to throw none: pyrender's are thrown by all.
    Raises ValueError as the default does, or if there is no context of OpenGL.
    """
    scene = scene if _all_throw(scene) else scene._replace(shadow=0)
    truth = raster.render(scene)
    return truth._replace(image=_linear(draw(scene)[0]) * truth.mask)


def _all_throw(scene: Scene) -> bool:
    return scene.casters is None or bool(scene.casters.all())


def _linear(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The shader's gamma undone, (3, h, w)."""
    return ((pixels / 255.0) ** _GAMMA).transpose(2, 0, 1).astype(np.float32)


def draw(scene: Scene) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What OpenGL draws: colours (h, w, 3), and depths (h, w), 0 where nothing is. Shadows are thrown by all faces."""
    mesh, camera, light, ambient, textures, shadow, _, _ = scene
    stage = pyrender.Scene(ambient_light=[ambient] * 3, bg_color=[0.0] * 4)
    for primitive in _primitives(mesh, textures):
        stage.add(pyrender.Mesh([primitive]))
    far = max(2.0, 1.1 * float(-mesh.corners[..., 2].min(initial=-1.0)))
    lens = pyrender.IntrinsicsCamera(*camera.focal, *camera.centre, znear=max(1e-3, far / 5e3), zfar=far)
    stage.add(lens, pose=np.eye(4))
    sun = pyrender.DirectionalLight(intensity=np.pi * (1.0 - ambient) / _DIELECTRIC)
    stage.add(sun, pose=facing(light))
    flags = pyrender.RenderFlags.SHADOWS_DIRECTIONAL if shadow else pyrender.RenderFlags.NONE
    return shot(stage, camera.height, camera.width, flags)


def shot(
    stage: pyrender.Scene, height: int, width: int, flags: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What OpenGL draws of a scene of pyrender's: colours (h, w, 3) and depths (h, w). Raises ValueError if there is no
    context of OpenGL."""
    return _owner(os.getpid()).submit(_shot, stage, height, width, flags).result()


@cache
def _owner(process: int) -> ThreadPoolExecutor:
    """The thread that a process's context belongs to: a context is current in one thread at a time."""
    return ThreadPoolExecutor(1, f"opengl of {process}")


def _shot(stage: pyrender.Scene, height: int, width: int, flags: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    renderer = _context(os.getpid())
    renderer.viewport_height, renderer.viewport_width = height, width
    colours, depths = renderer.render(stage, flags=flags)
    return np.asarray(colours), np.asarray(depths)


@cache
def _context(process: int) -> Any:
    """The only one of a process: when one goes, it closes EGL for all."""
    try:
        return pyrender.OffscreenRenderer(64, 64)
    except Exception as error:  # OpenGL's loaders raise many types
        raise ValueError(f"renderer='opengl' found no context of OpenGL: {error}") from error


def _primitives(mesh: Mesh | SharedMesh, textures: Textures) -> list[Any]:
    """One primitive a texture: OpenGL binds one at a time."""
    found = []
    normals = _toward_camera(mesh)
    for index in np.unique(mesh.texture):
        rows = mesh.texture == index
        picture = None if index < 0 else _texture(textures.picture(int(index)))
        material = pyrender.MetallicRoughnessMaterial(
            baseColorTexture=picture, metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
        )
        flat = [part[rows].reshape(-1, part.shape[-1]) for part in (mesh.corners, normals, mesh.albedo, mesh.uv)]
        alpha = np.concatenate([flat[2], np.ones((len(flat[2]), 1))], axis=1)
        found.append(
            pyrender.Primitive(
                positions=flat[0],
                normals=flat[1],
                color_0=alpha,
                texcoord_0=flat[3] if picture else None,
                material=material,
                mode=pyrender.constants.GLTF.TRIANGLES,
            )
        )
    return found


def _texture(picture: NDArray[np.uint8]) -> Any:
    """The shader takes textures for sRGB and makes them linear: give it sRGB of our linear ones."""
    linear = picture / 255.0
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return pyrender.Texture(source=(255.0 * coded).round().astype(np.uint8), source_channels="RGB")


def _toward_camera(mesh: Mesh | SharedMesh) -> Array:
    """Vertex normals, the faces' where those are 0, on the side that the camera sees: the shader knows one side."""
    flat = face_normals(mesh.corners)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-300)
    smooth = np.asarray(mesh.normals.any(axis=(1, 2)))
    normals = np.where(smooth[:, None, None], mesh.normals, flat[:, None])
    away = np.einsum("fk,fk->f", flat, mesh.corners.mean(1)) > 0.0
    aligned = np.einsum("fik,fk->f", normals, flat) >= 0.0
    return np.where((away == aligned)[:, None, None], -normals, normals)
