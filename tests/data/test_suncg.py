"""Houses in SUNCG's layout: a real one, hand-made nodes of every type, broken ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from hgenv.data.suncg import find_houses, load_house, load_views
from hgenv.render.raster import render
from hgenv.render.renderer import Scene
from hgenv.scenes.interiors import Interior, look, rotations

UP = np.array([0.0, 1.0, 0.0])
TANGENTS = np.array([0.6, 0.45])


def test_the_real_house_is_what_its_page_says(suncg: Path) -> None:
    (path,) = find_houses(suncg)
    house = load_house(path)
    assert len(house.objects) == 83
    assert len(house.views) == 8
    faces = len(house.shell.corners) + sum(len(o.corners) for o in house.objects)
    assert faces == pytest.approx(117_000, rel=0.01)
    nodes = json.loads(path.read_text())["levels"][0]["nodes"]
    boxes = [node["bbox"] for node in nodes if node["type"] == "Object"]
    for mesh, bounds in zip(house.objects, boxes, strict=True):
        points = mesh.corners.reshape(-1, 3)
        np.testing.assert_allclose(points.min(0), bounds["min"], atol=2e-3)
        np.testing.assert_allclose(points.max(0), bounds["max"], atol=2e-3)
    assert np.tan(0.5534) == pytest.approx(house.views[0].tangents[0])
    merged = load_house(path, detail=0.02)
    assert sum(len(o.corners) for o in merged.objects) < 0.35 * faces


def write_house(root: Path, nodes: list[dict], **fields: object) -> Path:
    """A house with one room of one floor, a chair model, a texture, and a camera."""
    for folder in ("house/h", "room/h", "object/chair", "texture", "camera/h"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "room/h/fr_0rm_0f.obj").write_text("v -5 0 -5\nv 5 0 -5\nv 5 0 5\nv -5 0 5\nf 1 2 3 4\n")
    chair = "mtllib chair.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl seat\nf 1/1 2/2 3/3\n"
    (root / "object/chair/chair.obj").write_text(chair)
    (root / "object/chair/chair_0.obj").write_text("v 0 0 0\nv 2 0 0\nv 0 2 0\nf 1 2 3\n")
    (root / "object/chair/chair.mtl").write_text("newmtl seat\nKd 1 0 0\n")
    cv2.imwrite(str(root / "texture/wood.jpg"), np.full((8, 8, 3), (0, 128, 255), np.uint8))
    (root / "camera/h/room_camera.txt").write_text("0 1 3 0 0 -1 0 1 0 0.55 0.43 0\n")
    path = root / "house/h/house.json"
    room_node = {"id": "0_0", "type": "Room", "valid": 1, "modelId": "fr_0rm_0"}
    path.write_text(json.dumps({"id": "h", "levels": [{"id": "0", "nodes": [room_node, *nodes]}], **fields}))
    return path


IDENTITY = [1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
MIRROR = [-1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 3, 0, 0, 1]


def test_node_types_transforms_states_and_materials(tmp_path: Path) -> None:
    orange, blue = {"name": "seat", "texture": "wood"}, {"name": "seat", "diffuse": "#0000ff"}
    path = write_house(
        tmp_path,
        [
            {"id": "0_1", "type": "Object", "valid": 1, "modelId": "chair", "transform": IDENTITY},
            {"id": "0_2", "type": "Object", "valid": 1, "modelId": "chair", "transform": MIRROR, "isMirrored": 1,
             "materials": [orange]},
            {"id": "0_3", "type": "Object", "valid": 0, "modelId": "missing"},
            {"id": "0_4", "type": "Object", "valid": 1, "modelId": "chair", "state": 1},
            {"id": "0_5", "type": "Box", "valid": 1, "dimensions": [1, 2, 3], "transform": MIRROR, "materials": [blue]},
            {"id": "0_6", "type": "Box", "valid": 1, "dimensions": [1, 1, 1], "materials": [orange]},
            {"id": "0_7", "type": "Ground", "valid": 1, "modelId": "fr_0rm_0"},
        ],
        scaleToMeters=2.0,
    )  # fmt: skip
    house = load_house(path)
    first, mirrored, open_chair, cuboid, wooden = house.objects
    np.testing.assert_allclose(first.corners[0].max(0), [2, 2, 0])
    np.testing.assert_allclose(first.albedo[0, 0], [1, 0, 0], atol=0.01)
    np.testing.assert_allclose(mirrored.corners[0].min(0), [4, 0, 0])
    assert mirrored.texture[0] >= 0
    np.testing.assert_allclose(house.textures.picture(int(mirrored.texture[0]))[4, 4], [255, 128, 0], atol=3)  # JPEG
    np.testing.assert_allclose(open_chair.corners[0].max(0), [4, 4, 0])
    np.testing.assert_allclose(np.ptp(cuboid.corners.reshape(-1, 3), axis=0), [2, 4, 6])
    np.testing.assert_allclose(cuboid.corners.reshape(-1, 3).mean(0), [6, 0, 0], atol=1e-9)
    np.testing.assert_allclose(cuboid.albedo[0, 0], [0, 0, 1])
    assert wooden.texture[0] >= 0
    assert len(house.shell.corners) == 4, "the room's floor, and the ground"
    for mesh in (first, mirrored):  # seen from the front, whichever way the face turns
        view = look(mesh.corners[0].mean(0) + [0, 0, 3.0], np.array([0.0, 0, -1]), UP, TANGENTS)
        scene = Interior(house.shell, [mesh], house.textures, [view])
        still, none = np.zeros((1, 6)), np.zeros(6)
        picture, _ = scene.seen(view, still, none, rotations(view, still, none), UP)
        drawn = render(Scene(picture, view.camera(16, 16), UP, textures=house.textures))
        np.testing.assert_allclose(drawn.normal[:, 8, 8], [0, 0, 1], atol=1e-6)


def no_house(root: Path) -> None:
    shutil.rmtree(root / "house")


def no_camera(root: Path) -> None:
    (root / "camera/h/room_camera.txt").unlink()


def no_floor(root: Path) -> None:
    (root / "room/h/fr_0rm_0f.obj").unlink()


def short_camera(root: Path) -> None:
    (root / "camera/h/room_camera.txt").write_text("0 1 3 0 0 -1\n")


def words_for_numbers(root: Path) -> None:
    (root / "camera/h/room_camera.txt").write_text("a b c\n")


def straight_up(root: Path) -> None:
    (root / "camera/h/room_camera.txt").write_text("0 1 3 0 1 0 0 1 0 0.55 0.43 0\n")


def truncated(root: Path) -> None:
    path = root / "house/h/house.json"
    path.write_text(path.read_text()[:50])


def other_json(root: Path) -> None:
    (root / "house/h/house.json").write_text('{"levels": [{"nodes": [{"id": 1}]}]}')


BROKEN: list[tuple[Callable[[Path], None] | dict, type[Exception], str]] = [
    (no_house, FileNotFoundError, r"house\.json"),
    (no_camera, FileNotFoundError, r"room_camera\.txt"),
    (no_floor, FileNotFoundError, r"fr_0rm_0f\.obj"),
    (short_camera, ValueError, "12 numbers a line"),
    (words_for_numbers, ValueError, "12 numbers a line"),
    (straight_up, ValueError, "parallel"),
    (truncated, ValueError, "not a SUNCG house"),
    (other_json, ValueError, "not a SUNCG house"),
    ({"type": "Sphere"}, ValueError, "0_9.*Sphere"),
    ({"type": "Object"}, ValueError, "0_9.*modelId"),
    ({"type": "Object", "modelId": "gone"}, ValueError, r"none of 1 objects.*gone\.obj"),
    ({"type": "Object", "modelId": "chair", "transform": [1, 2]}, ValueError, "0_9.*16 numbers"),
    ({"type": "Object", "modelId": "chair", "transform": [0.0] * 16}, ValueError, "flat"),
    ({"type": "Object", "modelId": "chair", "materials": "wood"}, ValueError, "0_9.*must be a list"),
    ({"type": "Box", "dimensions": [1, -1, 1]}, ValueError, "0_9.*positive"),
    ({"type": "Box", "dimensions": [1, 1, 1], "materials": [{"name": "a", "diffuse": "red"}]}, ValueError, "#rrggbb"),
    ({"type": "Object", "modelId": "chair", "materials": [{"name": "seat", "texture": "x"}]}, ValueError, "x"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "error", "message"), BROKEN)
def test_a_broken_house_is_named(
    spoil: Callable[[Path], None] | dict, error: type[Exception], message: str, tmp_path: Path
) -> None:
    nodes = [{"id": "0_9", "valid": 1, **spoil}] if isinstance(spoil, dict) else []
    write_house(tmp_path, nodes)
    if not isinstance(spoil, dict):
        spoil(tmp_path)
    with pytest.raises(error, match=message):
        load_house(find_houses(tmp_path)[0])


def test_cameras_may_stand_beside_the_house(tmp_path: Path) -> None:
    path = write_house(tmp_path, [])
    shutil.move(tmp_path / "camera/h/room_camera.txt", tmp_path / "house/h/room_camera.txt")
    assert len(load_house(path).views) == 1
    assert len(load_views(tmp_path / "house/h/room_camera.txt")) == 1
