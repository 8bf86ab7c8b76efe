"""The tables of a comparison, cell by cell, and the figures beside them."""

import dataclasses
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from hgenv.bench import charts, figures, page, report, tables
from hgenv.bench.intervals import Interval, interval, student
from hgenv.bench.pairs import probability_of_improvement
from hgenv.bench.statistics import Result, standing
from hgenv.bench.tables import Content, Table, Tally, shown
from hgenv.pages.markup import escaped

TOY, SHAPES, FACES = "hgenv/ToyShading-v0", "hgenv/ShapeNormals-v0", "hgenv/FaceDepth-v0"
LEVELS = {"fixed": 10.0, "a": 8.0, "b": 4.0, "good": 2.0}


def result(label: str, seed: int, test: float, env: str = TOY, narrowness: float = 0.5) -> Result:
    metric = "abs_rel" if env == FACES else "mae"
    rows = [{f"test.{metric}": value, "test.other": 2 * value} for value in (test, test + 1.0)]
    costs = {"cpu_seconds": 2.0, "gpu_seconds": 0.0, "train_steps": 200.0, "renders": 16_000.0, "step": 2.0}
    line = {axis: end * np.linspace(0.0, 1.0, 3) for axis, end in costs.items()}
    line["test"] = np.array([12.0, test + 0.5, test])
    folder, best = Path(f"{label}-s{seed}"), rows[0] | {"step": 2.0}
    return Result(env, "default", label, seed, folder, best, costs, line, {1000: rows[1]}, narrowness)


def compared(env: str = TOY) -> list[Result]:
    """Of four labels on three seeds, the higher the seed the worse."""
    return [result(label, seed, level + seed, env) for label, level in LEVELS.items() for seed in range(3)]


def column(table: Table, name: str) -> dict[str, Content]:
    return {str(row[0]): row[table.header.index(name)] for row in table.rows}


def test_cells_are_shown_in_four_digits() -> None:
    cells = [("a b", "a b"), (3, "3"), (12345, "12345"), (0.123456, "0.1235"), (23456.7, "23457"), (np.nan, "-")]
    cells += [(Tally(2, 3), "2 of 3"), (Interval(1.23456, 1.0, 2.0), "1.235 [1, 2]")]
    cells += [(Interval(1.5, np.nan, np.nan), "1.5"), (Interval(np.nan, np.nan, np.nan), "-")]
    assert [shown(cell) for cell, _ in cells] == [text for _, text in cells]


def test_every_table_has_plain_cells_as_many_as_its_header() -> None:
    results = [*compared(), result("random-fixed", 0, 7.0), result("random-fixed", 1, 9.0), *compared(SHAPES)]
    found = [*tables.of_environment([r for r in results if r.env == TOY]), *tables.overall(results)]
    titles = ["Optimizers, best first", "Against fixed: test mae", "Against fixed: mae, retrained for 1000 steps"]
    titles += ["Every metric", "Every metric, retrained for 1000 steps"]
    assert [table.title for table in found] == [*titles, "Random betas, kept fixed: 2", "Over all environments"]
    for table in found:
        assert {len(row) for row in table.rows} == {len(table.header)}
        assert all(isinstance(cell, get_args(Content)) for row in table.rows for cell in row)
        assert "<" not in table.note + table.title + "".join(table.header)


def test_the_first_table_is_what_they_reach_and_at_which_cost() -> None:
    table = tables.optimizers([*compared(), result("b", 3, 20.0, narrowness=np.nan)])
    assert [row[0] for row in table.rows] == ["good", "b", "a", "fixed"]
    assert column(table, "seeds") == {"good": 3, "b": 4, "a": 3, "fixed": 3}
    assert column(table, "test mae")["a"] == interval([np.array([8.0, 9, 10])])
    assert column(table, "retrained 1000")["a"] == interval([np.array([9.0, 10, 11])])
    assert shown(column(table, "rank")["good"]) == "-", "it is not one of those compared"
    assert [column(table, "rank")[label] for label in ("b", "a", "fixed")] == [1.0, 2.0, 3.0]
    assert column(table, "KL from the start")["b"] == Interval(0.5, 0.5, 0.5)
    assert column(table, "renders")["a"] == 16_000.0
    assert column(table, "reach 11") == {"good": Tally(3, 3), "b": Tally(3, 4), "a": Tally(3, 3), "fixed": Tally(2, 3)}
    assert column(table, "training steps, probes included to 11") == {
        "good": 100.0, "b": 100.0, "a": 100.0, "fixed": 200.0
    }  # fmt: skip


def test_pairs_are_against_the_control_on_the_same_seeds() -> None:
    values = {
        "fixed": {0: 10.0, 1: 20.0, 2: 30.0}, "good": {0: 5.0, 1: 15.0, 2: 25.0}, "a": {0: 9.0, 1: 21.0, 2: 24.0},
        "once": {1: 1.0}, "elsewhere": {7: 1.0},
    }  # fmt: skip
    table = tables.against("test mae", values)
    assert [row[0] for row in table.rows] == ["good", "a", "once"]
    assert column(table, "wins") == {"good": Tally(3, 3), "a": Tally(2, 3), "once": Tally(1, 1)}
    assert column(table, "mean difference")["good"] == Interval(-5.0, -5.0, -5.0)
    assert column(table, "mean difference")["a"] == student([np.array([-1.0, 1.0, -6.0])])
    chances = probability_of_improvement(np.array([9.0, 21, 24]), np.array([10.0, 20, 30]))
    assert column(table, "probability of improvement")["a"] == chances
    assert column(table, "score")["good"] == pytest.approx((1.0, 1.0, 1.0))
    assert shown(column(table, "score")["once"]) == "3.8"
    unknown = tables.against("test mae", {label: mine for label, mine in values.items() if label != "good"})
    assert {shown(cell) for cell in column(unknown, "score").values()} == {"-"}
    assert tables.against("test mae", {"a": values["a"]}).rows == []


def test_every_metric_has_a_column_and_who_was_not_retrained_no_row() -> None:
    one, other = {"test.mae": 1.0, "test.mse": 2.0, "step": 5.0}, {"test.mae": 3.0, "test.mse": 6.0, "step": 5.0}
    table = tables.metrics("Metrics", {"a": [one, other], "b": []})
    assert table.header == ["optimizer", "mae", "mse"]
    assert table.rows == [["a", interval([np.array([1.0, 3.0])]), interval([np.array([2.0, 6.0])])]]


def test_over_environments_every_one_weighs_the_same() -> None:
    results = [r for env in (TOY, SHAPES, FACES) for r in compared(env)]
    results += [result("here-only", seed, 1.0) for seed in range(3)]
    (table,) = tables.overall(
        [*results, *[result("half", s, (10.0 + s) / 2, e) for e in (TOY, SHAPES, FACES) for s in (0, 1)]]
    )
    assert [row[0] for row in table.rows] == ["b", "half", "a", "fixed"]
    assert column(table, "wins")["half"] == Tally(6, 6)
    assert column(table, "ratio to fixed")["half"] == pytest.approx((0.5, 0.5, 0.5))
    ratio = column(table, "ratio to fixed")["a"]
    logarithms = np.log([0.8, 9 / 11, 10 / 12])
    assert isinstance(ratio, Interval)
    assert ratio == pytest.approx(np.exp(interval([logarithms] * 3)))
    assert column(table, "rank") == {"b": 1.0, "half": 2.0, "a": 3.0, "fixed": 4.0}
    assert tables.overall(compared()) == []
    not_positive = [r if r.label != "a" else result("a", r.seed, 0.0, r.env) for r in results]
    assert shown(column(tables.overall(not_positive)[0], "ratio to fixed")["a"]) == "-"


def test_a_profile_has_a_goal_that_is_better_than_fixed() -> None:
    figure = figures.runtime_profiles(compared())
    assert figure is not None
    assert figure.axes[0].get_title() == "targets: test mae from fixed's 11 to good's 3"
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    x, y = lines["good"].get_data()
    assert (x[0], x[-1], y[0], y[-1]) == (100.0, 200.0, 0.0, pytest.approx((20 + 20 + 17) / 60))
    without = figures.runtime_profiles([r for r in compared() if r.label != "good"])
    assert without is not None
    assert "to b's 5" in without.axes[0].get_title()
    assert figures.runtime_profiles([r for r in compared() if r.label == "fixed"]) is None
    assert figures.runtime_profiles([r for r in compared() if r.label != "fixed"]) is None


def test_the_diagram_names_all_that_have_a_rank() -> None:
    found = standing([r for env in (TOY, SHAPES, FACES) for r in compared(env)])
    assert found is not None
    assert (found.labels, found.ranks.tolist()) == (["fixed", "a", "b"], [3.0, 2.0, 1.0])
    texts = [text.get_text() for text in figures.critical_differences(found).axes[0].texts]
    assert {"b 1.00", "a 2.00", "fixed 3.00", "critical difference 1.91"} <= set(texts)


def test_tables_are_told_in_both_reports(tmp_path: Path) -> None:
    summary = report._overall(tmp_path, "default", [r for env in (TOY, SHAPES, FACES) for r in compared(env)])
    assert (tmp_path / "critical-differences.png").stat().st_size > 5000
    text, html = report._markdown(*summary), page._tables(summary.tables)
    assert "\n| b | 9 of 9 | 0.4" in text
    assert '<tr class="control"><td class="text">fixed</td><td>0 of 9</td><td>1 [1, 1]</td>' in html
    assert summary.tables[0].note in text
    assert escaped(summary.tables[0].note) in html
    assert "![Mean ranks over environments" in text
    odd = [Table("<", ["a|b"], [["<x>\n|"]])]
    assert "| a\\|b |\n|---|\n| <x> \\| |" in report._markdown("A & B", odd, {})
    assert "<h3>&lt;</h3>" in page._tables(odd)
    assert "&lt;x&gt;\n|</td>" in page._tables(odd)


def test_lines_are_short_however_long_runs_are() -> None:
    results = []
    for seed in range(3):
        r, x = result("a", seed, 5.0), np.arange(1.0, 5001.0)
        costs = {axis: x * (1.0 + seed / 2 if axis == "cpu_seconds" else 1.0) for axis in r.curve if axis != "test"}
        results.append(dataclasses.replace(r, curve=costs | {"test": 100.0 / x + seed}))
    (line,) = charts.curves(results, charts.colours(["a"])).series
    steps, seconds = np.asarray(line.x["train_steps"]), np.asarray(line.x["cpu_seconds"])
    assert charts.POINTS / 2 < len(steps) <= charts.POINTS
    assert (steps[0], steps[-1]) == (2.0, 5000.0)
    np.testing.assert_allclose(seconds, 1.5 * steps)
    np.testing.assert_allclose(line.y, 100.0 / steps + 1.0)
    assert line.band is not None
    np.testing.assert_allclose(line.band[1], 100.0 / steps + 2.0)


def test_a_profile_is_of_those_who_were_retrained() -> None:
    results = compared()
    assert charts.horizon_profiles(results, charts.colours(list(LEVELS))) is None, "of one horizon"
    two = [
        dataclasses.replace(r, again={1000: r.best, 3000: {"test.mae": 1.0 + r.seed}} if r.label == "a" else {})
        for r in results
    ]
    found = charts.horizon_profiles(two, charts.colours(list(LEVELS)))
    assert found is not None
    (line,) = found.series
    assert (line.label, line.x, list(np.asarray(line.y))) == ("a", {"steps": [1000, 3000]}, [9.0, 2.0])
    assert figures.horizon_profiles(results) is None
    drawn = figures.horizon_profiles(two)
    assert drawn is not None
    profile, *seeds = (np.stack(line.get_data(), axis=1).tolist() for line in drawn.axes[0].get_lines())
    assert profile == [[1000, 9.0], [3000, 2.0]]
    assert seeds == [[[1000, 8.0], [1000, 9.0], [1000, 10.0]], [[3000, 1.0], [3000, 2.0], [3000, 3.0]]]
