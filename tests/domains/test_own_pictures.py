"""Your own pictures as target domain: the numbers of the datasets' own readers, conventions, and what is broken."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hgenv.cli.main import main
from hgenv.data import catalogue, mit_berkeley, nyu
from hgenv.domains import Domain, baselines, measured
from hgenv.domains.crop import crop, uncrop, whole
from hgenv.domains.domain import SPLITS
from hgenv.domains.folder import Folder
from hgenv.quantities import Depth, Intrinsics, Normals
from hgenv.tasks.face_depth import FaceDepth
from hgenv.tasks.process import OwnGenerator
from hgenv.tasks.scene_normals import SceneNormals
from hgenv.tasks.shape_normals import ShapeNormals
from hgenv.tasks.texture_intrinsics import TextureIntrinsics


def written(path: Path, pixels: NDArray) -> None:
    """A PNG of (h, w), or RGB (h, w, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels if pixels.ndim == 2 else pixels[..., ::-1])


def same_scores(task: Any, one: Domain, other: Domain) -> None:
    """The same metrics of a constant, of the truth, and of predictions like any."""
    for split in SPLITS:
        truth = one.batch(split).target
        constant = torch.tensor([0.0, 0.0, 1.0])[:, None, None].expand(truth.shape)
        for given in (truth, constant, torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))):
            a, b = (measured(task.quantity, domain, given, split) for domain in (one, other))
            assert b == pytest.approx(a, rel=1e-5)
        for mine, theirs in zip(one.batch(split), other.batch(split), strict=True):
            assert (mine - theirs).abs().mean() < 2e-3


def test_photographs_as_a_plain_folder_score_the_same(photographs: Path, tmp_path: Path) -> None:
    for split, names in (("validation", mit_berkeley.VALIDATION), ("test", mit_berkeley.TEST)):
        for p in mit_berkeley.load(photographs, names):
            at = tmp_path / split / p.name
            written(Path(f"{at}-image.png"), np.rint(65535 * p.shading).astype(np.uint16))
            written(Path(f"{at}-mask.png"), (255 * p.mask).astype(np.uint8))
            np.save(f"{at}-normals.npy", p.normal.astype(np.float32))
    task = ShapeNormals(target="mit-berkeley", data=str(photographs))
    own = ShapeNormals(target="folder", data=str(tmp_path))
    assert own.side == task.side == 64
    same_scores(task, task.domain, own.domain)
    assert len(own.domain.examined().image) == 80


def test_frames_as_a_plain_folder_score_the_same(samples: Path, tmp_path: Path) -> None:
    for split, frames in nyu.load(samples / "labeled-8bit", 6).items():
        for i, frame in enumerate(frames):
            written(tmp_path / split / f"{i}-image.png", frame.image)
            np.save(tmp_path / split / f"{i}-normals.npy", frame.normal.astype(np.float32) * frame.valid)
    task = SceneNormals(data=str(samples / "labeled-8bit"), frames=6)
    same_scores(task, task.domain, SceneNormals(target="folder", data=str(tmp_path)).domain)


def sloped(folder: Path, name: str, size: tuple[int, int] = (24, 32), depth: bool = False) -> NDArray:
    """A picture of a plane that is turned to the right, with its normals as 16-bit PNG."""
    rng = np.random.default_rng(len(name))
    written(folder / f"{name}-image.png", rng.integers(0, 255, (*size, 3), np.uint8).astype(np.uint8))
    normal = np.broadcast_to(np.array([0.6, 0.0, 0.8])[:, None, None], (3, *size)).copy()
    normal[:, :, :4] = -1.0  # black
    written(folder / f"{name}-normals.png", np.rint(65535 * (0.5 + 0.5 * normal)).astype(np.uint16).transpose(1, 2, 0))
    if depth:
        metres = np.linspace(1.0, 3.0, size[0] * size[1]).reshape(size)
        metres[0] = 0.0
        written(folder / f"{name}-depth.png", np.rint(1000 * metres).astype(np.uint16))
    return normal


def both(folder: Path, **options: Any) -> Path:
    for split in SPLITS:
        sloped(folder / split, "a", **options)
        sloped(folder / split, "b", (40, 30), **options)
    return folder


def of(folder: Path, **options: Any) -> Folder:
    return Folder(
        **{"folder": str(folder), "quantity": Normals(), "targets": 3, "channels": 3, "size": (24, 32), **options}
    )


def test_normals_of_a_png_and_pictures_of_several_sizes(tmp_path: Path) -> None:
    domain = of(both(tmp_path))
    wide, tall = domain.truth("test")
    assert (wide.target.shape, tall.target.shape) == ((1, 3, 24, 32), (1, 3, 40, 30))
    np.testing.assert_allclose(wide.target[0, :, 5, 9], [0.6, 0.0, 0.8], atol=1e-4)
    assert not wide.mask[..., :4].any()
    assert wide.mask[..., 4:].all()
    batch = domain.batch("test")
    assert batch.image.shape == (2, 3, 24, 32)
    assert not batch.image[1, :, :, :5].any(), "a tall picture has borders left and right"
    assert Normals().metrics(domain.enlarged(batch.target.numpy(), "test"), domain.truth("test"))["mae"] < 1e-2


def test_what_a_window_cuts_comes_back_where_it_was() -> None:
    picture = np.zeros((40, 30))
    picture[10:20, 5:15] = 1.0
    window = whole((40, 30), 4 / 3)
    assert window == (0, -12, 40, 53)
    back = uncrop(crop(picture, window, (120, 159))[..., None], window, (40, 30))[0]
    assert np.abs(back - picture).mean() < 0.02


@pytest.mark.parametrize(
    ("axes", "right"),
    [("right up toward", [0.6, 0.0, 0.8]), ("left up toward", [-0.6, 0.0, 0.8]), ("toward right up", [0.0, 0.8, 0.6])],
)
def test_axes_are_as_the_folder_says(tmp_path: Path, axes: str, right: list[float]) -> None:
    both(tmp_path)
    (tmp_path / "target.toml").write_text(f'axes = "{axes}"')
    np.testing.assert_allclose(of(tmp_path).truth("test")[0].target[0, :, 5, 9], right, atol=1e-4)


def test_depth_in_steps(tmp_path: Path) -> None:
    both(tmp_path, depth=True)
    depth = {"quantity": Depth(2.0, 1.0, "m"), "targets": 1}
    with pytest.raises(
        ValueError, match=r"depth.png has integers: say in target.toml what a step is, as scale = 0.001"
    ):
        of(tmp_path, **depth).prepare()
    (tmp_path / "target.toml").write_text("scale = 0.001")
    domain = of(tmp_path, **depth)
    truth = domain.truth("validation")[0]
    np.testing.assert_allclose(truth.target[0, 0, 23, 31], 3.0, atol=1e-3)
    assert not truth.mask[0, 0, 0].any()
    scores = baselines(Depth(2.0, 1.0, "m"), domain, "test")["constant depth"]
    assert 0.1 < scores["abs_rel"] < 0.5
    np.save(tmp_path / "test" / "a-depth.npy", np.full((24, 32), 5.0))
    (tmp_path / "test" / "a-depth.png").unlink()
    (tmp_path / "target.toml").write_text("scale = 0.5")
    assert of(tmp_path, **depth).truth("test")[0].target.max() == 2.5


def test_albedo_and_shading(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split in SPLITS:
        albedo, shading = rng.random((20, 20, 3)), rng.random((20, 20))
        for name, part in (("image", albedo * shading[..., None]), ("albedo", albedo), ("shading", shading)):
            written(tmp_path / split / f"vase-{name}.png", np.rint(65535 * part).astype(np.uint16))
        mask = np.zeros((20, 20), np.uint8)
        mask[5:15, 3:17] = 255
        written(tmp_path / split / "vase-mask.png", mask)
    task = TextureIntrinsics(target="folder", data=str(tmp_path))
    (truth,) = task.domain.truth("test")
    assert truth.mask.sum() == 140
    scores = Intrinsics().metrics([truth.target[0].numpy()], task.domain.truth("test"))
    assert scores["reconstruction"] < 1e-4
    assert task.domain.batch("test").target.shape == (1, 4, 32, 32)


@pytest.mark.parametrize("format", ["png", "exr"])
def test_a_generated_dataset_is_such_a_folder(tmp_path: Path, format: str) -> None:
    if format == "exr":
        pytest.importorskip("OpenEXR")
    run = ["run", "fixed", "--resolution", "16", "--channels", "8", "--max-steps", "1", "--train-steps", "1"]
    run += ["--validation-size", "4", "--test-size", "4"]
    assert main([*run, "--no-figures", "--out", str(tmp_path / "run")]) == 0
    for seed, split in enumerate(SPLITS):
        words = ["generate", str(tmp_path / "run"), "--count", "3", "--seed", str(seed), "--format", format]
        assert main([*words, "--out", str(tmp_path / split)]) == 0
    domain = ShapeNormals(target="folder", data=str(tmp_path)).domain
    assert len(domain.batch("test").image) == 3


def test_pictures_without_ground_truth_are_left_out_and_it_says_so(tmp_path: Path) -> None:
    both(tmp_path)
    (tmp_path / "test" / "b-normals.png").unlink()
    script = "import sys; from hgenv.domains.folder import Folder; from hgenv.quantities import Normals;"
    script += "print(len(Folder(sys.argv[1], Normals(), 3, 3, (24, 32)).batch('test').image))"
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert "1 of 2 pictures of the test" in done.stderr
    assert "have no ground truth and are left out: " in done.stderr
    (tmp_path / "test" / "a-normals.png").unlink()
    with pytest.raises(
        ValueError, match=r"none of 2 pictures of the test has ground truth: .*a-image.png has no a-norm"
    ):
        of(tmp_path).prepare()


def test_lists_and_shares(tmp_path: Path) -> None:
    for name in "abcde":
        sloped(tmp_path, name)
    (tmp_path / "validation.txt").write_text("d\nb\n")
    (tmp_path / "test.txt").write_text("a\n")
    (tmp_path / "target.toml").write_text('validation = "validation.txt"\ntest = "test.txt"')
    assert {split: [p.name for p in pairs] for split, pairs in of(tmp_path).pairs.items()} == {
        "validation": ["d", "b"],
        "test": ["a"],
    }
    (tmp_path / "test.txt").write_text("z\n")
    with pytest.raises(ValueError, match=r"test.txt names z, and no picture z-image.* is in"):
        of(tmp_path).prepare()
    (tmp_path / "target.toml").write_text("share = 0.4")
    assert {split: [p.name for p in pairs] for split, pairs in of(tmp_path).pairs.items()} == {
        "validation": ["a", "e"],
        "test": ["b", "c", "d"],
    }


def spoil(folder: Path, what: str) -> None:
    at = folder / "test" / "a-normals.png"
    match what:
        case "away":
            pixels = cv2.imread(str(at), cv2.IMREAD_UNCHANGED)
            written(at, np.stack([pixels[..., 2], pixels[..., 1], 65535 - pixels[..., 0]], -1))
        case "no units":
            written(at, np.full((24, 32, 3), 20000, np.uint16))
        case "grey":
            written(at, np.full((24, 32), 20000, np.uint16))
        case "aspect":
            written(at, np.full((24, 24, 3), [255, 128, 128], np.uint8))
        case "damaged":
            at.write_bytes(at.read_bytes()[:100])
        case "pickle":
            at.unlink()
            np.save(at.with_suffix(".npy"), np.array([{}], dtype=object), allow_pickle=True)
        case "black mask":
            written(folder / "test" / "a-mask.png", np.zeros((24, 32), np.uint8))
        case _:
            (folder / "target.toml").write_text(what)


BROKEN = {
    "away": r"a-normals.png: its normals point away from the viewer: say in target.toml where their axes point",
    "no units": r"a-normals.png: expected unit vectors",
    "grey": r"a-normals.png: expected three channels of normals, got grey",
    "aspect": r"a-image.png is 32 x 24 pixels, and its ground truth 24 x 24: expected the same aspect",
    "damaged": r"a-normals.png is not a picture",
    "pickle": r"a-normals.npy is not an array of numpy's",
    "black mask": r"a-image.png: no pixel of its ground truth is known",
    "axes = 'right up up'": r"target.toml: axes must be three of",
    "axes = 'east up toward'": r"target.toml: axes must be three of",
    "scale = 0.0": r"target.toml: scale must be a finite number and > 0",
    "normal = '{name}.png'": r"target.toml: unknown key 'normal'; did you mean normals",
    "mask = 'mask.png'": r"target.toml: mask must have \{name\} once",
    "image = '{name}.jpg'": r"no picture \{name\}.jpg in .*validation: expected FOLDER/validation",
    "test = 'tset'": r"no folder or list .*tset: expected",
    "test = 'validation'": r"a-image.png is in the validation and in the test",
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_named(tmp_path: Path, what: str) -> None:
    both(tmp_path)
    spoil(tmp_path, what)
    with pytest.raises((ValueError, FileNotFoundError), match=BROKEN[what]):
        of(tmp_path).prepare()


def test_every_environment_takes_one(tmp_path: Path) -> None:
    both(tmp_path, depth=True)
    (tmp_path / "target.toml").write_text("scale = 0.001")
    data = {"target": "folder", "data": str(tmp_path)}
    for cls in (ShapeNormals, SceneNormals, FaceDepth, TextureIntrinsics, OwnGenerator):
        with pytest.raises(ValueError, match="needs data='FOLDER'"):
            cls(target="folder")  # type: ignore[arg-type]
    for task in (ShapeNormals(**data, resolution=32), SceneNormals(**data), FaceDepth(**data)):
        assert task.domain.batch("test").image.shape[0] == 2
    with pytest.raises(ValueError, match="itself"):
        OwnGenerator(data=str(tmp_path))


def test_hgenv_data_reads_it(tmp_path: Path) -> None:
    both(tmp_path, depth=True)
    (tmp_path / "target.toml").write_text("scale = 0.001")
    (report,) = catalogue.report(tmp_path, ["folder"])
    assert report.places is not None
    (place,) = report.places
    assert place.content == (
        "normals: pairs: 2 for the validation, 2 for the test; pictures of 30 x 40 to 32 x 24 pixels; "
        "depth: pairs: 2 for the validation, 2 for the test; pictures of 30 x 40 to 32 x 24 pixels"
    )
    spoil(tmp_path, "damaged")
    (report,) = catalogue.report(tmp_path, ["folder"])
    assert report.broken
    assert main(["data", str(tmp_path), "--datasets", "folder"]) == 1
