"""What is kept between runs, where something can be written; where nothing can be, all works, and a line says so."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import numpy as np
import pytest
import torch
from numba.core.dispatcher import Dispatcher

import hgenv
from hgenv import cache, kernels
from hgenv.learning.training import FlatNetwork
from hgenv.tasks.scene_normals import SceneNormals

NOWHERE = "/dev/null/none"
PACKAGE = Path(hgenv.__file__).parent


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A package with one kernel that calls another's file, and neither numba's folder nor hgenv's."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "calls.py").write_text("from called import f\n@kernel()\ndef g(): return f()\n")
    (package / "called.py").write_text("@kernel()\ndef f(): return 1\n")
    (package / "plain.py").write_text("x = 1\n")
    monkeypatch.setattr(kernels, "_PACKAGE", package)
    monkeypatch.setattr(kernels.CONFIG, "CACHE_DIR", "")
    monkeypatch.setenv("HGENV_CACHE", NOWHERE)
    for cached in (kernels.kept_in, cache.say_once):
        cached.cache_clear()
    yield package
    for cached in (kernels.kept_in, cache.say_once):
        cached.cache_clear()


def double(x: float) -> float:
    return 2.0 * x


def test_numbas_folder_comes_first_then_the_packages_then_hgenvs(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def place() -> Path:
        kernels.kept_in.cache_clear()
        folder = kernels.kept_in()
        assert folder is not None
        assert folder.is_dir()
        return folder.parent

    monkeypatch.setattr(kernels.CONFIG, "CACHE_DIR", str(tmp_path / "numba"))
    assert place() == tmp_path / "numba"
    monkeypatch.setattr(kernels.CONFIG, "CACHE_DIR", NOWHERE)
    assert place() == own / "__pycache__"
    for file in (own / "__pycache__").iterdir():
        file.rmdir()
    (own / "__pycache__").rmdir()
    (own / "__pycache__").touch()  # root may write to a folder that is read-only, but not below a file
    monkeypatch.setenv("HGENV_CACHE", str(tmp_path / "hgenv"))
    assert place() == tmp_path / "hgenv"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HGENV_CACHE", "here")
    assert place() == tmp_path / "here"


def test_kernels_are_compiled_in_memory_and_a_line_says_so_once(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "__pycache__").touch()
    functions = [kernels.kernel()(double), kernels.kernel(inline="always")(double)]
    assert [f(4.0) for f in functions] == [8.0, 8.0]
    assert all(isinstance(f, Dispatcher) for f in functions)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "kernels are compiled anew" in said
    assert "HGENV_CACHE" in said


def test_an_edit_of_any_file_with_kernels_is_seen(own: Path) -> None:
    folders = []
    for file, text in (
        ("plain.py", "x = 2\n"),
        ("called.py", "@kernel()\ndef f(): return 2\n"),
        ("calls.py", "# kernel"),
    ):
        kernels.kept_in.cache_clear()
        folders.append(kernels.kept_in())
        (own / file).write_text(text)
    kernels.kept_in.cache_clear()
    folders.append(kernels.kept_in())
    assert folders[0] == folders[1]
    assert len(set(folders)) == 3


def dispatchers() -> Iterator[tuple[str, FunctionType]]:
    for name, module in list(sys.modules.items()):
        if name.startswith("hgenv."):
            for value in vars(module).values():
                if isinstance(value, Dispatcher) and value.__module__ == name:
                    yield name, value.py_func


def assigned(source: str) -> set[str]:
    """The names that a module gives values."""
    whole = [target for node in ast.parse(source).body if isinstance(node, ast.Assign) for target in node.targets]
    return {name.id for target in whole for name in ast.walk(target) if isinstance(name, ast.Name)}


def test_what_kernels_are_made_of_is_in_files_that_name_them() -> None:
    """numba compiles global values in: an edit of one must be seen, so they stand in files that the digest covers."""
    assert all(hgenv.TASKS.values())
    covered = {text for path in PACKAGE.rglob("*.py") if "kernel" in (text := path.read_text())}
    known, found = set().union(*map(assigned, covered)), list(dispatchers())
    assert len(found) > 40
    for name, function in found:
        used = {word: function.__globals__.get(word) for word in function.__code__.co_names}
        values = {w for w, value in used.items() if isinstance(value, int | float | tuple | str | np.ndarray)}
        assert values <= known, f"{name} uses {values - known} in a kernel: define it in a file with kernels"


def test_all_kernels_are_hgenvs() -> None:
    users = [path for path in PACKAGE.rglob("*.py") if "njit" in path.read_text() and path.name != "kernels.py"]
    assert users == []


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def home() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setenv("HGENV_CACHE", str(tmp_path))
    assert cache.cache_folder() == tmp_path
    monkeypatch.delenv("HGENV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "hgenv"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_folder() is None


def test_the_trained_start_where_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is trained anew, to the same bits; a folder that the user has named is another matter."""

    def start() -> torch.Tensor:
        task = SceneNormals(rooms=1, validation_size=1, test_size=1, pretrain_steps=2)
        network = task.network()
        task.pretrain(network, torch.device("cpu"))
        return FlatNetwork(network).initial

    cache.say_once.cache_clear()
    monkeypatch.setenv("HGENV_CACHE", str(tmp_path / "kept"))
    kept = start()
    monkeypatch.delenv("HGENV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", NOWHERE)
    capsys.readouterr()
    torch.testing.assert_close(start(), kept, rtol=0, atol=0)
    assert capsys.readouterr().err.count("cannot be kept") == 1
    monkeypatch.setenv("HGENV_CACHE", NOWHERE)
    with pytest.raises(OSError, match="none"):
        start()


def test_importing_every_module_says_nothing_where_a_folder_can_be_written(tmp_path: Path) -> None:
    code = "import hgenv.render.raster, hgenv.csg.raycast, hgenv.scenes.texture, hgenv.domains.blobs, hgenv.data.nyu"
    environment = {"PATH": "/usr/bin:/bin", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir()] == ["kernels"]
