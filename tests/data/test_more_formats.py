"""Shapes in GLB, PLY, STL and OBJ, Basel's models of 2017 and 2019, and houses in 3D-FRONT's layout, made by hand."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from hgenv.beta.noise import Noise
from hgenv.data import catalogue, front3d, shape_files
from hgenv.data.face_models import load_face_model
from hgenv.domains.objects import objects
from hgenv.rotations import turn
from hgenv.tasks.face_depth import FaceDepth
from hgenv.tasks.scene_normals import SceneNormals
from hgenv.tasks.texture_intrinsics import TextureIntrinsics

# -- shapes


def picture() -> Image.Image:
    """Red above, blue below."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4, :, 0], pixels[4:, :, 2] = 200, 150
    return Image.fromarray(pixels)


def textured(tint: tuple[int, int, int, int] = (255, 255, 255, 255)) -> trimesh.Trimesh:
    """A square of the height of its texture."""
    corners = np.array([[-1.0, -2.0, 0.0], [1.0, -2.0, 0.0], [1.0, 2.0, 0.0], [-1.0, 2.0, 0.0]])
    uv = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=picture(), baseColorFactor=tint)
    visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


def coloured() -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=1)
    colours = np.full((len(ball.vertices), 4), [255, 0, 51, 255], np.uint8)
    return trimesh.Trimesh(ball.vertices, ball.faces, vertex_colors=colours, process=False)


def written(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    scene = trimesh.Scene()
    scene.add_geometry(textured((255, 128, 255, 255)), transform=trimesh.transformations.translation_matrix([0, 3, 0]))
    scene.add_geometry(textured())
    (folder / "two.glb").write_bytes(scene.export(file_type="glb"))
    (folder / "ball.ply").write_bytes(coloured().export(file_type="ply"))
    (folder / "box.stl").write_bytes(trimesh.creation.box((1.0, 2.0, 3.0)).export(file_type="stl"))
    (folder / "box.obj").write_text(trimesh.creation.box((1.0, 2.0, 3.0)).export(file_type="obj"))
    return folder


def test_glb_keeps_its_textures_colours_and_transforms(tmp_path: Path) -> None:
    model = shape_files.load_shape(written(tmp_path) / "two.glb")
    corners = model.mesh.corners
    assert len(corners) == 4
    assert len(model.textures) == 2
    size = np.ptp(corners.reshape(-1, 3), axis=0)
    np.testing.assert_allclose(size / size[1], [2 / 7, 1.0, 0.0], atol=1e-6)
    assert np.linalg.norm(size) == pytest.approx(1.0)
    tinted = corners[:, :, 1].mean(1) > 0
    np.testing.assert_allclose(model.mesh.albedo[tinted].reshape(-1, 3).mean(0), [1.0, 128 / 255, 1.0], atol=5e-3)
    np.testing.assert_allclose(model.mesh.albedo[~tinted], 1.0)
    assert [part.shape for part in model.textures] == [(8, 8, 3)] * 2
    assert (model.textures[0][0, 0].argmax(), model.textures[0][-1, 0].argmax()) == (0, 2)
    top = corners[..., 1] == corners[..., 1].max()
    np.testing.assert_allclose(model.mesh.uv[top][:, 1], 1.0, atol=1e-6)  # v is up


def test_ply_and_stl(tmp_path: Path) -> None:
    ball = shape_files.load_shape(written(tmp_path) / "ball.ply")
    np.testing.assert_allclose(ball.mesh.albedo.reshape(-1, 3), [[1.0, 0.0, 0.2]] * 3 * len(ball.mesh.corners))
    box, same = (shape_files.load_shape(tmp_path / f"box.{suffix}") for suffix in ("stl", "obj"))
    for mesh in (box.mesh, same.mesh):
        np.testing.assert_allclose(np.ptp(mesh.corners.reshape(-1, 3), axis=0) * 14**0.5, [1.0, 2.0, 3.0], atol=1e-5)
        assert (mesh.texture == -1).all()
    bare = shape_files.load_shape(tmp_path / "ball.ply", materials=False)
    assert len(np.unique(bare.mesh.albedo)) == 1


def test_a_flat_folder_is_painted_and_is_a_target_domain(tmp_path: Path) -> None:
    folder = written(tmp_path)
    task = TextureIntrinsics(shapes=str(folder), resolution=16)
    assert len(task.painted or ()) == 4
    assert torch.isfinite(task.sample(np.tile(task.layout.initial, (3, 1)), Noise(np.arange(3))).image).all()
    domain = objects(str(folder), 4, 16, 0.2)
    assert len(domain.batch("test").image) == 4
    (folder / "bad.glb").write_bytes((folder / "two.glb").read_bytes()[:700])
    (report,) = catalogue.report(folder, ["shape-files"])
    assert report.broken
    assert report.places is not None
    assert report.places[0].content.startswith("5 models; read 4 of them, 1 with textures")


@pytest.mark.parametrize("name", ["it.glb", "it.ply", "it.stl"])
def test_what_is_no_mesh_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for data in (b"", b"no mesh at all\n" * 9, b"glTF\x02\x00\x00\x00\xff\xff\xff\xff"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"{name} (is not a mesh that can be read|has no triangles)"):
            shape_files.load_shape(path)
    point = trimesh.Trimesh(np.zeros((3, 3)), [[0, 1, 2]], process=False)
    path.write_bytes(point.export(file_type=name[3:]))
    with pytest.raises(ValueError, match="are all the same"):
        shape_files.load_shape(path)


def test_a_compressed_one_is_named(heads: Path) -> None:
    with pytest.raises(ValueError, match="compressed by KHR_draco_mesh_compression, which is not read"):
        shape_files.load_shape(heads / "LeePerrySmith" / "LeePerrySmith.glb")


def test_a_file_reads_nothing_beside_it(tmp_path: Path) -> None:
    """A glTF in one file may name others."""
    folder = written(tmp_path)
    data = bytearray((folder / "two.glb").read_bytes())
    length = int.from_bytes(data[12:16], "little")
    tree = json.loads(data[20 : 20 + length])
    picture().save(folder / "secret.png")
    for image in tree["images"]:
        image.pop("bufferView")
        image["uri"] = "secret.png"
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    rest = bytes(data[20 + length :])
    chunk = len(text).to_bytes(4, "little") + b"JSON" + text + rest
    (folder / "two.glb").write_bytes(
        b"glTF" + (2).to_bytes(4, "little") + (12 + len(chunk)).to_bytes(4, "little") + chunk
    )
    try:
        model = shape_files.load_shape(folder / "two.glb")
    except ValueError:
        return
    assert not model.textures


# -- the Basel Face Model of 2017 and 2019


def statismo(path: Path, **changes: Any) -> dict[str, np.ndarray]:
    rng, vertices = np.random.default_rng(0), 30
    found = {f"{group}/model/mean": rng.normal(size=3 * vertices) for group in ("shape", "expression")}
    found["color/model/mean"] = rng.uniform(0, 1, 3 * vertices)
    for group, count in (("shape", 12), ("color", 11), ("expression", 10)):
        found[f"{group}/model/pcaBasis"] = rng.normal(size=(3 * vertices, count))
        found[f"{group}/model/pcaVariance"] = rng.uniform(0.1, 2.0, count)
    found["shape/representer/cells"] = rng.integers(0, vertices, (3, 40))
    found |= changes
    with h5py.File(path, "w") as file:
        for name, array in found.items():
            if array is not None:
                file[name] = array.astype(np.float32) if array.dtype.kind == "f" else array
    return found


def test_basel_2017_is_read(tmp_path: Path) -> None:
    content = statismo(tmp_path / "model2017-1_bfm_nomouth.h5")
    model = load_face_model(tmp_path)
    mean = (content["shape/model/mean"] + content["expression/model/mean"]).reshape(-1, 3)
    scale = 2.0 / np.ptp(mean[:, 1])
    assert np.ptp(model.mean[:, 1]) == pytest.approx(2.0)
    np.testing.assert_array_equal(model.faces, content["shape/representer/cells"].T)
    for found, group, factor, k in ((model.geometry, "shape", scale, 3), (model.expression, "expression", scale, 1)):
        wanted = factor * content[f"{group}/model/pcaBasis"][:, k] * content[f"{group}/model/pcaVariance"][k] ** 0.5
        np.testing.assert_allclose(found[k].ravel(), wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.albedo.ravel(), content["color/model/mean"], rtol=1e-5)
    third = content["color/model/pcaBasis"][:, 2] * content["color/model/pcaVariance"][2] ** 0.5
    np.testing.assert_allclose(model.texture[2].ravel(), third, rtol=1e-4, atol=1e-6)
    task = FaceDepth(model=str(tmp_path), resolution=16)
    assert torch.isfinite(task.sample(np.tile(task.layout.initial, (2, 1)), Noise(np.arange(2))).image).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape/model/pcaBasis": None}, "has no numbers shape/model/pcaBasis"),
        ({"shape/model/pcaVariance": np.full(12, -1.0)}, "shape/model/pcaVariance has negative variances"),
        ({"shape/representer/cells": np.full((3, 40), 30)}, "faces must be"),
        ({"color/model/mean": np.zeros(80)}, "texMU has 80 numbers"),
        ({"expression/model/mean": np.full(90, np.nan)}, "expMU must be finite"),
    ],
)
def test_a_broken_one_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    statismo(tmp_path / "model2019_bfm.h5", **changes)
    with pytest.raises(ValueError, match=rf"model2019_bfm.h5.*{message}"):
        load_face_model(tmp_path)
    (tmp_path / "model2019_bfm.h5").write_bytes(b"no hdf5")
    with pytest.raises(ValueError, match=r"model2019_bfm.h5 is not a whole"):
        load_face_model(tmp_path)


# -- 3D-FRONT


def quad(*corners: tuple[float, float, float]) -> dict[str, Any]:
    return {
        "xyz": [x for corner in corners for x in corner],
        "faces": [0, 1, 2, 0, 2, 3],
        "uv": [0, 0, 1, 0, 1, 1, 0, 1],
    }


def house(root: Path, **changes: Any) -> Path:
    """A room of 4 x 3 x 5 m with a table that is turned, and a lamp that is nowhere."""
    low, high = (0.0, 0.0, 0.0), (4.0, 3.0, 5.0)
    floor = quad((0, 0, 0), (4, 0, 0), (4, 0, 5), (0, 0, 5))
    walls = [quad((x, 0, 0), (x, 0, 5), (x, 3, 5), (x, 3, 0)) for x in (low[0], high[0])]
    walls += [quad((0, 0, z), (4, 0, z), (4, 3, z), (0, 3, z)) for z in (low[2], high[2])]
    meshes = [{"uid": "floor", "type": "Floor", "material": "wood", **floor}]
    meshes += [{"uid": f"wall{i}", "type": "WallInner", "material": "paint", **wall} for i, wall in enumerate(walls)]
    children: list[dict[str, Any]] = [
        {"ref": mesh["uid"], "pos": [0, 0, 0], "rot": [0, 0, 0, 1], "scale": [1, 1, 1]} for mesh in meshes
    ]
    quarter = [0.0, float(np.sin(np.pi / 4)), 0.0, float(np.cos(np.pi / 4))]
    children.append({"ref": "12/model", "pos": [2.0, 0.0, 2.0], "rot": quarter, "scale": [1.0, 1.0, 2.0]})
    children.append({"ref": "13/model", "pos": [1.0, 0.0, 1.0], "rot": [0, 0, 0, 1], "scale": [1, 1, 1]})
    found = {
        "uid": "home", "mesh": meshes,
        "furniture": [{"uid": "12/model", "jid": "table-1", "valid": True}, {"uid": "13/model", "jid": "lamp-9"}],
        "material": [{"uid": "paint", "color": [255, 0, 51, 255]}, {"uid": "wood", "jid": "wood-1"}],
        "scene": {"room": [{"instanceid": "LivingRoom-1", "type": "LivingRoom", "children": children}]},
    }  # fmt: skip
    path = root / front3d.HOUSES / "home.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found | changes))
    table = root / front3d.MODELS / "table-1"
    table.mkdir(parents=True, exist_ok=True)
    trimesh.creation.box((1.0, 1.0, 0.5)).apply_translation([0.0, 0.5, 0.0]).export(table / "raw_model.obj")
    (root / front3d.TEXTURES / "wood-1").mkdir(parents=True, exist_ok=True)
    picture().save(root / front3d.TEXTURES / "wood-1" / "texture.png")
    return path


def test_a_house_of_3d_front_is_read(tmp_path: Path) -> None:
    interior = front3d.load_house(house(tmp_path))
    assert len(interior.shell.corners) == 10
    textured_faces = interior.shell.texture == 0
    np.testing.assert_allclose(interior.shell.corners[textured_faces][..., 1], 0.0)
    np.testing.assert_allclose(interior.shell.albedo[~textured_faces].reshape(-1, 3), [[1.0, 0.0, 0.2]] * 24)
    (table,) = interior.objects
    # 1 x 1 x (0.5 twice) m, a quarter turn about y, at (2, 0, 2).
    low, high = table.corners.reshape(-1, 3).min(0), table.corners.reshape(-1, 3).max(0)
    np.testing.assert_allclose([low, high], [[1.5, 0.0, 1.5], [2.5, 1.0, 2.5]], atol=1e-5)
    assert len(interior.left_out) == 1
    assert "lamp-9" in interior.left_out[0]
    assert len(interior.views) == 4
    for view in interior.views:
        assert (view.eye > 0).all()
        assert (view.eye < [4.0, 3.0, 5.0]).all()
        assert view.frame[2] @ (view.eye - [2.0, 1.0, 2.5]) > 0, "it looks to the middle"


def test_a_quarter_turn_turns_as_quaternions_do(tmp_path: Path) -> None:
    """A box that is long in x, a sixth of a turn about y."""
    path = house(tmp_path)
    content = json.loads(path.read_text())
    angle = np.pi / 3
    for child in content["scene"]["room"][0]["children"]:
        if child["ref"] == "12/model":
            child |= {"rot": [0.0, float(np.sin(angle / 2)), 0.0, float(np.cos(angle / 2))], "scale": [3.0, 1.0, 1.0]}
    path.write_text(json.dumps(content))
    (table,) = front3d.load_house(path).objects
    corner = turn(angle, 0.0) @ np.array([1.5, 0.0, 0.25]) + [2.0, 0.0, 2.0]
    assert np.abs(table.corners.reshape(-1, 3) - corner).sum(1).min() < 1e-5


def test_scenes_of_3d_front_are_sampled(tmp_path: Path) -> None:
    house(tmp_path)
    task = SceneNormals(scenes=str(tmp_path), pretrain_steps=0, rooms=2, validation_size=2, test_size=2)
    batch = task.sample(np.tile(task.layout.initial, (4, 1)), Noise(np.arange(4)))
    assert batch.mask.mean() > 0.5
    (report,) = catalogue.report(tmp_path, ["3d-front"])
    assert report.places is not None
    assert report.places[0].content == "1 houses; read 1 of them, with 1 objects and 4 cameras"
    assert len(report.places[0].problems) == 1


def test_cameras_of_ones_own_are_taken(tmp_path: Path) -> None:
    path = house(tmp_path)
    cameras = tmp_path / "camera" / "home"
    cameras.mkdir(parents=True)
    (cameras / "room_camera.txt").write_text("1 1.5 1 0.6 0 0.8 0 1 0 0.5 0.4 1\n")
    (view,) = front3d.load_house(path).views
    np.testing.assert_allclose(view.eye, [1.0, 1.5, 1.0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mesh": None}, "is not a house of 3D-FRONT"),
        ({"scene": {}}, "is not a house of 3D-FRONT: KeyError"),
        ({"scene": {"room": [{}]}}, "room 0 has no children"),
        ({"scene": {"room": []}}, "has no mesh of a room"),
        ({"furniture": []}, "has no furniture that can be read"),
        (
            {"mesh": [{"uid": "floor", "xyz": [0, 0, 0], "faces": [0, 1, 2]}]},
            "floor: its faces must be rows of its 1 points",
        ),
        ({"mesh": [{"uid": "floor", "xyz": [0, 0], "faces": [0, 0, 0]}]}, "floor: expected 3 numbers for each"),
        ({"furniture": [{"uid": "12/model", "jid": "../../etc"}]}, "jid must be a name"),
        (
            {"material": [{"uid": "wood", "color": [300, 0, 0]}]},
            "floor: its colour must be three numbers from 0 to 255",
        ),
    ],
)
def test_a_house_that_is_broken_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = house(tmp_path, **changes)
    with pytest.raises(ValueError, match=rf"home.json.*{message}"):
        front3d.load_house(path)
