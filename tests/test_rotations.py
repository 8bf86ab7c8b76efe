"""Rotations."""

import numpy as np
import trimesh

from hgenv.rotations import rotation, turn


def test_turns_are_rotations_in_order() -> None:
    for pose in np.random.default_rng(0).uniform(-1, 1, (5, 3)):
        np.testing.assert_allclose(turn(*pose) @ turn(*pose).T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turn(np.pi / 2, 0, 0) @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(turn(0, np.pi / 2, 0) @ [0, 0, 1], [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(turn(0, 0, np.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_rotations_are_those_of_unit_quaternions() -> None:
    q = np.random.default_rng(0).standard_normal((5, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    for one, matrix in zip(q, rotation(q), strict=True):
        np.testing.assert_allclose(matrix, trimesh.transformations.quaternion_matrix(one)[:3, :3], atol=1e-12)
