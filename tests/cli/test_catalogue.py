"""hgenv data and hgenv show: what a folder has, and what every environment looks like."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hgenv
from hgenv.cli import main as cli
from hgenv.data import catalogue
from hgenv.options import knobs

QUICK = {"hgenv/SceneNormals-v0": {"pretrain_steps": 2, "rooms": 4}}
NAMES = [dataset.name for dataset in catalogue.DATASETS]


def test_every_dataset_says_what_is_expected_and_on_what_terms(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data"]) == 0
    text = capsys.readouterr().out
    for dataset in catalogue.DATASETS:
        assert f"{dataset.name}: {dataset.what}" in text
        assert dataset.terms in text
        assert dataset.option in text
        assert len(dataset.expected) > 20
    assert "found" not in text


def test_options_that_name_a_folder_exist() -> None:
    fields = {task.__name__: knobs(task) for task in hgenv.TASKS.values()}
    for dataset in catalogue.DATASETS:
        for part in dataset.option.split(";"):
            options = [word.removeprefix("--").strip(",") for word in part.split() if word.startswith("--")]
            tasks = part[part.index("(") + 1 : part.index(")")].split(", ")
            assert options
            for task in tasks:
                assert all(option in fields[task] for option in options), (task, options)


def test_the_real_folder_has_what_it_has(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", str(data)]) == 0
    text = capsys.readouterr().out
    for line in (
        "20 objects with shading and depth, 20 with reflectance",
        "40 frames for the validation, 40 for the test",
        "6 frames for the validation, 6 for the test",
        "1 houses; read 1 of them, with 83 objects and 8 cameras",
        "50 models; read 50 of them, 50 with textures",
        "11248 vertices, 100 components of geometry, 57 of expression",
        "2 heads",
    ):
        assert line in text
    absent = ["sweethome", "3d-front", "shape-files", "folder"]
    assert text.count("not found") == len(absent)
    for name in absent:
        assert "not found" in text[text.index(f"{name}: ") :].split("\n\n")[0]
    assert cli.main(["data", str(data), "--datasets", "sweethome"]) == 1, "what is asked for by name has to be there"


def test_the_first_problem_is_named(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert cli.main(["data", str(tmp_path / "empty")]) == 0
    assert capsys.readouterr().out.count("not found") == len(NAMES)
    shutil.copytree(photographs, tmp_path / "deep" / "photographs")
    pear = next((tmp_path / "deep").rglob("pear")) / "mask.png"
    pear.unlink()
    assert cli.main(["data", str(tmp_path), "--datasets", "mit-berkeley"]) == 1
    assert "PROBLEM" in (text := capsys.readouterr().out)
    assert "mask.png" in text


def test_what_no_reader_expects_does_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "frames.json").write_text("{}")
    (tmp_path / "house" / "x").mkdir(parents=True)
    (tmp_path / "house" / "x" / "house.json").write_text("[" * 100_000)
    (tmp_path / "BFM.mat").write_bytes(b"")
    assert cli.main(["data", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert text.count("PROBLEM") == 3
    assert all(f"{name}: " in text for name in NAMES)


def test_a_report_is_values_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "nyu").mkdir()
    (tmp_path / "nyu" / "frames.json").write_text("{}")
    missing, broken = catalogue.report(tmp_path, ["nyu", "mit-berkeley"])
    assert (missing.dataset.name, missing.missing, missing.broken) == ("mit-berkeley", True, False)
    assert (broken.dataset.name, broken.missing, broken.broken) == ("nyu", False, True)
    assert broken.places is not None
    assert broken.places[0].folder == tmp_path / "nyu"
    assert cli.main(["data", str(tmp_path), "--json", "--datasets", "nyu", "mit-berkeley"]) == 1
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert found["mit-berkeley"]["places"] == []
    assert found["nyu"]["places"][0]["problems"] == broken.places[0].problems
    assert cli.main(["data", "--json"]) == 0
    assert all(one["places"] is None for one in json.loads(capsys.readouterr().out))


def test_mistakes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", str(tmp_path / "nowhere")]) == 2
    assert "no folder" in capsys.readouterr().err
    assert cli.main(["data", "--datasets", "imagenet"]) == 2
    assert "known: mit-berkeley" in capsys.readouterr().err


@pytest.mark.parametrize("id", sorted(hgenv.TASKS))
def test_contact_sheets_show_samples_and_target(id: str, tmp_path: Path) -> None:
    options = [
        word for name, value in QUICK.get(id, {}).items() for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    out = tmp_path / "sheet.png"
    assert cli.main(["show", "--env", id, "--count", "12", "--out", str(out), *options]) == 0
    sheet = np.asarray(Image.open(out))
    white = np.flatnonzero((sheet == 255).all((1, 2)))
    assert len(white) == 8, "the line between them"
    above, below = sheet[: white[0]], sheet[white[-1] + 1 :]
    assert above.shape == below.shape
    for half in (above, below):
        images, maps = half[: len(half) // 2], half[len(half) // 2 :]
        assert images.std() > 5
        assert maps.std() > 5
