"""Heads before the camera."""

import numpy as np

from hgenv.render.mesh import plain_mesh
from hgenv.rotations import turn
from hgenv.scenes.faces import COMPONENTS, DISTANCE, before_camera, procedural_head


def test_the_procedural_head_is_symmetric_and_faces_the_camera() -> None:
    model = procedural_head()
    assert len(model.geometry) > COMPONENTS
    assert len(model.expression) == len(model.texture) == COMPONENTS
    none = np.zeros(COMPONENTS)
    vertices = model.vertices(none, none)
    np.testing.assert_array_equal(vertices, model.mean)
    mirrored = vertices * [-1, 1, 1]
    gaps = np.linalg.norm(vertices[:, None] - mirrored[None, ::7], axis=2).min(0)
    assert gaps.max() < 0.02
    tip = vertices[np.argmax(vertices[:, 2])]
    assert abs(tip[0]) < 0.05, "the tip of the nose is in the middle"
    assert -0.4 < tip[1] < 0.1
    one = np.eye(COMPONENTS)[2]
    np.testing.assert_allclose(model.vertices(2 * one, none) - model.mean, 2 * model.geometry[2])


def test_moving_a_mesh_turns_its_normals_too() -> None:
    mesh = plain_mesh(procedural_head().mean, procedural_head().faces)
    pose = np.array([0.4, -0.2, 0.1])
    there = before_camera(mesh, pose)
    np.testing.assert_allclose(there.corners[:, 0] + [0, 0, DISTANCE], mesh.corners[:, 0] @ turn(*pose).T)
    np.testing.assert_allclose(there.normals[:, 0], mesh.normals[:, 0] @ turn(*pose).T)
