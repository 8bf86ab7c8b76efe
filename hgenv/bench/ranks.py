"""Ranks over environments, and which of them differ: Friedman's test and Nemenyi's after it (Demsar 2006)."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata, studentized_range

from hgenv.bench.intervals import Array

PERMUTATIONS = 10_000


def mean_ranks(values: Array) -> Array:
    """Mean ranks (k,), 1 the lowest, ties in mean, of k methods over the rows of values (n, k)."""
    return rankdata(values, axis=1).mean(0)


def friedman(values: Array, seed: int = 0) -> float:
    """Probability that mean ranks of k methods over n rows are so far apart if none is better (Friedman 1937).

    By random permutations within rows: of a few environments neither chi^2 nor F is near the truth, which is 1 / k!,
    say, for two that agree.
    """
    ranks = rankdata(values, axis=1)
    shuffled = np.random.default_rng(seed).permuted(np.broadcast_to(ranks, (PERMUTATIONS, *ranks.shape)), axis=2)
    apart = np.var(shuffled.mean(1), axis=1) >= np.var(ranks.mean(0)) - 1e-12
    return float((1 + apart.sum()) / (1 + PERMUTATIONS))


def critical_difference(methods: int, rows: int) -> float:
    """By how much two mean ranks over so many rows must differ to be different at 5 % (Nemenyi 1963)."""
    studentised = float(studentized_range.ppf(0.95, methods, np.inf))
    return studentised / np.sqrt(2.0) * np.sqrt(methods * (methods + 1) / (6.0 * rows))


def groups(ranks: Array, difference: float) -> list[tuple[float, float]]:
    """Lowest and highest rank of every largest group, of at least two, whose ranks differ by less than that."""
    ordered, found = np.sort(ranks), list[tuple[float, float]]()
    for first, low in enumerate(ordered):
        last = int(np.searchsorted(ordered, low + difference)) - 1
        if last > first and (not found or ordered[last] > found[-1][1]):
            found.append((float(low), float(ordered[last])))
    return found
