"""What lasts: memory that does not grow with the steps. Each of these takes a minute."""

import ctypes
import subprocess
import sys

import pytest

from hgenv.registry import declared

GROWTH = """
import ctypes, gc, os, sys
from pathlib import Path
import gymnasium, numpy as np, torch
import hgenv
torch.set_num_threads(1)

def resident():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free goes back: what is left is held
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

id, least = sys.argv[1], {"hgenv/SceneNormals-v0": {"pretrain_steps": 2, "rooms": 4},
                          "hgenv/ShapeEvolution-v0": {"max_population": 20}}  # which is full after 50 steps
options = {"train_steps": 2, "batch_size": 2, "validation_images": 2, "gradient": "influence", "gradient_steps": 1,
           "gradient_directions": 1}
env = gymnasium.make(id, **options, **least.get(id, {})).unwrapped
env.reset(seed=0)
rng, found = np.random.default_rng(0), {}
for step in range(1, 501):
    env.evaluate(rng.uniform(-1.0, 1.0, (1, len(env.start))))
    env.step(rng.uniform(-1.0, 1.0, len(env.start)))
    if step % 25 == 0:
        env.metrics("validation")
        env.state_dict()
        found[step] = resident()
print(found[500] - found[50])
"""


@pytest.mark.long
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc to give memory back")
@pytest.mark.parametrize("id", sorted(declared()))
def test_memory_does_not_grow_with_the_steps(id: str) -> None:
    """Less than 2 MiB from step 50 to step 500, with probes, gradients, metrics and states."""
    command = [sys.executable, "-c", GROWTH, id]
    grown = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown < 2.0, f"{grown:.1f} MiB more"
