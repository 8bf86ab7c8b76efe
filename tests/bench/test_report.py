"""The report of a comparison from its plan, at any time; its page in a browser."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benches import HORIZONS, finish, half_finished, planned
from browser import look
from dashboards import TOY, play

from hgenv.bench import page as bench_page
from hgenv.bench import plan as plans
from hgenv.bench.compare import CompareOptions
from hgenv.bench.plan import PLAN, Plan
from hgenv.bench.states import counts, state
from hgenv.cli import main as cli
from hgenv.run import Budget
from hgenv.runs.folder import best_row, read_rows
from hgenv.runs.writer import sole_writer

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver


class Page(HTMLParser):
    """Its text, links, charts, captions of pictures, and tables as text by the first cell of their headers."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.links, self.alts, self.charts = "", list[str](), list[str](), list[dict]()
        self.tables, self._open = list[list[list[str]]](), list[tuple[str, dict]]()
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == [], "every element that is opened is closed"

    def handle_starttag(self, tag: str, attrs: list) -> None:
        found = dict(attrs)
        if tag != "meta":
            self._open.append((tag, found))
        if tag in ("table", "tr", "td", "th"):
            place = {"table": self.tables, "tr": self.tables[-1:] and self.tables[-1]}.get(tag)
            self.tables[-1][-1].append("") if place is None else place.append([])  # type: ignore[func-returns-value]
        self.links += [found["href"]] if tag == "a" else []
        self.alts += [found["alt"]] if tag == "img" else []

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        tag, found = self._open[-1] if self._open else ("", {})
        if found.get("type") == "application/json":
            self.charts.append(json.loads(data))
        elif tag not in ("script", "style"):
            self.text += data
        if {"td", "th"} & {name for name, _ in self._open}:
            self.tables[-1][-1][-1] += data

    def table(self, first: str) -> dict[str, list[str]]:
        found = next(table for table in self.tables if table[0][0] == first)
        return {row[0]: row[1:] for row in found[1:]}


def reported(out: Path, capsys: pytest.CaptureFixture[str]) -> Page:
    assert cli.main(["report", str(out)]) == 0
    assert capsys.readouterr().out == f"{out / 'report.html'}\n"
    return Page(out / "report.html")


def test_the_plan_comes_back_wherever_its_folder_is(tmp_path: Path) -> None:
    optimizers = ("cma", "x=fixed --start 'a b=c.json' --spread 0.2")
    o = CompareOptions((TOY,), str(tmp_path), optimizers, seeds=3, starts=("default", "random"), good=("g.json",))
    plan = Plan(o, Budget(max_seconds=1.5), ["--batch-size", "4"], "hgenv bench")
    plan.write()
    found = plans.read(tmp_path)
    assert found.cells() == plan.cells()
    assert found.command == "hgenv bench"
    kept = json.loads((tmp_path / PLAN).read_text())["bench"]["optimizers"]
    assert "cma=nevergrad --name CMA --train-steps 10" in kept, "whatever the default of that label becomes"
    (moved := tmp_path / "moved").mkdir()
    shutil.copy(tmp_path / PLAN, moved)
    assert {cell.folder.parents[1] for cell in plans.read(moved).cells() if cell.starts == "default"} == {moved}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bench": 3}, "bench is 3"),
        ({"budget": {}}, "a run needs at least one of"),
        ({"budget": {"max_steps": "many"}}, "max_steps must be"),
        ({"common": [1]}, r"common is \[1\]"),
        ({"common": ["--seed", "1"]}, "--seed cannot go to every run"),
        ({"bench": {"envs": ["hgenv/Nothing-v0"]}}, "unknown environment"),
        ({"bench": {"envs": [TOY], "out": "/elsewhere"}}, "it says out"),
        ({"bench": {"envs": [TOY], "optimizers": ["../x=fixed"]}}, "cannot be a label"),
        ({"bench": {"envs": [TOY], "more": 1}}, "unexpected keyword argument 'more'"),
    ],
)
def test_a_damaged_plan_is_named(
    change: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(tmp_path)
    (tmp_path / PLAN).write_text(json.dumps(json.loads((tmp_path / PLAN).read_text()) | change))
    assert cli.main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / PLAN} is not the plan of a comparison: " in error
    assert re.search(said, error)
    assert [path.name for path in tmp_path.iterdir()] == [PLAN]


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", "null"])
def test_what_is_no_plan_is_named(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / PLAN).write_text(text)
    assert cli.main(["report", str(tmp_path)]) == 2
    assert str(tmp_path / PLAN) in capsys.readouterr().err


def test_a_folder_without_run_and_plan_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "expected the folder of a run or of a comparison" in capsys.readouterr().err


def test_a_cell_has_one_state(tmp_path: Path) -> None:
    plan = half_finished(tmp_path)
    states = {(cell.starts, cell.label, cell.seed): state(cell) for cell in plan.cells()}
    assert {key: value for key, value in states.items() if value != "done"} == {
        ("default", "fixed", 1): "cut short",
        ("default", "random-beta", 1): "not begun",
        ("default", "cma", 1): "failed",
        **{("random", label, seed): "not begun" for label in ("fixed", "random-beta", "cma") for seed in (0, 1)},
    }
    assert counts(plan.cells()) == {"done": 3, "running": 0, "failed": 1, "cut short": 1, "not begun": 7}
    done = next(cell for cell in plan.cells() if state(cell) == "done")
    with sole_writer(done.retrained):
        assert state(done) == "running"
    (done.retrained / "summary.json").unlink()
    assert state(done) == "cut short"
    (done.retrained / "summary.json").write_text('{"ended": "diverged"}')
    assert state(done) == "failed"


def test_a_comparison_that_goes_on_has_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half_finished(tmp_path)
    with sole_writer(tmp_path):
        page = reported(tmp_path, capsys)
    assert "It goes on; this page shows what it has come to so far." in page.text
    assert "done3 of 12failed1 of 12cut short1 of 12not begun7 of 12" in page.text
    assert "hgenv bench a & b" in page.text
    assert list(page.table("optimizer")) == ["cma", "random-beta", "fixed"]
    mae, *others = page.table("test mae")["cma"]
    assert others == ["- failed"]
    assert page.table("test mae")["fixed"][1] == "- cut short"
    assert page.table("optimizer")["cma"][1] == mae
    assert page.table("test")["fixed"] == ["- not begun"] * 2, "from random starts"
    assert page.text.count("No cell is over.") == 1
    assert page.table("cell")["cma-s1"] == [TOY, "default", "no <memory>"]
    assert "its last <words>" in page.text
    assert "ToyShading-v0/fixed-s0/metrics.csv" in page.links
    assert all((tmp_path / link).is_file() for link in page.links)
    assert "Of 12 cells: 3 done, 1 failed, 1 cut short, 7 not begun." in (tmp_path / "report.md").read_text()
    assert "It was cut short" in reported(tmp_path, capsys).text


def test_nothing_is_over_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned(tmp_path)
    page = reported(tmp_path, capsys)
    assert page.text.count("No cell is over.") == 2
    assert (page.charts, page.alts) == ([], [])
    assert len((tmp_path / "cells.csv").read_text().splitlines()) == 1


def test_links_lead_to_pages_of_runs_once_there_are_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = half_finished(tmp_path)
    (plan.cells()[0].folder / "report.html").write_text("a page")
    page = reported(tmp_path, capsys)
    assert "ToyShading-v0/fixed-s0/report.html" in page.links
    assert "ToyShading-v0/fixed-s0-retrained/metrics.csv" in page.links


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cells are done; errors grow by labels and seeds."""
    out = tmp_path_factory.mktemp("benches") / "bench"
    plan, labels = planned(out, ["cma", "evolution"]), ["cma", "evolution", "random-beta", "fixed"]
    play(out.parent / "source")
    for cell in plan.cells():
        finish(cell, out.parent / "source", 1.0 + labels.index(cell.label) + 0.25 * cell.seed)
    assert cli.main(["report", str(out)]) == 0
    return out


def test_charts_are_of_all_labels_over_all_costs(over: Path) -> None:
    page = Page(over / "report.html")
    curves, horizons, profiles, *random = page.charts
    assert [len(random), len(page.charts)] == [3, 6]
    order = ["cma", "evolution", "random-beta", "fixed"]
    for chart in (curves, horizons, profiles):
        assert [line["label"] for line in chart["series"]] == order
        assert [line["colour"] for line in chart["series"]] == [0, 1, "quiet", "ink"]
    assert list(curves["x"]) == ["train_steps", "cpu_seconds", "renders"]
    first, second = (curves["series"][0]["band"][i] for i in (0, 1))
    np.testing.assert_allclose(np.array(second) / np.array(first), 1.25, rtol=1e-6)
    np.testing.assert_allclose(curves["series"][0]["y"], np.array(first) * 1.125, rtol=1e-6)
    assert horizons["series"][0]["x"] == {"steps": list(HORIZONS)}
    assert profiles["series"][3]["y"][-1] == pytest.approx(0.0)
    assert 0.9 < profiles["series"][0]["y"][-1] <= 1.0


def test_beta_and_samples_are_of_the_best_seed(over: Path) -> None:
    page = Page(over / "report.html")
    found = page.table("coordinate")
    header = next(table for table in page.tables if table[0][0] == "coordinate")[0]
    names = ["fixed, seed 0", "cma, seed 0", "evolution, seed 0"]
    assert header == ["coordinate", "start of fixed, seed 0", *names, "range", "meaning"]
    rows = read_rows(over / "ToyShading-v0" / "cma-s0")
    best = best_row(rows, "mae")
    assert found["light.mean"][:3:2] == [f"{row['beta.light.mean']:.4g}" for row in (rows[0], best)]
    assert found["light.mean"][-1] != ""
    of_labels = [alt for alt in page.alts if ", seed 0: after " in alt]
    assert len(of_labels) == 2 * 4
    assert all(re.search(r"after \d+ training steps, [\d.e-]+ CPU s$", alt) for alt in of_labels)


def test_beta_from_elsewhere_says_from_where() -> None:
    assert bench_page._found(0.5, 0.25, 0.25) == "0.5"
    assert bench_page._found(0.5, 0.25, 0.75) == "0.5, from 0.25"


def test_a_page_needs_nothing_but_itself_and_its_cells(over: Path) -> None:
    text, page = (over / "report.html").read_text(), Page(over / "report.html")
    assert all((over / link).is_file() for link in page.links)
    assert len(page.links) == 2 * 4 * 2 * 2, "starts, labels, seeds, in the run and retrained"
    assert not re.search(r'(src|href)="(https?:|//|/)', text)


@pytest.mark.slow
def test_a_large_comparison_has_a_small_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = [f"method-{i}=fixed" for i in range(23)]
    plan = planned(tmp_path / "bench", many, seeds=10)
    play(tmp_path / "source")
    for cell in plan.cells():
        finish(cell, tmp_path / "source", 1.0 + hash_of(cell.label) + 0.01 * cell.seed)
    page = reported(tmp_path / "bench", capsys)
    assert (tmp_path / "bench" / "report.html").stat().st_size < 5e6
    assert len(page.charts[0]["series"]) == 25


def hash_of(label: str) -> float:
    return sum(map(ord, label)) % 17 / 17


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_sorts_hides_and_says_nothing_on_the_console(
    over: Path, browser: "WebDriver", width: int, scheme: str
) -> None:
    from selenium.webdriver.common.by import By

    look(browser, width, scheme)
    browser.get((over / "report.html").as_uri())
    table = browser.find_element(By.CSS_SELECTOR, ".wide > table")
    first = [row.find_element(By.TAG_NAME, "td").text for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")]
    assert first == ["cma", "evolution", "random-beta", "fixed"]
    head = table.find_elements(By.CSS_SELECTOR, "th button")[2]
    head.click()
    head.click()
    again = [row.find_element(By.TAG_NAME, "td").text for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")]
    assert again == first[::-1]
    line = browser.find_elements(By.CSS_SELECTOR, ".legend button")[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", line)
    line.click()
    assert line.get_attribute("aria-pressed") == "false"
    assert len(browser.find_elements(By.CSS_SELECTOR, ".uplot canvas")) == 6
    wide = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0, "only tables scroll sideways"
