"""Shape from shading, which learns nothing."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from hgenv.batch import Batch
from hgenv.domains import baselines
from hgenv.domains.blobs import blobs
from hgenv.domains.shading import Lights, ShapeFromShading, from_shading, harmonics
from hgenv.quantities.normals import Normals, dome_normals
from hgenv.tasks.scene_normals import SceneNormals
from hgenv.tasks.shape_normals import ShapeNormals

SIDE = 32
LIGHTS = torch.tensor([[0.2, 0.5, 0.3, 0.6], [0.3, 0.4, 0.4, 0.5], [0.1, 0.6, 0.2, 0.7]], dtype=torch.float64)


def balls(lights: torch.Tensor) -> Batch:
    """A flattened ball under lights (n, 4) of the first order, all of it lit or nearly so."""
    centres = (torch.arange(SIDE, dtype=torch.float64) + 0.5) * 2 / SIDE - 1
    x, y = torch.broadcast_tensors(centres, -centres[:, None])
    inside = (x**2 + y**2 < 0.81).double()
    normal = torch.stack([x, y, 2.0 * (0.81 - x**2 - y**2).clamp(min=0.01).sqrt()])
    normal = inside * normal / normal.norm(dim=0)
    image = torch.einsum("nk,khw->nhw", lights, torch.cat([inside[None], normal]))
    count = len(lights)
    return Batch(image[:, None], normal.expand(count, -1, -1, -1), inside.expand(count, 1, -1, -1))


def error(prediction: np.ndarray, truth: Batch) -> float:
    rows = [truth.rows(slice(i, i + 1)) for i in range(len(truth.image))]
    return Normals().metrics(list(prediction), rows)["mae"]


def test_lights_are_those_of_the_pictures() -> None:
    """Harmonics are alike on half a sphere: it is the pictures under them that must agree."""
    pictures = balls(LIGHTS)
    mean = torch.einsum("k,khw->hw", Lights.of(pictures).mean, harmonics(pictures.target[:1])[0])
    inside = pictures.mask[0, 0] > 0
    assert float((mean - pictures.image.mean(0)[0])[inside].abs().mean()) < 0.01


def test_a_known_surface_says_its_light() -> None:
    """The prior gives way where the picture is clear."""
    pictures = balls(LIGHTS)
    lights = Lights.of(pictures.rows(slice(1, 3)))
    basis = harmonics(pictures.target[:1])[0]
    first = lights.fitted(basis, pictures.image[0, 0], pictures.mask[0, 0] > 0)
    shading = torch.einsum("k,khw->hw", first, basis)
    assert float(((shading - pictures.image[0, 0]) * pictures.mask[0, 0]).abs().mean()) < 0.01


def test_the_shape_of_a_ball_comes_from_its_shading() -> None:
    """Flatter than a dome takes it for."""
    pictures = balls(LIGHTS)
    found = from_shading(pictures, Lights.of(pictures))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)
    assert error(found, pictures) < 0.7 * error(dome_normals(pictures), pictures)
    assert error(found, pictures) < 4.0


def test_every_picture_is_looked_at_by_itself_and_its_normals_are_not() -> None:
    pictures, lights = balls(LIGHTS), Lights.of(balls(LIGHTS))
    blind = pictures._replace(target=torch.zeros_like(pictures.target))
    alone = from_shading(blind.rows(slice(1, 2)), lights)
    np.testing.assert_array_equal(from_shading(pictures, lights)[1:2], alone)


def test_it_beats_a_dome_on_objects_that_nobody_has_tuned_it_for() -> None:
    domain = blobs(SIDE, 16, 8)
    test = domain.batch("test")
    assert error(ShapeFromShading(domain.batch("validation"))(test), test) < 0.8 * error(dome_normals(test), test)


def test_a_domain_goes_to_other_processes_with_its_answers() -> None:
    domain = blobs(SIDE, 3, 2)
    there = pickle.loads(pickle.dumps(domain))
    test = domain.batch("test")
    np.testing.assert_array_equal(there.ladder["shape from shading"](test), domain.ladder["shape from shading"](test))


@pytest.mark.slow
def test_rooms_have_no_silhouette() -> None:
    """A room is no dome: it starts flat, and the edge of what is known says nothing."""
    domain = SceneNormals(validation_size=24, test_size=6).domain
    validation, test = domain.batch("validation"), domain.batch("test")
    flat, bulging = (error(ShapeFromShading(validation, silhouette)(test), test) for silhouette in (False, True))
    assert flat < bulging - 10.0


@pytest.mark.slow
def test_the_photographs_are_solved_better_than_sirfs_has_it(photographs: Path) -> None:
    """26.2 deg are published of SIRFS; 20.8 were measured of this."""
    task = ShapeNormals(target="mit-berkeley", data=str(photographs))
    score = baselines(task.quantity, task.domain, "test")["shape from shading"]
    assert score["mae"] == pytest.approx(20.8, abs=0.6)
