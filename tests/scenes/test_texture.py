"""The painter's polygons and noise against other implementations."""

import matplotlib.path
import numpy as np
import pytest

from hgenv.beta.noise import Noise
from hgenv.scenes.texture import MAX_POLYGONS, TextureBeta, _edges, _paint, _perlin, _signed_distance, _simple, paint

LAYOUT = TextureBeta()


def test_layout_has_the_papers_36_coordinates() -> None:
    assert len(LAYOUT.names) == 36
    assert LAYOUT.discrete.sum() == 1 + 1 + 4 + 5 + 5


def test_signed_distances_are_those_of_the_polygon() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        count = int(rng.integers(3, 7))
        x, y = (c[0] for c in _simple(*rng.random((2, 1, 6)), np.array([count])))
        polygon = matplotlib.path.Path(np.stack([x[:count], y[:count]], 1))
        ends = np.stack([x[:count], y[:count]], 1)
        along = np.concatenate([np.linspace(a, b, 2000) for a, b in zip(ends, np.roll(ends, -1, 0), strict=True)])
        for point in rng.uniform(-0.2, 1.2, (20, 2)):
            found = _signed_distance(*point, _edges(x[:count], y[:count]))
            assert abs(found) == pytest.approx(np.linalg.norm(along - point, axis=1).min(), abs=2e-3)
            if abs(found) > 1e-6:
                assert (found < 0) == polygon.contains_point(point)


def slopes(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def test_perlin_noise_by_its_definition() -> None:
    angles = np.random.default_rng(1).uniform(0, 2 * np.pi, (6, 6))
    lattice = slopes(angles)
    for i, j in ((0, 0), (2, 5), (5, 3)):
        assert _perlin(i / 6, j / 6, lattice) == pytest.approx(0.0, abs=1e-12)
        h = 1e-6
        slope = (_perlin(i / 6 + h, j / 6, lattice) - _perlin(i / 6 - h, j / 6, lattice)) / (2 * h)
        assert slope == pytest.approx(6 * np.cos(angles[i, j]), rel=1e-4)
    points = np.random.default_rng(2).random((200, 2))
    values = np.array([_perlin(*p, lattice) for p in points])
    np.testing.assert_allclose(values, [_perlin(p[0] + 1, p[1] - 2, lattice) for p in points], atol=1e-9)
    assert 0.1 < values.std() < 0.5
    assert np.abs(values).max() <= 1.0


def painted(**changes: float) -> np.ndarray:
    beta = LAYOUT.initial.copy()
    for name, value in changes.items():
        beta[LAYOUT.names.index(name.replace("__", "."))] = value
    return paint(LAYOUT.bind(np.tile(beta, (40, 1))), Noise(np.arange(40)), 24)[0]


def test_one_polygon_more_is_painted_on_top() -> None:
    """Under common seeds canvases with few polygons change where the new ones lie, and nowhere else."""
    few, more = painted(polygons__rate=2.0), painted(polygons__rate=2.6)
    changed = (few != more).any(-1).mean((1, 2))
    assert 0.05 < np.mean(changed > 0) < 0.8
    assert (changed[changed > 0] < 1).any()
    colours = [len(np.unique(canvas.reshape(-1, 3), axis=0)) for canvas in painted(polygons__rate=16.0)]
    assert np.mean(colours) > np.mean([len(np.unique(c.reshape(-1, 3), axis=0)) for c in few]) + 2
    assert max(colours) <= MAX_POLYGONS + 1


def test_polygons_lie_where_beta_says() -> None:
    low = {f"x__mean__{i}": 0.1 for i in range(5)} | {f"x__std__{i}": 0.03 for i in range(5)}
    canvases = painted(**low).astype(int)
    background = canvases[:, 12, -1]
    other = (canvases != background[:, None, None]).any(-1).mean((0, 1))
    assert other[:6].mean() > 5 * other[8:].mean()


def test_canvases_are_those_painted_from_the_bottom_to_the_bit() -> None:
    """Every polygon over those before, noise at every pixel."""
    rng = np.random.default_rng(3)
    count, side = 12, 20
    vertices, rough, angles = rng.integers(3, 7, count), 0.2 * rng.random(count), rng.uniform(0, 2 * np.pi, (6, 6))
    x, y = _simple(*rng.uniform(-0.2, 1.2, (2, count, 6)), vertices)
    colours = rng.integers(0, 256, (count, 3)).astype(np.uint8)
    canvas, wanted = np.zeros((2, side, side, 3), np.uint8)
    for p in range(count):
        edges = _edges(x[p, : vertices[p]], y[p, : vertices[p]])
        for i in range(side):
            for j in range(side):
                px, py = (j + 0.5) / side, (i + 0.5) / side
                noise = rough[p] * _perlin(px + 0.37 * p, py + 0.61 * p, slopes(angles))
                if _signed_distance(px, py, edges) + noise < 0.0:
                    wanted[i, j] = colours[p]
    _paint(canvas, x, y, vertices, colours, angles, rough)
    assert len(np.unique(wanted.reshape(-1, 3), axis=0)) > 4
    np.testing.assert_array_equal(canvas, wanted)
