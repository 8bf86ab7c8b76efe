"""The built-in objects, against a closed form."""

import numpy as np

from hgenv.domains.blobs import _render, render_blobs


def test_an_ellipsoid_matches_its_closed_form() -> None:
    radii = np.array([0.7, 0.5, 0.6])
    parameters = np.zeros((1, 24))
    parameters[0, :14] = [*radii, 1.0, 1.0, *np.eye(3).ravel()]
    normal, mask = np.zeros((1, 3, 40, 40)), np.zeros((1, 40, 40))
    _render(np.array([0]), parameters, 40, normal, mask)
    x, y = np.meshgrid(-1 + (np.arange(40) + 0.5) / 20, 1 - (np.arange(40) + 0.5) / 20)
    inside = (x / 0.7) ** 2 + (y / 0.5) ** 2 < 1
    z = 0.6 * np.sqrt(np.where(inside, 1 - (x / 0.7) ** 2 - (y / 0.5) ** 2, 0))
    expected = np.stack([x, y, z]) / radii[:, None, None] ** 2
    expected = np.where(inside, expected / np.linalg.norm(expected, axis=0), 0)
    assert (mask[0] != inside).mean() < 0.005  # rays that graze a sliver thinner than the march's step
    both = (mask[0] > 0) & inside
    np.testing.assert_allclose(normal[0][:, both], expected[:, both], atol=1e-5)


def test_built_in_objects_are_sound_and_repeatable() -> None:
    image, normal, mask = render_blobs(np.arange(40), 32)
    again = render_blobs(np.arange(40), 32)
    for a, b in zip((image, normal, mask), again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(image).all()
    assert (mask.mean((1, 2)) > 0.03).all()
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1)[mask > 0], 1.0, atol=1e-5)
    assert (normal[:, 2][mask > 0] > -1e-3).all()
    assert normal[:, 1][mask > 0].std() > 0.3
