"""report.html of a run: of one that is over, goes on, was cut short, diverged; and that it can never spoil a run."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from hgenv.cli import main as cli
from hgenv.runs import open_run, report
from hgenv.runs.report.beta import SHOWN, along
from hgenv.runs.writer import sole_writer

TOY = ["--env", "hgenv/ToyShading-v0", "--validation-size", "8", "--test-size", "9"]
SECTIONS = [
    "Curves", "Beta over time", "Samples over time", "Predictions", "Cost", "Beta before and after", "How it was run",
]  # fmt: skip


class Page(HTMLParser):
    """What a page has: its elements by name with their attributes, its text, the charts' JSON, tables as text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements, self.text, self.tables, self.charts = dict[str, list[dict]](), "", list[list[list[str]]](), []
        self._open, self.titles = list[str](), list[str]()
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.setdefault(tag, []).append(dict(attrs))
        self._open.append(tag)
        {"table": lambda: self.tables.append([]), "tr": lambda: self.tables[-1].append([]),
         "td": lambda: self.tables[-1][-1].append(""), "th": lambda: self.tables[-1][-1].append(""),
         "h2": lambda: self.titles.append("")}.get(tag, lambda: None)()  # fmt: skip

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        where = self._open[-1] if self._open else ""
        if where == "script" and self.elements["script"][-1].get("type") == "application/json":
            self.charts.append(json.loads(data))
        elif where not in ("script", "style"):
            self.text += data
        if where == "h2":
            self.titles[-1] += data
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data

    def table(self, first: str) -> dict[str, list[str]]:
        """The table whose header begins with this: the other cells by the first."""
        (found,) = [table for table in self.tables if table[0][0] == first]
        return {row[0]: row[1:] for row in found[1:]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Over, after 12 steps with probes."""
    out = tmp_path_factory.mktemp("runs") / "run"
    words = [*TOY, "--max-steps", "12", "--report-every", "2", "--train-steps", "4", "--pairs", "1"]
    assert cli.main(["run", "random-search", *words, "--out", str(out)]) == 0
    return out


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy" / "report.html").unlink()
    return tmp_path / "copy"


def reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> Page:
    assert cli.main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    return Page(folder / "report.html")


def test_a_run_leaves_its_page(run: Path) -> None:
    page, opened = Page(run / "report.html"), open_run(run)
    assert page.titles == SECTIONS
    rows = opened.rows
    loss, mae, *others = page.charts
    np.testing.assert_allclose(loss["series"][0]["y"], [row["val_loss"] for row in rows], rtol=1e-6)
    reports = [row for row in rows if "test.mae" in row]
    assert [line["label"] for line in mae["series"]] == ["validation", "test"]
    np.testing.assert_allclose(mae["series"][1]["y"], [row["test.mae"] for row in reports], rtol=1e-6)
    assert mae["series"][1]["x"]["renders"] == [row["renders"] for row in reports]
    assert list(mae["x"]) == ["train_steps", "cpu_seconds", "renders", "step"], "no GPU was used"
    names = [name.removeprefix("test.") for name in rows[-1] if name.startswith("test.")]
    assert [chart["y"] for chart in others] == [name for name in names if name != "mae"]
    best = min(reports, key=lambda row: row["validation.mae"])
    assert f"best validation mae, at step {best['step']:.0f}{best['validation.mae']:.4g}" in page.text
    assert f"test mae there{best['test.mae']:.4g}" in page.text


def test_cost_and_beta_are_those_of_the_rows(run: Path) -> None:
    page, rows, layout = Page(run / "report.html"), open_run(run).rows, open_run(run).env.task.layout
    cost = page.table("cost")
    assert cost["training steps, probes included"][0] == f"{rows[-1]['train_steps']:.0f}"
    assert cost["samples drawn"][1] == f"{rows[-1]['renders'] / 12:.4g}"
    share = 100 * 12 * 4 / rows[-1]["train_steps"]
    assert 0 < share < 50
    assert f"{share:.1f} % were committed, {100 - share:.1f} % those of probes" in page.text
    found = page.table("coordinate")
    assert list(found) == layout.names
    best = min((row for row in rows if "test.mae" in row), key=lambda row: row["validation.mae"])
    for p in layout.parameters:
        start, end = rows[0][f"beta.{p.name}"], rows[-1][f"beta.{p.name}"]
        assert found[p.name][:3] == [f"{start:.4g}", f"{end:.4g}", f"{best[f'beta.{p.name}']:.4g}"]
        assert float(found[p.name][3]) == pytest.approx(100 * (end - start) / (p.high - p.low), abs=0.051)
        assert found[p.name][5] == p.meaning


def test_samples_and_predictions_say_when_and_how_wrong(run: Path) -> None:
    page, env = Page(run / "report.html"), open_run(run).restore()
    metrics, answer = env.task.quantity.metrics, env.predict("test")[-1].numpy()
    alone = [metrics([one], [truth])["mae"] for one, truth in zip(answer, env.task.domain.truth("test"), strict=True)]
    order = np.argsort(alone)[::-1]
    alts = [image["alt"] for image in page.elements["img"]]
    assert alts[0] == "target domain: validation images"
    assert alts[1] == "start: step 0, 0 training steps, 0 renders, 0 CPU s"
    assert any(alt.startswith(("last: step 12,", "last and best validation: step 12,")) for alt in alts)
    wrong = [alt for alt in alts if alt.startswith("test image")]
    assert wrong[:4] == [f"test image {i}: mae {alone[i]:.4g}" for i in order[:4]]
    assert wrong[4:] == [f"test image {i}: mae {alone[i]:.4g}" for i in order[2:6]]
    assert "error from 0 to 60 degrees and above" in alts


def test_a_page_needs_nothing_but_itself(run: Path) -> None:
    page = Page(run / "report.html")
    assert {"link", "iframe", "object"}.isdisjoint(page.elements)
    elements = [element for found in page.elements.values() for element in found]
    addresses = [element[name] for element in elements for name in ("src", "href") if name in element]
    assert len(addresses) > 10
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    styles = re.findall(r"<style>.*?</style>", (run / "report.html").read_text(), re.DOTALL)
    assert len(styles) == 2
    assert not re.search(r"url\(|@import", "".join(styles))


def test_a_page_changes_nothing_else(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in copy.iterdir()}
    reported(copy, capsys)
    after = {path.name: path.stat().st_mtime_ns for path in copy.iterdir()}
    assert after.keys() - before.keys() == {"report.html"}
    assert {name: after[name] for name in before} == before


def test_a_run_that_goes_on_and_one_that_was_cut_short(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a last line that is being written, and no snapshot yet."""
    (copy / "summary.json").unlink()
    (copy / "best.npz").unlink()
    lines = (copy / "metrics.csv").read_text().splitlines(keepends=True)
    (copy / "metrics.csv").write_text("".join(lines[:4]) + lines[4][:20])
    with sole_writer(copy):
        page = reported(copy, capsys)
    assert "It goes on; this page shows what it has come to so far." in page.text
    assert len(page.charts[0]["series"][0]["y"]) == 3
    assert page.titles == [name for name in SECTIONS if name != "Predictions"]
    page = reported(copy, capsys)
    assert f"It was cut short. It goes on by hgenv resume {copy}" in page.text


def test_a_run_without_a_step_has_a_page(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (copy / "metrics.csv").read_text().splitlines(keepends=True)
    (copy / "metrics.csv").write_text("".join(lines[:2]))
    assert reported(copy, capsys).titles == [name for name in SECTIONS if name != "Beta over time"]


def test_a_run_that_diverged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = [*TOY, "--max-steps", "50", "--inner-learning-rate", "1e30", "--max-failed-steps", "4"]
    assert cli.main(["run", "fixed", *words, "--out", str(out)]) == 3
    page = Page(out / "report.html")
    assert "It has no end that counts: diverged: 4 failed steps in a row" in page.text
    assert page.table("what was not finite") == {"weights": ["4", "1", "4"]}
    assert page.charts[0]["series"][0]["y"][1:] == [None] * 4
    capsys.readouterr()
    assert "diverged" in reported(out, capsys).text


def test_no_figures_is_no_page(tmp_path: Path) -> None:
    assert cli.main(["run", "fixed", *TOY, "--max-steps", "1", "--no-figures", "--out", str(tmp_path / "run")]) == 0
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_page_that_fails_does_not_fail_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(*_: object) -> None:
        assert (tmp_path / "run" / "summary.json").is_file(), "the page comes last"
        raise RuntimeError("no paper left")

    monkeypatch.setattr(report, "write", write)
    assert cli.main(["run", "fixed", *TOY, "--max-steps", "1", "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().err == f"hgenv: the page of {tmp_path / 'run'} could not be drawn: no paper left\n"
    assert (tmp_path / "run" / "predictions.png").is_file()


def test_what_a_folder_says_is_text(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "</script></pre><img src=x onerror=alert(1)>"
    config = json.loads((copy / "config.json").read_text())
    config |= {"command": evil, "optimizer_name": evil, "versions": {evil: evil}, "optimizer": {evil: evil}}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "summary.json").write_text(json.dumps({"ended": evil}))
    named = copy.rename(copy.with_name("<img src=y>"))
    page = reported(named, capsys)
    assert all(image["src"].startswith("data:") for image in page.elements["img"])
    assert page.text.count("<img src=x onerror=alert(1)>") == 9, "titles, ending, command, options, versions"
    assert "<img src=y>" in page.text


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", None, "config.json: expected the folder of a run"),
        ("config.json", ('"versions": {', '"versionen": {'), "is not the configuration of a run: it lacks versions"),
        ("config.json", ('"max_steps": 12', '"max_steps": "x"'), "max_steps must be an integer"),
        ("metrics.csv", ("val_loss", "loss"), "metrics.csv has rows without val_loss"),
    ],
)  # fmt: skip
def test_a_broken_folder_is_named(
    name: str, change: tuple[str, str] | None, message: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if change is None:
        (copy / name).unlink()
    else:
        text = (copy / name).read_text()
        assert change[0] in text
        (copy / name).write_text(text.replace(*change))
    assert cli.main(["report", str(copy)]) == 2
    assert message in capsys.readouterr().err
    assert not (copy / "report.html").exists()


def test_moments_are_even_in_training_steps() -> None:
    """Of steps that cost 1 and 9 in turn."""
    rows = [{"train_steps": float(cost)} for cost in np.cumsum([0, 1, 9, 1, 9])]
    assert [row["train_steps"] for row in along(rows, 5)] == [0, 1, 10, 11, 20]
    assert [row["train_steps"] for row in along(rows, 3)] == [0, 10, 20]


def test_of_many_distributions_those_that_moved_most_are_shown(tmp_path: Path) -> None:
    """204 coordinates of 33 axes: the rest is folded, by its distribution."""
    out = tmp_path / "run"
    words = ["--env", "hgenv/FaceDepth-v0", "--train-steps", "1", "--channels", "8", "--resolution", "16"]
    words += ["--batch-size", "2", "--validation-images", "2", "--max-steps", "2", "--pairs", "1", "--no-figures"]
    assert cli.main(["run", "random-search", *words, "--out", str(out)]) == 0
    assert cli.main(["report", str(out)]) == 0
    text = (out / "report.html").read_text()
    before, _, after = text.partition("<h2>Beta over time</h2>")[2].partition("<h2>")[0].partition("<details>")
    assert (before.count('<figure class="density">'), after.count('<figure class="density">')) == (SHOWN, 33 - SHOWN)
    assert re.search(
        r"<summary>head, coefficients of the first ten components each: \d+ of its 30 axes</summary>", after
    )
    assert len(Page(out / "report.html").table("coordinate")) == 204
