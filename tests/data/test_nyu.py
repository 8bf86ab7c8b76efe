"""NYU Depth V2: three layouts, normals of measured depth against ground truth and closed forms, broken files."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from hgenv.data import nyu


def angles(first: np.ndarray, second: np.ndarray, valid: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((first * second).sum(0)[valid], -1, 1)))


def plane_depth(normal: np.ndarray, distance: float) -> np.ndarray:
    """Depth map of the plane n . p = -distance through the Kinect's pinhole."""
    fx, fy, cx, cy = nyu.INTRINSICS
    j, i = np.meshgrid(np.arange(640) + 0.5, np.arange(480) + 0.5)
    along = normal[0] * (j - cx) / fx + normal[1] * (cy - i) / fy - normal[2]
    return -distance / along


@pytest.mark.parametrize("normal", [(0.0, 0.0, 1.0), (0.6, 0.0, 0.8), (-0.3, 0.4, 0.866), (0.0, 0.95, 0.312)])
def test_normals_of_a_plane_are_exact_and_of_a_kinects_plane_nearly(normal: tuple[float, ...]) -> None:
    true = np.array(normal) / np.linalg.norm(normal)
    depth = plane_depth(true, 2.0)
    seen = (depth > 0.5) & (depth < 5)
    depth = np.where(seen, depth, 0.0)
    found = nyu.depth_normals(depth)
    inside = found.any(0)
    assert inside.sum() > 1000
    np.testing.assert_allclose(found[:, inside], np.tile(true[:, None], inside.sum()), atol=1e-6)
    disparity = np.where(seen, 1090.0 - 348.0 / np.maximum(depth, 0.1), 0.0)  # a Kinect counts eighths of a pixel
    noisy = np.where(seen, 348.0 / (1090.0 - np.round(disparity * 8) / 8), 0.0)
    again = nyu.depth_normals(noisy)
    both = inside & again.any(0)
    assert np.median(angles(again, found, both)) < 4.0


def test_depth_edges_do_not_mix_and_holes_have_no_normal() -> None:
    depth = np.full((480, 640), 2.0)
    depth[:, 320:] = 4.0
    depth[100:200, 100:200] = 0.0
    depth[300:320, 500:520] = np.nan
    found = nyu.depth_normals(depth)
    np.testing.assert_allclose(found[2][found.any(0)], 1.0, atol=1e-9)
    assert not found[:, 28:47, 28:47].any()
    assert found[:, :, 78:82].any(0).all(), "up to the edge on both sides"


def link_release(samples: Path, folder: Path, normals: bool = True) -> Path:
    """The four frames in the layout of the release."""
    folder.mkdir(exist_ok=True)
    names = {"nyu_depth_v2_labeled_mini.mat": nyu.RELEASE, "test_indices.txt": "test_indices.txt"}
    names |= {"gt/norm_gt_l.mat": "norm_gt_l.mat", "gt/masks.mat": "masks.mat"} if normals else {}
    for source, name in names.items():
        os.symlink(samples / source, folder / name)
    return folder


def test_the_release_takes_known_normals_and_measures_the_others(samples: Path, tmp_path: Path) -> None:
    known = nyu.load(link_release(samples, tmp_path / "a"), 10)
    measured = nyu.load(link_release(samples, tmp_path / "b", normals=False), 10)
    assert {split: len(frames) for split, frames in known.items()} == {"validation": 1, "test": 3}
    for frame in [*known["test"], *known["validation"]]:
        assert frame.image.shape == (480, 640, 3)
        assert frame.normal.shape == (3, 120, 160)
        np.testing.assert_allclose(np.linalg.norm(frame.normal, axis=0)[frame.valid], 1.0, atol=0.01)
        assert frame.valid.mean() > 0.5
    # Floors point up and the walls on the left to the right, in both.
    errors = {}
    for truth, mine in zip(known["test"], measured["test"], strict=True):
        errors[truth.name.split()[-1]] = angles(truth.normal, mine.normal, truth.valid & mine.valid).mean()
    assert errors["1"] == pytest.approx(12.6, abs=0.5)
    assert errors["1449"] == pytest.approx(15.9, abs=0.5)
    assert errors["1001"] < 1e-3, "frame 1001 has no known normals: both are measured"


def test_eight_bits_of_depth_cost_five_degrees(samples: Path) -> None:
    """16-bit Kinect frames against the same rounded to the steps of the 8-bit pictures."""
    off = []
    for row in json.loads((samples / "frames-16bit" / "frames.json").read_text()):
        depth = cv2.imread(str(samples / row["depth"]), cv2.IMREAD_UNCHANGED) / 1000.0
        coarse = np.where(depth > 0, (np.floor(depth * 255 / 9.99547) + 0.5) * 9.99547 / 255, 0.0)
        fine, rough = nyu.depth_normals(depth, row["K"]), nyu.depth_normals(coarse, row["K"])
        off.append(angles(fine, rough, fine.any(0) & rough.any(0)).mean())
    assert np.mean(off) == pytest.approx(4.8, abs=0.4)


def test_all_real_frames_load(samples: Path) -> None:
    pictures = nyu.load(samples / "labeled-8bit", 100)
    kinect = nyu.load(samples / "frames-16bit", 100)
    assert {k: len(v) for k, v in pictures.items()} == {"validation": 40, "test": 40}
    assert {k: len(v) for k, v in kinect.items()} == {"validation": 6, "test": 6}
    tests = {int(k) for k in (samples / "test_indices.txt").read_text().split()}
    assert all(int(Path(frame.name).stem) + 1 in tests for frame in pictures["test"])
    for frames in (*pictures.values(), *kinect.values()):
        lower = np.concatenate([f.normal[1, -30:][f.valid[-30:]] for f in frames])
        upper = np.concatenate([f.normal[1, :30][f.valid[:30]] for f in frames])
        assert lower.mean() > upper.mean() + 0.2, "floors are below, ceilings above"
    whole = nyu.load(samples / "labeled-8bit", 8)
    assert {k: len(v) for k, v in whole.items()} == {"validation": 8, "test": 8}
    # Frame 1 in both layouts: the pictures are mirrored, the reader undoes it.
    first = next(f for f in pictures["test"] if f.name.endswith("/0.jpg"))
    with h5py.File(samples / "nyu_depth_v2_labeled_mini.mat") as file:
        image = file["images"][0].transpose(2, 1, 0)
    assert np.abs(first.image.astype(float) - image).mean() < 6
    assert np.abs(first.image[:, ::-1].astype(float) - image).mean() > 20


# -- broken folders


def no_file(folder: Path) -> None:
    (folder / nyu.RELEASE).unlink()


def no_split(folder: Path) -> None:
    (folder / "test_indices.txt").unlink()


def odd_split(folder: Path) -> None:
    (folder / "test_indices.txt").unlink()
    (folder / "test_indices.txt").write_text("one two\n")


def split_out_of_range(folder: Path) -> None:
    (folder / "test_indices.txt").unlink()
    (folder / "test_indices.txt").write_text("0\n3\n")


def no_masks(folder: Path) -> None:
    (folder / "masks.mat").unlink()


def rewrite(folder: Path, name: str, change: Callable[[h5py.File], None]) -> None:
    source = os.path.realpath(folder / name)
    (folder / name).unlink()
    shutil.copy(source, folder / name)
    os.chmod(folder / name, 0o644)
    with h5py.File(folder / name, "r+") as file:
        change(file)


def no_images(folder: Path) -> None:
    rewrite(folder, nyu.RELEASE, lambda file: file.pop("images"))


def other_shape(folder: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["depths"]
        file["depths"] = np.zeros((4, 480, 640), np.float32)

    rewrite(folder, nyu.RELEASE, change)


def fewer_depths(folder: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["depths"]
        file["depths"] = np.ones((3, 640, 480), np.float32)

    rewrite(folder, nyu.RELEASE, change)


def unnamed_frames(folder: Path) -> None:
    rewrite(folder, "norm_gt_l.mat", lambda file: file.pop("frameIndices"))


def no_unit_normals(folder: Path) -> None:
    rewrite(
        folder, "norm_gt_l.mat", lambda file: file["norm_gt_l"].write_direct(np.zeros((2, 3, 640, 480), np.float32))
    )


def other_frames(folder: Path) -> None:
    rewrite(folder, "masks.mat", lambda file: file.create_dataset("frameIndices", data=[[1.0], [1448.0]]))


def frames_from_zero(folder: Path) -> None:
    rewrite(
        folder, nyu.RELEASE, lambda file: file["frameIndices"].write_direct(np.array([[0.0], [500], [1000], [1448]]))
    )


def float_images(folder: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["images"]
        file["images"] = np.zeros((4, 3, 640, 480), np.float32)

    rewrite(folder, nyu.RELEASE, change)


def short_split(folder: Path) -> None:
    (folder / "test_indices.txt").unlink()
    (folder / "test_indices.txt").write_text("1\n1001\n")


def millimetres(folder: Path) -> None:
    def change(file: h5py.File) -> None:
        file["depths"][...] = 1000.0 * file["depths"][...]

    rewrite(folder, nyu.RELEASE, change)


def truncated(folder: Path) -> None:
    content = (folder / nyu.RELEASE).read_bytes()
    (folder / nyu.RELEASE).unlink()
    (folder / nyu.RELEASE).write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (no_file, FileNotFoundError, r"labeled\.mat.*splits"),
        (no_split, FileNotFoundError, r"splits\.mat"),
        (odd_split, ValueError, "test frames"),
        (split_out_of_range, ValueError, "654 test frames"),
        (no_masks, FileNotFoundError, r"masks\.mat"),
        (no_images, ValueError, r"expected images of \(n, 3, 640, 480\), bytes, got nothing"),
        (other_shape, ValueError, r"expected depths of \(n, 640, 480\)"),
        (fewer_depths, ValueError, "4 images but 3 depths"),
        (unnamed_frames, ValueError, "expected 1449"),
        (other_frames, ValueError, "different frames"),
        (frames_from_zero, ValueError, r"frameIndices.*1\.\.1449"),
        (float_images, ValueError, "images.*bytes, got float32"),
        (short_split, ValueError, "654 test frames"),
        (millimetres, ValueError, "depth must be in metres"),
        (no_unit_normals, ValueError, "no unit normal"),
        (truncated, ValueError, "not a whole MATLAB 7.3"),
    ],
)
def test_a_broken_release_is_named(
    spoil: Callable[[Path], None], error: type[Exception], message: str, samples: Path, tmp_path: Path
) -> None:
    folder = link_release(samples, tmp_path / "release")
    spoil(folder)
    with pytest.raises(error, match=message):
        nyu.load(folder, 10)


def write_frames(folder: Path, **changes: object) -> None:
    rows = []
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((48, 64, 3), 90, np.uint8))
        cv2.imwrite(str(folder / f"{name}_depth.png"), np.full((48, 64), 2000, np.uint16))
        row = {"name": name, "rgb": f"{name}.png", "depth": f"{name}_depth.png", "depth_scale": 1000.0}
        rows.append(row | {"K": [50.0, 50.0, 32.0, 24.0]} | changes)
    (folder / "frames.json").write_text(json.dumps(rows))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"K": [1, 2]}, ValueError, "fx, fy"),
        ({"K": None}, ValueError, r"frames\.json must list"),
        ({"K": [float("nan"), 50, 32, 24]}, ValueError, "fx, fy"),
        ({"K": [0, 50, 32, 24]}, ValueError, "positive"),
        ({"name": None}, ValueError, "must be words"),
        ({"depth_scale": 0}, ValueError, "positive"),
        ({"depth_scale": True}, ValueError, "numbers as depth_scale"),
        ({"depth": "gone.png"}, FileNotFoundError, r"gone\.png"),
        ({"depth": "a.png"}, ValueError, "expected uint16"),
        ({"rgb": "frames.json"}, ValueError, "not a picture"),
    ],
)
def test_broken_kinect_frames_are_named(changes: dict, error: type[Exception], message: str, tmp_path: Path) -> None:
    write_frames(tmp_path)
    assert len(nyu.load(tmp_path, 10)["test"]) == 1
    write_frames(tmp_path, **changes)
    with pytest.raises(error, match=message):
        nyu.load(tmp_path, 10)


def test_names_of_pictures_have_either_slash_and_lie_inside(tmp_path: Path) -> None:
    wanted = nyu.load(write_index(tmp_path, "images/{}.png", "{}_depth.png"), 10)
    found = nyu.load(write_index(tmp_path, ".\\images\\{}.png", ".\\{}_depth.png"), 10)
    np.testing.assert_array_equal(found["test"][0].normal, wanted["test"][0].normal)
    write_frames(tmp_path / "images", rgb="photos\\a.png", depth="C:\\depth\\a_depth.png")
    assert len(nyu.load(tmp_path / "images", 10)["test"]) == 1, "of Kinect frames the last part counts"
    for name in ("../{}.png", "..\\{}.png", "/{}.png", "C:\\{}.png"):
        with pytest.raises(ValueError, match=r"index\.csv names .*\.png, which lies outside of its folder"):
            nyu.load(write_index(tmp_path, name, "{}_depth.png"), 10)


def write_index(folder: Path, image: str, depth: str) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    rows = ["split,image,depth"]
    for split, name in (("train", "a"), ("test", "b")):
        cv2.imwrite(str(folder / "images" / f"{name}.png"), np.full((48, 64, 3), 90, np.uint8))
        cv2.imwrite(str(folder / f"{name}_depth.png"), np.full((48, 64), 50, np.uint8))
        rows.append(f"{split},{image.format(name)},{depth.format(name)}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_depth_is_numbers_and_photographs_of_16_bits_are_brightness(tmp_path: Path) -> None:
    write_frames(tmp_path)
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
    cv2.imwrite(str(tmp_path / "a.png"), ramp)
    cv2.imwrite(str(tmp_path / "a_depth.png"), np.full((48, 64), 4000, np.uint16))
    (frame,) = nyu.load(tmp_path, 10)["validation"]
    assert frame.image.mean() == pytest.approx(127.5, abs=0.1)
    np.testing.assert_array_equal(nyu.read_depth(tmp_path / "a_depth.png", np.uint16, (48, 64)), 4000.0)
    for pixels, got in (
        (np.full((48, 64), 40, np.uint8), "uint8"),
        (np.ones((48, 64, 3), np.uint16), r"\(48, 64, 3\)"),
    ):
        cv2.imwrite(str(tmp_path / "a_depth.png"), pixels)
        with pytest.raises(ValueError, match=rf"a_depth\.png: expected uint16 \(48, 64\), got .*{got}"):
            nyu.load(tmp_path, 10)


def test_a_truncated_depth_and_an_empty_one_are_named(tmp_path: Path) -> None:
    write_frames(tmp_path)
    path = tmp_path / "a_depth.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    with pytest.raises(ValueError, match=r"a_depth\.png is not a picture, or not a whole one"):
        nyu.load(tmp_path, 10)
    cv2.imwrite(str(path), np.zeros((48, 64), np.uint16))
    with pytest.raises(ValueError, match="a: no normal can be had"):
        nyu.load(tmp_path, 10)


def test_a_truncated_photograph_is_named(tmp_path: Path) -> None:
    write_frames(tmp_path, rgb="a.jpg")
    assert cv2.imwrite(str(tmp_path / "a.jpg"), np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    assert len(nyu.load(tmp_path, 10)["test"]) == 1
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.jpg is not a picture, or not a whole one"):
        nyu.load(tmp_path, 10)


def test_unknown_depth_may_be_infinite() -> None:
    depth = np.full((480, 640), 2.0)
    depth[:, :320] = np.inf
    found = nyu.depth_normals(depth)
    assert not found[:, :, :80].any()
    np.testing.assert_allclose(found[2, :, 80:], 1.0)


def test_an_index_without_its_columns_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("name\nx\n")
    with pytest.raises(ValueError, match="columns split, image, depth"):
        nyu.load(tmp_path, 10)
    (tmp_path / "index.csv").write_text("index,split,image,depth\n1,train,a.png,a_depth.png\n")
    with pytest.raises(ValueError, match="both splits"):
        nyu.load(tmp_path, 10)
