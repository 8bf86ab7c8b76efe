"""One broken model, house or piece in many is left out and named; nothing outside a model's folder is read."""

import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_models import PROPERTIES, write_catalogue
from test_suncg import write_house
from test_wavefront import CORNERS, MTL, OBJ, paint, write

from hgenv.cli import main as cli
from hgenv.data import suncg, sweethome
from hgenv.data.bare_shapes import load_shapes
from hgenv.data.selection import evenly
from hgenv.data.shapenet import find_models, load_model
from hgenv.data.suncg import find_houses, load_house
from hgenv.data.sweethome import entries, load_piece
from hgenv.tasks.scene_normals import SceneNormals
from hgenv.tasks.texture_intrinsics import TextureIntrinsics


def listed(folder: Path, dataset: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The problems that `hgenv data` prints; its status is that of their presence."""
    capsys.readouterr()
    status = cli.main(["data", str(folder), "--datasets", dataset])
    found = [line for line in capsys.readouterr().out.splitlines() if "PROBLEM" in line]
    assert status == (1 if found else 0)
    return found


def write_shapenet(root: Path, count: int) -> list[Path]:
    for number in range(count):
        scale = f"v 0 0 {number + 1}\nusemtl m\nf 1 2 4\n"
        write(root / "1" / f"{number:02}", OBJ + scale, MTL).rename(root / "1" / f"{number:02}" / "model.obj")
    return find_models(root)


# -- left out


def test_a_broken_model_leaves_the_others_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write_shapenet(tmp_path, 10)
    whole = TextureIntrinsics(data=str(tmp_path)).domain
    before = {split: whole.batch(split) for split in ("validation", "test")}
    assert len(before["test"].image) == 10
    assert listed(tmp_path, "shapenet", capsys) == []
    paths[2].write_text("broken")
    (paths[7].parent / "a.mtl").unlink()
    paths[9].unlink()
    paths[9].symlink_to(paths[9])
    for _ in range(2):
        domain = TextureIntrinsics(data=str(tmp_path)).domain
        for split, gone in (("validation", [2, 3]), ("test", [6, 7, 8, 9])):
            kept = np.setdiff1d(np.arange(10), gone)
            np.testing.assert_array_equal(domain.batch(split).image, before[split].image[kept])
    err = capsys.readouterr().err
    assert err.count("\n") == 1, "said once, in one line"
    assert err.startswith(f"hgenv: 3 of 10 models in {tmp_path} are broken and left out (`hgenv data` lists all): ")
    assert all(f"{path.parent.name}/" in err for path in (paths[2], paths[7], paths[9]))
    assert "leads nowhere" in err
    assert len(listed(tmp_path, "shapenet", capsys)) == 3
    assert len(load_shapes(tmp_path, 10)) == 8, "a shape needs no materials"
    for path in paths:
        path.unlink()
        path.write_text("broken")
    with pytest.raises(ValueError, match=r"none of 10 models in .* can be read: .*00/model\.obj has no faces"):
        TextureIntrinsics(data=str(tmp_path)).domain.batch("test")
    with pytest.raises(ValueError, match="none of 10 models"):
        load_shapes(tmp_path, 100)


def test_a_line_names_three_and_data_names_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in write_shapenet(tmp_path, 12)[::2]:
        path.write_text("broken")
    with pytest.raises(ValueError, match="for one of validation and test only"):
        TextureIntrinsics(data=str(tmp_path)).domain.batch("test")
    assert len(load_shapes(tmp_path, 12)) == 6
    assert "; and 3 more\n" in capsys.readouterr().err
    assert len(listed(tmp_path, "shapenet", capsys)) == 6
    assert cli.main(["data", str(tmp_path), "--datasets", "shapenet", "--most", "1", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)[0]["places"][0]["problems"]) == 1


def test_the_choice_comes_first(tmp_path: Path) -> None:
    paths = write_shapenet(tmp_path, 9)
    chosen = load_shapes(tmp_path, 3)
    paths[4].write_text("broken")
    left = load_shapes(tmp_path, 3)
    assert len(left) == 2
    for mesh, same in zip(left, chosen[::2], strict=True):
        np.testing.assert_array_equal(mesh.corners, same.corners)
    assert evenly(range(3), 10**12) == [0, 1, 2]


def test_houses_and_their_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chair = {"type": "Object", "valid": 1, "modelId": "chair"}
    nodes = [
        chair | {"id": "0_1"},
        chair | {"id": "0_2", "modelId": "gone"},
        chair | {"id": "0_3", "modelId": "gone"},
        {"id": "0_4", "type": "Sphere"},
        {"id": "0_5", "type": "Box", "dimensions": [10**400, 1, 1]},
        {"id": "0_6", "type": "Box", "dimensions": [1, 1, 1]},
    ]
    house = load_house(write_house(tmp_path, nodes))
    assert [len(mesh.corners) for mesh in house.objects] == [1, 12]
    assert [name in problem for problem, name in zip(house.left_out, ("0_2", "0_3", "0_4", "0_5"), strict=True)]
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "4 of 6 objects in" in err
    for other in ("a", "z"):
        shutil.copytree(tmp_path / "house/h", tmp_path / "house" / other)
        shutil.copytree(tmp_path / "room/h", tmp_path / "room" / other)
        shutil.copytree(tmp_path / "camera/h", tmp_path / "camera" / other)
    (tmp_path / "room/a/fr_0rm_0f.obj").write_text("no floor")
    (tmp_path / "object/chair/other.obj").write_text("of no house")
    (tmp_path / "object/lamp").mkdir()
    (tmp_path / "object/lamp/lamp.obj").write_text("of no house, but a shape to paint")
    assert len(SceneNormals(scenes=str(tmp_path)).interiors) == 2
    err = capsys.readouterr().err
    assert "1 of 3 houses" in err
    assert "room/a/fr_0rm_0f.obj has no faces" in err
    assert len(listed(tmp_path, "suncg", capsys)) == 1 + 4 + 4 + 1
    assert len(load_shapes(tmp_path, 9)) == 1
    for path in find_houses(tmp_path):
        path.write_text("{}")
    with pytest.raises(ValueError, match="none of 3 houses"):
        _ = SceneNormals(scenes=str(tmp_path)).interiors


def test_pieces_and_catalogues(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    third = "id#10=c\nname#10=C\ncategory#10=c\nmodel#10=/models/gone.obj\nwidth#10=1\ndepth#10=1\nheight#10=1\n"
    fourth = third.replace("#10", "#x").replace("gone", "roof")
    broken = PROPERTIES.replace("width#1=100", "width#1=wide") + third + fourth
    write_catalogue(tmp_path / "a.sh3f", broken)
    assert len(load_shapes(tmp_path / "a.sh3f", 9)) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "3 of 4 models" in err
    for part in ("entry 1 needs width", "has no models/gone.obj", "entry 'x' is one without a number"):
        assert part in err
    (tmp_path / "b.sh3f").write_bytes(b"PK")
    (tmp_path / "c.sh3f").mkdir()
    assert len(load_shapes(tmp_path, 9)) == 1
    err = capsys.readouterr().err
    assert "2 of 3 catalogues" in err
    assert "b.sh3f is not a whole ZIP" in err
    assert "c.sh3f: it is a folder" in err
    assert len(listed(tmp_path, "sweethome", capsys)) == 5
    write_catalogue(tmp_path / "a.sh3f", broken.replace("roof.obj", "none.obj"))
    with pytest.raises(ValueError, match="none of 4 models"):
        load_shapes(tmp_path / "a.sh3f", 9)


def test_names_that_are_not_text_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_shapenet(tmp_path, 1)[0]
    path.write_bytes(b"mtllib \xe9.mtl\n" + CORNERS.encode() + b"f 1 2 3\n")
    assert "\\udce9.mtl" in listed(tmp_path, "shapenet", capsys)[0]


# -- outside


def secret(path: Path) -> str:
    paint(path, (9, 9, 9))
    return str(path)


@pytest.mark.parametrize("layout", ["model.obj", "models/model_normalized.obj"])
def test_a_model_of_shapenet_stays_in_its_folder(layout: str, tmp_path: Path) -> None:
    folder = (tmp_path / "in/1/a" / layout).parent
    up = "../" * (len(Path(layout).parts) - 1)
    absolute = secret(tmp_path / "secret.png")
    secret(tmp_path / "in/1/b/secret.png")
    secret(tmp_path / "in/1/a/images/own.png")
    write(folder).rename(folder / Path(layout).name)
    (folder / "link.png").symlink_to(absolute)
    (path,) = find_models(tmp_path / "in")
    for picture in (f"{up}images/own.png", f"{up}../a/images/own.png", str(tmp_path / "in/1/a/images/own.png")):
        (folder / "a.mtl").write_text(f"newmtl m\nmap_Kd {picture}\n")
        assert load_model(path).textures[0][0, 0, 0] == 9
    for picture in (f"{up}../b/secret.png", f"{up}../../../secret.png", absolute, "link.png"):
        (folder / "a.mtl").write_text(f"newmtl m\nmap_Kd {picture}\n")
        with pytest.raises(ValueError, match="which lies outside of"):
            load_model(path)
    (folder / "a.mtl").unlink()
    (folder / "a.mtl").symlink_to(tmp_path / "in/1/b/a.mtl")
    (tmp_path / "in/1/b/a.mtl").write_text(MTL)
    with pytest.raises(ValueError, match=r"a\.mtl, which lies outside of"):
        load_model(path)


def test_a_model_of_suncg_stays_in_its_folder_and_the_textures(tmp_path: Path) -> None:
    absolute = secret(tmp_path / "secret.png")
    node = {"id": "0_1", "type": "Object", "valid": 1, "modelId": "chair"}
    path = write_house(tmp_path / "in", [node])
    chair, texture = tmp_path / "in/object/chair", tmp_path / "in/texture"
    secret(chair / "own.png")
    secret(tmp_path / "in/object/lamp/own.png")
    texture.rename(tmp_path / "textures elsewhere")
    texture.symlink_to(tmp_path / "textures elsewhere")
    (texture / "link.jpg").symlink_to(absolute)

    def problem(picture: str = "own.png", **fields: object) -> str:
        (chair / "chair.mtl").write_text(f"newmtl seat\nmap_Kd {picture}\n")
        box = {"id": "0_9", "type": "Box", "dimensions": [1, 1, 1]}
        write_house(tmp_path / "house of", [node | fields, box])
        shutil.copy(tmp_path / "house of/house/h/house.json", path)
        return "".join(load_house(path).left_out)

    assert problem("own.png") == ""
    assert problem("../../texture/wood.jpg") == "", "the folder itself may be a link"
    assert problem("../../object/chair/own.png") == ""
    for picture in ("../lamp/own.png", "../../../secret.png", absolute, "../../texture/link.jpg", "../../house/../x"):
        assert "outside of" in problem(picture) or "no file" in problem(picture)
    assert "no file" not in problem("../../texture/link.jpg")
    for name in ("../lamp/own.png", "../../secret", absolute, "link"):
        material = {"name": "seat", "texture": name}
        assert "outside of" in problem(materials=[material]) or name == "../../secret"
        assert "outside of" in problem(type="Box", dimensions=[1, 1, 1], materials=[material]) or name == "../../secret"
    for model in ("../chair", "..", ".", "", "a/b", "/etc", str(chair)):
        assert "modelId must be a name" in problem(modelId=model)


# -- archives and houses that are too large


def test_an_archive_says_how_much_it_would_be_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.sh3f"
    write_catalogue(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file, file.open("models/zeros.png", "w") as member:
        for _ in range(130):
            member.write(bytes(2**20))
    assert path.stat().st_size < 2**18
    with pytest.raises(
        ValueError, match=r"has 136,31\d,\d{3} bytes in models/cube/cube\.obj and beside it.*more than 134,217,728"
    ):
        load_piece(path, entries(path)[1].piece())
    assert len(load_piece(path, entries(path)[0].piece()).mesh.corners) == 12, "the cube is in a folder of its own"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(sweethome.CATALOGUE, bytes(2**24 + 1))
    with pytest.raises(ValueError, match=r"16,777,217 bytes in PluginFurnitureCatalog\.properties.*16,777,216"):
        entries(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(sweethome.CATALOGUE, "".join(f"id#{i}=a\n" for i in range(10_001)))
    with pytest.raises(ValueError, match="10,001 entries, more than 10,000"):
        entries(path)


def test_an_archive_that_lies_about_its_sizes_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.sh3f"
    write_catalogue(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("models/x", bytes(1000))
    content = path.read_bytes()
    at = content.rindex(b"PK\x01\x02") + 24  # uncompressed size, of the last member of the directory
    assert content[at : at + 4] == struct.pack("<I", 1000)
    path.write_bytes(content[:at] + struct.pack("<I", 10) + content[at + 4 :])
    with pytest.raises(ValueError, match="damaged at models/x"):
        load_piece(path, entries(path)[1].piece())


@pytest.mark.parametrize("name", ["models/roof.obj/x", "models/" + 300 * "x", "models/" + 3000 * "x/"])
def test_members_that_no_file_can_be_are_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.sh3f"
    write_catalogue(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(name + "x", "x")
    with pytest.raises(ValueError, match=r"a\.sh3f has 'models/.*which no file can be"):
        load_piece(path, entries(path)[1].piece())


def test_a_house_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_house(tmp_path, [{"id": "0_1", "type": "Box", "valid": 1, "dimensions": [1, 1, 1]}])
    assert len(load_house(path).objects) == 1
    with monkeypatch.context() as patched:
        patched.setattr(suncg, "MOST_OBJECTS", 0)
        with pytest.raises(ValueError, match="more than 0 objects"):
            load_house(path)
    monkeypatch.setattr(suncg, "MOST_FACES", 13)
    with pytest.raises(ValueError, match="more than 13 faces"):
        load_house(path)
    monkeypatch.setattr(suncg, "MOST_BYTES", 50)
    with pytest.raises(ValueError, match=r"house\.json has \d+ bytes, more than the 50"):
        load_house(path)


def no_numbers(path: Path) -> None:
    path.write_text("# no cameras\n\n")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def too_far(path: Path) -> None:
    path.write_text("1e7 1 3 0 0 -1 0 1 0 0.55 0.43 0\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(no_numbers, "12 numbers a line"), (a_folder, "it is a folder"), (a_loop, "nowhere"), (too_far, "a million")],
)
def test_broken_cameras_are_named(spoil: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    path = write_house(tmp_path, [])
    spoil(tmp_path / "camera/h/room_camera.txt")
    with pytest.raises((ValueError, FileNotFoundError), match=rf"room_camera\.txt.*{message}"):
        load_house(path)


@pytest.mark.parametrize("text", ['{"levels": [], "scaleToMeters": 1' + "0" * 400 + "}", "[" * 10**5, "\udcff", "nul"])
def test_what_is_no_house_is_named(text: str, tmp_path: Path) -> None:
    path = write_house(tmp_path, [])
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match="is not a SUNCG house"):
        load_house(path)


def test_a_house_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    path = write_house(tmp_path, [])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(load_house(path).views) == 1


def test_folders_in_the_place_of_models_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write_shapenet(tmp_path, 2)
    a_folder(paths[0])
    assert len(load_shapes(tmp_path, 9)) == 1
    assert f"no file {paths[0]}: it is a folder" in capsys.readouterr().err
    (tmp_path / "2").symlink_to(tmp_path)
    assert len(find_models(tmp_path)) == 2, "a link in a loop holds no models"
