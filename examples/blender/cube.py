"""Blender's own start scene as a generator: its cube, its lamp and its camera are moved by beta, its depth is learned.

Run by Blender: hgenv run hybrid-gradient --generator examples/blender/cube.toml
"""

import os
import sys

import bpy
from mathutils import Vector

sys.path.insert(0, os.environ["HGENV_SDK"])
from hgenv_blender import colours, ground_truth, prepare
from hgenv_generator import serve

cube, lamp, camera = (bpy.data.objects[name] for name in ("Cube", "Light", "Camera"))
bpy.ops.mesh.primitive_plane_add(size=20.0, location=(0.0, 0.0, -1.0))
prepare()


def sample(draws, rng, height, width):
    """What beta says of the scene, and the picture with its depth in metres."""
    cube.rotation_euler = draws["turn"]
    cube.dimensions = draws["edges"]
    lamp.location = (*draws["lamp"], draws["height"])
    camera.location = Vector((7.4, -6.9, 5.0)) * draws["distance"]
    bpy.context.view_layer.update()
    _, depth, mask = ground_truth(height, width)
    return colours(height, width, samples=8), depth[None], mask


serve(sample)
