"""Every example runs, and so does what the README shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
SAYS = {
    "quickstart.py": r"test error in degrees: \d\d\.\d",
    "add_a_task.py": r"start: test loss (0\.\d+)\ntilted to the right: test loss (0\.\d+)",
    "add_an_optimizer.py": r"600 training steps, test error \d\d\.\d degrees",
    "add_an_estimator.py": r"the way to the best beta: (0\.9\d|1\.00)",
    "train_an_agent.py": r"random actions (0\.\d+), agent (0\.\d+)",
}
ON_DATA = "train_on_a_dataset.py"
IMPORTED = {
    "add_a_task.py": ["run", "fixed", "--env", "examples/TiltedDiscs-v0"],
    "add_an_optimizer.py": ["run", "one-plus-one", "--env", "hgenv/ToyShading-v0", "--sigma", "0.1"],
    "add_an_estimator.py": ["run", "hybrid-gradient", "--env", "hgenv/ToyShading-v0", "--gradient", "signs"],
}


def play(*words: str) -> str:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


SLOW = [pytest.param(name, marks=[pytest.mark.slow] * (name != "add_a_task.py")) for name in sorted(SAYS)]


@pytest.mark.parametrize("script", SLOW)
def test_examples_run_and_print_what_they_promise(script: str) -> None:
    found = re.search(SAYS[script], play(f"examples/{script}"))
    assert found is not None
    if script == "add_a_task.py":
        assert float(found.group(2)) < 0.5 * float(found.group(1)), "a beta like the target domain's is better"
    if script == "train_an_agent.py":
        assert float(found.group(2)) < 0.9 * float(found.group(1)), "the agent beats random actions"


@pytest.mark.parametrize("script", sorted(IMPORTED))
def test_what_an_example_adds_is_there_with_import(script: str, tmp_path: Path) -> None:
    words = [*IMPORTED[script], "--max-steps", "2", "--no-figures", "--out", str(tmp_path / "run")]
    assert "2 steps" in play("-m", "hgenv", *words, "--import", f"examples/{script}")


@pytest.mark.slow
def test_plain_pytorch_trains_on_a_dataset(tmp_path: Path) -> None:
    run, data = str(tmp_path / "run"), str(tmp_path / "data")
    toy = ["--env", "hgenv/ToyShading-v0", "--max-steps", "2", "--no-figures"]
    play("-m", "hgenv", "run", "fixed", *toy, "--out", run)
    play("-m", "hgenv", "generate", run, "--count", "320", "--format", "npz", "--out", data)
    errors = [float(text) for text in re.findall(r"cosine (\d\.\d+)", play(f"examples/{ON_DATA}", data))]
    assert len(errors) == 5
    assert errors[-1] < errors[0], "it learns nothing"


def test_every_example_is_tested_and_short() -> None:
    assert set(EXAMPLES) == {*SAYS, ON_DATA}
    for name in EXAMPLES:
        assert (ROOT / "examples" / name).read_text().count("\n") <= 65, name


def test_the_readme_prints_what_it_says() -> None:
    found = re.search(r"```python\n(.*?)```\n\nprints\n\n```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    assert play("-c", found.group(1)) == found.group(2)
