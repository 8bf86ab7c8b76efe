"""The playground renders what the environment renders, and of many wishes the newest."""

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dashboards import TOY, play
from PIL import Image

import hgenv
from hgenv.dashboard.newest import Newest, OvertakenError
from hgenv.dashboard.places import NotServedError, Places
from hgenv.dashboard.playground import Playground
from hgenv.dashboard.scene import groups
from hgenv.env import DataGenEnv
from hgenv.files import write_json
from hgenv.options import EnvOptions
from hgenv.runs.folder import BEST, CONFIG, described
from hgenv.runs.plot import target_samples
from hgenv.snapshot import load_snapshot
from hgenv.tasks.shape_evolution import ShapeEvolution

BETA = {"light.mean": 0.5, "light.std": 0.1, "convex.probability": 0.9}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    play(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def playground(folder: Path) -> Playground:
    return Playground(Places([str(folder)]))


def picture(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


def test_samples_are_the_environments_own(playground: Playground) -> None:
    env = DataGenEnv(hgenv.TASKS[TOY]())
    expected = env.contact_sheet(env.task.layout.to_action(BETA), 24, 8)
    np.testing.assert_array_equal(picture(playground.samples({"env": TOY}, BETA, 8)), expected)
    np.testing.assert_array_equal(picture(playground.target({"env": TOY}, 8)), target_samples(env, 24, 8))


def test_only_beta_changes_samples(playground: Playground) -> None:
    what, other = {"env": TOY}, BETA | {"light.mean": -0.5}
    one = playground.samples(what, BETA, 12)
    assert playground.samples(what, other, 12) != one
    assert playground.samples(what, BETA, 12) == one


def test_a_runs_environment_and_its_best_beta(playground: Playground, folder: Path) -> None:
    shown = playground.coordinates({"run": "0/"})
    found = {c["name"]: c["found"] for group in shown["groups"] for c in group["coordinates"]}
    assert list(found.values()) == load_snapshot(folder)["beta"].tolist()
    assert (shown["env"], shown["found"]) == (TOY, True)
    assert picture(playground.target({"run": "0/"}, 12)).shape[0] == 16, "its target has four images, in one strip"
    (folder / BEST).unlink()
    assert not playground.coordinates({"run": "0/"})["found"]


def test_every_coordinate_is_in_one_group() -> None:
    for task in hgenv.TASKS.values():
        layout = task().layout
        shown = groups(layout, dict(zip(layout.names, layout.initial.tolist(), strict=True)))
        every = [c for group in shown for c in group["coordinates"]]
        assert [c["name"] for c in every] == layout.names
        assert [c["low"] for c in every] == layout.low.tolist()
        assert [c["found"] for c in every] == [c["start"] for c in every] == layout.initial.tolist()
        assert [c["discrete"] for c in every] == layout.discrete.tolist()
        assert [f"{group['name']}.{c['label']}" for group in shown for c in group["coordinates"]] == layout.names
        for group in shown:
            assert len(group["coordinates"]) <= 30
            for c in group["coordinates"]:
                whole = next(p.meaning for p in layout.parameters if p.name == c["name"])
                assert group["meaning"] in whole
                assert whole.endswith(c["meaning"])


@pytest.mark.parametrize(
    ("beta", "message"),
    [
        ({"light.mean": 2}, "light.mean must be in its range"),
        ({"light.mean": float("nan")}, "light.mean must be in its range"),
        ({"light.mean": "0"}, "light.mean must be in its range"),
        ({"light.mean": 10**400}, "light.mean must be in its range"),
        ({"light.mean": {}}, "light.mean must be in its range"),
        ({"light": 0}, "no coordinate 'light'"),
        ([0, 0, 0], "beta must be"),
        (None, "beta must be"),
    ],
)
def test_what_is_no_beta_is_refused(beta: Any, message: str, playground: Playground) -> None:
    with pytest.raises(ValueError, match=message):
        playground.samples({"env": TOY}, beta, 12)


@pytest.mark.parametrize("columns", [None, 0, 7, -1, 10**9, True, "12", [12], 12.0])
def test_sheets_have_some_widths_only(columns: Any, playground: Playground) -> None:
    with pytest.raises(ValueError, match="columns must be one of"):
        playground.samples({"env": TOY}, BETA, columns)


@pytest.mark.parametrize("what", [{}, {"env": 3}, {"env": "hgenv/None-v0"}, {"run": ["0/"]}, {"env": ""}])
def test_what_is_none_is_refused(what: dict[str, Any], playground: Playground) -> None:
    with pytest.raises(ValueError, match=r"name an environment or a run|unknown environment"):
        playground.scene(what)


def _changed(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps(config | changes))

    return change


def _moved_out(path: Path) -> None:
    path.rename(path.parents[1] / path.name)
    path.symlink_to(path.parents[1] / path.name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_changed(imports=["evil"]), "made with --import evil: start hgenv dashboard with it"),
        (_changed(env=f"evil:{TOY}"), "made with --import evil: start hgenv dashboard with it"),
        (_changed(env="evil:hgenv/Evil-v0", imports=["evil"]), "made with --import evil"),
        (_changed(env="hgenv/Evil-v0"), "unknown environment"),
        (_changed(task={"resolution": 10**9}), "resolution must be an integer"),
        (_changed(task={"nonsense": 1}), "unknown option 'nonsense'"),
        (_changed(task=3), "is not the configuration of a run"),
        (lambda folder: (folder / BEST).write_bytes(b"PK"), "is no .npz"),
        (lambda folder: _moved_out(folder / BEST), "best.npz is a symbolic link"),
        (lambda folder: _moved_out(folder / CONFIG), "config.json is a symbolic link"),
        (lambda folder: np.savez(folder / BEST, **{"beta": np.zeros(2), "state.weights": 0.0}), "a beta of 2"),
        (lambda folder: np.savez(folder / BEST, **{"beta": np.full(3, 9.0), "state.weights": 0.0}), "in its range"),
    ],
)
def test_a_run_is_not_trusted(
    change: Callable[[Path], None], message: str, playground: Playground, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above all nothing is imported that its configuration names."""
    (folder / "evil.py").write_text(f"open({str(folder / 'executed')!r}, 'w')")
    monkeypatch.chdir(folder)
    change(folder)
    with pytest.raises(ValueError, match=message):
        playground.coordinates({"run": "0/"})
    assert not (folder / "executed").exists()


def test_a_run_outside_is_none(playground: Playground, folder: Path) -> None:
    play(folder.parent / "other")
    with pytest.raises(NotServedError):
        playground.scene({"run": "0/../other"})


def test_what_a_generator_remembers_is_shown(tmp_path: Path) -> None:
    """Two runs of one task, of which one has grown its population."""
    env = "hgenv/ShapeEvolution-v0"
    task = ShapeEvolution(resolution=16, validation_size=2, test_size=2)
    drawn = (task.layout.from_action(np.random.default_rng(k).uniform(-1.0, 1.0, 12)) for k in range(100))
    beta = next(beta for beta in drawn if not task.trivial(beta))
    members = {"before": task.memory, "grown": task.commit(beta).memory}
    assert len(members["grown"]) == len(members["before"]) + 1
    for name, memory in members.items():
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / CONFIG, described(env, task, EnvOptions()))
        np.savez(tmp_path / name / BEST, **{"beta": beta, "state.weights": 0.0, "state.memory": memory})
    playground, named = Playground(Places([str(tmp_path)])), dict(zip(task.layout.names, beta.tolist(), strict=True))
    before, grown = (playground.samples({"run": f"0/{name}"}, named, 12) for name in members)
    assert before != grown
    made = DataGenEnv(task)
    made.start_from(beta, members["grown"])
    np.testing.assert_array_equal(picture(grown), made.contact_sheet(made.start, 24, 12))


def test_of_what_waits_only_the_newest_is_done() -> None:
    newest, begun, go, done = Newest(), threading.Event(), threading.Event(), []
    overtaken = []

    def slow() -> None:
        begun.set()
        assert go.wait(20)

    def ask(number: int) -> None:
        try:
            newest(lambda: done.append(number))
        except OvertakenError:
            overtaken.append(number)

    first = threading.Thread(target=newest, args=(slow,))
    first.start()
    assert begun.wait(20)
    others = []
    for number in range(5):
        others.append(threading.Thread(target=ask, args=(number,)))
        others[-1].start()
        while newest._waiting is None or len(overtaken) < number:  # the one before has been told
            pass
    go.set()
    for thread in (first, *others):
        thread.join()
    assert (done, sorted(overtaken)) == ([4], [0, 1, 2, 3])


def test_an_error_is_the_askers_and_the_next_is_done() -> None:
    newest = Newest()
    with pytest.raises(ZeroDivisionError):
        newest(lambda: 1 // 0)
    assert newest(lambda: threading.current_thread().name) == "hgenv-newest"
