"""Every example runs, and so does what the README shows."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import hgenv
from optimizers import OPTIMIZERS

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
SAYS = {
    "quickstart.py": r"test error in degrees: \d\d\.\d",
    "is_there_a_signal.py": r"mean cosine of two estimates 0\.[4-9]\d+, of the means of both halves 0\.9",
    "add_a_task.py": r"tilted to the right: test loss 0\.\d+",
    "add_an_optimizer.py": r"600 training steps, test error \d\d\.\d degrees",
    "step_cost.py": r"differentiated / plain = \d\.\d\d",
    "train_an_agent.py": r"random actions (0\.\d+), agent (0\.\d+)",
}


def play(script: str, *words: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / script), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", sorted(SAYS.keys() - {"train_an_agent.py"}))
def test_examples_run_and_print_what_they_promise(script: str) -> None:
    assert re.search(SAYS[script], play(script))


def test_the_agent_beats_random_actions() -> None:
    found = re.search(SAYS["train_an_agent.py"], play("train_an_agent.py"))
    assert found is not None
    assert float(found.group(2)) < 0.9 * float(found.group(1))


def test_every_example_is_tested_and_short() -> None:
    assert set(EXAMPLES) == set(SAYS)
    for name in EXAMPLES:
        assert (ROOT / "examples" / name).read_text().count("\n") <= 60, name


def test_the_new_task_registers_and_its_better_beta_wins() -> None:
    """What add_a_task promises: a beta like the target domain's is better than the start."""
    before, tasks = set(OPTIMIZERS), set(hgenv.TASKS)
    try:
        runpy.run_path(str(ROOT / "examples" / "add_a_task.py"))
        assert set(hgenv.TASKS) - tasks == {"examples/TiltedDiscs-v0"}
        lines = play("add_a_task.py").splitlines()
        start, found = (float(line.split()[-1]) for line in lines)
        assert found < start
    finally:
        for name in set(hgenv.TASKS) - tasks:
            del hgenv.TASKS[name]
    assert set(OPTIMIZERS) == before


def test_the_readme_shows_the_quickstart() -> None:
    shown = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    assert (ROOT / "examples" / "quickstart.py").read_text().endswith(shown.group(1))
