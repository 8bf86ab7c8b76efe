"""The benches: their figures of merit by hand, their folders, their tables."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from hgenv.bench import fidelity, render_speed
from hgenv.beta.noise import Noise
from hgenv.cli import bench as cli_bench
from hgenv.cli import main as cli
from hgenv.learning.gradient import Mixed, Score
from hgenv.options import EnvOptions
from hgenv.render import raster
from hgenv.tasks.scene_normals import SceneNormals

TINY = ["hgenv/ToyShading-v0", "--estimates", "3", "--references", "2", "--long-references", "2", "--long-steps", "4",
        "--ages", "20", "--settings", "score", "perturbed --gradient-group pair"]  # fmt: skip


def test_quality_by_hand() -> None:
    reference = np.array([2.0, 0.0])
    halves = (reference + [0.5, 1.0], reference - [0.5, 1.0])  # <halves> = 4 - 0.25 - 1
    q = fidelity.quality(np.array([[1.0, 1.0], [3.0, -1.0]]), halves)
    assert q.cosine[0] == pytest.approx((np.sqrt(0.5) + 3 / np.sqrt(10)) / 2)
    assert q.cosine_of_mean == pytest.approx(1.0)
    assert q.slope[0] == pytest.approx(4 / 2.75)
    assert q.noise == pytest.approx(2 / np.sqrt(2.75))
    assert q.slope[1] == pytest.approx(12.7062 * np.std([2 / 2.75, 6 / 2.75], ddof=1) / np.sqrt(2), rel=1e-4)


def test_settings_are_read_and_mistakes_named() -> None:
    words = "mixed --gradient-half image --gradient-sigma 0.1 --no-gradient-baseline --gradient-steps 2"
    options = cli_bench._setting(words, EnvOptions(train_steps=10, gradient=Score(), gradient_every=3))
    assert options.gradient == Mixed(half="image", sigma=0.1, baseline=False, steps=2)
    assert (options.train_steps, options.gradient_every) == (10, 1)
    for wrong in ("", "guess", "score --train-steps 3", "score --gradient-every 2", "score --gradient-samples -1"):
        with pytest.raises(ValueError, match=r"."):
            cli_bench._setting(wrong, EnvOptions())
    for wrong in ("score --gradient-sigma 1", "score --gradient-nothing 1"):
        with pytest.raises(SystemExit):
            cli_bench._setting(wrong, EnvOptions())


def test_fidelity_measures_once_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "fidelity", *TINY, "--out", str(tmp_path)]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert re.search(r"\| perturbed --gradient-group pair \| -?\d\.\d\d ± ", shown)
    assert shown.count("cosine of its halves") == 2
    assert (tmp_path / "figure.png").stat().st_size > 5000
    vectors = (tmp_path / "vectors.csv").read_text()
    assert vectors.count("\n") == 1 + 2 + 2 + 2 * 3
    assert cli.main(words) == 0
    assert capsys.readouterr().out == shown
    assert (tmp_path / "vectors.csv").read_text() == vectors
    # A line that an interruption cut short is measured again, to the same vector, whatever the number of processes.
    (tmp_path / "vectors.csv").write_text(vectors[:-300])
    assert cli.main([*words, "--workers", "2"]) == 0
    again = (tmp_path / "vectors.csv").read_text()
    assert sorted(map(without_seconds, again.splitlines())) == sorted(map(without_seconds, vectors.splitlines()))


def without_seconds(row: str) -> list[str]:
    cells = next(csv.reader([row]))
    return cells[:8] + cells[9:]


def test_fidelity_does_not_mix_measurements(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "fidelity", *TINY, "--long-references", "0", "--settings", "score", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    kept = (tmp_path / "vectors.csv").read_bytes()
    assert cli.main([*words, "--delta", "0.2"]) == 2
    assert "was measured with delta=0.1, not 0.2" in capsys.readouterr().err
    assert cli.main([*words, "--ages", "30"]) == 2
    assert "multiples of train_steps" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    assert cli.main([*words[:-1], str(tmp_path / "other" / "..")]) == 0
    (tmp_path / "config.json").unlink()
    assert cli.main(words) == 2
    assert "is not a measurement" in capsys.readouterr().err
    assert (tmp_path / "vectors.csv").read_bytes() == kept


def test_fidelity_refuses_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "fidelity", *TINY, "--references", "3"]) == 2
    assert "even" in capsys.readouterr().err
    assert cli.main(["bench"]) == 2
    assert (
        "fidelity, horizon, linearity, signal, variance, metasmooth, speed, scaling, render" in capsys.readouterr().err
    )


def test_the_horizon_that_sees_a_training_is_about_as_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the closed form: what one step says of 200 steps from scratch is another thing than what 200 ahead say."""
    words = ["bench", "horizon", "hgenv/ToyShading-v0", "--settings", "score", "--horizons", "0", "200", "--age", "60"]
    words += ["--lengths", "200", "--references", "2", "--estimates", "4", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert "| score: cosine with brute force over | no horizon | K = 200 |" in shown
    lines = shown.partition("no horizon")[2].splitlines()
    one, long = (re.findall(r"-?\d\.\d\d", line) for line in lines if line.startswith(("| one", "| 200")))
    assert float(one[0]) > 0.8
    assert float(long[1]) > float(long[0]) + 0.2
    assert f"**{long[1]}**" in shown
    assert (tmp_path / "horizons.png").stat().st_size > 5000
    kept = (tmp_path / "vectors.csv").read_bytes()
    assert cli.main([*words, "--lengths", "4"]) == 0  # adds to what is measured
    assert (tmp_path / "vectors.csv").read_bytes().startswith(kept)
    assert cli.main([*words, "--horizons"]) == 2


def test_linearity_prints_correlations(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--age", "100", "--repeats", "3", "--sigmas", "0.02", "0.3"]
    assert cli.main(["bench", "linearity", "hgenv/ToyShading-v0", *words]) == 0
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("| co")][1:]
    small, large = (float(row[3]) for row in rows)
    assert small > 0.99 > large
    assert all(float(row[5]) > 0.999 for row in rows)


@pytest.mark.slow
def test_render_speed_prints_every_renderer(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "render", "--count", "2", "--repeats", "1", "--resolutions", "16", "64"]) == 0
    tables = capsys.readouterr().out.split("\n\n|")[1:]
    titles = ("ShapeNormals", "SceneNormals", "FaceDepth", "TextureIntrinsics")
    assert [table.strip().split(",")[0].split(" |")[0] for table in tables] == list(titles)
    for table in tables:
        for name in ("f(beta, r)", "the renderer alone", "trimesh.ray"):
            assert re.search(rf"\| {re.escape(name)}[^|]*\| \d+ \|", table), name
    assert "composing" in tables[0]
    if "not measured" in "".join(tables):
        pytest.skip("no EGL: pyrender was not measured (Debian: libegl1 libgl1 libxrender1)")
    assert all(re.search(r"\| pyrender[^|]*\| \d+ \|", table) for table in tables)


def test_the_rays_that_are_measured_see_what_the_renderer_sees() -> None:
    task = SceneNormals(rooms=2, shadow=0)
    (scene,) = task.scenes_of(task.layout.initial[None], Noise(np.arange(1)))
    ours, (_, normal, depth) = raster.render(scene), render_speed.cast(scene)
    close = np.isclose(ours.depth, depth, rtol=1e-3)
    assert close.mean() > 0.99
    assert np.median(np.abs(np.moveaxis(ours.normal, 0, -1) - normal)[close]) < 1e-4


@pytest.mark.parametrize("bench", ["linearity", "signal", "fidelity"])
def test_a_training_that_diverges_cannot_be_measured(
    bench: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [TINY[0], "--train-steps", "2", "--inner-learning-rate", "1e30"]
    own = {"linearity": ["--age", "4"], "fidelity": ["--ages", "4", "--settings", "score"], "signal": []}[bench]
    assert cli.main(["bench", bench, *words, *own]) == 2
    error = capsys.readouterr().err
    assert "failed steps in a row; of the last, step 1, not finite: weights" in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_there_is_no_brute_force_where_the_loss_is_infinite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The start of ShapeEvolution, and what lies about it, is trivial."""
    small = ["--resolution", "16", "--channels", "8", "--validation-size", "4", "--test-size", "2"]
    words = ["hgenv/ShapeEvolution-v0", *small, *TINY[1:-3], "--settings", "influence", "--out", str(tmp_path)]
    assert cli.main(["bench", "fidelity", *words]) == 2
    error = capsys.readouterr().err
    assert "beside the start along parent.first is not finite" in error
    assert error.count("\n") == 1
