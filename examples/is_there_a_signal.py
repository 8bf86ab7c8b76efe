"""Does the gradient say anything here? Estimates at one and the same beta, while the network trains, compared.

Successive estimates use other samples, other directions and other validation images. Where their cosine is 0 they are
noise, and descent along them a random walk.

    python examples/is_there_a_signal.py hgenv/SceneNormals-v0 20 rooms=2
"""

import ast
import sys

import gymnasium
import numpy as np
import torch

import hgenv  # noqa: F401  (registers the environments)


def knob(word: str) -> tuple[str, object]:
    """NAME=VALUE, of the task or the training; what is no Python literal is a word."""
    name, _, text = word.partition("=")
    try:
        return name, ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return name, text


def estimates(id: str, steps: int, **knobs: object) -> np.ndarray:
    """Unit vectors (steps, d): the hybrid gradient at the start beta, step by step."""
    env = gymnasium.make(id, **{"gradient": "perturbed"} | knobs).unwrapped
    env.reset(seed=0)
    found = np.array([env.step(env.start)[4]["hybrid_gradient"] for _ in range(steps)])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    name, steps, *knobs = sys.argv[1:] or ["hgenv/ToyShading-v0", "20"]
    unit = estimates(name, int(steps), **dict(knob(word) for word in knobs))
    pairs = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    halves = [half.mean(0) for half in np.array_split(unit, 2)]
    of_halves = halves[0] @ halves[1] / np.prod([np.linalg.norm(half) for half in halves])
    print(f"mean cosine of two estimates {pairs.mean():.3f}, of the means of both halves {of_halves:.2f}")
