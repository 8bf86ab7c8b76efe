"""Shared by the tests: one torch thread for speed and bit-stable sums, and the folder of real data."""

import os
from pathlib import Path

import matplotlib
import pytest
import torch

matplotlib.use("Agg")
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the library keeps between runs must not come from the user's."""
    os.environ["HGENV_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real data; the test skips where there is none."""
    folder = Path(os.environ.get("HGENV_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: neither $HGENV_DATA nor {folder} is a folder")
    return folder


@pytest.fixture(scope="session")
def photographs(data: Path) -> Path:
    """Folder of the MIT-Berkeley photographs."""
    folder = data / "mit-berkeley"
    if not folder.is_dir():
        pytest.skip(f"no MIT-Berkeley photographs in {data}")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate-golden", action="store_true", help="write the golden trajectories anew")
