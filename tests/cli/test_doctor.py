"""hgenv doctor says that something works when it has tried it, and fails only for what is needed or asked for."""

import os
import shutil
import stat
from pathlib import Path

import pytest
import torch

from hgenv import kernels
from hgenv.cli import doctor
from hgenv.cli import main as cli
from hgenv.render import blender, opengl

TOY = ["doctor", "--env", "hgenv/ToyShading-v0", "--train-steps", "2"]


def lines(out: str) -> dict[str, str]:
    """What is said of each thing that was tried."""
    marks = (" works: ", " FAILS: ", " no (not needed): ")
    found = [(mark, line) for line in out.splitlines() for mark in marks if mark in line]
    return {line.partition(mark)[0].strip(): mark.strip() + " " + line.partition(mark)[2] for mark, line in found}


@pytest.fixture
def without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds to try is not tried."""
    monkeypatch.setattr(doctor, "_opengl", lambda: "not tried")


@pytest.mark.usefixtures("without_processes")
def test_all_is_well(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HGENV_BLENDER", raising=False)
    monkeypatch.setenv("PATH", "")
    assert cli.main(TOY) == 0
    found = lines(capsys.readouterr().out)
    assert found["blender"] == (
        "no (not needed): renderer='blender' needs Blender: set $HGENV_BLENDER to its executable, or a Python with bpy"
    )
    assert all(found[name].startswith("works: ") for name in ("nevergrad", "stable_baselines3", "cache"))
    assert found["hgenv/ToyShading-v0"].startswith("works: validation loss 0.")


@pytest.mark.usefixtures("without_processes")
def test_a_cache_that_was_asked_for_has_to_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HGENV_CACHE", str(tmp_path / "file" / "cache"))
    assert cli.main(TOY) == 1
    said = lines(capsys.readouterr().out)["cache"]
    assert said.startswith(f"FAILS: [Errno 20] {tmp_path}/file/cache cannot be written")
    assert "$HGENV_CACHE" in said
    monkeypatch.delenv("HGENV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cli.main(TOY) == 0
    assert lines(capsys.readouterr().out)["cache"].startswith(f"no (not needed): [Errno 20] {tmp_path}/file/hgenv can")


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo Blender 4.2.1", "does not start: blender_side.py died with exit code 0; its last words: Blender"),
        (
            "echo no display >&2; exit 3",
            "does not start: blender_side.py died with exit code 3; its last words: no disp",
        ),
        ("kill -SEGV $$", "does not start: blender_side.py died with exit code -11; it said nothing"),
        ("exec sleep 60", "does not start: blender_side.py hangs: no answer in time; it said nothing"),
    ],
)
@pytest.mark.usefixtures("without_processes")
def test_blender_draws(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(blender, "_START_SECONDS", 0.5)
    monkeypatch.setenv("HGENV_BLENDER", program(tmp_path / "blender", text))
    assert cli.main(TOY) == 1
    assert lines(capsys.readouterr().out)["blender"].startswith(f"FAILS: a generator {said}")


@pytest.mark.usefixtures("without_processes")
def test_a_blender_that_is_not_there_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HGENV_BLENDER", "/no/such/blender")
    assert cli.main(TOY) == 1
    found = lines(capsys.readouterr().out)["blender"]
    assert found.startswith("FAILS: /no/such/blender cannot be started in ")


@pytest.mark.skipif(shutil.which("blender") is None, reason="no blender on the path")
@pytest.mark.usefixtures("without_processes")
def test_a_blender_that_works(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HGENV_BLENDER", "blender")
    assert cli.main(TOY) == 0
    assert lines(capsys.readouterr().out)["blender"] == "works: a triangle was drawn"


@pytest.mark.usefixtures("without_processes")
def test_a_device_that_was_asked_for_has_to_work(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert cli.main([*TOY, "--device", "cuda"]) == 1
    found = lines(capsys.readouterr().out)
    assert found["cuda"] == "FAILS: torch finds no device of CUDA"
    assert found["hgenv/ToyShading-v0"].startswith("FAILS: device 'cuda' cannot be used")


def test_opengl_draws_a_picture_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        opengl.shot(opengl.pyrender.Scene(), 8, 8)
    except ValueError:
        pytest.skip("no context of OpenGL")
    assert doctor._opengl() == "a triangle was drawn"
    assert doctor._checks(["--renderer", "opengl"])
    (tmp_path / "pyrender.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    asked = {check.name: check for check in doctor._checks(["--renderer", "opengl"])}["opengl"]
    assert not doctor._say(asked)
    assert capsys.readouterr().out.strip() == "opengl            FAILS: it said nothing (killed by signal 11)"
    assert doctor._say(asked._replace(asked=False))


def test_kernels_are_kept_where_they_were_asked_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._kernels() == f"kept in {kernels.kept_in()}"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    with pytest.raises(OSError, match=r"\$NUMBA_CACHE_DIR, .* cannot be written"):
        doctor._kernels()


@pytest.mark.usefixtures("without_processes")
def test_what_cannot_be_opened_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--env", "hgenv/FaceDepth-v0", "--model", str(tmp_path)]) == 1
    assert f"FAILS: no face model in {tmp_path}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["baselines", "--env", "hgenv/FaceDepth-v0"], "--model"),
        (["show", "--env", "hgenv/TextureIntrinsics-v0"], "--shapes"),
        (["baselines", "--env", "hgenv/SceneNormals-v0"], "--pretrained"),
        (["bench", "render"], "--model"),
        (["bench", "render"], "--scenes"),
        (["bench", "hgenv/FaceDepth-v0", "--max-steps", "1", "--"], "--model"),
    ],
)
def test_every_command_opens_what_it_is_given(
    command: list[str], option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad"
    bad.write_text("no model")
    assert cli.main([*command, option, str(bad)]) == 2
    told = capsys.readouterr()
    assert str(bad) in told.err
    assert len(told.err.splitlines()) == 1
    assert told.out == ""
    assert os.listdir(tmp_path) == ["bad"]
