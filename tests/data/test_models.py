"""Models on disk: OBJ and MTL, ShapeNetCore's layout, shapes to paint, catalogues of Sweet Home 3D."""

import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from hgenv.beta.noise import Noise
from hgenv.data.bare_shapes import load_shapes
from hgenv.data.model import load_obj
from hgenv.data.shapenet import find_models, load_model
from hgenv.data.sweethome import Piece, entries, load_piece
from hgenv.tasks.texture_intrinsics import TextureIntrinsics


def test_all_real_models_load(objects: Path) -> None:
    found = find_models(objects / "ShapeNetCore.v1")
    assert len(found) == 50
    models = [load_model(path) for path in found]
    assert sum(len(model.textures) > 0 for model in models) >= 45
    for model in models:
        points = model.mesh.corners.reshape(-1, 3)
        assert np.linalg.norm(np.ptp(points, axis=0)) == pytest.approx(1.0)
        assert model.mesh.texture.max() < len(model.textures)
        assert 100 <= len(model.mesh.corners) <= 7459
    second = find_models(objects / "ShapeNetCore.v2")
    assert len(second) == 2
    assert all(len(load_model(path).textures) > 0 for path in second), "version 2 keeps its pictures in ../images"
    task = TextureIntrinsics(data=str(objects / "ShapeNetCore.v1"))
    for batch in (task.domain.batch("validation"), task.domain.batch("test")):
        assert len(batch.image) == 50
        assert (batch.mask.flatten(1).sum(1) > 5).all()
        np.testing.assert_array_equal(batch.image, batch.target[:, :3] * batch.target[:, 3:])


def test_broken_models_are_named(objects: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.obj"):
        find_models(tmp_path)
    first = find_models(objects / "ShapeNetCore.v1")[0]
    shutil.copytree(first.parent, tmp_path / "1" / "a")
    assert find_models(tmp_path) == [tmp_path / "1" / "a" / "model.obj"]
    picture = next((tmp_path / "1" / "a").rglob("*.jpg"))
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a whole one"):
        load_model(find_models(tmp_path)[0])
    picture.unlink()
    with pytest.raises(FileNotFoundError, match=picture.name):
        load_model(find_models(tmp_path)[0])
    with pytest.raises(ValueError, match="at least 4"):
        TextureIntrinsics(data=str(tmp_path)).domain.batch("validation")
    broken = tmp_path / "1" / "a" / "model.obj"
    for text, message in (
        ("", "no faces"),
        ("v 0 0 0\nf 1 1 1\n", "all the same"),
        ("v a b c\nf 1 2 3 # here\n", "line 1: v 'a b c'"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "line 4.*no vertex 4 of 3"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "no vertex 0"),
        ("v 0 0 0\nv 1 0\nv 0 1 0\nf 1 2 3\n", "three numbers"),
        ("v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
    ):
        broken.write_text(text)
        with pytest.raises(ValueError, match=message):
            load_model(broken)


# -- OBJ and MTL


TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"


def write_model(
    folder: Path, material: str, faces: str = "usemtl m\nf 1/1 2/2 3/3\n", head: str = "mtllib a.mtl\n"
) -> Path:
    (folder / "a.mtl").write_text(material)
    (folder / "model.obj").write_text(head + TRIANGLE + faces)
    for name, colour in {"tex.png": (0, 0, 255), "my tex.png": (0, 255, 0)}.items():
        cv2.imwrite(str(folder / name), np.full((2, 2, 3), colour, np.uint8))
    return folder / "model.obj"


@pytest.mark.parametrize(
    ("statement", "colour"),
    [
        ("map_Kd tex.png", (255, 0, 0)),
        ("map_Kd\ttex.png", (255, 0, 0)),
        ("map_kd tex.png", (255, 0, 0)),
        ("map_Kd -s 1 1 1 -o 0.5 0 tex.png", (255, 0, 0)),
        ("map_Kd -clamp on -bm 0.3 tex.png", (255, 0, 0)),
        ("map_Kd my tex.png", (0, 255, 0)),
        ("map_Kd .\\tex.png", (255, 0, 0)),
    ],
)
def test_textures_are_found_whatever_the_statement(statement: str, colour: tuple, tmp_path: Path) -> None:
    model = load_obj(write_model(tmp_path, f"# caf\u00e9\nnewmtl m\nKd 1 1 1\n{statement}\n"))
    np.testing.assert_array_equal(model.textures[0][0, 0], colour)
    assert model.mesh.texture[0] == 0


def test_colours_polygons_and_relative_indices(tmp_path: Path) -> None:
    faces = "usemtl m\nf 1 2 3\nusemtl n\nv 1 1 0\nf -4 -3 -1 -2\n"
    path = write_model(tmp_path, "newmtl m\nKd 0.2 0.4 0.6\nnewmtl n\nKd 0.5\n", faces)
    model = load_obj(path)
    assert len(model.mesh.corners) == 3
    assert not model.textures
    np.testing.assert_allclose(model.mesh.albedo[0, 0], [0.2, 0.4, 0.6])
    np.testing.assert_allclose(model.mesh.albedo[2, 0], [0.5, 0.5, 0.5])
    np.testing.assert_allclose(model.mesh.corners[1:].reshape(-1, 3), np.array(
        [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0]]))  # fmt: skip
    reference = trimesh.load(path, process=False, force="mesh", skip_materials=True, maintain_order=True)
    assert model.mesh.corners.shape == reference.triangles.shape
    assert reference.area == pytest.approx(0.5 + 1.0)


@pytest.mark.parametrize(
    ("material", "error", "message"),
    [
        ("newmtl m\nmap_Kd gone.jpg\n", FileNotFoundError, r"gone\.jpg"),
        ("newmtl m\nmap_Kd model.obj\n", ValueError, r"model\.obj is not a picture"),
        ("newmtl m\nmap_Kd -s 1 1\n", ValueError, "names no picture"),
        ("newmtl m\nKd 255 128 0\n", ValueError, r"a\.mtl, line 2: kd"),
        ("newmtl m\nKd nan 0 0\n", ValueError, "in \\[0, 1\\]"),
        ("", ValueError, "no newmtl"),
    ],
)
def test_broken_materials_are_named(material: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        load_obj(write_model(tmp_path, material))


def test_faces_without_coordinates_or_material_have_a_colour(tmp_path: Path) -> None:
    """And faces of two corners, which real catalogues have, are dropped."""
    faces = "usemtl m\nf 1 2 3\nf 1/1 2/2 3/3\nf 1/1 2/2 3/9\nf 1 2\nusemtl gold\nf 1 2 3\n"
    model = load_obj(write_model(tmp_path, "newmtl m\nKd 0 0.5 0\nmap_Kd tex.png\n", faces))
    np.testing.assert_array_equal(model.mesh.texture, [-1, 0, -1, -1])
    np.testing.assert_allclose(model.mesh.albedo[:, 0], [[0, 0.5, 0], [1, 1, 1], [0, 0.5, 0], [0.6, 0.6, 0.6]])


def test_models_stay_in_their_folder_if_they_have_to(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "secret.png"), np.zeros((2, 2, 3), np.uint8))
    for outside in ("../secret.png", str(tmp_path / "secret.png")):
        path = write_model(tmp_path / "in", f"newmtl m\nmap_Kd {outside}\n")
        assert load_obj(path).textures
        with pytest.raises(ValueError, match="outside"):
            load_obj(path, inside=[tmp_path / "in"])
    (tmp_path / "b.mtl").write_text("newmtl m\nKd 1 1 1\n")
    with pytest.raises(ValueError, match="outside"):
        load_obj(write_model(tmp_path / "in", "", head="mtllib ../b.mtl\n"), inside=[tmp_path / "in"])


# -- shapes from disk


PROPERTIES = """# a catalogue
id=Test
id#1=cube
name#1=A cube
category#1=Boxes
model#1=/models/cube/cube.obj
width#1=100
depth#1=50
height#1=200
id#2=roof
name#2=Ein D\u00e4chlein
category#2=Things
model#2=/models/roof.obj
width#2=10
depth#2=20
height#2=30
"""
ROOF = "mtllib roof.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 1\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl tiles\nf 1/1 2/2 3/3\n"


def pieces(path: Path) -> list[Piece]:
    return [entry.piece() for entry in entries(path)]


def write_catalogue(path: Path, properties: str = PROPERTIES, roof: str = ROOF) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("PluginFurnitureCatalog.properties", properties.encode("latin-1"))
        file.writestr("models/cube/cube.obj", trimesh.creation.box().export(file_type="obj"))
        file.writestr("models/roof.obj", roof)
        file.writestr("models/roof.mtl", "newmtl tiles\nKd 1 1 1\nmap_Kd tiles.png\n")
        file.writestr("models/tiles.png", cv2.imencode(".png", np.full((4, 4, 3), (0, 0, 255), np.uint8))[1].tobytes())


def test_catalogues_have_their_sizes_names_and_textures(tmp_path: Path) -> None:
    path = tmp_path / "own.sh3f"
    write_catalogue(path)
    cube, roof = pieces(path)
    assert (cube.id, cube.category, roof.name) == ("cube", "Boxes", "Ein D\u00e4chlein")
    np.testing.assert_allclose(cube.size, [1.0, 2.0, 0.5])
    points = load_piece(path, cube).mesh.corners.reshape(-1, 3)
    np.testing.assert_allclose(np.ptp(points, axis=0), [1.0, 2.0, 0.5])
    np.testing.assert_allclose(points.min(0) + points.max(0), 0.0, atol=1e-12)
    tiles = load_piece(path, roof)
    np.testing.assert_array_equal(tiles.textures[0][0, 0], [255, 0, 0])
    assert not load_piece(path, roof, materials=False).textures
    task = TextureIntrinsics(shapes=str(path))
    batch = task.sample(np.tile(task.layout.initial, (6, 1)), Noise(np.arange(6)))
    assert (batch.mask.flatten(1).sum(1) > 3).all()
    assert len(load_shapes(tmp_path, 9)) == 2, "a folder of catalogues"
    np.testing.assert_array_equal(batch.image, batch.target[:, :3] * batch.target[:, 3:])
    assert batch.target[:, :3].flatten(2).std(2).max() > 0.05, "they are painted"


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (PROPERTIES.replace("width#1=100", "width#1=wide"), "entry 1 needs width"),
        (PROPERTIES.replace("height#2=30", "height#2=0"), "entry 2 has a size that is not positive"),
        (PROPERTIES.replace("model#2=/models/roof.obj\n", ""), "entry 2 lacks model"),
        ("id=Empty\n", "no entry"),
        (PROPERTIES.replace("id#2", "id#two"), "without a number"),
        (PROPERTIES + "modelRotation#1=1 0 0\n", "9 numbers"),
        (PROPERTIES + "modelRotation#1=1 1 1 1 1 1 1 1 1\n", "modelRotation that is none"),
    ],
)
def test_broken_catalogues_are_named(properties: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.sh3f"
    write_catalogue(path, properties)
    with pytest.raises(ValueError, match=message):
        pieces(path)


def test_damaged_catalogues_are_named(tmp_path: Path) -> None:
    path = tmp_path / "own.sh3f"
    with pytest.raises(FileNotFoundError, match=r"own\.sh3f"):
        load_shapes(path, 4)
    write_catalogue(path, PROPERTIES.replace("roof.obj", "gone.obj"))
    with pytest.raises(ValueError, match=r"no models/gone\.obj"):
        load_piece(path, pieces(path)[1])
    write_catalogue(path, roof=ROOF.replace("roof.mtl", "gone.mtl"))
    with pytest.raises(FileNotFoundError, match=r"own\.sh3f.*gone\.mtl"):
        load_piece(path, pieces(path)[1])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a whole ZIP"):
        pieces(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("other.txt", "nothing")
    with pytest.raises(ValueError, match=r"one PluginFurnitureCatalog\.properties"):
        pieces(path)


def test_a_catalogue_reads_nothing_outside_of_itself_and_turns_its_models(tmp_path: Path) -> None:
    path, secret = tmp_path / "own.sh3f", tmp_path / "secret.png"
    cv2.imwrite(str(secret), np.zeros((2, 2, 3), np.uint8))
    write_catalogue(path, PROPERTIES + "modelRotation#1=0 0 1 0 1 0 -1 0 0\n")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("models/evil.mtl", f"newmtl tiles\nmap_Kd {secret}\n")
        file.writestr("models/evil.obj", ROOF.replace("roof.mtl", "evil.mtl"))
    cube, roof = pieces(path)
    with pytest.raises(ValueError, match="outside"):
        load_piece(path, roof._replace(model="/models/evil.obj"))
    np.testing.assert_array_equal(cube.rotation @ [1.0, 0, 0], [0, 0, -1.0])
    long = trimesh.creation.box((4.0, 1.0, 1.0)).export(file_type="obj")
    write_catalogue(path, PROPERTIES + "modelRotation#2=0 0 1 0 1 0 -1 0 0\n", roof=long)
    found = load_piece(path, pieces(path)[1]).mesh.corners
    side = np.ptp(found.reshape(-1, 3), axis=0)
    np.testing.assert_allclose(side, [0.1, 0.3, 0.2])
    first = found.reshape(-1, 3)[np.argmax(found.reshape(-1, 3)[:, 2])]
    assert abs(first[2]) == pytest.approx(0.1), "the long side lies along z"


def test_damaged_members_are_named(tmp_path: Path) -> None:
    path = tmp_path / "own.sh3f"
    write_catalogue(path)
    with zipfile.ZipFile(path) as file:
        offset = file.getinfo("models/roof.obj").header_offset
    content = bytearray(path.read_bytes())
    content[offset + 50] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"damaged at models/roof\.obj"):
        load_piece(path, pieces(path)[1])
    write_catalogue(path)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as file:
        file.writestr("models/roof.obj", ROOF)
    with pytest.raises(ValueError, match=r"must have one models/roof\.obj"):
        load_piece(path, pieces(path)[1])


def test_debians_catalogues_load() -> None:
    folder = Path("/usr/share/sweethome3d/furniture")
    if not folder.is_dir():
        pytest.skip(f"Debian's package sweethome3d-furniture is not installed: no {folder}")
    assert sum(len(pieces(path)) for path in folder.glob("*.sh3f")) == 820
    assert len(load_shapes(folder / "KatorLegaz.sh3f", 12)) == 12
    turned = [piece for piece in pieces(folder / "Scopia.sh3f") if not np.array_equal(piece.rotation, np.eye(3))]
    assert len(turned) > 10
    shape = load_piece(folder / "Scopia.sh3f", turned[0], materials=False).mesh.corners.reshape(-1, 3)
    np.testing.assert_allclose(np.ptp(shape, axis=0), turned[0].size, rtol=1e-6)


def test_painted_shapes_come_from_folders_too(suncg: Path, objects: Path) -> None:
    for where, count in ((suncg, 59), (objects / "ShapeNetCore.v1", 50)):
        shapes = load_shapes(where, 100)
        assert len(shapes) == count
        for mesh in shapes:
            assert np.linalg.norm(np.ptp(mesh.corners.reshape(-1, 3), axis=0)) == pytest.approx(1.0)
            assert (mesh.texture == 0).all()
            assert (mesh.albedo == 1).all()
    assert len(load_shapes(suncg, 7)) == 7
    with pytest.raises(FileNotFoundError, match=r"FILE\.sh3f"):
        load_shapes("/nowhere", 3)
