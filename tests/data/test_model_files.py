"""Files of models that are none, too large, or crafted."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from obj import CORNERS, MTL, OBJ, RED, seen, write

from hgenv.data import materials, reading, statements, wavefront
from hgenv.data.model import load_obj
from hgenv.data.wavefront import read_obj


def a_folder(path: Path) -> None:
    path.mkdir()


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def unreadable(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path.write_text(OBJ)
    path.chmod(0)


@pytest.mark.parametrize(
    ("put", "message"),
    [(a_folder, "it is a folder"), (a_loop, "leads nowhere"), (a_link_to_nothing, "leads nowhere"),
     (unreadable, "cannot be read: Permission denied")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["m.obj", "a.mtl", "red.png"])
def test_what_is_no_file_is_one_line(put: Callable[[Path], None], message: str, name: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / name).unlink()
    put(tmp_path / name)
    with pytest.raises((FileNotFoundError, ValueError), match=name) as caught:
        load_obj(path)
    assert "\n" not in str(caught.value)
    if name == "m.obj":
        assert message in str(caught.value)


def test_too_large_files_say_how_large_they_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, OBJ + "f 1 2 3\nv 1 1 1\nusemtl n\nmtllib b.mtl\nf 1 2 3 4\n", MTL + "newmtl n\n")
    (tmp_path / "b.mtl").write_text("newmtl o\n")
    for module, name, most, message in (
        (wavefront, "MOST_FACES", 3, "line 14: f '1 2 3 4': more than 3 faces"),
        (wavefront, "MOST_VERTICES", 3, "line 11: v '1 1 1': more than 3 vertices"),
        (wavefront, "MOST_CORNERS", 3, "line 14: f '1 2 3 4': a polygon of 4 corners, more than 3"),
        (wavefront, "MOST_MATERIALS", 1, "line 12: usemtl 'n': more than 1 materials"),
        (wavefront, "MOST_LIBRARIES", 1, "line 13: mtllib 'b.mtl': more than 1 libraries"),
        (wavefront, "_MOST_BYTES", 20, r"m\.obj has \d+ bytes, more than the 20"),
        (materials, "MOST_MATERIALS", 1, r"a\.mtl, line 4: newmtl 'n': more than 1 materials"),
        (materials, "_MOST_BYTES", 20, r"a\.mtl has \d+ bytes, more than the 20"),
        (statements, "MOST_CHARACTERS", 12, r"m\.obj, line 1: a statement of more than 12 characters"),
        (statements, "MOST_LINES", 5, r"m\.obj has more than 5 lines"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, most)
            with pytest.raises(ValueError, match=message):
                load_obj(path)
    monkeypatch.setattr("hgenv.data.model.MOST_TEXELS", 3)
    with pytest.raises(ValueError, match="textures of 4 texels, more than 3"):
        load_obj(path)
    assert len(reading.content(path, 1000)) < 1000


def test_thirty_thousand_materials_take_their_number_of_time(tmp_path: Path) -> None:
    count = 30_000
    obj = "mtllib a.mtl\n" + CORNERS + "".join(f"usemtl m{i}\nf 1/1 2/2 3/3\n" for i in range(count))
    library = "".join(f"newmtl m{i}\nKd {i / count} 0 0\n" for i in range(count - 1))
    model = load_obj(write(tmp_path, obj, library + f"newmtl m{count - 1}\nmap_Kd red.png\n"))
    np.testing.assert_allclose(model.mesh.albedo[:-1, 0, 0], np.arange(count - 1) / count)
    assert seen(model, count - 1) == list(RED)


def test_one_picture_under_many_names_is_read_once(tmp_path: Path) -> None:
    library = "".join(f"newmtl m{i}\nmap_Kd {'./' * i}red.png\n" for i in range(5))
    obj = f"mtllib a.mtl\n{CORNERS}" + "".join(f"usemtl m{i}\nf 1/1 2/2 3/3\n" for i in range(5))
    assert len(load_obj(write(tmp_path, obj, library)).textures) == 1


def test_crafted_models_raise_only_what_is_documented(tmp_path: Path) -> None:
    """Bytes changed, lines mixed and cut: a model, or ValueError or FileNotFoundError in one line that names a file."""
    rng = random.Random(0)
    odd = [
        "\\",
        "#",
        '"',
        "-",
        "/",
        "9",
        "nan",
        "1e999",
        "\n",
        "\r",
        "\t",
        " ",
        "\0",
        "\ufeff",
        "\x85",
        "f",
        "v",
        "../",
    ]
    base = (OBJ + "f -1 -2 -3 1\nv 0 1 1 1 0 0\n", MTL + "newmtl n\nKd 0.1\nmap_Kd -s 1 1 1 my green.png\n")
    whole, told = 0, []
    path = write(tmp_path)
    for _ in range(400):
        texts = [[*text] for text in base]
        for _ in range(rng.randint(1, 6)):
            text = rng.choice(texts)
            at = rng.randrange(len(text))
            text[at : at + rng.choice((0, 1, 1, 1, 5, 40))] = rng.choice(odd)
        for name, text in zip(("m.obj", "a.mtl"), texts, strict=True):
            (tmp_path / name).write_bytes("".join(text).encode())
        try:
            whole += len(load_obj(path).mesh.corners) > 0
        except (ValueError, FileNotFoundError) as error:
            told.append(str(error))
    assert 50 < whole < 350
    assert all(str(tmp_path) in message and len(message) < 1000 and "\n" not in message for message in told)


def test_read_obj_says_what_a_corner_lacks(tmp_path: Path) -> None:
    shape = read_obj(write(tmp_path, CORNERS + "f 1/1 2/9 3\n"))
    np.testing.assert_array_equal(np.isnan(shape.uv[0, :, 0]), [False, True, True])
    assert shape.ignored == {"a texture coordinate that does not exist": 1}
