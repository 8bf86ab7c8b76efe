"""Whatever is typed or handed in: one line that says what was expected, and never a traceback, a hang or a warning."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from partners import playable

from hgenv.cli import main as cli

nonsense = pytest.importorskip("nonsense", reason="this system has no fork or no limits", exc_type=ImportError)

TOY = ["--env", "hgenv/ToyShading-v0"]
TINY = ["run", "fixed", *TOY, *nonsense.TINY, "--validation-size", "2", "--test-size", "2", "--no-figures"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch-size", "1000000000"], "batch_size must be an integer and >= 1 and <= 1000000, got 1000000000"),
        (["--hidden", str(2**63)], f"hidden must be an integer and >= 1 and <= 1000000, got {2**63}"),
        (["--resolution", "1000000000"], "resolution must be an integer and >= 1 and <= 4096, got 1000000000"),
        (["--test-size", str(10**30)], f"test_size must be an integer and >= 1 and <= 1000000, got {10**30}"),
        (["--train-steps", str(10**9)], "train_steps must be an integer and >= 1 and <= 1000000, got 1000000000"),
        (["--observed-losses", str(10**9)], "observed_losses must be an integer and >= 0 and <= 1000000"),
        (["--seed", str(2**32)], f"seed must be an integer and >= 0 and <= {2**32 - 1}, got {2**32}"),
        (["--max-steps", str(10**30)], f"max_steps must be an integer and >= 1 and <= {10**15}"),
        (["--inner", "None"], "unknown --inner 'None'; known: adam, sgd"),
        (["--env", "None"], "unknown environment 'None'; known: hgenv/"),
        (["--env", ""], "unknown environment ''; known: hgenv/"),
        (["--spread", "1e308"], "spread must be a finite number and >= 0 and <= 1000000"),
        (["--start", ""], "start must be the path of a file or folder"),
        (["--out", ""], "out must be the path of a file or folder"),
        (["--device", "x" * 100_000], " ... "),
        (["--env", "x" * 100_000], " ... "),
    ],
    ids=lambda part: " ".join(part)[:40] if isinstance(part, list) else "",
)
def test_numbers_without_sense_are_refused_by_the_name_of_their_option(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*TINY, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert len(error) < 1100
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hybrid-gradient", "--step", "inf"], "step must be a number of at most 1000000, got inf"),
        (["hybrid-gradient", "--step", "1e30"], "step must be a number of at most 1000000, got 1e+30"),
        (["random-search", "--pairs", str(10**9)], "pairs must be an integer up to 1000000"),
        (["evolution", "--sigma", "nan"], "sigma must be a number of at most 1000000, got nan"),
        (["reinforce", "--samples", str(10**30)], "samples must be an integer up to 1000000"),
        (["nevergrad", "--evaluations", str(10**9)], "evaluations must be an integer up to 1000000"),
        (["sb3", "--policy-width", str(10**9)], "policy_width must be an integer and >= 1 and <= 4096"),
    ],
    ids=lambda part: part[0] if isinstance(part, list) else "",
)
def test_optimizers_take_numbers_that_make_sense(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", words[0], *TINY[2:], *words[1:]]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "is no JSON that can be read: it is nested too deeply"),
        (b'{"a":' * 100_000, "is no JSON that can be read: it is nested too deeply"),
        ('{"é": 1}'.encode("latin-1"), "is no JSON: 'utf-8' codec can't decode"),
        (b"[1, 2]", 'must hold {"NAME": NUMBER, ...}, got [1, 2]'),
        (b'{"light.mean": NaN}', "light.mean must be in its range [-1, 1], got nan"),
        (b'{"light.mean": true}', "light.mean must be in its range [-1, 1], got True"),
        (b'{"light.mean": "0.5"}', "light.mean must be in its range [-1, 1], got '0.5'"),
        (b'{"light.mean": ' + b"9" * 400 + b"}", "light.mean must be in its range [-1, 1], got 999"),
        (b'{"light": 1}', "beta has no coordinate 'light'"),
        (None, "no file "),
    ],
)
def test_a_start_that_is_none_is_named(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "beta.json"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert cli.main([*TINY, "--start", str(path), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert str(path) in error
    assert message in error
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert cli.main([*TINY, "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda beta: beta + 100, "light.mean must be in its range [-1, 1], got 99.9"),
        (lambda beta: beta[:1], "has a beta of 1 coordinates, expected 3"),
        (lambda beta: beta * np.nan, "beta must be finite numbers"),
    ],
)
def test_beta_of_a_snapshot_that_is_out_of_range_is_refused(
    change: Callable, message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = dict(np.load(run / "best.npz"))
    np.savez(tmp_path / "best.npz", **before | {"beta": change(before["beta"])})
    assert cli.main([*TINY, "--start", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path) in error
    assert message in error


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", "[" * 100_000, "config.json is not the configuration of a run"),
        ("config.json", '{"env": 1, "imports": [], "task": {}, "training": {}}', "config.json"),
        ("config.json", '{"env": "x", "imports": [[]], "task": {}, "training": {}}', "imports is [[]]"),
        (
            "config.json",
            '{"env": "hgenv/ToyShading-v0", "imports": [], "task": {"x": 1}, "training": {}}',
            "option 'x'",
        ),
        ("metrics.csv", "step,a\n0,x\n", "metrics.csv is not the metrics of a run: could not convert"),
        ("metrics.csv", "step\n" + "9" * 200_000 + "\n", "metrics.csv is not the metrics of a run"),
        ("metrics.csv", "step,a\n0,1,2\n", "metrics.csv is not the metrics of a run"),
        ("metrics.csv", "step,train_steps,renders,cpu_seconds\n0,0,0,0\n", "has a row without beta.light.mean"),
    ],
)
def test_a_broken_run_is_named(
    name: str, content: str, message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "broken")
    (tmp_path / "broken" / name).write_text(content)
    assert cli.main(["film", str(tmp_path / "broken"), "--out", str(tmp_path / "a.gif")]) == 2
    error = capsys.readouterr().err
    assert str(tmp_path / "broken" / name) in error
    assert message in error
    assert len(error.splitlines()) == 1


def test_what_memory_cannot_hold_is_said_with_its_number(run: Path) -> None:
    found = nonsense.tried([*TINY, "--hidden", "1000000", "--resolution", "64"], run)
    assert found.status == 2
    assert found.problem == ""
    assert "more than memory can hold" in found.errors
    assert "bytes" in found.errors


def test_a_path_that_no_encoding_has_is_no_mistake(run: Path) -> None:
    assert nonsense.tried([*TINY, "--out", "\udcff"], run) == (0, "")


def test_a_quick_sample_of_all_options(run: Path, tmp_path: Path) -> None:
    words = nonsense.values(tmp_path)
    some = [("--inner-learning-rate", "1e308"), ("--start", words["binary"]), ("--out", "/dev/null")]
    found = {option: nonsense.tried([*TINY, *option], run).problem for option in some}
    assert {option: problem for option, problem in found.items() if problem} == {}


# -- the long form: a quarter of an hour and more


@pytest.fixture(scope="module")
def warmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nonsense.warmed(tmp_path_factory.mktemp("warm"))


@pytest.mark.long
@pytest.mark.parametrize("name", playable(nonsense.bases()))
def test_all_options_and_all_nonsense(name: str, warmed: Path, tmp_path: Path) -> None:
    base, words = nonsense.bases()[name], nonsense.values(tmp_path)
    common = set() if name == "fixed" or base.words[0] != "run" else set(nonsense.options_of(nonsense.bases()["fixed"]))
    assert nonsense.tried(base.words, warmed) == (0, "")
    problems = {}
    for option, takes_text in nonsense.options_of(base).items():
        for value, word in words.items():
            if option not in common and (takes_text or str(tmp_path) not in word):
                problems[option, value] = nonsense.tried([*base.words, option, word], warmed).problem
    assert {case: problem for case, problem in problems.items() if problem} == {}


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(nonsense.positions()))
def test_all_nonsense_in_the_place_of_a_name(name: str, warmed: Path, tmp_path: Path) -> None:
    words = [pair for pair in nonsense.values(tmp_path).items() if name != "signal" or pair[1] != "--"]  # that measures
    found = {value: nonsense.tried([*nonsense.positions()[name], word], warmed).problem for value, word in words}
    assert {case: problem for case, problem in found.items() if problem} == {}


@pytest.mark.long
def test_all_broken_runs(warmed: Path, tmp_path: Path) -> None:
    found = {}
    for run in nonsense.broken_runs(warmed, tmp_path):
        for words in (
            ["plot", str(run)], ["film", str(run), "--frames", "2"], [*TINY, "--start", str(run)],
            ["export", "csv", str(run)], ["export", "optuna", str(run)], ["report", str(run)],
        ):  # fmt: skip
            found[run.name, " ".join(words[:2])] = nonsense.tried(words, warmed).problem
        found[run.name, "resume"] = nonsense.tried(["resume", str(run), "--max-steps", "2"], warmed).problem
    assert {case: problem for case, problem in found.items() if problem} == {}
