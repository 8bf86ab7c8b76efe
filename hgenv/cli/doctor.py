"""hgenv doctor: what is installed and whether it works."""

from __future__ import annotations

import os

import numpy as np
import torch

from hgenv.cli.options import EnvChoice, chosen_task, parse
from hgenv.env import DataGenEnv
from hgenv.learning.gradient import ImageDifference
from hgenv.options import EnvOptions
from hgenv.render.choice import find_renderer
from hgenv.runs.folder import versions


def command(words: list[str]) -> int:
    s = parse("doctor", words, environment=EnvChoice, task=chosen_task(words))
    for name, version in versions().items():
        print(f"{name:17} {version}")
    print(f"{'cores':17} {os.cpu_count()}")
    print(f"{'cuda':17} {'yes' if torch.cuda.is_available() else 'no (not needed)'}")
    print(f"{'opengl':17} {_opengl()}")
    env = DataGenEnv(s.task, EnvOptions(gradient=ImageDifference(steps=1), train_steps=2))
    env.reset(seed=0)
    _, _, _, _, info = env.step(env.start)
    finite = bool(np.isfinite(info["hybrid_gradient"]).all())
    print(f"{s.environment.env}: one step with its gradient: {'works' if finite else 'gradient is not finite'}")
    return 0 if finite else 1


def _opengl() -> str:
    """Whether the second renderer can be used."""
    try:
        find_renderer("opengl")
    except ValueError as error:
        return f"no (not needed): {error}"
    return "yes"
