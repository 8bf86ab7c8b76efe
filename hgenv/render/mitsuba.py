"""Textured meshes through Mitsuba 3, variant scalar_rgb: colours whose paths are traced, with the ground truth of the
default renderer.

Light bounces, and all faces throw shadows: a scene of which some are to throw none cannot be drawn, nor one whose
pixels are not square.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.render import raster
from hgenv.render.mesh import Mesh, SharedMesh, Textures, face_normals
from hgenv.render.renderer import Rendered, Scene, check_scene

try:
    import drjit
    import mitsuba as mi
except ImportError as error:
    raise ValueError("renderer='mitsuba' needs Mitsuba 3: pip install 'hgenv[mitsuba]'") from error

mi.set_variant("scalar_rgb")  # the llvm ones need a system's LLVM
drjit.set_thread_count(1)
Array = NDArray[np.float64]
_BOUNCES = 8


def render(scene: Scene) -> Rendered:
    """As `hgenv.render.raster.render`, but image is Mitsuba's, 0 outside the mask.

    Raises ValueError as the default does, for faces that throw no shadow, and for pixels that are not square.
    """
    truth = raster.render(scene)
    return truth._replace(image=np.clip(draw(scene), 0.0, None) * truth.mask)


def draw(scene: Scene) -> NDArray[np.float32]:
    """Colours (3, h, w), linear."""
    return _shot(scene, {"type": "path", "max_depth": _BOUNCES, "hide_emitters": True}, scene.tracing.samples)[:3]


def passes(scene: Scene) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Normals (3, h, w), and distances (h, w) from the camera, one sample a pixel at its centre."""
    found = _shot(scene, {"type": "aov", "aovs": "n:sh_normal,d:depth"}, 1, sampler="stratified")
    return found[-4:-1], found[-1]


def _shot(
    scene: Scene, integrator: Mapping[str, Any], samples: int, sampler: str = "independent"
) -> NDArray[np.float32]:
    """What an integrator gives, (channels, h, w). Always the same random numbers: pictures of two scenes then differ by
    what is in them."""
    check_scene(scene)
    _check_drawable(scene)
    stage = {"type": "scene", "integrator": dict(integrator), "sensor": _sensor(scene, sampler), **_lights(scene)}
    stage |= {f"mesh {i}": mesh for i, mesh in enumerate(_meshes(scene.mesh, scene.textures))}
    found = np.array(mi.render(mi.load_dict(stage), spp=samples, seed=0))
    return np.ascontiguousarray(np.moveaxis(found, -1, 0), np.float32)


def _check_drawable(scene: Scene) -> None:
    if scene.casters is not None and not scene.casters.all():
        raise ValueError("renderer='mitsuba' has shadows of all faces, and some of this scene are to throw none")
    fx, fy = scene.camera.focal
    if abs(fx - fy) > 1e-3 * fx:
        raise ValueError(f"renderer='mitsuba' has square pixels, got focal lengths {fx:g} and {fy:g}")


def _sensor(scene: Scene, sampler: str) -> dict[str, Any]:
    camera, far = scene.camera, float(-scene.mesh.corners[..., 2].min(initial=-1.0))
    height, width, angle = camera.height, camera.width, 2.0 * np.arctan(0.5 * camera.width / camera.focal[0])
    film = {"type": "hdrfilm", "width": width, "height": height, "rfilter": {"type": "box"}, "pixel_format": "rgb"}
    return {
        "type": "perspective", "fov_axis": "x", "fov": float(np.degrees(angle)),
        "principal_point_offset_x": 0.5 - camera.centre[0] / width,
        "principal_point_offset_y": 0.5 - camera.centre[1] / height, "near_clip": 1e-3, "far_clip": max(2.0, 2.0 * far),
        "to_world": mi.ScalarTransform4f().look_at(origin=[0, 0, 0], target=[0, 0, -1], up=[0, 1, 0]),
        "sampler": {"type": sampler}, "film": film,
    }  # fmt: skip


def _lights(scene: Scene) -> dict[str, Any]:
    sun = np.pi * (1.0 - scene.ambient)
    found: dict[str, Any] = {
        "sun": {
            "type": "directional",
            "direction": (-scene.light).tolist(),
            "irradiance": {"type": "rgb", "value": sun},
        }
    }
    if scene.ambient > 0:
        found["sky"] = {"type": "constant", "radiance": {"type": "rgb", "value": scene.ambient}}
    return found


def _meshes(mesh: Mesh | SharedMesh, textures: Textures) -> Iterator[Any]:
    """One a texture and albedo, as those of a face are multiplied."""
    flat = face_normals(mesh.corners)
    smooth = np.asarray(mesh.normals.any(axis=(1, 2)))
    normals = np.where(smooth[:, None, None], mesh.normals, flat[:, None])
    normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    plain = mesh.texture < 0
    if plain.any():
        yield _mesh(mesh, normals, plain, {"type": "mesh_attribute", "name": "vertex_albedo"})
    for index in np.unique(mesh.texture[~plain]):
        rows = np.flatnonzero(mesh.texture == index)
        tints, which = np.unique(mesh.albedo[rows].mean(1).round(4), axis=0, return_inverse=True)
        for number, tint in enumerate(tints):
            chosen = np.zeros(len(mesh.texture), bool)
            chosen[rows[which.ravel() == number]] = True
            yield _mesh(mesh, normals, chosen, _bitmap(textures.picture(int(index)), tint))


def _bitmap(picture: NDArray[np.uint8], tint: Array) -> dict[str, Any]:
    pixels = np.ascontiguousarray(picture[::-1] / 255.0 * tint, np.float32)  # its first row is at v = 0
    return {"type": "bitmap", "bitmap": mi.Bitmap(pixels), "raw": True, "wrap_mode": "repeat"}


def _mesh(mesh: Mesh | SharedMesh, normals: Array, rows: NDArray[np.bool_], reflectance: dict[str, Any]) -> Any:
    properties = mi.Properties()
    properties["bsdf"] = mi.load_dict({"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": reflectance}})
    count = 3 * int(rows.sum())
    made = mi.Mesh("mesh", count, count // 3, props=properties, has_vertex_normals=True, has_vertex_texcoords=True)
    made.add_attribute("vertex_albedo", 3, mesh.albedo[rows].astype(np.float32).ravel())  # type: ignore[arg-type]
    parts = mi.traverse(made)
    parts["vertex_positions"] = mesh.corners[rows].astype(np.float32).ravel()
    parts["vertex_normals"] = normals[rows].astype(np.float32).ravel()
    parts["vertex_texcoords"] = mesh.uv[rows].astype(np.float32).ravel()
    parts["faces"] = np.arange(count, dtype=np.uint32)
    parts.update()
    return made
