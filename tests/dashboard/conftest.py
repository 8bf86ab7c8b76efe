"""A bench as its folder is."""

import json
from pathlib import Path

import pytest
from dashboards import play


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """Cells that are done, cut short, and failed in two ways."""
    cells = tmp_path / "bench" / "ToyShading-v0"
    cells.mkdir(parents=True)
    play(cells / "cma-s0")
    play(cells / "cma-s0-retrained")
    play(cells / "cma-s1", steps=2, ended="")
    play(cells / "fixed-s0", steps=2, ended="diverged: all 2 steps failed")
    (cells / "ppo-s0.failed.json").write_text(json.dumps({"reason": "killed by signal 9", "output": "no memory"}))
    return tmp_path / "bench"
