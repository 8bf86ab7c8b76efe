"""Shared by the tests: one torch thread for speed and bit-stable sums, and the folder of real data."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import gymnasium
import matplotlib
import pytest
import torch

import hgenv
from hgenv import registry

pytest_plugins = ["browser"]
matplotlib.use("Agg")
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the library keeps between runs must not come from the user's."""
    os.environ["HGENV_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def own_registry() -> Iterator[None]:
    """What a test registers and imports for it is gone after it, but for built-in tasks."""
    classes, specs, loaded, paths = (
        dict(hgenv.TASKS._classes), dict(gymnasium.registry), dict(registry._loaded), [*sys.path],
    )  # fmt: skip
    modules = set(sys.modules)
    yield
    for name, task in hgenv.TASKS._classes.items():
        if task.__module__.startswith("hgenv."):
            classes.setdefault(name, task)
        elif task.__module__ not in modules:
            sys.modules.pop(task.__module__, None)
    for now, before in ((hgenv.TASKS._classes, classes), (gymnasium.registry, specs), (registry._loaded, loaded)):
        now.clear()
        now.update(before)
    sys.path[:] = paths


@pytest.fixture
def outside(own_registry: None) -> ModuleType:
    """The module of somebody else's task, which is registered while the test runs."""
    return importlib.import_module("outside")


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real data; the test skips where there is none."""
    folder = Path(os.environ.get("HGENV_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: neither $HGENV_DATA nor {folder} is a folder")
    return folder


def _part(data: Path, *names: str) -> Path:
    """A folder of the real data; the test skips where it is missing."""
    folder = data.joinpath(*names)
    if not folder.is_dir():
        pytest.skip(f"no {'/'.join(names)} in {data}")
    return folder


@pytest.fixture(scope="session")
def photographs(data: Path) -> Path:
    """The MIT-Berkeley photographs."""
    return _part(data, "mit-berkeley")


@pytest.fixture(scope="session")
def objects(data: Path) -> Path:
    """Textured models in both layouts of ShapeNetCore."""
    return _part(data, "textured-objects")


@pytest.fixture(scope="session")
def suncg(data: Path) -> Path:
    """A house in SUNCG's layout."""
    return _part(data, "indoor-scenes", "suncg-layout")


@pytest.fixture(scope="session")
def samples(data: Path) -> Path:
    """Frames of NYU Depth V2."""
    return _part(data, "nyu-samples")


@pytest.fixture(scope="session")
def ict(data: Path) -> Path:
    """The ICT Face Kit Light."""
    return _part(data, "ict-face")


@pytest.fixture(scope="session")
def heads(data: Path) -> Path:
    """Two head scans."""
    return _part(data, "face-scans")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate-golden", action="store_true", help="write the golden trajectories anew")
