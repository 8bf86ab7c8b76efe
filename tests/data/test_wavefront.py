"""OBJ and MTL as others write them: every statement that once gave another picture in silence, with the right one."""

import os
from pathlib import Path

import numpy as np
import pytest
from obj import CORNERS, GREEN, MTL, OBJ, RED, area, paint, seen, write

from hgenv.data.model import load_obj
from hgenv.data.wavefront import read_vertices

# -- text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_byte_order_marks_lose_nothing(encoding: str, tmp_path: Path) -> None:
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    obj, mtl = OBJ.replace("usemtl m", "usemtl \u00e9"), MTL.replace("newmtl m", "newmtl \u00e9")
    path = write(tmp_path, (mark + obj).encode(encoding), (mark + mtl).encode("utf-8-sig"))
    assert seen(load_obj(path)) == list(RED)


def test_files_that_were_put_together_have_marks_inside(tmp_path: Path) -> None:
    path = write(tmp_path, OBJ.encode() + b"\xef\xbb\xbfv 1 1 0\nf 2 4 3\n")
    assert len(load_obj(path).mesh.corners) == 2


def test_names_that_are_not_text_stay_apart(tmp_path: Path) -> None:
    faces = b"usemtl a\xe9\nf 1/1 2/2 3/3\nusemtl a\xe8\nf 1/1 2/2 3/3\nusemtl a\xef\xbf\xbd\nf 1/1 2/2 3/3\n"
    library = b"newmtl a\xe9\nmap_Kd t\xe9.png\nnewmtl a\xe8\nmap_Kd t\xe8.png\nnewmtl a\xef\xbf\xbd\nKd 0 0 1\n"
    path = write(tmp_path, f"mtllib a.mtl\n{CORNERS}".encode() + faces, library)
    for name, colour in ((b"t\xe9.png", RED), (b"t\xe8.png", GREEN)):
        paint(tmp_path / os.fsdecode(name), colour)
    model = load_obj(path)
    assert [seen(model, face) for face in range(3)] == [list(RED), list(GREEN), [0, 0, 255]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_comment_continues_nothing(end: str, tmp_path: Path) -> None:
    text = OBJ.replace("v 0 1 0", "# C:\\models\\\nv 0 1 0 # the last \\").replace("f 1", "o C:\\a\\\nf 1")
    model = load_obj(write(tmp_path, text.replace("\n", end), MTL.replace("Kd 1", "# \\\nKd 1").replace("\n", end)))
    assert area(model) == 0.5
    assert seen(model) == list(RED)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_statements_go_on_behind_a_backslash(end: str, tmp_path: Path) -> None:
    text = "v 0 0 \\\n 0\nv 1 0 0\nv 1 \\\n\t1\\\n0 # here\nv 0 1 0\nf\\\n1 2 \\\n3\\\n4\ng a \\\nv b\n"
    assert area(load_obj(write(tmp_path, text.replace("\n", end)))) == 1.0
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3 \\"
    assert area(load_obj(write(tmp_path, text))) == 0.5, "the end of the file ends it too"
    with pytest.raises(ValueError, match="line 3: v '0 x 0'"):
        load_obj(write(tmp_path, "v 0 \\\n0 0\nv 0 x 0\n"))


def test_keywords_in_any_case_and_any_blanks(tmp_path: Path) -> None:
    text = OBJ.replace("v", "V").replace("f ", "F\t").replace("usemtl", "\tUSEMTL \t").replace("mtllib", "MtlLib")
    path = write(tmp_path, text, MTL.replace("Kd", "KD").replace("newmtl", "NewMtl").replace("map_KD", "MAP_KD"))
    assert seen(load_obj(path)) == list(RED)


# -- names and files


@pytest.mark.parametrize(
    ("statement", "file"),
    [
        ("mtllib .\\a.mtl", "a.mtl"),
        ("mtllib sub\\deep\\x.mtl", "sub/deep/x.mtl"),
        ("mtllib back\\slash.mtl", "back\\slash.mtl"),
        ('mtllib "my own.mtl"', "my own.mtl"),
        ("mtllib my own.mtl", "my own.mtl"),
        ("mtllib   a.mtl   ", "a.mtl"),
        ("mtllib other.mtl a.mtl", "a.mtl"),
        ("mtllib other.mtl my own.mtl", "my own.mtl"),
        ("mtllib other.mtl\nmtllib a.mtl", "a.mtl"),
        ("mtllib a.mtl # materials", "a.mtl"),
        ("mtllib a.mtl\nmtllib a.mtl", "a.mtl"),
        ("mtllib one two", "two"),
    ],
)
def test_libraries_are_found_however_they_are_named(statement: str, file: str, tmp_path: Path) -> None:
    path = write(tmp_path, OBJ.replace("mtllib a.mtl", statement), "newmtl n\n")
    for other in ("other.mtl", "one"):
        (tmp_path / other).write_text("newmtl other\n")
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("newmtl m\nKd 0 1 0\n")
    assert seen(load_obj(path)) == list(GREEN)


def test_a_library_may_come_last(tmp_path: Path) -> None:
    assert seen(load_obj(write(tmp_path, OBJ.replace("mtllib a.mtl\n", "") + "mtllib a.mtl\n"))) == list(RED)
    with pytest.raises(FileNotFoundError, match=r"gone\.mtl, which .*m\.obj names"):
        load_obj(write(tmp_path, OBJ.replace("a.mtl", "gone.mtl")))


@pytest.mark.parametrize(
    ("used", "defined"),
    [("m", '"m"'), ('"m"', "m"), ("m # metal", "m"), ("m", "m # metal"), ("a #1", "a #1"), ("a\tb", "a\tb")],
)
def test_materials_are_found_whatever_stands_around_their_names(used: str, defined: str, tmp_path: Path) -> None:
    library = f"newmtl a #2\nKd 0 0 1\nnewmtl {defined}\nKd 1 0 0\n"
    assert seen(load_obj(write(tmp_path, OBJ.replace("usemtl m", f"usemtl {used}"), library))) == list(RED)


@pytest.mark.parametrize(
    ("statement", "colour"),
    [
        ('"red.png"', RED),
        ('"my green.png"', GREEN),
        ("my green.png # a comment", GREEN),
        ("x#1.png", GREEN),
        ("-s.png", GREEN),
        (".\\red.png", RED),
        ("-s 2 -o 1 2 my green.png", GREEN),
        ("-S 1 1 1 red.png", RED),
        ("-blendu on -blendv off -cc off -clamp on -boost 1.5 -texres 64 -bm 1 red.png", RED),
        ("-mm 0 1 red.png", RED),
        ("-mm 0.1 red.png", RED),
        ("-t .1 -1e-3 +2. red.png", RED),
        ("-imfchan l -type sphere -colorspace sRGB red.png", RED),
        ("-clamp red.png", RED),
        ("-foo red.png", RED),
        ("-foo 1 2 my green.png", GREEN),
        ("-foo bar -s 2 2 2 red.png", RED),
    ],
)
def test_options_are_not_the_picture(statement: str, colour: tuple, tmp_path: Path) -> None:
    assert seen(load_obj(write(tmp_path, mtl=f"newmtl m\nmap_Kd {statement}\n"))) == list(colour)


def test_what_is_ignored_is_said_in_one_line_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        load_obj(write(tmp_path / "plain", OBJ + "vn 0 0 1\ng\no x\ns off\nl 1 2\n", MTL + "Ks 1 1 1\nd 1.0\nTr 0\n"))
    assert capsys.readouterr().err == ""
    obj = OBJ + "curv 0 1\nCURV 0 1\nusemtl gone\nf 1 2 3/9\nv 1 2 3 4 5\n"
    library = "Kd 1 0 0\n" + MTL + "d 0.5\nKd spectral x.rfl\nnewmtl m\nmap_Kd -s 2 2 -foo 1 -clamp off red.png\nfoo\n"
    for _ in range(2):
        load_obj(write(tmp_path / "odd", obj, library))
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.startswith(f"hgenv: {tmp_path / 'odd' / 'm.obj'}: ignored: 2 x statement 'curv', ")
    for part in (
        "a texture coordinate that does not exist", "fifth number of a vertex", "'kd' before the first newmtl",
        "transparency", "Kd spectral", "the first material 'm'", "option -s of map_Kd", "other things",
    ):  # fmt: skip
        assert part in line, line
    load_obj(write(tmp_path / "undefined", OBJ.replace("usemtl m", "usemtl m2"), "newmtl m\nmap_Kd -foo 1 red.png\n"))
    line = capsys.readouterr().err
    assert "unknown option '-foo' of map_Kd, material 'm2', which is not defined" in line


@pytest.mark.parametrize(
    ("library", "message"),
    [
        ("newmtl m\nmap_Kd -foo gone.png\n", "unknown option -foo, behind which no picture is found"),
        ("newmtl m\nmap_Kd -clamp on\n", "names no picture"),
        ("newmtl m\nmap_Kd\n", "names no picture"),
        ("newmtl m\nKd 1 1\n", "three numbers"),
        ("newmtl m\nKd 1_0 0 0\n", "underscore"),
        ("newmtl m\nKd\n", "three numbers"),
        ("newmtl m\nmap_Kd " + "-s 1 " * 2000 + "red.png\n", "more than 4,096 characters"),
        (b"\xff\xfen\x00\x00\xdc", "is not text"),
    ],
)
def test_what_is_wrong_in_a_library_is_named(library: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        load_obj(write(tmp_path, mtl=library))


def test_the_last_definition_counts_and_one_number_is_grey(tmp_path: Path) -> None:
    assert seen(load_obj(write(tmp_path, mtl=MTL + "newmtl m\nKd 0.2 # dark\n"))) == [51, 51, 51]
    assert seen(load_obj(write(tmp_path, mtl="newmtl m\nKd spectral x.rfl\n"))) == [153, 153, 153]


# -- numbers


def test_colours_of_vertices_multiply_those_of_materials(tmp_path: Path) -> None:
    coloured = CORNERS.replace("v 1 0 0", "v 1 0 0 0.5 1 0").replace("v 0 1 0", "v 0 1 0 1.0 0 1 1")
    faces = "f 1 2 3\nusemtl m\nf 2 2 3\nusemtl t\nf 2/1 2/2 3/3\n"
    library = "newmtl m\nKd 0.5 0.5 1\nnewmtl t\nmap_Kd red.png\n"
    mesh = load_obj(write(tmp_path, f"mtllib a.mtl\n{coloured}{faces}", library)).mesh
    np.testing.assert_array_equal(mesh.albedo[0], [[1, 1, 1], [0.5, 1, 0], [0, 1, 1]])
    np.testing.assert_array_equal(mesh.albedo[1], [[0.25, 0.5, 0], [0.25, 0.5, 0], [0, 0.5, 1]])
    np.testing.assert_array_equal(mesh.albedo[2], [[0.5, 1, 0], [0.5, 1, 0], [0, 1, 1]])
    assert mesh.texture.tolist() == [-1, -1, 0]
    assert load_obj(tmp_path / "m.obj", materials=False).mesh.albedo[0, 1, 0] == 0.6, "the shape only"


@pytest.mark.parametrize("numbers", ["255 0 0", "-1 0 0", "nan 0 0"])
def test_what_cannot_be_a_colour_is_none_and_said(
    numbers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_obj(write(tmp_path, OBJ.replace("v 1 0 0", f"v 1 0 0 {numbers}")))
    assert seen(model) == list(RED)
    assert "colours of vertices that are not in [0, 1]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "faces"),
    [
        ("f 1//2 2// 3/1/\n", 1),
        ("f -3 -2 -1 # three\n", 1),
        ("g\no\ng a b\nf 1 2 3\ng\n", 1),
        ("fo 1 2 3\n", 1),
        ("f 1 2\nf 1\nf\nf 1 2 3\n", 1),
        ("vt 0.5\nf 1/4 2 3", 1),
        ("\n\n \t\nf\t1\t2 \t3\t\n", 1),
        ("p 1\nl 1 2\nf 1 2 3\n", 1),
        ("usemtl\nusemtl\nf 1 2 3\n", 1),
    ],
)
def test_statements_that_are_right_if_rare(text: str, faces: int, tmp_path: Path) -> None:
    assert len(load_obj(write(tmp_path, CORNERS + text)).mesh.corners) == faces


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f 1 2 -4\n", "line 7: f '1 2 -4': there is no vertex -4 of 3"),
        ("f 1 2 99\n", "no vertex 99 of 3"),
        ("f 1 2 " + "9" * 5000 + "\n", "line 7: f"),
        ("f 1 2 3.0\n", "line 7"),
        ("f 1 2 1_0\n", "line 7"),
        ("f / 2 3\n", "line 7"),
        ("v 1 inf 0\nf 1 2 3\n", "not finite"),
        ("vt nan 0\nf 1 2 3\n", "not finite"),
        ("vt\nf 1 2 3\n", "line 7: vt"),
        ("v 0,5 1 0\nf 1 2 3\n", "line 7: v"),
        ("v 1e308 0 0\nv -1e308 0 0\nf 1 4 5\n", "too far apart"),
        ("v 1e200 0 0\nf 1 4 2\n", "too far apart"),
        ("f 1 1 1\n", "all the same"),
        ("g\no\n", "no faces"),
        ("l 1 2\n", "no faces"),
    ],
)
def test_what_is_wrong_in_a_mesh_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        load_obj(write(tmp_path, CORNERS + text))


def test_vertices_alone_are_read_by_the_same_rules(tmp_path: Path) -> None:
    text = "\ufeffV 0 0 0\n# \\\nv\t1 2 \\\n3\nv 1 1 1 0.5 0.5 0.5\nf 1 2 9\n"
    np.testing.assert_array_equal(read_vertices(write(tmp_path, text)), [[0, 0, 0], [1, 2, 3], [1, 1, 1]])
