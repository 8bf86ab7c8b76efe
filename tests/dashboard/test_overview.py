"""What a bench's folder says of its cells."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from benches import planned
from dashboards import STEPS, TOY, play

from hgenv.dashboard.overview import Overview
from hgenv.dashboard.places import Places
from hgenv.runs.folder import CONFIG, read_rows
from hgenv.runs.writer import LOCK, WRITER, sole_writer


def cells(overview: Overview, since: int = 0) -> dict[str, dict[str, Any]]:
    """The cells by label and seed."""
    groups = overview.look(since)["groups"]
    return {f"{cell['label']}-{cell['seed']}": cell for group in groups for cell in group["cells"]}


def test_the_states_of_a_bench(bench: Path) -> None:
    overview = Overview(Places([str(bench)]))
    found = overview.look()
    json.dumps(found, allow_nan=False)
    assert [(group["env"], group["bench"], group["running"]) for group in found["groups"]] == [
        ("ToyShading-v0", True, False)
    ]
    assert found["groups"][0]["metric"] == "validation.mae"
    assert found["groups"][0]["page"] is None
    shown = cells(overview)
    assert {name: cell["state"] for name, cell in shown.items()} == {
        "cma-0": "done", "cma-1": "cut short", "fixed-0": "failed", "ppo-0": "failed",
    }  # fmt: skip
    assert shown["fixed-0"]["reason"] == "diverged: all 2 steps failed"
    assert (shown["ppo-0"]["reason"], shown["ppo-0"]["output"]) == ("killed by signal 9", "no memory")
    assert [shown[name]["progress"] for name in ("cma-0", "cma-1")] == [1.0, 2 / STEPS]
    rows = read_rows(bench / "ToyShading-v0" / "cma-s0")
    assert shown["cma-0"]["curve"]["y"] == [row["validation.mae"] for row in rows]
    assert shown["cma-0"]["best"] == min(row["validation.mae"] for row in rows)
    assert shown["cma-0"]["key"] == "0/ToyShading-v0/cma-s0"


def test_cells_with_random_starts_are_a_group_of_their_own(bench: Path) -> None:
    folder = bench / "ToyShading-v0" / "random-starts"
    play(folder / "cma-s0")
    play(folder / "cma-s0-retrained")
    (folder / "ppo-s1.failed.json").write_text('{"reason": "no memory"}')
    overview = Overview(Places([str(bench)]))
    with sole_writer(bench):
        plain, random = overview.look()["groups"]
    assert (plain["env"], random["env"]) == ("ToyShading-v0", "ToyShading-v0, random starts")
    assert plain["folder"] == random["folder"] == str(bench)
    assert [group["running"] for group in (plain, random)] == [True, True]
    shown = {(cell["label"], cell["seed"]): cell["state"] for cell in random["cells"]}
    assert shown == {("cma", 0): "done", ("ppo", 1): "failed"}
    assert len(plain["cells"]) == 4


def test_what_is_written_now_runs(bench: Path) -> None:
    overview = Overview(Places([str(bench)]))
    folder = bench / "ToyShading-v0" / "cma-s1"
    with sole_writer(bench), sole_writer(folder):
        assert cells(overview)["cma-1"]["state"] == "running"
        assert overview.look()["groups"][0]["running"]
        with sole_writer(folder.with_name("cma-s0-retrained")):
            cell = cells(overview)["cma-0"]
            assert (cell["state"], cell["retraining"]) == ("running", True)
    assert cells(overview)["cma-1"]["state"] == "cut short"


def test_a_process_that_was_killed_leaves_its_name_and_does_not_run(bench: Path) -> None:
    folder = bench / "ToyShading-v0" / "cma-s1"
    (folder / WRITER).write_text("process 1 on nowhere")
    before = {name: os.stat(folder / name) for name in (LOCK, WRITER)}
    assert cells(Overview(Places([str(bench)])))["cma-1"]["state"] == "cut short"
    assert {name: os.stat(folder / name).st_mtime_ns for name in before} == {
        name: status.st_mtime_ns for name, status in before.items()
    }


def test_only_new_points_come_again(bench: Path) -> None:
    overview = Overview(Places([str(bench)]))
    stamp = overview.look()["stamp"]
    assert {name: cell["curve"]["x"] for name, cell in cells(overview, stamp).items() if cell["key"]} == {
        "cma-0": [], "cma-1": [], "fixed-0": [],
    }  # fmt: skip
    folder = bench / "ToyShading-v0" / "cma-s1"
    last = (folder / "metrics.csv").read_text().splitlines()[-1]
    with (folder / "metrics.csv").open("a") as file:
        file.write(last + "\n")
    new = cells(overview, stamp)["cma-1"]["curve"]
    assert (new["from"], len(new["x"])) == (3, 1)


def test_runs_of_their_own_and_folders_that_are_none(tmp_path: Path) -> None:
    play(tmp_path / "runs" / "demo")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / CONFIG).write_text("{}")  # somebody else's
    broken = tmp_path / "runs" / "broken"
    shutil.copytree(tmp_path / "runs" / "demo", broken)
    (broken / CONFIG).write_text('{"env": 3')
    shown = cells(Overview(Places([str(tmp_path)])))
    assert {name: cell["state"] for name, cell in shown.items()} == {"demo-None": "done", "broken-None": "failed"}
    assert "is no JSON" in shown["broken-None"]["reason"]


def test_a_run_that_is_gone_is_gone(bench: Path) -> None:
    overview = Overview(Places([str(bench)]))
    assert "cma-1" in cells(overview)
    shutil.rmtree(bench / "ToyShading-v0" / "cma-s1")
    assert "cma-1" not in cells(overview)


@pytest.mark.parametrize("text", ["", "[]", "3", '{"output": 1}', "[" * 200_000, '{"reason": "' + "x" * 100_000 + '"}'])
def test_a_word_on_a_failure_that_cannot_be_read_is_said(text: str, bench: Path) -> None:
    (bench / "ToyShading-v0" / "ppo-s0.failed.json").write_text(text)
    cell = cells(Overview(Places([str(bench)])))["ppo-0"]
    assert cell["state"] == "failed"
    assert "ppo-s0.failed.json" in cell["reason"]


@pytest.mark.parametrize("budget", [None, {}, {"max_steps": "many"}, {"more": 1}, [], {"max_seconds": -1}])
def test_a_budget_without_sense_has_no_progress(budget: Any, bench: Path) -> None:
    path = bench / "ToyShading-v0" / "cma-s0" / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"budget": budget}))
    assert cells(Overview(Places([str(bench)])))["cma-0"]["progress"] is None


def test_the_environment_of_a_bench_may_be_what_is_named(bench: Path) -> None:
    group = Overview(Places([str(bench / "ToyShading-v0")])).look()["groups"][0]
    assert (group["folder"], group["env"], group["running"]) == ("bench", "ToyShading-v0", False)
    assert TOY in {cell["env"] for cell in group["cells"] if cell["key"]}


@pytest.mark.parametrize("name", ["config.json", "metrics.csv", "summary.json", ".lock"])
def test_files_that_are_links_are_not_followed(name: str, bench: Path) -> None:
    """They may lead out of the named folders."""
    path = bench / "ToyShading-v0" / "cma-s0" / name
    shutil.move(path, bench.parent / name)
    path.symlink_to(bench.parent / name)
    shown = Overview(Places([str(bench)])).look()["groups"]
    cell = next(c for group in shown for c in group["cells"] if c["key"] == "0/ToyShading-v0/cma-s0")
    assert (cell["state"], cell["reason"]) == ("failed", f"{name} is a symbolic link, which is not followed")
    assert (cell["curve"]["x"], cell["best"]) == ([], None)


def test_a_word_on_a_failure_that_is_a_link_is_not_followed(bench: Path) -> None:
    path = bench / "ToyShading-v0" / "ppo-s0.failed.json"
    shutil.move(path, bench.parent / "secret.json")
    path.symlink_to(bench.parent / "secret.json")
    assert "is a symbolic link" in cells(Overview(Places([str(bench)])))["ppo-0"]["reason"]


def test_cells_that_have_not_begun_are_counted_from_the_plan(tmp_path: Path) -> None:
    plan = planned(tmp_path / "b")
    begun = [cell for cell in plan.cells() if cell.label == "cma"][:3]
    for cell in begun:
        play(cell.folder)
    overview = Overview(Places([str(tmp_path)]))

    def left() -> dict[str, int]:
        return {group["env"]: group["not_begun"] for group in overview.look()["groups"]}

    each = len(plan.cells()) // 2
    of_random = sum(cell.starts == "random" for cell in begun)
    wanted = {"ToyShading-v0": each - (3 - of_random), "ToyShading-v0, random starts": each - of_random}
    assert left() == {env: count for env, count in wanted.items() if env in left()}
    (tmp_path / "b" / "bench.json").write_text("{")
    assert set(left().values()) == {0}, "a plan that cannot be read says nothing"
