"""Every line of a run's table is read once, whatever happens to the file meanwhile."""

import math
from pathlib import Path

import pytest

from hgenv.dashboard.curve import Curve
from hgenv.files import write_text

HEAD = "step,train_steps,validation.rmse,validation.mae,test.mae\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.csv"
    path.write_text(HEAD + "0,0,3,90,91\n")
    return path


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_new_lines_come_once_and_half_a_line_waits(path: Path) -> None:
    curve = Curve(path)
    curve.read(1, "mae")
    assert curve.metric == "validation.mae"
    append(path, "1,20,,,\n2,40,2,6")
    curve.read(2, "mae")
    assert curve.last == {"step": 1.0, "train_steps": 20.0}, "a row that reports nothing has no point"
    assert curve.since(1) == {"from": 1, "x": [], "y": []}
    append(path, "0.5,61\n")
    curve.read(3, "mae")
    assert curve.since(2) == {"from": 1, "x": [40.0], "y": [60.5]}
    assert curve.since(0) == {"from": 0, "x": [0.0, 40.0], "y": [90.0, 60.5]}
    assert curve.best == 60.5


def test_only_what_is_new_is_read(path: Path) -> None:
    curve = Curve(path)
    curve.read(1, "mae")
    with path.open("r+") as file:  # what was there is destroyed in place: nobody looks at it again
        file.write("#" * (len(HEAD) - 1))
    append(path, "1,20,2,50,51\n")
    curve.read(2, "mae")
    assert curve.since(0) == {"from": 0, "x": [0.0, 20.0], "y": [90.0, 50.0]}


def test_a_run_that_goes_on_from_its_checkpoint_is_read_anew(path: Path) -> None:
    curve = Curve(path)
    append(path, "1,20,2,50,51\n2,40,2,40,41\n")
    curve.read(1, "mae")
    write_text(path, HEAD + "0,0,3,90,91\n1,20,2,50,51\n2,40,2,45,46\n")  # another file in its place, as long
    curve.read(2, "mae")
    assert curve.since(1) == {"from": 0, "x": [0.0, 20.0, 40.0], "y": [90.0, 50.0, 45.0]}
    assert curve.best == 45.0


def test_a_metric_that_is_not_there_is_the_first(path: Path) -> None:
    curve = Curve(path)
    curve.read(1, "loss")
    assert (curve.metric, curve.best) == ("validation.rmse", 3.0)


@pytest.mark.parametrize(
    "text", ["", "\n", "\0\0\0", "[" * 200_000 + "\n", '"', "step\n1\n", HEAD + "a,b,c,d\n", HEAD + "1,2,3,nan,4\n"]
)
def test_what_is_no_table_has_no_point(text: str, path: Path) -> None:
    path.write_text(text)
    curve = Curve(path)
    curve.read(1, "mae")
    assert curve.since(0) == {"from": 0, "x": [], "y": []}
    assert math.isinf(curve.best)


def test_there_may_be_no_file_yet(tmp_path: Path) -> None:
    curve = Curve(tmp_path / "metrics.csv")
    curve.read(1, "mae")
    assert (curve.metric, curve.last) == ("", {})
