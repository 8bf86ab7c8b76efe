"""The worked examples of docs/extending.md work: each block that names its file is that file."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs" / "extending.md"
SMALL = ["--train-steps", "2", "--batch-size", "2", "--max-steps", "2", "--no-figures"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the examples, and data for the target domain of one of them."""
    folder = tmp_path_factory.mktemp("extending")
    for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL):
        if name := re.match(r'"""(\w+\.py):', block):
            (folder / name[1]).write_text(block)
    rng = np.random.default_rng(0)
    for split in ("validation", "test"):
        arrays = {"image": (4, 1, 16, 16), "target": (4, 2, 16, 16), "mask": (4, 1, 16, 16)}
        np.savez(folder / f"{split}.npz", **{k: rng.random(shape).astype(np.float32) for k, shape in arrays.items()})
    return folder


ONE_FILE = {
    "task": ["hybrid-gradient", "--import", "discs.py", "--env", "me/TiltedDiscs-v0"],
    "network": ["fixed", "--import", "dilated.py", "--env", "me/DilatedDiscs-v0"],
    "domain": ["fixed", "--import", "archived_discs.py", "--env", "me/ArchivedDiscs-v0", "--data", "."],
    "optimizer": ["one-plus-one", "--import", "one_plus_one.py", "--env", "hgenv/ToyShading-v0", "--sigma", "0.3"],
    "estimator": ["hybrid-gradient", "--import", "signs.py", "--gradient", "signs", "--env", "hgenv/ToyShading-v0"],
}


def test_one_file_is_enough(files: Path, tmp_path: Path) -> None:
    """Run by the command line, from files that are no part of hgenv; in one process, which is theirs."""
    commands = [["run", *words, *SMALL, "--out", str(tmp_path / name)] for name, words in ONE_FILE.items()]
    code = f"""
        from hgenv.cli.main import main
        for words in {commands!r}:
            assert main(words) == 0, words
    """
    run(files, code)
    assert all((tmp_path / name / "summary.json").is_file() for name in ONE_FILE)


def test_a_distribution_is_one_file(files: Path) -> None:
    """Its score is the derivative of its log-probability, and its draws have the mean that beta says."""
    code = """
        import dataclasses, numpy as np
        from exponential import Exponential
        from hgenv.beta import Layout, Noise

        @dataclasses.dataclass(frozen=True)
        class Rain(Layout):
            wait: Exponential = Exponential((0.1, 2.0), 1.0, meaning="time between two drops")

        noise = Noise(np.arange(20000))
        drawn = noise.draw(Rain().bind([0.7]).wait, "wait")
        assert abs(drawn.mean() - 0.7) < 0.02, drawn.mean()
        beta, eps = np.full((20000, 1), 0.7), 1e-6
        score = Rain().log_probability_gradient(beta, noise.draws)[:, 0]
        up, down = (Rain().log_probability(beta + s * eps, noise.draws) for s in (1, -1))
        np.testing.assert_allclose(score, (up - down) / (2 * eps), rtol=1e-4, atol=1e-6)
    """
    run(files, code)


def test_a_quantity_is_one_file(files: Path) -> None:
    """A perfect prediction has loss 0, another has not."""
    code = """
        import torch
        from hgenv import Batch
        from log_depth import LogDepth
        batch = Batch(torch.ones(2, 1, 4, 4), 2 + torch.rand(2, 1, 4, 4), torch.ones(2, 1, 4, 4))
        quantity = LogDepth(4.0, 1.2, "metres")
        assert quantity.loss(batch.target[None], batch).tolist() == [0.0, 0.0]
        assert (quantity.loss(2 * batch.target[None], batch) > 0.1).all()
    """
    run(files, code)


def test_a_renderer_is_itself_and_the_choice(files: Path) -> None:
    """What is far fades, and the ground truth stays."""
    block = next(b for b in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "haze.py" in b)
    (files / "haze.py").write_text(block)
    code = """
        import sys, typing, numpy as np, torch
        import haze
        import hgenv.render.choice as choice
        from hgenv.beta import Noise
        sys.modules["hgenv.render.haze"] = haze
        choice.Backend = typing.Literal["raster", "opengl", "haze"]
        from hgenv import FaceDepth
        import hgenv.tasks.rendered as rendered
        rendered.Backend = choice.Backend
        task, plain = FaceDepth(renderer="haze"), FaceDepth()
        a, b = (t.sample(t.layout.initial[None], Noise(np.arange(1))) for t in (task, plain))
        inside = b.mask.bool().expand(-1, 3, -1, -1)
        assert (a.image[inside] > b.image[inside]).all() and torch.equal(a.target, b.target)
    """
    run(files, code)


def run(folder: Path, code: str) -> None:
    lines = "\n".join(line[8:] for line in code.splitlines())
    done = subprocess.run([sys.executable, "-c", lines], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
