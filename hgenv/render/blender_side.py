"""Run by Blender's own Python: draws meshes by Cycles for `hgenv.render.blender`, which asks over a pipe."""

import os
import sys
import tempfile

import bpy
import numpy as np
from mathutils import Matrix

sys.path.insert(0, os.environ["HGENV_SDK"])
from hgenv_generator import Connection

_NARROW = 0.01  # pixels: passes are of pixel centres


class Stage:
    """A scene of Blender's that is filled anew for every picture."""

    def __init__(self):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = scene = bpy.context.scene
        scene.render.engine = "CYCLES"
        scene.cycles.device, scene.cycles.use_denoising = "CPU", False
        scene.cycles.use_adaptive_sampling = False
        scene.cycles.seed = 0  # always: pictures of two scenes then differ by what is in them
        scene.cycles.pixel_filter_type = "BOX"
        scene.render.threads_mode, scene.render.threads = "FIXED", 1
        scene.render.film_transparent, scene.render.use_persistent_data = True, False
        scene.render.resolution_percentage = 100
        scene.render.image_settings.file_format = "OPEN_EXR"
        scene.render.image_settings.color_depth = "32"
        scene.world = bpy.data.worlds.new("world")
        scene.world.use_nodes = True
        self.background = scene.world.node_tree.nodes["Background"]
        self.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self.sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
        self.sun.data.angle = 0.0
        for thing in (self.camera, self.sun):
            scene.collection.objects.link(thing)
        scene.camera = self.camera
        self.folder = tempfile.mkdtemp(prefix="hgenv-blender-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)

    def draw(self, request, arrays):
        """The parts that are asked for, by name."""
        self._look(request)
        textures = [_picture(i, arrays[name]) for i, name in enumerate(n for n in arrays if n.startswith("texture "))]
        meshes = [self._filled(*part, textures, request) for part in _parts(arrays)]
        try:
            found = {"image": self._shot(request)}
            if request["passes"]:
                found.update(self._passes(request))
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
        scene.render.resolution_x, scene.render.resolution_y = width, height
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
        corners = arrays["corners"]
        count = len(corners)
        mesh = bpy.data.meshes.new("mesh")
        mesh.from_pydata(corners.reshape(-1, 3).tolist(), [], np.arange(3 * count).reshape(-1, 3).tolist())
        colours = mesh.color_attributes.new("albedo", "FLOAT_COLOR", "CORNER")
        alpha = np.ones((3 * count, 1), np.float32)
        colours.data.foreach_set("color", np.concatenate([arrays["albedo"].reshape(-1, 3), alpha], 1).ravel())
        mesh.uv_layers.new(name="uv").data.foreach_set("uv", arrays["uv"].ravel())
        mesh.polygons.foreach_set("use_smooth", np.ones(count, bool))
        if hasattr(mesh, "use_auto_smooth"):  # before Blender 4.1
            mesh.use_auto_smooth = True
        mesh.normals_split_custom_set(_unit(arrays["normals"].reshape(-1, 3)).tolist())
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

    def _shot(self, request):
        """Colours (3, h, w), linear."""
        self.scene.cycles.samples, self.scene.cycles.filter_width = request["samples"], 1.0
        return self._rendered(request)[:3]

    def _rendered(self, request):
        path = os.path.join(self.folder, "image.exr")
        self.scene.render.filepath = path
        bpy.ops.render.render(write_still=True)
        return _read(path, request)

    def _passes(self, request):
        """Normals and depths of pixel centres, by one sample each."""
        scene, layer = self.scene, self.scene.view_layers[0]
        layer.use_pass_normal = layer.use_pass_z = True
        scene.cycles.samples, scene.cycles.pixel_filter_type = 1, "BLACKMAN_HARRIS"
        scene.cycles.filter_width = _NARROW
        scene.use_nodes = True
        nodes, links = scene.node_tree.nodes, scene.node_tree.links
        nodes.clear()
        layers, files = nodes.new("CompositorNodeRLayers"), nodes.new("CompositorNodeOutputFile")
        files.base_path, files.format.file_format, files.format.color_depth = self.folder, "OPEN_EXR", "32"
        files.file_slots.clear()
        for name in ("Normal", "Depth"):
            files.file_slots.new(name)
            links.new(layers.outputs[name], files.inputs[name])
        links.new(layers.outputs["Image"], nodes.new("CompositorNodeComposite").inputs["Image"])
        try:
            self._rendered(request)
        finally:
            scene.use_nodes, scene.cycles.pixel_filter_type = False, "BOX"
        frame = f"{scene.frame_current:04d}.exr"
        normal, depth = (_read(os.path.join(self.folder, n + frame), request) for n in ("Normal", "Depth"))
        depth = depth[:1]
        return {"normal": normal[:3], "depth": np.where(depth < 1e9, depth, 0.0)}


def _parts(arrays):
    """The triangles that throw shadows, and those that do not."""
    faces = {name: arrays[name] for name in ("corners", "normals", "albedo", "uv", "texture")}
    casts = arrays["casters"] > 0 if "casters" in arrays else np.ones(len(faces["corners"]), bool)
    for which in (True, False):
        if (casts == which).any():
            yield {name: part[casts == which] for name, part in faces.items()}, which


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


def _read(path, request):
    """The channels (4, h, w) of a picture in a file."""
    picture = bpy.data.images.load(path)
    try:
        picture.colorspace_settings.name = "Non-Color"
        pixels = np.empty(len(picture.pixels), np.float32)
        picture.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(picture)
        os.remove(path)
    return pixels.reshape(request["height"], request["width"], -1)[::-1].transpose(2, 0, 1)


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
