"""Files in the current folder may have any name: hgenv and its processes import none of them unasked."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pieces
import pytest

from hgenv import registry, workers
from hgenv.bench.processes import Processes

ROOT = Path(__file__).parents[1]
HOSTILE = "raise SystemExit('imported from the current folder')\n"


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with modules named like Python's, a dependency's and ours."""
    for name in ("json", "pickle", "optimizers", "tqdm"):
        (tmp_path / f"{name}.py").write_text(HOSTILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("hostile")
def test_cells_of_a_comparison_do_not_import_them() -> None:
    assert Processes().run([["list"]]) is None


def test_what_is_asked_for_is_found_in_the_current_folder(hostile: Path) -> None:
    (hostile / "asked_for.py").write_text("from pathlib import Path\n\nPath('imported').touch()\n")
    assert Processes().run([["list", "--import", "asked_for"]]) is None
    assert (hostile / "imported").exists()


@pytest.mark.usefixtures("hostile")
def test_processes_that_measure_do_not_import_them() -> None:
    with closing(workers.Processes(1)) as one:
        assert one.map(pieces.process, (), [1])[0] != os.getpid()
    assert "PYTHONSAFEPATH" not in os.environ


def test_python_m_hgenv_finds_its_own_optimizers(hostile: Path) -> None:
    for name in ("json", "pickle", "tqdm"):  # what `import hgenv` itself imports is out of our hands
        (hostile / f"{name}.py").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "hgenv", "list", "--json"], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "random-search" in json.loads(done.stdout)["optimizers"]


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("name", ["json", "optimizers"])
def test_a_module_that_one_of_ours_hides_is_not_taken_for_it(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"{name}.py cannot be imported as {name}: .* is found first, rename the file"
    ):
        registry.load(name)
