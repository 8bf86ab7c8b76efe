"""Images per core-second of f(beta, r), composition included, at the start beta of ShapeNormals."""

import time

import numpy as np

from hgenv import ShapeNormals
from hgenv.noise import Noise

for resolution in (32, 64, 128):
    task = ShapeNormals(resolution=resolution)
    rates = []
    for repeat in range(6):  # the first compiles
        seeds = np.arange(64) + 64 * repeat
        begin = time.process_time()
        task.sample(np.tile(task.layout.initial, (64, 1)), Noise(seeds))
        rates.append(64 / (time.process_time() - begin))
    print(f"{resolution:4} x {resolution:<4} {np.median(rates[1:]):6.0f} images per core-second")
