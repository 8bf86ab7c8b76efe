"""Textured meshes through Blender: colours that Cycles traces, with the ground truth of the default renderer.

$HGENV_BLENDER names Blender's executable, or a Python that has bpy; else a program `blender` on the path. It runs in a
process of its own, which is started once and kept. Light bounces, and what surfaces hide from each other is dark in
ambient light too, so that colours differ from the default's where surfaces see each other.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hgenv.process.child import Child, GeneratorError, RefusedError, Request
from hgenv.process.crew import Crew, crew_of
from hgenv.render import raster
from hgenv.render.lights import facing
from hgenv.render.mesh import face_normals
from hgenv.render.renderer import Rendered, Scene, check_scene

SCRIPT = Path(__file__).with_name("blender_side.py")
_START_SECONDS, _PICTURE_SECONDS = 120.0, 300.0


def render(scene: Scene) -> Rendered:
    """As `hgenv.render.raster.render`, but image is Blender's, 0 outside the mask.

    Raises ValueError as the default does, or if Blender is not there or fails.
    """
    truth = raster.render(scene)
    return truth._replace(image=np.clip(draw(scene)["image"], 0.0, None) * truth.mask)


def draw(scene: Scene, passes: bool = False) -> dict[str, NDArray[np.float32]]:
    """What Blender draws: image (3, h, w), linear; with passes, its normal (3, h, w) and depth (1, h, w) besides, of
    pixel centres."""
    check_scene(scene)
    camera = scene.camera
    size = (camera.height, camera.width)
    wanted = {"image": (3, *size)} | ({"normal": (3, *size), "depth": (1, *size)} if passes else {})
    try:
        return _crew().ask(Request(_header(scene, passes), wanted, _arrays(scene)))
    except RefusedError as error:
        raise GeneratorError(f"renderer='blender': {error}") from error


def executable() -> str:
    """Blender's, or that of a Python with bpy. Raises ValueError if there is none."""
    path = os.environ.get("HGENV_BLENDER") or shutil.which("blender")
    if not path:
        raise ValueError("renderer='blender' needs Blender: set $HGENV_BLENDER to its executable, or a Python with bpy")
    return path


def _crew() -> Crew:
    path = executable()
    is_python = "python" in os.path.basename(path)
    options = [] if is_python else ["-b", "--factory-startup", "-noaudio", "--python-exit-code", "1", "-P"]
    start = partial(Child, [path, *options, str(SCRIPT)], SCRIPT.parent, {}, _START_SECONDS, _PICTURE_SECONDS)
    return crew_of(("blender", path), start)


def _header(scene: Scene, passes: bool) -> dict[str, Any]:
    camera, far = scene.camera, float(-scene.mesh.corners[..., 2].min(initial=-1.0))
    return {
        "height": camera.height, "width": camera.width, "focal": camera.focal, "centre": camera.centre,
        "far": max(2.0, 1.1 * far), "sun": facing(scene.light).tolist(), "ambient": scene.ambient, "passes": passes,
        "samples": scene.tracing.samples, "subsurface": scene.tracing.subsurface,
    }  # fmt: skip


def _arrays(scene: Scene) -> dict[str, NDArray]:
    """Corners, normals, albedo and texture coordinates; the texture of each face; and the textures."""
    mesh, textures = scene.mesh, scene.textures
    corners, normals = mesh.corners, mesh.normals
    flat = face_normals(corners)
    smooth = np.asarray(normals.any(axis=(1, 2)))[:, None, None]
    found: dict[str, NDArray] = {
        "corners": corners, "normals": np.where(smooth, normals, flat[:, None]), "albedo": mesh.albedo, "uv": mesh.uv,
        "texture": mesh.texture,
    }  # fmt: skip
    if scene.casters is not None:
        found["casters"] = scene.casters
    return found | {f"texture {i}": textures.picture(i) / 255.0 for i in range(len(textures.size))}
