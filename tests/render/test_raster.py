"""The mesh renderer against closed forms, and against trimesh's rays through embree."""

import numpy as np
import pytest
import trimesh

from hgenv.render.mesh import Mesh, SharedMesh, joined, pack, plain_mesh, vertex_normals
from hgenv.render.raster import render
from hgenv.render.renderer import Camera, Rendered, Scene
from hgenv.render.shadow import light_frame

CAMERA = Camera.of_angle(48, 64, 0.8)
LIGHT = np.array([0.6, 0.0, 0.8])


def draw(*parts: object, **named: object) -> Rendered:
    return render(Scene(*parts, **named))


def rays(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the rays (x, y, -1) of the pixel centres, (h, w)."""
    j, i = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    return (j - camera.centre[0]) / camera.focal[0], (camera.centre[1] - i) / camera.focal[1]


def square(corners: list[list[float]], **changes: object) -> Mesh:
    """Two triangles over four corners in order, texture coordinates from (0, 0) to (1, 1)."""
    index = np.array([[0, 1, 2], [0, 2, 3]])
    mesh = plain_mesh(np.array(corners), index, smooth=False)
    uv = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])[index]
    return mesh._replace(uv=uv, **changes)


def test_a_tilted_plane_that_passes_the_camera_is_exact_everywhere() -> None:
    """A floor at y = -1 that reaches behind the camera: depth and normal in closed form, no clipping artefacts."""
    floor = square([[-50.0, -1, 5], [50, -1, 5], [50, -1, -500], [-50, -1, -500]])
    seen = draw(floor, CAMERA, np.array([0.0, 1.0, 0.0]), ambient=0.2)
    x, y = rays(CAMERA)
    depth = -1.0 / np.where(y < 0, y, np.inf)
    inside = (y < 0) & (depth < 500) & (np.abs(x * depth) < 50)
    np.testing.assert_array_equal(seen.mask > 0, inside)
    np.testing.assert_allclose(seen.depth[inside], depth[inside], rtol=1e-6)
    np.testing.assert_allclose(seen.normal[:, inside], np.tile([[0], [1], [0]], inside.sum()), atol=1e-6)
    np.testing.assert_allclose(seen.shading[inside], 1.0, rtol=1e-6)


def test_a_fine_sphere_matches_the_closed_form() -> None:
    ball = trimesh.creation.icosphere(subdivisions=5, radius=1.0)
    centre = np.array([0.2, -0.1, -4.0])
    seen = draw(plain_mesh(ball.vertices + centre, ball.faces), CAMERA, LIGHT, ambient=0.1)
    x, y = rays(CAMERA)
    d = np.stack([x, y, -np.ones_like(x)])
    a, b, c = (d**2).sum(0), np.einsum("khw,k->hw", d, centre), centre @ centre - 1.0
    inside = b**2 - a * c > 0
    t = (b - np.sqrt(np.where(inside, b**2 - a * c, 0.0))) / a
    sure = inside & (b**2 - a * c > 0.05)  # away from the silhouette, which is a polygon
    assert np.mean((seen.mask > 0) != inside) < 0.005
    np.testing.assert_allclose(seen.depth[sure], t[sure], atol=2e-3)
    normal = t * d - centre[:, None, None]
    np.testing.assert_allclose(seen.normal[:, sure], normal[:, sure], atol=1e-2)
    shading = 0.1 + 0.9 * np.maximum(0, np.einsum("khw,k->hw", normal, LIGHT))
    np.testing.assert_allclose(seen.shading[sure], shading[sure], atol=1e-2)


def test_a_scene_matches_trimeshs_rays() -> None:
    rng = np.random.default_rng(0)
    parts = [trimesh.creation.box(rng.uniform(0.3, 1.5, 3)) for _ in range(6)]
    parts += [trimesh.creation.icosphere(subdivisions=2, radius=r) for r in (0.3, 0.6)]
    for part in parts:
        part.apply_transform(trimesh.transformations.random_rotation_matrix(rng.random(3)))
        part.apply_translation([*rng.uniform(-1.2, 1.2, 2), rng.uniform(-6, -3)])
    scene = trimesh.util.concatenate(parts)
    seen = draw(plain_mesh(scene.vertices, scene.faces, smooth=False), CAMERA, LIGHT)
    x, y = rays(CAMERA)
    directions = np.stack([x, y, -np.ones_like(x)], -1).reshape(-1, 3)
    points, index, faces = scene.ray.intersects_location(np.zeros_like(directions), directions, multiple_hits=False)
    depth, normal = np.zeros(len(directions)), np.zeros((len(directions), 3))
    depth[index], normal[index] = -points[:, 2], scene.face_normals[faces]
    same = (seen.depth.ravel() > 0) == (depth > 0)
    assert same.mean() > 0.998
    close = np.isclose(seen.depth.ravel(), depth, rtol=1e-4)
    assert close.mean() > 0.998
    facing = normal * -np.sign((normal * directions).sum(1, keepdims=True))
    np.testing.assert_allclose(seen.normal.reshape(3, -1).T[close], facing[close], atol=1e-4)


def test_surfaces_are_two_sided() -> None:
    corners = [[-1.0, -1, -3], [1, -1, -3], [1, 1, -3], [-1, 1, -3]]
    for order in (corners, corners[::-1]):
        seen = draw(square(order), CAMERA, np.array([0.0, 0.0, 1.0]))
        assert seen.mask[24, 32] == 1
        np.testing.assert_allclose(seen.normal[:, 24, 32], [0, 0, 1], atol=1e-6)
        assert seen.shading[24, 32] == pytest.approx(1.0)


def test_a_normal_that_points_away_at_a_silhouette_is_bent_and_not_flipped() -> None:
    """On a face seen at a grazing angle, whose vertex normals lean over to the other side."""
    corners = np.array([[0.0, -1, -2.5], [0.0, 1, -3.5], [0.12, 0, -3]])  # n = (0.99.., ..) seen from x > 0
    face = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    ray = np.array([0.03, 0.0, -3.0]) / np.linalg.norm([0.03, 0.0, -3.0])
    face = -face * np.sign(face @ ray) / np.linalg.norm(face)
    leaning = face + 0.9 * ray * abs(face @ ray) + 0.2 * ray  # past the silhouette: away from the camera
    leaning /= np.linalg.norm(leaning)
    assert leaning @ ray > 0 > face @ ray
    assert leaning @ face > 0
    camera = Camera(1, 1, (1.0, 1.0), (0.5 - ray[0] / -ray[2], 0.5))
    expected = leaning - (leaning @ ray) * ray
    expected /= np.linalg.norm(expected)
    for order in ([0, 1, 2], [2, 1, 0]):  # the other order has its outside away from the camera, and the normal's sign
        mesh = plain_mesh(corners, np.array([order]))
        outward = np.cross(mesh.corners[0, 1] - mesh.corners[0, 0], mesh.corners[0, 2] - mesh.corners[0, 0])
        sign = np.sign(outward @ face)
        seen = draw(mesh._replace(normals=np.broadcast_to(sign * leaning, (1, 3, 3))), camera, LIGHT)
        assert seen.mask[0, 0] == 1
        np.testing.assert_allclose(seen.normal[:, 0, 0], expected, atol=1e-5)


def test_level_edges_at_eye_height_end() -> None:
    """Rounding makes an edge level but for 1e-18, whose crossing with a row is beyond any integer."""
    for tilt in (0.0, 1e-18, -1e-18, 1e-300):
        mesh = plain_mesh(np.array([[-1.0, 0, -3], [1, tilt, -3], [0, 1, 3]]), np.array([[0, 1, 2]]), smooth=False)
        seen = draw(mesh, CAMERA, LIGHT)
        assert seen.mask[:24].sum() > 100
        assert seen.mask[24:].sum() == 0
    far = draw(plain_mesh(1e20 * mesh.corners[0], np.array([[0, 1, 2]]), smooth=False), CAMERA, LIGHT)
    assert np.isfinite(far.normal).all()


def test_light_along_the_faces_of_a_box_is_no_error() -> None:
    rng = np.random.default_rng(0)
    body = trimesh.creation.box((1.0, 1.0, 1.0))
    for _ in range(50):
        turned = trimesh.transformations.random_rotation_matrix(rng.random(3))[:3, :3]
        mesh = plain_mesh(body.vertices @ turned.T - [0, 0, 4.0], body.faces, smooth=False)
        for axis in turned.T:
            light = axis * np.sign(axis[2] or 1.0)
            light /= np.linalg.norm(light)
            seen, plain = (draw(mesh, CAMERA, light, shadow=side) for side in (64, 0))
            np.testing.assert_allclose(seen.shading, plain.shading, atol=1e-6)  # a convex body


def test_textures_repeat_with_v_up_and_perspective_is_corrected() -> None:
    texture = np.zeros((2, 2, 3), np.uint8)
    texture[0, 0], texture[0, 1], texture[1, 0], texture[1, 1] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
    camera = Camera.of_angle(64, 64, 2 * np.arctan(1 / 3))  # the square at depth 3 fills it
    corners = [[-1.0, -1, -3], [1, -1, -3], [1, 1, -3], [-1, 1, -3]]
    flat = square(corners, texture=np.zeros(2, np.int64))
    front = np.array([0.0, 0.0, 1.0])
    seen = draw(flat, camera, front, textures=pack([texture]))
    for (row, column), colour in {
        (16, 16): (1, 0, 0),
        (16, 47): (0, 1, 0),
        (47, 16): (0, 0, 1),
        (47, 47): (1, 1, 1),
    }.items():
        np.testing.assert_allclose(seen.albedo[:, row, column], colour, atol=0.04)
    again = draw(flat._replace(uv=flat.uv + [3.0, -2.0]), camera, front, textures=pack([texture]))
    np.testing.assert_allclose(again.albedo, seen.albedo, atol=1e-6)
    # A ramp over a floor: u is linear in space, not on the screen.
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    floor = square([[-1.0, -1, -2], [-1, -1, -10], [1, -1, -10], [1, -1, -2]], texture=np.zeros(2, np.int64))
    seen = draw(floor, CAMERA, np.array([0.0, 1.0, 0.0]), textures=pack([ramp]))
    inside = seen.mask > 0
    expected = (seen.depth[inside] - 2.0) / 8.0
    middle = (expected > 0.01) & (expected < 0.99)
    np.testing.assert_allclose(seen.albedo[0][inside][middle], expected[middle], atol=0.006)


def test_the_image_is_albedo_times_shading_exactly() -> None:
    rng = np.random.default_rng(0)
    ball = trimesh.creation.icosphere(subdivisions=3)
    mesh = plain_mesh(ball.vertices - [0, 0, 3.0], ball.faces, rng.random((len(ball.vertices), 3)))
    seen = draw(mesh, CAMERA, LIGHT, ambient=0.3)
    np.testing.assert_array_equal(seen.image, seen.albedo * seen.shading)
    assert seen.image.max() <= 1
    assert (seen.shading[seen.mask > 0] >= 0.3 - 1e-6).all()


def test_a_box_throws_its_shadow_where_geometry_says() -> None:
    """A square at height 1 over a floor, light from straight above and from the side."""
    floor = square([[-3.0, -1, -1], [3, -1, -1], [3, -1, -9], [-3, -1, -9]])
    lid = square([[-0.5, 0, -4.5], [0.5, 0, -4.5], [0.5, 0, -5.5], [-0.5, 0, -5.5]])
    both = joined([floor, lid])
    x, y = rays(CAMERA)
    depth = -1.0 / np.where(y < 0, y, np.inf)
    for light in (np.array([0.0, 1.0, 0.0]), np.array([0.6, 0.8, 0.0])):
        seen = draw(both, CAMERA, light, ambient=0.1, shadow=512)
        ground = (y < 0) & np.isclose(seen.depth, depth, rtol=1e-5)
        offset = x * depth + light[0] / light[1]  # where the ray toward the light passes the lid's plane
        edge = np.maximum(np.abs(offset), np.abs(depth - 5.0)) - 0.5
        sure = ground & (np.abs(edge) > 0.06)
        dark = seen.shading < 0.11
        assert (ground & (edge < 0)).sum() > 20
        np.testing.assert_array_equal(dark[sure], (edge < 0)[sure])
    assert not (draw(both, CAMERA, light, ambient=0.1).shading[seen.mask > 0] < 0.11).any()


def test_a_convex_body_in_full_light_has_no_shadow_of_its_own() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    mesh = plain_mesh(ball.vertices - [0, 0, 4.0], ball.faces)
    seen, plain = draw(mesh, CAMERA, LIGHT, shadow=256), draw(mesh, CAMERA, LIGHT)
    np.testing.assert_allclose(seen.shading, plain.shading, atol=0.12)  # but where light only grazes it


def test_vertex_normals_are_trimeshs_by_area() -> None:
    mesh = trimesh.creation.icosphere(subdivisions=2)
    mesh.vertices *= [1.0, 2.0, 0.5]
    corners = mesh.triangles
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    expected = np.zeros_like(mesh.vertices)
    np.add.at(expected, mesh.faces, area[:, None])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vertex_normals(mesh.vertices, mesh.faces), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"corners": np.full((2, 3, 3), np.nan)}, "finite"),
        ({"texture": np.zeros(2, np.int64)}, "texture 0"),
        ({"albedo": np.ones((1, 3, 3))}, r"albedo must be \(2, 3, 3\)"),
        ({"normals": np.ones((2, 3))}, "normals must be"),
    ],
)
def test_meshes_that_cannot_be_rendered_are_refused(change: dict, message: str) -> None:
    mesh = square([[-1.0, -1, -3], [1, -1, -3], [1, 1, -3], [-1, 1, -3]])
    with pytest.raises(ValueError, match=message):
        draw(mesh._replace(**change), CAMERA, LIGHT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"light": np.zeros(3)}, "unit vector"),
        ({"light": np.ones(5)}, "unit vector"),
        ({"ambient": 1.5}, "ambient"),
        ({"camera": Camera(8, 8, (-1.0, 1.0), (4.0, 4.0))}, "focal"),
        ({"casters": np.ones(1, bool)}, "casters"),
    ],
)
def test_drawings_that_make_no_sense_are_refused(change: dict, message: str) -> None:
    mesh = square([[-1.0, -1, -3], [1, -1, -3], [1, 1, -3], [-1, 1, -3]])
    with pytest.raises(ValueError, match=message):
        render(Scene(mesh, CAMERA, LIGHT)._replace(**change))
    with pytest.raises(ValueError, match="uint8"):
        pack([np.zeros((4, 4, 4), np.uint8)])
    assert draw(mesh._replace(corners=-mesh.corners), CAMERA, LIGHT).mask.sum() == 0


def head(rng: np.random.Generator) -> SharedMesh:
    """A ball with dents, whose vertices have colours."""
    ball = trimesh.creation.icosphere(subdivisions=3)
    points = ball.vertices * rng.uniform(0.8, 1.0, (len(ball.vertices), 1)) - [0, 0, 3.0]
    faces = np.asarray(ball.faces, np.int64)
    return SharedMesh(faces, points, vertex_normals(points, faces), rng.random(points.shape))


@pytest.mark.parametrize("shadow", [0, 64])
def test_shared_vertices_make_the_same_picture_to_the_bit(shadow: int) -> None:
    mesh = head(np.random.default_rng(0))
    apart = Mesh(mesh.corners, mesh.normals, mesh.albedo, mesh.uv, mesh.texture)
    plain = plain_mesh(mesh.points, mesh.faces, mesh.colours)
    shared = draw(mesh, CAMERA, LIGHT, 0.1, shadow=shadow)
    assert shared.mask.sum() > 400
    for other in (apart, plain):
        for name, part, wanted in zip(
            Rendered._fields, draw(other, CAMERA, LIGHT, 0.1, shadow=shadow), shared, strict=True
        ):
            np.testing.assert_array_equal(part, wanted, err_msg=name)


def by_numpy(mesh: Mesh, light: np.ndarray, ambient: float, texture: np.ndarray | None) -> dict[str, np.ndarray]:
    """All pixels against all faces, without bounding boxes and spans; smooth faces that point to the camera."""
    x, y = (np.asarray(part)[..., None] for part in rays(CAMERA))
    c = mesh.corners
    edges = [np.cross(c[:, 1], c[:, 2]), np.cross(c[:, 2], c[:, 0]), np.cross(c[:, 0], c[:, 1])]
    volume = np.einsum("fk,fk->f", c[:, 0], edges[0])
    shares = np.stack([np.sign(volume) * (e[:, 0] * x + e[:, 1] * y - e[:, 2]) for e in edges], axis=-1)
    total = shares.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where((shares >= 0).all(-1) & (np.abs(volume) >= 1e-3 * total), np.abs(volume) / total, np.inf)
    face = depth.argmin(-1)
    mask = np.isfinite(depth.min(-1))
    a = np.take_along_axis(shares, face[..., None, None], 2)[..., 0, :]
    a = np.where(mask[..., None], a / np.where(mask, a.sum(-1), 1.0)[..., None], 0.0)
    normal, albedo, uv = (np.einsum("hwi,hwik->hwk", a, part[face]) for part in (mesh.normals, mesh.albedo, mesh.uv))
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-300)
    if texture is not None:
        albedo = albedo * bilinear(texture, uv)
    shading = ambient + (1 - ambient) * np.maximum(0.0, normal @ light)
    found = {"depth": np.where(mask, depth.min(-1), 0.0), "mask": mask, "shading": shading * mask}
    parts = {"normal": normal, "albedo": albedo, "image": albedo * shading[..., None]}
    return found | {name: np.moveaxis(part * mask[..., None], -1, 0) for name, part in parts.items()}


def bilinear(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    height, width = texture.shape[:2]
    x, y = uv[..., 0] * width - 0.5, (1 - uv[..., 1]) * height - 0.5
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    total = 0.0
    for i, down in ((0, 1 - (y - row)), (1, y - row)):
        for j, right in ((0, 1 - (x - column)), (1, x - column)):
            total = total + (down * right)[..., None] * texture[(row + i) % height, (column + j) % width] / 255.0
    return np.asarray(total)


@pytest.mark.parametrize("textured", [False, True])
def test_pictures_are_those_of_all_pixels_against_all_faces(textured: bool) -> None:
    rng = np.random.default_rng(1)
    whole = head(rng)
    mesh = Mesh(whole.corners, whole.normals, whole.albedo, rng.uniform(-2, 2, (len(whole.faces), 3, 2)), whole.texture)
    texture = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    if textured:
        mesh = mesh._replace(texture=np.zeros(len(whole.faces), np.int64))
    seen = draw(mesh, CAMERA, LIGHT, 0.2, pack([texture]))
    wanted = by_numpy(mesh, LIGHT, 0.2, texture if textured else None)
    # Normals that point away at the silhouette are bent, which the closed way leaves out.
    x, y = rays(CAMERA)
    inner = (wanted["normal"][0] * x + wanted["normal"][1] * y - wanted["normal"][2] < 0.0) | ~wanted["mask"]
    assert inner.mean() > 0.98
    for name, part in wanted.items():
        np.testing.assert_allclose((getattr(seen, name) - part)[..., inner], 0.0, atol=1e-6, err_msg=name)


def test_an_empty_mesh_and_one_out_of_sight_make_an_empty_picture() -> None:
    mesh = head(np.random.default_rng(0))
    none = mesh._replace(faces=mesh.faces[:0])
    behind = mesh._replace(points=mesh.points + [0, 0, 9.0])
    apart = plain_mesh(mesh.points, mesh.faces)
    nothing = Mesh._make(part[:0] for part in apart)
    aside = apart._replace(corners=apart.corners + [90.0, 0, 0])
    for shadow in (0, 32):
        for unseen in (none, behind, nothing, aside):
            assert not any(part.any() for part in draw(unseen, CAMERA, LIGHT, 0.1, shadow=shadow))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.full((642, 3), np.nan)}, "finite"),
        ({"colours": np.full((642, 3), np.inf)}, "finite"),
        ({"vertex_normals": np.ones((3, 3))}, r"vertex_normals must be \(642, 3\)"),
        ({"faces": np.array([[0, 1, 642]])}, "rows of its 642 points"),
        ({"faces": np.array([[0, 1, -1]])}, "rows of its 642 points"),
    ],
)
def test_shared_meshes_that_cannot_be_rendered_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(head(np.random.default_rng(0))._replace(**change), CAMERA, LIGHT)


def test_parts_of_other_types_and_layouts_are_taken() -> None:
    """As their copies in float64, row by row."""
    mesh = plain_mesh(head(np.random.default_rng(0)).points, head(np.random.default_rng(0)).faces)
    single = mesh._replace(normals=mesh.normals.astype(np.float32), albedo=mesh.albedo.astype(np.float32))
    strange = single._replace(corners=np.asfortranarray(mesh.corners), texture=mesh.texture.astype(np.int32))
    plain = single._replace(normals=single.normals.astype(float), albedo=single.albedo.astype(float))
    for part, wanted in zip(draw(strange, CAMERA, LIGHT), draw(plain, CAMERA, LIGHT), strict=True):
        np.testing.assert_array_equal(part, wanted)
    bad = single._replace(albedo=np.full(mesh.albedo.shape, np.inf, np.float32))
    with pytest.raises(ValueError, match="finite"):
        draw(bad, CAMERA, LIGHT)


def test_the_lights_axes_are_orthonormal_and_end_with_it() -> None:
    for light in np.random.default_rng(0).normal(size=(20, 3)).tolist() + [[1.0, 0, 0], [0, 0, -1.0], [-0.95, 0.1, 0]]:
        toward = np.array(light) / np.linalg.norm(light)
        frame = light_frame(toward)
        across = np.cross(toward, [1.0, 0.0, 0.0] if abs(toward[0]) < 0.9 else [0.0, 1.0, 0.0])
        np.testing.assert_array_equal(frame[0], across / np.linalg.norm(across))
        np.testing.assert_array_equal(frame[1], np.cross(toward, frame[0]))
        np.testing.assert_array_equal(frame[2], toward)
        np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)
