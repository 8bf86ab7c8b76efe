"""Generators in processes of their own, as tests write them."""

import textwrap
from pathlib import Path
from typing import Any

from hgenv import DataGenEnv, EnvOptions
from hgenv.learning.networks import HourglassSize
from hgenv.tasks.process import OwnGenerator

TOML = """
command = "{python} -u mine.py"
quantity = "other"
channels = 1
targets = 2
%s
[beta.slope]
distribution = "Normal"
mean = [-1.0, 1.0]
std = [0.05, 1.0]
axes = ["x", "y"]
[beta.kind]
distribution = "Categorical"
names = ["plain", "noisy"]
count = 3
[beta.level]
distribution = "Value"
bounds = [0.0, 1.0]
[target]
level = 0.4
"""
TOML = TOML.replace("level = 0.4", '"level.value" = 0.4')
GOOD = """
import numpy as np
from hgenv_generator import serve

def sample(draws, rng, height, width):
    x = np.linspace(-1, 1, width)
    noise = 0.1 * rng.standard_normal((height, width)) * draws["kind"].count("noisy")
    image = draws["level"] + draws["slope"][0] * x + noise
    target = np.broadcast_to(draws["slope"][:, None, None], (2, height, width))
    return image[None], target, None
"""
SMALL: dict[str, Any] = {
    "resolution": 8, "validation_size": 4, "test_size": 3, "hourglass": HourglassSize(1, 8, 1),
}  # fmt: skip


def written(folder: Path, source: str = GOOD + "\nserve(sample)\n", more: str = "") -> Path:
    """The declaration of a generator whose source is this."""
    (folder / "mine.py").write_text(textwrap.dedent(source))
    path = folder / "mine.toml"
    path.write_text(TOML % more)
    return path


def made(path: Path, options: dict[str, Any] | None = None, **changes: Any) -> DataGenEnv:
    task = OwnGenerator(generator=str(path), **{**SMALL, **changes})
    return DataGenEnv(
        task, EnvOptions(**{"train_steps": 2, "batch_size": 4, "validation_images": 4, **(options or {})})
    )
