"""Populations of shapes for tests."""

import numpy as np

from hgenv.csg.population import PRIMITIVES, Population, primitives


def grown(count: int, seed: int = 0) -> Population:
    """A population after `count` random compositions that were not trivial."""
    rng, population = np.random.default_rng(seed), primitives(8)
    while len(population) < PRIMITIVES + count:
        m = np.concatenate([rng.uniform(-1, 1, (3, 3)), rng.uniform(-0.6, 0.6, (3, 1))], axis=1)
        made = population.composition(*rng.random(2), rng.random() < 0.5, m)
        population = population if made is None else population.grown(made, 100)
    return population
