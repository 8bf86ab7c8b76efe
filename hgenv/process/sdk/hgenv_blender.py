"""Pictures and ground truth of the scene that is open in Blender, for generators that run in it: bpy and numpy alone.

    import sys, os
    sys.path.insert(0, os.environ["HGENV_SDK"])
    from hgenv_blender import colours, ground_truth

For Blender 3.4 to 4.5; of 5, `colours` alone. The scene's own light, materials, world and camera are what is drawn.
"""

import os
import shutil
import tempfile
from typing import Any, Tuple

import bpy
import numpy as np

_NARROW = 0.01  # pixels: ground truth is of pixel centres
_FARTHEST = 1e9


def prepare() -> None:
    """One thread, Cycles on the CPU, and always the same random numbers: pictures of two betas then differ by what is
    in them."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = "CPU", False, False
    scene.cycles.seed = 0
    scene.render.threads_mode, scene.render.threads, scene.render.resolution_percentage = "FIXED", 1, 100
    scene.render.film_transparent = True
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"


def colours(height: int, width: int, samples: int) -> Any:
    """The picture (3, height, width), linear: 1 is white. 0 where nothing is."""
    scene = bpy.context.scene
    scene.cycles.pixel_filter_type, scene.cycles.samples = "BOX", samples
    with _Folder() as folder:
        return _rendered(folder, height, width)[:3]


def ground_truth(height: int, width: int) -> Tuple[Any, Any, Any]:
    """Normals (3, height, width), x right, y up, z toward the viewer; depth (height, width) along the viewing axis; and
    where something is (height, width); all of pixel centres, 0 elsewhere."""
    scene, layer = bpy.context.scene, bpy.context.view_layer
    layer.use_pass_normal = layer.use_pass_z = True
    scene.cycles.samples, scene.cycles.pixel_filter_type, scene.cycles.filter_width = 1, "BLACKMAN_HARRIS", _NARROW
    with _Folder() as folder:
        _written_apart(scene, folder)
        try:
            _rendered(folder, height, width)
        finally:
            scene.use_nodes = False
        frame = f"{scene.frame_current:04d}.exr"
        world, depth = (_read(os.path.join(folder, name + frame), height, width) for name in ("Normal", "Depth"))
    mask = depth[0] < _FARTHEST
    turn = np.array(scene.camera.matrix_world.to_3x3().normalized().inverted())
    normals = np.tensordot(turn, world[:3], 1)
    normals = normals / np.maximum(np.linalg.norm(normals, axis=0), 1e-12)
    return mask * normals, np.where(mask, depth[0], 0.0), mask


def _written_apart(scene: Any, folder: str) -> None:
    """Let the compositor write normals and depths to files of their own."""
    if not hasattr(scene, "node_tree"):
        raise RuntimeError("ground truth needs the compositor of Blender 3.4 to 4.5, this is " + bpy.app.version_string)
    scene.use_nodes = True
    nodes, links = scene.node_tree.nodes, scene.node_tree.links
    nodes.clear()
    layers, files = nodes.new("CompositorNodeRLayers"), nodes.new("CompositorNodeOutputFile")
    files.base_path, files.format.file_format, files.format.color_depth = folder, "OPEN_EXR", "32"
    files.file_slots.clear()
    for name in ("Normal", "Depth"):
        files.file_slots.new(name)
        links.new(layers.outputs[name], files.inputs[name])
    links.new(layers.outputs["Image"], nodes.new("CompositorNodeComposite").inputs["Image"])


class _Folder:
    """For files that are read at once: in memory, where the system has such a place."""

    def __enter__(self) -> str:
        self._path = tempfile.mkdtemp(prefix="hgenv-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def _rendered(folder: str, height: int, width: int) -> Any:
    """The picture's channels (4, height, width)."""
    scene, path = bpy.context.scene, os.path.join(folder, "image.exr")
    scene.render.resolution_x, scene.render.resolution_y, scene.render.filepath = width, height, path
    bpy.ops.render.render(write_still=True)
    return _read(path, height, width)


def _read(path: str, height: int, width: int) -> Any:
    """The channels of a picture in a file; Blender's begin at the bottom."""
    picture = bpy.data.images.load(path)
    try:
        picture.colorspace_settings.name = "Non-Color"
        pixels = np.empty(len(picture.pixels), np.float32)
        picture.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(picture)
    return pixels.reshape(height, width, -1)[::-1].transpose(2, 0, 1)
