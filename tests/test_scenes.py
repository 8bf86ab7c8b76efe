"""SceneNormals: the layout, perturbations against closed forms, rooms, SUNCG's layout, a start that is trained."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from hgenv.data.suncg import find_houses, load_house, load_views
from hgenv.furniture import box
from hgenv.grammar import unit_vector
from hgenv.indoor_domains import OtherRooms
from hgenv.interiors import DEGREES, Interior, Lighting, SceneBeta, drawing, look
from hgenv.noise import Noise
from hgenv.pretraining import pretrain
from hgenv.render.raster import render
from hgenv.render.renderer import Drawing
from hgenv.rooms import room
from hgenv.scene import NO_TEXTURES, coarsened, plain_mesh, turn
from hgenv.tasks.scene_normals import SceneNormals

UP = np.array([0.0, 1.0, 0.0])
TANGENTS = np.array([0.6, 0.45])
LAYOUT = SceneNormals.layout


def plain(mesh: Any) -> Any:
    return mesh._replace(texture=np.full(len(mesh.corners), -1))


def hall() -> Interior:
    """A floor, and one box of side 1 m at (0, 0.5, 0); the camera stands at z = 4 and looks along -z."""
    floor = plain(box(np.array([-9.0, -0.1, -9.0]), np.array([9.0, 0.0, 9.0])))
    cube = plain(box(np.array([-0.5, 0.0, -0.5]), np.array([0.5, 1.0, 0.5])))
    return Interior(floor, [cube], NO_TEXTURES, [look(np.array([0.0, 0.5, 4.0]), np.array([0.0, 0, -1]), UP, TANGENTS)])


def seen(scene: Interior, shapes: np.ndarray, camera: np.ndarray) -> Any:
    return render(drawing(scene, scene.views[0], shapes, camera, (96, 128), Lighting(np.zeros(3), 1.0, 0.3), 64))


def one(**degrees: float) -> np.ndarray:
    return np.array([degrees.get(name, 0.0) for name in DEGREES])


def test_layout_is_the_papers_108_coordinates() -> None:
    assert len(LAYOUT.names) == 108
    assert LAYOUT.discrete.sum() == 36
    assert len(LAYOUT.distributions) == 12
    assert all(len(d.parameters()) == 9 for d in LAYOUT.distributions.values())
    start = dict(zip(LAYOUT.names, LAYOUT.initial, strict=True))
    assert max(abs(v) for k, v in start.items() if "mean" in k) <= 0.05
    assert max(v for k, v in start.items() if "std" in k) <= 0.05


def test_objects_shift_along_the_rooms_axes_and_turn_about_their_middles() -> None:
    scene, none = hall(), np.zeros(6)
    middle = (48, 64)
    at_rest = seen(scene, none[None], none)
    assert at_rest.depth[middle] == pytest.approx(3.5, abs=1e-6)
    assert seen(scene, one(z=0.4)[None], none).depth[middle] == pytest.approx(3.1, abs=1e-6)
    right = seen(scene, one(x=0.4)[None], none)
    columns = np.flatnonzero(np.isclose(right.depth[40], 3.5, atol=1e-5))
    focal = 64 / 0.6
    assert columns.min() == pytest.approx(64 + focal * -0.1 / 3.5, abs=1)
    assert columns.max() + 1 == pytest.approx(64 + focal * 0.9 / 3.5, abs=1)
    turned = seen(scene, one(yaw=0.3)[None], none)
    np.testing.assert_allclose(turned.normal[:, 48, 64], [np.sin(0.3), 0.0, np.cos(0.3)], atol=1e-6)
    assert turned.depth[middle] == pytest.approx(4 - 0.5 / np.cos(0.3), abs=0.02)
    tipped = seen(scene, one(pitch=0.3)[None], none)
    np.testing.assert_allclose(tipped.normal[:, 40, 64], [0.0, -np.sin(0.3), np.cos(0.3)], atol=1e-6)


def test_the_camera_shifts_and_turns_along_its_own_axes() -> None:
    scene, none = hall(), np.zeros(6)
    assert seen(scene, none[None], one(z=0.5)).depth[48, 64] == pytest.approx(4.0, abs=1e-6)
    down = seen(scene, none[None], one(pitch=0.3))  # a positive pitch looks down
    floor = down.normal[:, 90, 10]
    np.testing.assert_allclose(floor, turn(0.0, 0.3) @ UP, atol=1e-6)
    assert down.mask.mean() > seen(scene, none[None], none).mask.mean()
    rolled = seen(scene, none[None], one(roll=0.2))
    np.testing.assert_allclose(rolled.normal[:, 90, 64], turn(0.0, 0.0, 0.2) @ UP, atol=1e-6)
    aside = seen(scene, none[None], one(x=0.3))
    columns = np.flatnonzero(np.isclose(aside.depth[40], 3.5, atol=1e-5))
    assert 0.5 * (columns.min() + columns.max() + 1) == pytest.approx(64 - 64 / 0.6 * 0.3 / 3.5, abs=1)


def all_placed(scene: Interior, view: Any, shapes: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Corners of the shell and of all objects, placed one by one."""
    frame, eye = scene.frame(view, camera), view.eye + view.frame.T @ camera[:3]
    parts = [(scene.shell.corners - eye) @ frame.T]
    for mesh, s in zip(scene.objects, shapes, strict=True):
        points = mesh.corners.reshape(-1, 3)
        centre = 0.5 * (points.min(0) + points.max(0))
        parts.append(((mesh.corners - centre) @ turn(*s[3:]).T + centre + s[:3] - eye) @ frame.T)
    return np.concatenate(parts)


@pytest.mark.parametrize("number", range(8))
def test_culling_leaves_out_nothing_that_is_seen_or_throws_a_shadow(number: int) -> None:
    """The same pictures as with all objects placed one by one, at perturbations from the start's to the largest."""
    rng, scene = np.random.default_rng(number), room(number)
    view, size = scene.views[number % 4], 0.1 * (number + 1)
    shapes, camera = rng.normal(0.0, size, (len(scene.objects), 6)), rng.normal(0.0, 0.7 * size, 6)
    light = Lighting(unit_vector(rng.random(2) * [0.7, 1.0] + [0.3, 0.0]), 0.5, 0.3)
    ours = drawing(scene, view, shapes, camera, (48, 64), light, 128)
    whole = ours.mesh._replace(corners=all_placed(scene, view, shapes, camera))
    first, second = render(ours), render(ours._replace(mesh=whole))
    same = np.isclose(first.depth, second.depth, atol=1e-6)
    assert same.mean() > 0.999, "but for ties of faces in one plane"
    for name in ("normal", "albedo", "shading"):
        off = np.abs(getattr(first, name) - getattr(second, name)).reshape(-1, 48, 64).max(0)
        assert np.mean(off[same] > 1e-5) < 0.01, name


def test_only_furniture_throws_shadows() -> None:
    """In a closed room, whose walls would leave it dark."""
    scene = room(2)
    view, none = scene.views[0], np.zeros(6)
    toward = scene.frame(view, none) @ np.array([0.48, 0.8, 0.36])
    shapes = np.zeros((len(scene.objects), 6))
    drawn = {s: drawing(scene, view, shapes, none, (96, 128), Lighting(toward, 0.0, 0.3), s) for s in (0, 256)}
    pictures = {s: render(d) for s, d in drawn.items()}
    up = np.einsum("khw,k->hw", pictures[0].normal, scene.frame(view, none) @ UP) > 0.99
    assert up.sum() > 500
    dark = pictures[256].shading[up] < 0.31
    assert 0.02 < dark.mean() < 0.6
    assert not (pictures[0].shading[up] < 0.31).any()
    closed = render(drawn[256]._replace(casters=None))
    assert (closed.shading[up] < 0.31).mean() > 0.9


@pytest.mark.parametrize("number", range(6))
def test_rooms_are_furnished_closed_and_seen_from_inside(number: int) -> None:
    scene = room(number)
    assert len(scene.objects) >= 2
    low, high = scene.shell.corners.reshape(-1, 3).min(0), scene.shell.corners.reshape(-1, 3).max(0)
    for view in scene.views:
        assert ((view.eye > low + 0.1) & (view.eye < high - 0.1)).all()
        np.testing.assert_allclose(view.frame @ view.frame.T, np.eye(3), atol=1e-12)
        mesh, _ = scene.seen(view, np.zeros((len(scene.objects), 6)), np.zeros(6), UP)
        picture = render(Drawing(mesh, view.camera(48, 64), UP, textures=scene.textures))
        assert picture.mask.all(), "a room has no holes"
        assert picture.depth.max() < 9
    for thing in scene.objects:
        assert thing.corners[..., 1].min() >= -1e-9, "nothing stands in the floor"


@pytest.mark.parametrize("id", ["rooms", "house"])
def test_random_betas_give_normals_that_face_the_camera(id: str, request: pytest.FixtureRequest) -> None:
    scenes = str(request.getfixturevalue("suncg")) if id == "house" else None
    task = SceneNormals(rooms=4, scenes=scenes)
    betas = LAYOUT.from_action(np.random.default_rng(0).uniform(-1, 1, (16, 108)))
    batch = task.sample(betas, Noise(np.arange(16)))
    assert all(torch.isfinite(part).all() for part in batch)
    assert batch.image.shape == (16, 3, 48, 64)
    assert batch.image.min() >= 0
    assert batch.image.max() <= 1
    inside = batch.mask[:, 0] > 0
    assert inside.float().mean() > 0.8
    torch.testing.assert_close(batch.target.norm(dim=1)[inside], torch.ones(int(inside.sum())), atol=1e-5, rtol=0)
    x = (torch.arange(64) + 0.5 - 32) * TANGENT_OF_NYU[0] / 32
    y = (24 - torch.arange(48) - 0.5) * TANGENT_OF_NYU[1] / 24
    along = batch.target[:, 0] * x + batch.target[:, 1] * y[:, None] - batch.target[:, 2]
    assert (along[inside] < 1e-3).all(), "a visible surface faces the ray"


TANGENT_OF_NYU = (320.0 / 518.8579, 240.0 / 519.4696)


def test_the_built_in_target_is_other_rooms_looked_down_upon() -> None:
    domain = OtherRooms((48, 64), 24, 24)
    batch = domain.batch("test")
    floor = batch.target[:, 1, 36:].mean()
    ceiling = -batch.target[:, 1, :12].mean()
    assert floor > max(0.0, ceiling) + 0.2
    assert 40 < domain.baselines("test")["constant normal"]["mae"] < 70
    assert not torch.equal(batch.image, domain.batch("validation").image)


def test_merging_small_features_keeps_large_ones() -> None:
    rng = np.random.default_rng(0)
    side = 40
    grid = np.stack(np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side)), -1).reshape(-1, 2)
    vertices = np.concatenate([grid, 0.001 * rng.random((side * side, 1))], 1)
    i, j = np.mgrid[: side - 1, : side - 1]
    a = (i * side + j).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + side], 1), np.stack([a + 1, a + side, a + side + 1], 1)])
    fine = plain_mesh(vertices, faces, smooth=False)
    coarse = coarsened(fine, 0.1)
    assert len(coarse.corners) < 0.15 * len(fine.corners)
    area = np.linalg.norm(
        np.cross(coarse.corners[:, 1] - coarse.corners[:, 0], coarse.corners[:, 2] - coarse.corners[:, 0]), axis=1
    ).sum() / 2  # fmt: skip
    assert area == pytest.approx(0.85, abs=0.1)
    assert len(coarsened(fine, 10.0).corners) == len(fine.corners), "a mesh that would vanish stays"


# -- SUNCG's layout


@pytest.fixture(scope="module")
def suncg(data: Path) -> Path:
    folder = data / "indoor-scenes" / "suncg-layout"
    if not folder.is_dir():
        pytest.skip(f"no indoor-scenes in {data}")
    return folder


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
        picture, _ = scene.seen(view, np.zeros((1, 6)), np.zeros(6), UP)
        drawn = render(Drawing(picture, view.camera(16, 16), UP, textures=house.textures))
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
    (short_camera, ValueError, "12 finite numbers"),
    (words_for_numbers, ValueError, "12 numbers a line"),
    (straight_up, ValueError, "parallel"),
    (truncated, ValueError, "not a SUNCG house"),
    (other_json, ValueError, "not a SUNCG house"),
    ({"type": "Sphere"}, ValueError, "0_9.*Sphere"),
    ({"type": "Object"}, ValueError, "0_9.*modelId"),
    ({"type": "Object", "modelId": "gone"}, FileNotFoundError, r"gone\.obj"),
    ({"type": "Object", "modelId": "chair", "transform": [1, 2]}, ValueError, "0_9.*16 numbers"),
    ({"type": "Object", "modelId": "chair", "transform": [0.0] * 16}, ValueError, "flat"),
    ({"type": "Object", "modelId": "chair", "materials": "wood"}, ValueError, "0_9.*must be a list"),
    ({"type": "Box", "dimensions": [1, -1, 1]}, ValueError, "0_9.*positive"),
    ({"type": "Box", "dimensions": [1, 1, 1], "materials": [{"name": "a", "diffuse": "red"}]}, ValueError, "#rrggbb"),
    ({"type": "Object", "modelId": "chair", "materials": [{"name": "seat", "texture": "x"}]}, FileNotFoundError, "x"),
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


# -- the trained start


def test_the_start_is_trained_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HGENV_CACHE", str(tmp_path))
    task = SceneNormals(rooms=2, validation_size=2, test_size=2, pretrain_steps=3)
    first = torch.nn.utils.parameters_to_vector(task.network().parameters())
    (file,) = tmp_path.glob("*.npz")
    stamp = file.stat().st_mtime_ns
    again = SceneNormals(rooms=2, validation_size=2, test_size=2, pretrain_steps=3)
    torch.testing.assert_close(torch.nn.utils.parameters_to_vector(again.network().parameters()), first)
    assert file.stat().st_mtime_ns == stamp
    for other in ({"pretrain_steps": 4}, {"rooms": 3}, {"ambient": 0.4}, {"channels": 16}):
        SceneNormals(**{"rooms": 2, "validation_size": 2, "test_size": 2, "pretrain_steps": 3, **other}).network()
    assert len(list(tmp_path.glob("*.npz"))) == 5, "what the result depends on names it"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged"):
        SceneNormals(rooms=2, validation_size=2, test_size=2, pretrain_steps=3).network()


def test_pretraining_learns_what_it_is_shown(tmp_path: Path) -> None:
    task = SceneNormals(rooms=2, pretrain_steps=0, resolution=64)
    batch = task.unperturbed(np.arange(8, dtype=np.uint64))
    torch.manual_seed(0)
    network = task.network()
    with torch.no_grad():
        before = task.loss(network(batch.image), batch).mean()
    pretrain(network, task.unperturbed, task.loss, 40, "rooms", tmp_path)
    with torch.no_grad():
        after = task.loss(network(batch.image), batch).mean()
    assert after < 0.7 * before
    for changed in ({"key": "others"}, {"loss": lambda p, b: 2 * task.loss(p, b)}, {"steps": 1}):
        fresh = task.network()
        arguments = {"sample": task.unperturbed, "loss": task.loss, "steps": 2, "key": "rooms", "folder": tmp_path}
        pretrain(fresh, **arguments | changed)
    assert len(list(tmp_path.glob("*.npz"))) == 4
    with pytest.raises(ValueError, match="diverged"):
        pretrain(network, task.unperturbed, lambda p, b: float("inf") * task.loss(p, b), 2, "rooms", tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 4


def test_a_snapshot_can_be_the_start(tmp_path: Path) -> None:
    from hgenv import cli

    small = ["--env", "hgenv/SceneNormals-v0", "--rooms", "2", "--validation-size", "2", "--test-size", "2"]
    run = ["run", "fixed", *small, "--pretrain-steps", "0", "--train-steps", "2", "--batch-size", "2", "--no-figures"]
    assert cli.main([*run, "--max-steps", "1", "--report-every", "1", "--out", str(tmp_path / "a")]) == 0
    task = SceneNormals(rooms=2, validation_size=2, test_size=2, pretrained=str(tmp_path / "a"))
    found = torch.nn.utils.parameters_to_vector(task.network().parameters()).detach().numpy()
    with np.load(tmp_path / "a" / "best.npz") as kept:
        np.testing.assert_array_equal(found, kept["state.average"])
    with pytest.raises(ValueError, match="same size of network"):
        SceneNormals(rooms=2, channels=16, pretrained=str(tmp_path / "a")).validation()
    with pytest.raises(FileNotFoundError, match=r"best\.npz"):
        SceneNormals(rooms=2, pretrained=str(tmp_path / "none")).validation()


def test_bad_options_are_refused() -> None:
    for knobs in (
        {"resolution": 48},
        {"resolution": 66},
        {"rooms": 0},
        {"detail": -1.0},
        {"shadow": -1},
        {"ambient": 1.0},
    ):
        with pytest.raises(ValueError, match=r"got|positive"):
            SceneNormals(**knobs)
    assert isinstance(SceneNormals().layout, SceneBeta)
