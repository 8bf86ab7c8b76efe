"""A cell that is run elsewhere comes back as if it had been run here."""

import io
import zipfile
from pathlib import Path

import pytest
from kept_rows import rows_of

from hgenv.bench.errand import Errand, pack, run, unpack
from hgenv.cli.main import main
from hgenv.runs.folder import CHECKPOINT, read_config

CELL = ["random-search", "--env", "hgenv/ToyShading-v0", "--validation-size", "4", "--test-size", "4", "--pairs", "1"]
END = ["--no-figures", "--out"]


def played(folder: Path, steps: int) -> list[str]:
    return ["run", *CELL, "--max-steps", str(steps), *END, str(folder)]


def test_a_cell_and_its_training_from_scratch_come_back_as_they_are_here(tmp_path: Path) -> None:
    here = tmp_path / "bench" / "Toy"
    again = [
        "run",
        "fixed",
        "--start",
        str(here / "a"),
        *CELL[1:-2],
        "--max-steps",
        "1",
        *END,
        str(here / "a-retrained"),
    ]
    commands = [played(here / "a", 2), again]
    brought = run(Errand(str(here), commands, pack(str(here), [])))
    assert brought.failure is None
    assert not Path(brought.there).exists()
    unpack(brought.archive, brought.there, str(here))
    for folder, words in (("a", commands[0]), ("a-retrained", again)):
        config = read_config(here / folder)
        assert config["words"] == words[1:]
        assert brought.there not in (here / folder / "config.json").read_text()
    assert read_config(here / "a-retrained")["run"]["start"] == str(here / "a")
    assert main(played(tmp_path / "b", 2)) == 0
    assert rows_of(here / "a") == rows_of(tmp_path / "b")
    assert sorted(path.name for path in here.iterdir()) == ["a", "a-retrained"]


def test_a_cell_that_was_cut_short_goes_on_elsewhere(tmp_path: Path) -> None:
    here = tmp_path / "Toy"
    assert main(played(here / "a", 1)) == 0
    assert main(["resume", str(here / "a"), "--max-steps", "2"]) == 0
    (here / "a" / "summary.json").unlink()
    assert (here / "a" / CHECKPOINT).is_file()
    archive = pack(str(here), ["a"])
    brought = run(Errand(str(here), [["resume", str(here / "a"), "--max-steps", "3"]], archive))
    assert brought.failure is None
    unpack(brought.archive, brought.there, str(here))
    assert main(played(tmp_path / "b", 3)) == 0
    assert rows_of(here / "a") == rows_of(tmp_path / "b")


def test_what_fails_elsewhere_says_where_and_why(tmp_path: Path) -> None:
    missing = tmp_path / "no such folder"
    words = ["run", "fixed", "--target", "mit-berkeley", "--data", str(missing), "--max-steps", "1"]
    here = tmp_path / "Toy"
    brought = run(Errand(str(here), [[*words, *END, str(here / "a")]], pack(str(here), [])))
    assert brought.failure is not None
    assert brought.failure.reason.startswith("on ")
    assert str(missing) in brought.failure.reason


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside"])
def test_an_archive_writes_nothing_outside_of_its_folder(tmp_path: Path, name: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "")
    with pytest.raises(ValueError, match="must hold files of its own folders"):
        unpack(buffer.getvalue(), "", str(tmp_path / "in"))
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]
