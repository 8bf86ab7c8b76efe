"""A dataset of a run: what is in it, that it is the same however it was made, and what is refused."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from hgenv.beta.box import spread_about
from hgenv.beta.noise import stream_keys
from hgenv.cli.main import main
from hgenv.runs.dataset import PIECE
from hgenv.runs.folder import open_run, start_at
from hgenv.task import sampled

TOY = "hgenv/ToyShading-v0"
SHORT = ["--train-steps", "2", "--max-steps", "2", "--report-every", "1", "--no-figures"]
SMALL = ["--resolution", "16", "--channels", "8", "--validation-size", "2", "--test-size", "2"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs whose answers are a point, a distribution, points about one, and anywhere; and of other quantities."""
    out = tmp_path_factory.mktemp("runs")
    for name, words in {
        "point": ["random-search"], "learned": ["reinforce", "--learn-sigma"], "spread": ["fixed", "--spread", "0.2"],
        "anywhere": ["random-beta"],
    }.items():  # fmt: skip
        assert main(["run", *words, "--env", TOY, *SHORT, "--out", str(out / name)]) == 0
    for env in ("ShapeNormals", "ShapeEvolution", "FaceDepth", "TextureIntrinsics"):
        words = SMALL if env.startswith("Shape") else SMALL[:4]
        assert main(["run", "fixed", "--env", f"hgenv/{env}-v0", *words, *SHORT, "--out", str(out / env)]) == 0
    return out


def made(run: Path, out: Path, *words: str, count: int = 20) -> list[dict[str, str]]:
    """The lines of a dataset that has been made."""
    assert main(["generate", str(run), "--count", str(count), "--out", str(out), *words]) == 0
    return lines(out)


def lines(out: Path) -> list[dict[str, str]]:
    with (out / "samples.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def content(out: Path) -> dict[str, bytes]:
    """All files by name."""
    names = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in (".lock", ".writer")]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in names}


def test_samples_are_those_of_the_generator_at_what_was_found(runs: Path, tmp_path: Path) -> None:
    rows = made(runs / "point", tmp_path / "data", "--format", "npz")
    opened = open_run(runs / "point")
    env, seeds = opened.env, np.concatenate([stream_keys(0, "dataset", k, PIECE) for k in range(2)])[:20]
    assert [int(row["seed"]) for row in rows] == seeds.tolist()
    beta = np.tile(opened.snapshot["beta"], (20, 1))
    batch = sampled(env.task, beta, seeds).batch
    for i, row in enumerate(rows):
        with np.load(tmp_path / "data" / f"{row['file']}.npz") as arrays:
            np.testing.assert_array_equal(arrays["image"], batch.image[i])
            np.testing.assert_array_equal(arrays["normals"], batch.target[i])
            np.testing.assert_array_equal(arrays["mask"], batch.mask[i])
            np.testing.assert_allclose(arrays["beta"], beta[i], rtol=1e-12)
            assert arrays["seed"] == seeds[i]
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert list(manifest["beta"].values()) == pytest.approx(opened.snapshot["beta"].tolist())
    assert (manifest["spread"], manifest["count"], manifest["env"]) == (None, 20, TOY)


@pytest.mark.parametrize("name", ["learned", "spread", "anywhere"])
def test_every_sample_has_a_beta_of_its_own_where_the_answer_is_more_than_a_point(
    runs: Path, tmp_path: Path, name: str
) -> None:
    rows = made(runs / name, tmp_path / "data", "--format", "npz")
    opened = open_run(runs / name)
    env = opened.env
    start_at(env, opened.snapshot)
    spread = {"learned": opened.snapshot.get("spread"), "spread": 0.2, "anywhere": "uniform"}[name]
    seeds = np.array([int(row["seed"]) for row in rows], np.uint64)
    wanted = env.box.beta(spread_about(env.box.centre, seeds, spread))
    names = env.task.layout.names
    np.testing.assert_allclose([[float(row[f"beta.{n}"]) for n in names] for row in rows], wanted, rtol=1e-12)
    assert len({row["beta.light.mean"] for row in rows}) == 20


def test_pictures_hold_the_values_that_the_manifest_says(runs: Path, tmp_path: Path) -> None:
    for env in ("ShapeNormals", "ShapeEvolution", "FaceDepth", "TextureIntrinsics"):
        made(runs / env, tmp_path / env / "png", count=3)
        rows = made(runs / env, tmp_path / env / "npz", "--format", "npz", count=3)
        files = json.loads((tmp_path / env / "png" / "manifest.json").read_text())["files"]
        for row in rows:
            arrays = dict(np.load(tmp_path / env / "npz" / f"{row['file']}.npz"))
            assert {*files} | {"seed", "beta"} == {*arrays}
            for name, about in files.items():
                picture = tmp_path / env / "png" / about["file"].format(file=row["file"])
                pixels = np.atleast_3d(cv2.imread(str(picture), cv2.IMREAD_UNCHANGED))[..., ::-1]
                assert pixels.dtype == (np.uint8 if about["bits"] == 8 else np.uint16)
                low, high = about["value of 0"], about[f"value of {2 ** about['bits'] - 1}"]
                values = low + pixels.transpose(2, 0, 1) / (2 ** about["bits"] - 1) * (high - low)
                step = (high - low) / (2 ** about["bits"] - 1)
                np.testing.assert_allclose(values, arrays[name], atol=0.51 * step + 1e-6)
    assert {*files} == {"image", "albedo", "shading", "mask"}


def test_floats_are_kept_as_they_are(runs: Path, tmp_path: Path) -> None:
    openexr = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install 'hgenv[exr]'")
    made(runs / "FaceDepth", tmp_path / "exr", "--format", "exr", count=2)
    for row in made(runs / "FaceDepth", tmp_path / "npz", "--format", "npz", count=2):
        arrays = np.load(tmp_path / "npz" / f"{row['file']}.npz")
        for name, channel in (("image", "RGB"), ("depth", "Y"), ("mask", "Y")):
            pixels = openexr.File(str(tmp_path / "exr" / f"{row['file']}-{name}.exr")).channels()[channel].pixels
            np.testing.assert_array_equal(np.atleast_3d(pixels).transpose(2, 0, 1), arrays[name])


def test_a_dataset_grows_and_is_the_same_by_workers(runs: Path, tmp_path: Path) -> None:
    made(runs / "learned", tmp_path / "whole", count=50)
    made(runs / "learned", tmp_path / "grown", count=21)
    made(runs / "learned", tmp_path / "grown", "--workers", "2", count=50)
    assert content(tmp_path / "grown") == content(tmp_path / "whole")
    made(runs / "learned", tmp_path / "grown", count=50)
    assert content(tmp_path / "grown") == content(tmp_path / "whole"), "all was there"


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_what_was_cut_short_goes_on(runs: Path, tmp_path: Path, kill: signal.Signals) -> None:
    count = 400
    made(runs / "learned", tmp_path / "whole", count=count)
    words = ["generate", str(runs / "learned"), "--count", str(count), "--out", str(tmp_path / "cut")]
    command = [sys.executable, "-m", "hgenv", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    listed = tmp_path / "cut" / "samples.csv"
    for _ in range(3000):
        if (listed.is_file() and listed.read_text().count("\n") > PIECE) or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(kill)
    said = process.communicate()[1]
    there = lines(tmp_path / "cut")
    assert 0 < len(there) < count, said
    for row in there:
        assert (tmp_path / "cut" / f"{row['file']}-image.png").is_file(), "what is listed is there"
    if kill == signal.SIGINT:
        assert process.returncode == 130
        assert "goes on" in said
    with listed.open("a") as file:
        file.write("399,0000/0003")  # a line that was cut short
    assert main(words) == 0
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_what_cannot_be_is_refused_and_nothing_changes(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "data"
    made(runs / "point", out, count=17)
    before = content(out)

    def refused(run: Path, *words: str, to: Path = out, count: int = 17) -> str:
        assert main(["generate", str(run), "--count", str(count), "--out", str(to), *words]) == 2
        return capsys.readouterr().err

    assert "is of another dataset, by its format" in refused(runs / "point", "--format", "npz")
    assert "is of another dataset, by its seed" in refused(runs / "point", "--seed", "1")
    assert "is of another dataset, by its" in refused(runs / "spread")
    assert "has 17 samples already, more than 9" in refused(runs / "point", count=9)
    assert content(out) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("!")
    assert "is not empty and no dataset" in refused(runs / "point", to=tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir() if path.name != ".lock"] == ["thesis.txt"]
    shutil.copytree(runs / "point", tmp_path / "bare")
    (tmp_path / "bare" / "best.npz").unlink()
    assert "no snapshot yet" in refused(tmp_path / "bare", to=tmp_path / "new")
    assert not (tmp_path / "new").exists()
