"""Exports hold what the runs' folders do: every number of every row, and what was found, with its range."""

import csv
import json
import re
import resource
import shutil
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hgenv
from hgenv.bench import statistics
from hgenv.bench.compare import Cell, CompareOptions, cells
from hgenv.cli.main import main
from hgenv.run import Budget
from hgenv.runs.exports.found import find_runs
from hgenv.runs.exports.table import COLUMNS, COST, SECONDS
from hgenv.runs.folder import read_rows
from hgenv.snapshot import load_snapshot

TOY = "hgenv/ToyShading-v0"
TINY = ["--train-steps", "2", "--batch-size", "4", "--report-every", "2", "--no-figures"]
PAGE = Path(__file__).parents[2] / "docs" / "results-format.md"
NAMES = hgenv.TASKS[TOY]().layout.names


def played(*words: str) -> None:
    assert main(["run", *words, *TINY]) in (0, 3)


@pytest.fixture(scope="module")
def todo(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    """The cells of a bench, all of them finished."""
    out = str(tmp_path_factory.mktemp("bench"))
    options = CompareOptions((TOY,), out, ("random-step",), seeds=2, random_fixed=2, retrain_steps=(6,), report_every=2)
    found = cells(options, Budget(max_steps=4), ["--train-steps", "2", "--batch-size", "4"])
    for cell in found:
        for folder, words in cell.runs():
            assert main(["run", *words, "--no-figures", "--out", str(folder)]) == 0
    return found


@pytest.fixture(scope="module")
def bench(todo: list[Cell]) -> Path:
    return todo[0].folder.parents[1]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Runs of two environments, one that has diverged, and one that was cut short."""
    runs = tmp_path / "runs"
    played("fixed", "--env", TOY, "--max-steps", "3", "--seed", "3", "--out", str(runs / "ToyShading-v0-fixed-s3"))
    played("fixed", "--env", TOY, "--inner-learning-rate", "1e30", "--max-steps", "3", "--out", str(runs / "lost"))
    sizes = ["--validation-size", "2", "--test-size", "2", "--validation-images", "2"]
    played("fixed", "--max-steps", "1", *sizes, "--out", str(runs / "shapes"))
    shutil.copytree(runs / "ToyShading-v0-fixed-s3", runs / "deeper" / "cut")
    (runs / "deeper" / "cut" / "summary.json").unlink()
    return runs


def exported(format: str, *words: str | Path) -> int:
    return main(["export", format, *map(str, words)])


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def rebuilt(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, float]]]:
    """The rows of every run, from the table's lines."""
    rows: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for line in lines:
        row = rows[line["run"]][int(line["step"])]
        row |= {name: float(line[name]) for name in ("step", *COST, *SECONDS) if line[name] not in ("", None)}
        row[line["name"]] = float(line["value"])
    return {run: list(found.values()) for run, found in rows.items()}


def test_every_number_of_every_row_is_in_the_table(
    bench: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    capsys.readouterr()
    assert exported("csv", bench, runs, runs / "lost", "--out", out) == 0
    found = sorted(path.parent for top in (bench, runs) for path in top.rglob("config.json"))
    assert len(found) == 2 * 8 + 4
    lines = read_csv(out)
    assert capsys.readouterr().out == f"{out}: {len(lines)} lines of 20 runs\n"
    np.testing.assert_equal(rebuilt(lines), {run.as_posix(): read_rows(run) for run in found})
    assert any(line["value"] == "nan" for line in lines), "what was not finite"
    for line in lines:
        for name, kind in COLUMNS.items():
            assert kind(line[name]) is not None or line[name] == ""


def test_who_has_made_a_run_is_in_every_line(bench: Path, runs: Path, tmp_path: Path) -> None:
    assert exported("csv", bench, runs, "--out", tmp_path / "rows.csv") == 0
    about = ("env", "optimizer", "label", "seed", "retrains")
    told = {line["run"]: tuple(line[name] for name in about) for line in read_csv(tmp_path / "rows.csv")}
    cell = (bench / "ToyShading-v0" / "random-step-s1").as_posix()
    assert told[cell] == (TOY, "random-step", "random-step", "1", "")
    assert told[f"{cell}-retrained"] == (TOY, "fixed", "random-step", "1", cell)
    assert told[(runs / "ToyShading-v0-fixed-s3").as_posix()] == (TOY, "fixed", "fixed", "3", "")
    assert told[(runs / "deeper" / "cut").as_posix()] == (TOY, "fixed", "cut", "3", "")
    assert told[(runs / "shapes").as_posix()][0] == "hgenv/ShapeNormals-v0"


def test_parquet_is_the_same_table_with_types(bench: Path, runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    metrics = runs / "lost" / "metrics.csv"  # as of a version that did not count these
    metrics.write_text(metrics.read_text().replace("redrawn", "not_counted", 1))
    assert exported("csv", bench, runs, "--out", tmp_path / "rows.csv") == 0
    assert exported("parquet", bench, runs, "--out", tmp_path / "rows.parquet") == 0
    table = parquet.read_table(tmp_path / "rows.parquet")
    kinds = {"string": str, "int64": int, "double": float}
    assert {field.name: kinds[str(field.type)] for field in table.schema} == COLUMNS
    text = [{k: COLUMNS[k](v) if v else None for k, v in line.items()} for line in read_csv(tmp_path / "rows.csv")]
    lines = table.to_pylist()
    assert lines[0]["retrains"] is None
    np.testing.assert_equal(lines, text)
    assert {line["redrawn"] for line in lines if line["run"] == (runs / "lost").as_posix()} == {None}


def test_the_page_tells_the_columns(bench: Path) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (text|integer|float) \|", PAGE.read_text(), re.MULTILINE)
    assert {name: {"text": str, "integer": int, "float": float}[kind] for name, kind in rows} == COLUMNS
    assert [name for name, _ in rows] == list(COLUMNS)


def studies(path: Path) -> dict[str, Any]:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    storage = f"sqlite:///{path}"
    return {name: optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)}


@pytest.mark.parametrize("value", ["test", "retrained"])
def test_trials_are_what_the_runs_have_found(value: str, bench: Path, todo: list[Cell], tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    assert exported("optuna", bench, "--out", tmp_path / "study.db", "--value", value) == 0
    (study,) = studies(tmp_path / "study.db").values()
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert study.user_attrs == {"metric": f"{value} mae"}
    trials = {trial.user_attrs["run"]: trial for trial in study.trials}
    expected = {cell.folder.as_posix(): cell for cell in todo if cell.label != "random-beta"}
    assert trials.keys() == expected.keys(), "random beta has none of its own"
    layout = hgenv.TASKS[TOY]().layout
    for name, cell in expected.items():
        result, trial, rows = statistics.read(cell), trials[name], read_rows(cell.folder)
        assert result is not None
        assert trial.value == (result.test if value == "test" else result.retrained)
        assert [trial.params[name] for name in NAMES] == load_snapshot(cell.folder)["beta"].tolist()
        ranges = [(trial.distributions[name].low, trial.distributions[name].high) for name in NAMES]
        assert ranges == list(zip(layout.low, layout.high, strict=True))
        told = trial.user_attrs
        assert (told["env"], told["label"], told["seed"]) == (cell.env, cell.label, cell.seed)
        assert told["optimizer"] == cell.words[0]
        assert told["retrained.6"] == result.retrained
        assert {name: told[name] for name in (*COST, *SECONDS)} == {n: rows[-1][n] for n in (*COST, *SECONDS)}
        curve = {int(row["train_steps"]): row["test.mae"] for row in rows if "test.mae" in row}
        assert trial.intermediate_values == curve
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an evaluator that is experimental
        weights = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    assert weights.keys() == set(NAMES)


def test_of_several_retrainings_the_longest_counts(bench: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    cell = tmp_path / "random-step-s0"
    shutil.copytree(bench / "ToyShading-v0" / "random-step-s0", cell)
    for steps in ("8", "4"):
        name = f"random-step-s0-retrained-{steps}"
        played("fixed", "--env", TOY, "--start", str(cell), "--max-train-steps", steps, "--out", str(tmp_path / name))
    assert exported("optuna", tmp_path, "--out", tmp_path / "study.db", "--value", "retrained") == 0
    (study,) = studies(tmp_path / "study.db").values()
    (trial,) = study.trials
    assert trial.user_attrs["retrained.8"] == trial.value
    assert trial.user_attrs["retrained.4"] != trial.value


def test_a_study_an_environment_of_the_runs_that_are_finished(runs: Path, tmp_path: Path) -> None:
    """In a file whose name means something to SQLite."""
    pytest.importorskip("optuna", reason="Optuna is not installed")
    out = tmp_path / "a study?mode=ro#1%41.db"
    assert exported("optuna", runs, "--out", out) == 0
    shutil.copy(out, tmp_path / "study.db")
    found = studies(tmp_path / "study.db")
    assert {name: len(study.trials) for name, study in found.items()} == {TOY: 1, "hgenv/ShapeNormals-v0": 1}
    assert len(found["hgenv/ShapeNormals-v0"].trials[0].params) == 29
    assert {path.name for path in tmp_path.iterdir()} == {"runs", out.name, "study.db"}


def edited(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    """A change of a file of a run."""
    return lambda run: (run / name).write_text(change((run / name).read_text())) and None  # type: ignore[func-returns-value]


def as_config(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def changed(text: str) -> str:
        config = json.loads(text)
        change(config)
        return json.dumps(config)

    return edited("config.json", changed)


@pytest.mark.parametrize(
    ("format", "damage", "message"),
    [
        ("csv", edited("config.json", lambda text: "["), "config.json is not the configuration of a run"),
        ("csv", edited("config.json", lambda text: "{}"), "config.json is not the configuration of a run: it lacks"),
        ("csv", as_config(lambda config: config["run"].pop("seed")), "config.json has no seed of the run, got None"),
        ("csv", as_config(lambda config: config["run"].update(seed="0")), "has no seed of the run, got '0'"),
        ("csv", edited("metrics.csv", lambda text: "step,a\n0,x\n"), "metrics.csv is not the metrics of a run"),
        ("csv", edited("metrics.csv", lambda text: "step,a\ninf,1\n"), "has a step that is no count: inf"),
        ("csv", edited("metrics.csv", lambda text: "step,renders\n0,nan\n"), "has a renders that is no count: nan"),
        ("csv", edited("metrics.csv", lambda text: "step,a\n0.5,1\n"), "has a step that is no count: 0.5"),
        ("parquet", edited("metrics.csv", lambda text: "step,renders\n0,1e300\n"), "is no count: 1e+300"),
        ("optuna", as_config(lambda config: config.update(env="hgenv/No-v0")), "config.json: unknown environment"),
        ("optuna", as_config(lambda config: config["task"].update(x=1)), "config.json: unknown option 'x'"),
        ("optuna", as_config(lambda config: config.update(imports=["/no.py"])), "config.json: no file /no.py"),
        ("optuna", edited("metrics.csv", lambda t: t.replace("beta.light.mean", "x")), "column 'beta.light.mean'"),
        ("optuna", edited("metrics.csv", lambda t: t.replace("test.mae", "x")), "column 'test.mae'"),
        ("optuna", edited("metrics.csv", lambda t: t.replace("-0.0999", "-9.0999")), "metrics.csv is not of hgenv/Toy"),
        ("optuna", edited("metrics.csv", lambda t: t.partition("\n")[0] + "\n"), "metrics.csv is not of hgenv/Toy"),
        ("optuna", lambda run: (run / "summary.json").unlink(), "no run has come to the end of its budget"),
    ],
)
def test_a_broken_run_is_named_and_the_file_is_as_it_was(
    format: str, damage: Callable[[Path], None], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if format != "csv":
        pytest.importorskip({"parquet": "pyarrow"}.get(format, format))
    played("fixed", "--env", TOY, "--max-steps", "2", "--out", str(tmp_path / "runs" / "one"))
    damage(tmp_path / "runs" / "one")
    out = tmp_path / "out"
    out.write_text("before")
    capsys.readouterr()
    assert exported(format, tmp_path / "runs", "--out", out, "--overwrite") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert out.read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "out"}


def test_runs_of_different_tasks_are_no_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    for size in ("16", "8"):
        out = str(tmp_path / "runs" / f"of-{size}")
        played("fixed", "--env", TOY, "--max-steps", "1", "--validation-size", size, "--out", out)
    assert exported("optuna", tmp_path / "runs", "--out", tmp_path / "study.db") == 2
    assert re.search("of-16 and .*of-8 have different options of the task", capsys.readouterr().err)
    assert not (tmp_path / "study.db").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name a format first: one of csv, parquet, optuna"),
        (["--out", "x"], "name a format first"),
        (["xlsx", "."], "unknown format 'xlsx'"),
        (["csv"], "name at least one folder"),
        (["csv", "nowhere"], "no folder nowhere"),
        (["csv", "empty"], "no run is in empty"),
        (["csv", "empty", "--out", ""], "out must be the path"),
        (["parquet", "file"], "no folder file"),
        (["optuna", "empty", "--out", "file"], "file exists: name another file with --out, or give --overwrite"),
        (["csv", "empty", "--out", "empty"], "empty exists"),
    ],
)
def test_mistakes_get_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty", "config.json").parent.mkdir()
    Path("empty", "config.json").write_text("{}")
    Path("file").write_text("")
    assert main(["export", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "file"}


@pytest.mark.parametrize(("format", "package"), [("parquet", "pyarrow"), ("optuna", "optuna")])
def test_a_missing_package_is_named_with_its_extra(
    format: str, package: str, bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, package, None)
    assert exported(format, bench, "--out", tmp_path / "out") == 2
    assert f"pip install 'hgenv[{format}]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("format", "package"), [("csv", "csv"), ("parquet", "pyarrow"), ("optuna", "optuna")])
def test_a_file_that_cannot_be_written_is_named(
    format: str, package: str, bench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is nowhere, or as the disk is full."""
    pytest.importorskip(package)
    assert exported(format, bench, "--out", tmp_path / "nowhere" / "out") == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / 'nowhere' / 'out'} cannot be written: No such file or directory" in error
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        assert exported(format, bench, "--out", tmp_path / "out") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    error = capsys.readouterr().err
    assert f"{tmp_path / 'out'} cannot be written" in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_runs_are_found_so_deep_and_not_in_runs_or_hidden_folders(bench: Path, tmp_path: Path) -> None:
    cell = bench / "ToyShading-v0" / "fixed-s0"
    for place in ("1/2/3/4/five", "1/2/3/4/5/six", ".hidden/x", "one", "one/in-it"):
        shutil.copytree(cell, tmp_path / place, dirs_exist_ok=True)
    assert [run.folder for run in find_runs([tmp_path])] == [tmp_path / "1/2/3/4/five", tmp_path / "one"]


def test_a_file_is_overwritten_when_asked_and_runs_are_found_once(bench: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    out.write_text("before")
    assert exported("csv", bench, bench / "ToyShading-v0", "--out", out, "--overwrite") == 0
    assert len({line["run"] for line in read_csv(out)}) == 16
    assert [run.folder for run in find_runs([bench / "ToyShading-v0" / "fixed-s0"])] == [
        bench / "ToyShading-v0" / "fixed-s0"
    ]
