"""The paper's tables by command: what plays their rows, how Table 1 is chained, and that all of it runs."""

import csv
import dataclasses
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from hgenv.bench.statistics import Result
from hgenv.beta.box import spread_about
from hgenv.beta.noise import Noise
from hgenv.cli.main import main
from hgenv.cli.reproduce import What
from hgenv.cli.run import parse_run, players
from hgenv.env import make
from hgenv.registry import find
from hgenv.reproduce import figures, page, scales
from hgenv.reproduce.figures import FIGURES
from hgenv.reproduce.playing import plans, shown
from hgenv.reproduce.scales import SCALES
from hgenv.reproduce.tables import TABLES, from_best_median_and_worst
from hgenv.scenes.texture import TextureBeta, paint, stages
from hgenv.tasks.toy_shading import ToyShading

TINY = dataclasses.replace(SCALES["demo"], seeds=2, betas=3, train_steps=20, report_every=1)


def result(label: str, seed: int, mae: float, env: str = "hgenv/ShapeNormals-v0") -> Result:
    row = {"test.mae": mae, "test.within_11": 10 * mae, "train_steps": 1.0}
    return Result(env, "default", label, seed, Path(f"{label}-s{seed}"), row, row, {}, {})


@pytest.mark.parametrize("name", sorted(TABLES))
def test_rows_can_be_played_at_every_scale(name: str, tmp_path: Path) -> None:
    """Of the first comparisons; published values are of columns that there are."""
    table, choices = TABLES[name], players()
    for scale in SCALES.values():
        data = ("--data", str(tmp_path)) if scale.targets.get(table.env) else ()
        small = dataclasses.replace(table, then=None)
        for plan in plans(small, scale, tmp_path, data, "1"):
            labels = {cell.label for cell in plan.cells()}
            assert len(plan.cells()) == scale.seeds * len(labels)
            for cell in plan.cells():
                if cell.seed == 0:
                    parsed = parse_run(choices, cell.words)
                    assert parsed.budget.max_train_steps == scale.train_steps
    for row in shown(table, SCALES["small"], [result(row.label, 0, 1.0) for row in table.rows]):
        assert row.published.keys() <= table.columns.keys()


@pytest.mark.parametrize("name", sorted(TABLES))
def test_columns_are_metrics(name: str) -> None:
    """Of the quantity, as an answer without learning has them; and the answers asked for are there."""
    table = TABLES[name]
    task = find(table.env)()
    domain = dataclasses.replace(task).domain
    found = task.quantity.metrics(domain.enlarged(domain.batch("test").target.numpy(), "test"), domain.truth("test"))
    assert set(table.columns.values()) <= found.keys()
    assert {row.answer for row in table.rows} - {""} <= getattr(domain, "ladder", {}).keys()


def test_table_1_goes_on_from_the_best_the_median_and_the_worst() -> None:
    """By the mean over the seeds of the network, not by a lucky one; of four betas the median is the second."""
    means = {"random-0": 30.0, "random-1": 20.0, "random-2": 25.0, "random-3": 40.0}
    found = [result(label, seed, mean + off) for label, mean in means.items() for seed, off in enumerate((-9.0, 9.0))]
    found += [result("random-3", 2, 40.0), result("fixed", 0, 1.0)]
    rows = from_best_median_and_worst(found)
    assert [row.label for row in rows] == ["random-1", "from-best", "random-2", "from-median", "random-3", "from-worst"]
    assert [row.published["MAE °"] for row in rows] == [24.0, 22.5, 24.8, 21.8, 25.6, 22.0]
    assert [row.words.split()[-1] for row in rows if row.words] == ["1", "2", "3"]
    assert from_best_median_and_worst([]) == ()


def test_values_are_of_the_rows_and_seeds_of_the_table(tmp_path: Path) -> None:
    table = dataclasses.replace(TABLES["table2"], columns={"MAE °": "mae", "≤ 11.25° %": "within_11"})
    found = [result("fixed", 0, 20.0), result("fixed", 1, 22.0), result("fixed", 0, 99.0, "hgenv/ShapeEvolution-v0")]
    answers = {"shape from shading": {"mae": 12.5, "within_11": 50.0}}
    made = page.measured(table, table.rows, found, answers)
    out = page.write(tmp_path, table, SCALES["demo"], "hgenv reproduce table2", made)
    text = out.read_text()
    assert "26.2" in text
    assert "start, kept fixed (2 seeds)" in text
    with (tmp_path / page.VALUES).open(newline="") as file:
        rows = {(row["row"], row["column"]): row for row in csv.DictReader(file)}
    fixed = rows["start, kept fixed", "MAE °"]
    assert (float(fixed["ours"]), fixed["seeds"]) == (21.0, "2")
    assert float(fixed["low"]) < 20.0 < 22.0 < float(fixed["high"])
    assert float(rows["shape from shading, in its spirit", "≤ 11.25° %"]["ours"]) == 50.0
    assert rows["shape evolution", "MAE °"]["published"] == "22.5"
    assert np.isnan(float(rows["shape evolution", "MAE °"]["ours"]))


def test_several_random_betas_are_ten() -> None:
    """The paper's control: a dataset of several random betas that stay."""
    env = make("hgenv/ToyShading-v0", spread="several")
    env.reset(seed=0)
    spreading = env.box.spreading("several")
    points = [spread_about(env.start, np.arange(500 * k, 500 * (k + 1), dtype=np.uint64), spreading) for k in (0, 1)]
    betas = [{tuple(row) for row in part} for part in points]
    assert betas[0] == betas[1]
    assert len(betas[0]) == 10
    assert np.abs(np.array(sorted(betas[0]))).max() <= 1
    counts = [np.sum((points[0] == np.array(beta)).all(1)) for beta in betas[0]]
    assert min(counts) > 25
    with pytest.raises(ValueError, match="do not depend on the action"):
        make("hgenv/ToyShading-v0", spread="several", gradient="score")


def test_every_table_and_figure_can_be_asked_for() -> None:
    assert set(get_args(What)) == {*TABLES, *FIGURES}


def test_a_table_needs_its_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["reproduce", "table2", "--scale", "small", "--out", str(tmp_path / "out")]) == 2
    assert "needs data='FOLDER'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["table2", "fig4"])
def test_an_interrupted_one_ends_at_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the answers that take long, with the status of the signal, and with the page of what is over."""
    monkeypatch.setattr("hgenv.cli.cells.play", lambda played: 130)
    monkeypatch.setattr("hgenv.domains.domain.baselines", lambda *args: pytest.fail("answers were asked for"))
    assert main(["reproduce", name, "--out", str(tmp_path)]) == 130
    assert (tmp_path / page.PAGE).exists() == (name == "table2")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(name for name, figure in FIGURES.items() if not figure.table))
def test_figures_of_samples_are_drawn(name: str, tmp_path: Path) -> None:
    assert main(["reproduce", name, "--out", str(tmp_path)]) == 0
    text = (tmp_path / figures.PAGE).read_text()
    assert text.count("<img") >= 1
    assert FIGURES[name].title in text


def test_a_texture_is_made_in_stages() -> None:
    """A bare canvas has one colour, polygons change it, noise their edges only, and the last is what samples wear."""
    layout = TextureBeta()
    bound = layout.bind(np.tile(layout.named({"polygons.rate": 8.0}), (6, 1)))
    bare, smooth, rough, repeated = stages(bound, Noise(np.arange(6)), 48)
    assert all(len(np.unique(canvas.reshape(-1, 3), axis=0)) == 1 for canvas in bare)
    painted, moved = ((one != other).any(-1).mean() for one, other in ((smooth, bare), (rough, smooth)))
    assert painted > 0.2 > moved > 0.0
    canvases, times = paint(bound, Noise(np.arange(6)), 48)
    np.testing.assert_array_equal(rough, canvases)
    assert (times > 1).any()
    for canvas, texture, count in zip(canvases, repeated, times, strict=True):
        np.testing.assert_array_equal(
            texture[: 48 // count, : 48 // count], canvas[::count, ::count][: 48 // count, : 48 // count]
        )


def test_a_figure_of_trainings_needs_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no cell of table2 is over"):
        figures.write(tmp_path, FIGURES["fig4"], TINY, "", [], ToyShading())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_demonstration_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(scales.SCALES, "demo", TINY)
    assert main(["reproduce", name, "--out", str(tmp_path), "--workers", "2"]) == 0
    text = (tmp_path / page.PAGE).read_text()
    with (tmp_path / page.VALUES).open(newline="") as file:
        rows = list(csv.DictReader(file))
    played = [row for row in rows if int(row["seeds"])]
    assert all(np.isfinite(float(row["ours"])) for row in played)
    assert ", published" in text
    for figure in (figure for figure, known in FIGURES.items() if known.table == name):
        assert main(["reproduce", figure, "--out", str(tmp_path), "--workers", "2"]) == 0  # of the same cells
        assert FIGURES[figure].title in (tmp_path / figures.PAGE).read_text()
    if name == "table1":
        assert [row["row"] for row in rows[:: len(TABLES[name].columns)]] == [
            row.said for row in from_best_median_and_worst([result(f"random-{k}", 0, k) for k in range(3)])
        ]
