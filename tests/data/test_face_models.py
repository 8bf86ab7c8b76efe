"""Morphable models and scans of heads: readers against their files."""

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
import trimesh

from hgenv.beta.noise import Noise
from hgenv.data.face_models import ICT_FILE, ICT_NEUTRAL, load_basel, load_face_model, load_ict
from hgenv.data.head_scans import COLUMNS, SCANS, TABLE, load_scan, load_table
from hgenv.scenes.faces import COMPONENTS, DISTANCE, procedural_head
from hgenv.tasks.face_depth import FaceDepth


def test_the_ict_model_is_what_its_page_says(ict: Path) -> None:
    model = load_ict(ict)
    assert model.mean.shape == (11248, 3)
    assert model.faces.shape == (22288, 3)
    assert len(model.geometry) == 100
    assert len(model.expression) == 57
    width, height, _ = np.ptp(model.mean, axis=0)
    assert width / height == pytest.approx(25 / 34, abs=0.03)
    raw = np.load(ict / ICT_FILE, allow_pickle=False)
    scale = height / np.ptp(raw["mean"][:, 1])
    np.testing.assert_allclose(model.geometry[3], scale * raw["identity"][3].astype(float), atol=1e-12)
    batch = FaceDepth(model=str(ict)).sample(np.tile(FaceDepth.layout.initial, (2, 1)), Noise(np.arange(2)))
    assert (batch.mask.flatten(1).mean(1) > 0.2).all()


def test_scans_load_and_their_textures_fit(heads: Path) -> None:
    assert [len(load_scan(heads, split).mesh.corners) for split in SCANS][1] == 17678
    task = FaceDepth(data=str(heads), resolution=64)
    for batch in (task.domain.batch("validation"), task.domain.batch("test")):
        assert len(batch.image) == 27
        seen = batch.mask[:, 0] > 0
        assert seen.flatten(1).float().mean(1).min() > 0.3
        near = batch.target[:, 0][seen]
        assert near.min() > DISTANCE - 1.5
        red, _, blue = batch.image.permute(1, 0, 2, 3)[:, seen].mean(1)
        assert red > 1.1 * blue, "skin"


def test_broken_models_are_named(ict: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=ICT_FILE):
        load_ict(tmp_path)
    whole = (ict / ICT_FILE).read_bytes()
    (tmp_path / ICT_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"light\.npz is no \.npz of plain arrays"):
        load_ict(tmp_path)
    content = dict(np.load(ict / ICT_FILE, allow_pickle=False))
    for name, value in {"identity": content["identity"][:50], "faces": content["faces"] + 20_000}.items():
        np.savez(tmp_path / ICT_FILE, **(content | {name: value}))
        with pytest.raises(ValueError, match=name):
            load_ict(tmp_path)
    del content["mean"]
    np.savez(tmp_path / ICT_FILE, **content)
    with pytest.raises(ValueError, match="mean"):
        load_ict(tmp_path)


def test_broken_scans_are_named(heads: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"james\.obj"):
        load_scan(tmp_path, "validation")
    shutil.copytree(heads / "james", tmp_path / "james")
    (tmp_path / "james" / "james.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="not a picture"):
        load_scan(tmp_path, "validation")
    (tmp_path / "james" / "james.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(ValueError, match="texture coordinates at all corners"):
        load_scan(tmp_path, "validation")


# -- the whole ICT Face Kit


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray | None = None) -> None:
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    lines += [] if faces is None else [f"f {' '.join(str(k + 1) for k in face)}" for face in faces]
    path.write_text("\n".join(lines) + "\n")


def write_kit(folder: Path, identities: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A small kit: a grid of quadrilaterals. Returns neutral vertices, identities and expressions."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:6, 0:5].astype(float)
    neutral = np.stack([x, y, 0.1 * x * y], -1).reshape(-1, 3)
    i, j = np.mgrid[0:5, 0:4]
    a = (5 * i + j).ravel()
    folder.mkdir(parents=True)
    quads = np.stack([a, a + 1, a + 6, a + 5], 1)
    write_obj(folder / ICT_NEUTRAL, neutral, quads[::-1])
    text = (folder / ICT_NEUTRAL).read_text().splitlines()  # as published: coordinates, and several materials
    text.insert(len(neutral), "mtllib generic.mtl\nvt 0 0\nusemtl M_Face")
    text.insert(len(neutral) + 9, "usemtl M_Teeth")
    (folder / ICT_NEUTRAL).write_text(
        re.sub(r"(?m)^(f) (\d+) (\d+) (\d+) (\d+)$", r"f \2/1 \3/1 \4/1 \5/1", "\n".join(text))
    )
    moved = rng.normal(0, 0.1, (identities + 11, *neutral.shape))
    for k, by in enumerate(moved[:identities]):
        write_obj(folder / f"identity{k:03}.obj", neutral + by)
    for k, by in enumerate(moved[identities:]):
        write_obj(folder / f"mouth_{k:02}.obj", neutral + by)
    return neutral, moved[:identities], moved[identities:]


def test_the_whole_kit_is_read_from_its_folder(tmp_path: Path) -> None:
    neutral, identities, expressions = write_kit(tmp_path / "FaceXModel")
    model = load_face_model(tmp_path)
    assert load_face_model(tmp_path / "FaceXModel").mean.shape == model.mean.shape == neutral.shape
    scale = np.ptp(model.mean[:, 1]) / np.ptp(neutral[:, 1])
    np.testing.assert_allclose(model.geometry, scale * identities, atol=1e-9)
    np.testing.assert_allclose(model.expression, scale * expressions, atol=1e-9)
    assert model.faces.shape == (40, 3), "quadrilaterals are cut"
    assert model.bounded
    area = np.cross(neutral[model.faces[:, 1]] - neutral[model.faces[:, 0]],
                    neutral[model.faces[:, 2]] - neutral[model.faces[:, 0]])  # fmt: skip
    assert 0.5 * np.abs(area[:, 2]).sum() == pytest.approx(20.0), "faces refer to the vertices in the file's order"


def test_a_broken_kit_is_named(tmp_path: Path) -> None:
    write_kit(tmp_path / "few", identities=3)
    with pytest.raises(FileNotFoundError, match="3 identities"):
        load_face_model(tmp_path / "few")
    write_kit(tmp_path / "a")
    write_obj(tmp_path / "a" / "identity004.obj", np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"identity004\.obj has 3 vertices"):
        load_face_model(tmp_path / "a")
    (tmp_path / "a" / "identity004.obj").write_text("v 1 2 x\n")
    with pytest.raises(ValueError, match=r"identity004\.obj, line 1: v '1 2 x'"):
        load_face_model(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match=r"FaceXModel.*MorphableModel"):
        load_face_model(tmp_path)


# -- the Basel Face Model


def basel_variables(expressions: bool) -> dict[str, np.ndarray]:
    """As the files have them: columns, triangles from 1, micrometres, colours 0..255."""
    rng, vertices = np.random.default_rng(0), 30
    head = 1e5 * rng.normal(size=(3 * vertices, 1))
    found = {"shapeMU": head, "shapePC": rng.normal(size=(90, 12)), "shapeEV": rng.uniform(1e3, 1e4, (12, 1))}
    found |= {"texMU": rng.uniform(0, 255, (90, 1)), "texPC": rng.normal(size=(90, 11)), "texEV": np.full((11, 1), 9.0)}
    triangles = rng.integers(1, vertices + 1, (40, 3))
    if not expressions:
        return found | {"tl": triangles}
    found |= {"expMU": np.full((90, 1), 1e3), "expPC": rng.normal(size=(90, 10)), "expEV": np.full((10, 1), 500.0)}
    return found | {"tri": triangles.T, "kpt_ind": np.arange(68), "tri_mouth": triangles[:4]}


@pytest.mark.parametrize("name", ["01_MorphableModel.mat", "BFM.mat"])
def test_basel_models_are_read(name: str, tmp_path: Path) -> None:
    content = basel_variables(expressions=name == "BFM.mat")
    scipy.io.savemat(tmp_path / name, content if name[0] == "0" else {"model": content})
    model = load_face_model(tmp_path)
    mean = (content["shapeMU"] + content.get("expMU", 0.0)).reshape(-1, 3)
    scale = 2.0 / np.ptp(mean[:, 1])
    assert np.ptp(model.mean[:, 1]) == pytest.approx(2.0)
    triangles = content["tl"] if "tl" in content else content["tri"].T  # face3d's are columns
    np.testing.assert_array_equal(model.faces, triangles - 1)
    third = scale * content["shapePC"][:, 3] * content["shapeEV"][3]
    np.testing.assert_allclose(model.geometry[3].ravel(), third, atol=1e-12)
    np.testing.assert_allclose(model.albedo.ravel(), content["texMU"].ravel() / 255)
    np.testing.assert_allclose(model.texture[2].ravel(), content["texPC"][:, 2] * 9.0 / 255)
    if name == "BFM.mat":
        np.testing.assert_allclose(model.expression[1].ravel(), scale * content["expPC"][:, 1] * 500.0)
    else:
        assert not model.expression.any()
    task = FaceDepth(model=str(tmp_path))
    batch = task.sample(np.tile(task.layout.initial, (2, 1)), Noise(np.arange(2)))
    assert torch.isfinite(batch.image).all()
    fewer = FaceDepth(model=str(tmp_path))
    vars(fewer)["face_model"] = dataclasses.replace(model, texture=model.texture[:COMPONENTS])
    bare = fewer.sample(np.tile(task.layout.initial, (2, 1)), Noise(np.arange(2)))
    assert torch.equal(bare.target, batch.target)
    assert not torch.equal(bare.image, batch.image), "textures that beta does not control vary too"


def test_broken_basel_models_are_named(tmp_path: Path) -> None:
    path, content = tmp_path / "01_MorphableModel.mat", basel_variables(expressions=False)
    for changed, message in (
        ({"shapePC": None}, "no variable shapePC"),
        ({"shapeMU": np.zeros((91, 1))}, "shapeMU must hold x, y, z"),
        ({"texMU": np.zeros((60, 1))}, "texMU"),
        ({"shapePC": np.zeros((90, 11))}, "shapePC must be 90 x 12"),
        ({"tl": np.full((4, 3), 31)}, "faces must be"),
        ({"shapeEV": np.full((12, 1), np.nan)}, "shapeEV must be finite"),
        ({"tl": np.full((4, 3), 1.5)}, "whole numbers"),
        ({"shapeMU": np.ones((90, 1))}, "of some height"),
        ({"shapePC": np.full((90, 12), 1e305)}, "shapePC times shapeEV must be finite"),
        ({"shapeMU": 1e308 * np.cos(np.arange(90.0))[:, None]}, "of some height"),
        ({"tl": np.full((4, 3), 1e300)}, "whole numbers"),
        ({"tl": "words"}, "tl is text"),
        ({"shapeMU": np.array([1.0, "x"], object)}, "shapeMU is a cell array"),
        ({"shapeMU": {"a": 1.0}}, "shapeMU must be finite numbers"),
        ({"model": np.zeros((2, 2), [("shapeMU", "O")])}, "model is not of real numbers"),
        ({"model": np.ones(3)}, "must be a struct"),
    ):
        kept = {k: v for k, v in (content | changed).items() if v is not None}
        scipy.io.savemat(path, kept)
        with pytest.raises(ValueError, match=message):
            load_basel(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="not a whole MATLAB"):
        load_basel(path)


# -- the Basel scans' layout


def write_scans(folder: Path, rows: list[str], heads: int = 4) -> None:
    model = procedural_head()
    for k in range(heads):
        mesh = trimesh.Trimesh(70 * model.mean + k, model.faces, process=False)
        mesh.visual.vertex_colors = np.full((len(model.mean), 4), (200, 120 + k, 90, 255), np.uint8)
        mesh.export(folder / f"0000{k}_neutral_face05.ply")
    (folder / TABLE).write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")


def test_basel_scans_are_seen_by_their_table(tmp_path: Path) -> None:
    write_scans(tmp_path, ["0,0,5,0,0,0,2", "0,1,1,0.4,0,0,2", "0,0,1,0,0,0,4"])
    task = FaceDepth(data=str(tmp_path), resolution=64)
    for batch in (task.domain.batch("validation"), task.domain.batch("test")):
        assert len(batch.image) == 6, "two heads in three views"
    batch = task.domain.batch("test")
    near, turned, far = (batch.target[k, 0][batch.mask[k, 0] > 0] for k in range(3))
    assert near.mean() == pytest.approx(DISTANCE - 0.5, abs=0.4)
    assert far.mean() == pytest.approx(2 * DISTANCE - 0.5, abs=0.4), "twice the focal length, twice the distance"
    assert batch.mask[2].mean() == pytest.approx(float(batch.mask[0].mean()), rel=0.1), "and as large a picture"
    columns = torch.arange(64.0)
    nose = [
        float(columns[batch.target[k, 0].where(batch.mask[k, 0] > 0, torch.tensor(9.0)).amin(0).argmin()])
        for k in (0, 1)
    ]
    assert nose[1] > nose[0] + 5, "a positive yaw turns the nose to the right"
    assert len(turned) > 100
    red, green, _ = batch.image[0][:, batch.mask[0, 0] > 0].mean(1)
    assert red / green == pytest.approx(200 / 122, rel=0.05)
    first = load_table(tmp_path)[0]
    np.testing.assert_allclose(first.light, [0, 0, 1])


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    for rows, message in (
        ([], "no rows"), (["0,0,1,0,0,0,x"], "numbers in the columns"), (["0,0,0,0,0,0,2"], "neither 0 nor endless"),
        (["0,0,1,0,0,0,-1"], "heights of a picture"), (["0,1e200,1,0,0,0,2"], "nor endless"),
        (["0,0,1,30,0,0,2"], "radians"), (["0,0,1,0,0,0,1500"], "heights of a picture"),
        (["0,0,1,0,0,nan,1"], "not finite"), (["0,0,1"], "numbers in the columns"),
    ):  # fmt: skip
        write_scans(tmp_path, rows, heads=0)
        with pytest.raises(ValueError, match=message):
            load_table(tmp_path)
    write_scans(tmp_path, ["0,0,1,0,0,0,2"], heads=1)
    with pytest.raises(FileNotFoundError, match=r"1 files \*\.ply"):
        FaceDepth(data=str(tmp_path)).domain.batch("validation")
    write_scans(tmp_path, ["0,0,1,0,0,0,2"], heads=2)
    header = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    header += "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n"
    (tmp_path / "00000_neutral_face05.ply").write_text(header + "3 0 1 9\n")
    with pytest.raises(ValueError, match="00000"):
        FaceDepth(data=str(tmp_path)).domain.batch("validation")
    (tmp_path / "00000_neutral_face05.ply").write_bytes(b"ply\nnonsense\n")
    with pytest.raises(ValueError, match="not a PLY mesh"):
        FaceDepth(data=str(tmp_path)).domain.batch("validation")
