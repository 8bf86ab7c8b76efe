"""Run by Blender's own Python: draws meshes by Cycles for `hgenv.render.blender`, which asks over a pipe."""

import os
import sys

import bpy
import numpy as np
from mathutils import Matrix

sys.path.insert(0, os.environ["HGENV_SDK"])
from hgenv_blender import colours, ground_truth, prepare
from hgenv_generator import Connection


class Stage:
    """A scene of Blender's that is filled anew for every picture."""

    def __init__(self):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        prepare()
        self.scene = scene = bpy.context.scene
        scene.render.use_persistent_data = False
        scene.world = bpy.data.worlds.new("world")
        scene.world.use_nodes = True
        self.background = scene.world.node_tree.nodes["Background"]
        self.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self.sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
        self.sun.data.angle = 0.0
        for thing in (self.camera, self.sun):
            scene.collection.objects.link(thing)
        scene.camera = self.camera

    def draw(self, request, arrays):
        """The parts that are asked for, by name."""
        self._look(request)
        textures = [_picture(i, arrays[name]) for i, name in enumerate(n for n in arrays if n.startswith("texture "))]
        meshes = [self._filled(*part, textures, request) for part in _parts(arrays)]
        try:
            height, width = request["height"], request["width"]
            found = {"image": colours(height, width, request["samples"])}
            if request["passes"]:
                found["normal"], depth, _ = ground_truth(height, width)
                found["depth"] = depth[None]
        finally:
            for thing in meshes:
                mesh = thing.data
                bpy.data.objects.remove(thing)
                bpy.data.meshes.remove(mesh)
            for picture in textures:
                bpy.data.images.remove(picture)
            for material in list(bpy.data.materials):
                bpy.data.materials.remove(material)
        return found

    def _look(self, request):
        scene, lens = self.scene, self.camera.data
        height, width = request["height"], request["width"]
        fx, fy = request["focal"]
        # Pixels are as wide as 1 / fx and as high as 1 / fy of the depth.
        scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = (1.0, fx / fy) if fx >= fy else (fy / fx, 1.0)
        lens.sensor_fit, lens.sensor_width = "HORIZONTAL", 36.0
        lens.lens = fx * lens.sensor_width / width
        lens.shift_x = 0.5 - request["centre"][0] / width
        lens.shift_y = (request["centre"][1] - 0.5 * height) * (fx / fy) / width
        lens.clip_start, lens.clip_end = 1e-3, request["far"]
        self.sun.matrix_world = Matrix(request["sun"])
        self.sun.data.energy = np.pi * (1.0 - request["ambient"])
        self.background.inputs["Color"].default_value = (*[request["ambient"]] * 3, 1.0)
        self.background.inputs["Strength"].default_value = 1.0

    def _filled(self, arrays, casts, textures, request):
        """An object of triangles, whose material multiplies the corners' albedo with the texture's."""
        mesh = _triangles(arrays["corners"])
        count = len(mesh.polygons)
        colours = mesh.color_attributes.new("albedo", "FLOAT_COLOR", "CORNER")
        alpha = np.ones((3 * count, 1), np.float32)
        colours.data.foreach_set("color", np.concatenate([arrays["albedo"].reshape(-1, 3), alpha], 1).ravel())
        mesh.uv_layers.new(name="uv").data.foreach_set("uv", arrays["uv"].ravel())
        mesh.polygons.foreach_set("use_smooth", np.ones(count, bool))
        if hasattr(mesh, "use_auto_smooth"):  # before Blender 4.1
            mesh.use_auto_smooth = True
        mesh.normals_split_custom_set(_unit(arrays["normals"].reshape(-1, 3)))
        indices = arrays["texture"].astype(int)
        kinds = sorted(set(indices.tolist()))
        for kind in kinds:
            mesh.materials.append(_material(textures[kind] if kind >= 0 else None, request["subsurface"]))
        mesh.polygons.foreach_set("material_index", np.searchsorted(kinds, indices).astype(np.int32))
        mesh.update()
        thing = bpy.data.objects.new("mesh", mesh)
        thing.visible_shadow = thing.visible_diffuse = casts  # what throws no shadow hides no sky either
        self.scene.collection.objects.link(thing)
        return thing


def _parts(arrays):
    """The triangles that throw shadows, and those that do not."""
    faces = {name: arrays[name] for name in ("corners", "normals", "albedo", "uv", "texture")}
    casts = arrays["casters"] > 0 if "casters" in arrays else np.ones(len(faces["corners"]), bool)
    for which in (True, False):
        if (casts == which).any():
            yield {name: part[casts == which] for name, part in faces.items()}, which


def _triangles(corners):
    """A mesh of triangles (f, 3, 3), each with vertices of its own; the functions for lists take ten times as long."""
    mesh, count = bpy.data.meshes.new("mesh"), len(corners)
    mesh.vertices.add(3 * count)
    mesh.vertices.foreach_set("co", corners.ravel())
    mesh.loops.add(3 * count)
    mesh.loops.foreach_set("vertex_index", np.arange(3 * count, dtype=np.int32))
    mesh.polygons.add(count)
    mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * count, 3, dtype=np.int32))
    mesh.polygons.foreach_set("loop_total", np.full(count, 3, np.int32))
    mesh.update(calc_edges=True)
    return mesh


def _unit(normals):
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _picture(index, pixels):
    """A texture (h, w, 3) in [0, 1], linear; Blender's pictures begin at the bottom."""
    height, width = pixels.shape[:2]
    picture = bpy.data.images.new(f"texture {index}", width, height, float_buffer=True, is_data=True)
    filled = np.ones((height, width, 4), np.float32)
    filled[..., :3] = pixels[::-1]
    picture.pixels.foreach_set(filled.ravel())
    return picture


def _material(picture, subsurface):
    material = bpy.data.materials.new("material")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    output = nodes.new("ShaderNodeOutputMaterial")
    colour = nodes.new("ShaderNodeVertexColor")
    colour.layer_name = "albedo"
    seen = colour.outputs["Color"]
    if picture is not None:
        texture, product = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeMixRGB")
        texture.image = picture
        product.blend_type, product.inputs["Fac"].default_value = "MULTIPLY", 1.0
        links.new(seen, product.inputs["Color1"])
        links.new(texture.outputs["Color"], product.inputs["Color2"])
        seen = product.outputs["Color"]
    surface = nodes.new("ShaderNodeBsdfDiffuse")
    links.new(seen, surface.inputs["Color"])
    out = surface.outputs["BSDF"]
    if subsurface > 0:
        below, mixed = nodes.new("ShaderNodeSubsurfaceScattering"), nodes.new("ShaderNodeMixShader")
        below.inputs["Scale"].default_value = 0.05
        links.new(seen, below.inputs["Color"])
        mixed.inputs["Fac"].default_value = subsurface
        links.new(out, mixed.inputs[1])
        links.new(below.outputs["BSSRDF"], mixed.inputs[2])
        out = mixed.outputs["Shader"]
    links.new(out, output.inputs["Surface"])
    return material


def main():
    """Answer until nobody asks."""
    connection, stage = Connection(), Stage()
    for request, arrays in connection:
        try:
            found = stage.draw(request, arrays)
        except Exception as error:
            connection.refuse(error)
        else:
            connection.answer(found)


if __name__ == "__main__":
    main()
