"""Constructive solid geometry on convex primitives: shapes as arrays, composition, point and ray queries.

A shape is a binary tree cut off at depth D, stored in its 2^D leaf slots. A node's left child keeps its slot, its
right child takes the slot half a subtree further: expanding a node keeps the old shape as the left operand.
Because every primitive is convex a ray meets it in one interval, and boolean algebra on the ends of these intervals
gives the exact surface of the composition without a mesh.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.kernels import kernel

ABSENT, SPHERE, CUBE, CONE, TETRAHEDRON = -1, 0, 1, 2, 3
_MISS = (1.0, -1.0)
_FAR = 1e30
# Outward unit normals of a regular tetrahedron; its faces are a third of the circumradius away from the centre.
TETRAHEDRON_NORMALS = np.array([[-1, -1, -1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / np.sqrt(3.0)


class Shapes(NamedTuple):
    """n composed shapes of up to L = 2^D primitives each; only subtrees that exist are filled.

    kind (n, L): ABSENT or a primitive. size (n, L, 3): sphere (radius, -, -), cube (half edge, -, -), truncated cone
    (bottom radius, top radius, half height) about the z axis, tetrahedron (circumradius, -, -).
    to_world, from_world (n, L, 3, 4): affine maps between a primitive's frame and the world.
    operations (n, L, 3): rows (left slot, right slot, subtract), in the order of evaluation; used (n,) of them count.
    """

    kind: NDArray[np.int64]
    size: NDArray[np.float64]
    to_world: NDArray[np.float64]
    from_world: NDArray[np.float64]
    operations: NDArray[np.int64]
    used: NDArray[np.int64]


class Placement(NamedTuple):
    """What T(E) and the view need: one row an inner node in heap order (root 1; row 0 is the view's, of rotation).

    expanded, subtract (n, L) bool; scale, translation, direction (n, L, 3); rotation (n, L, 4) unit quaternions.
    """

    expanded: NDArray[np.bool_]
    subtract: NDArray[np.bool_]
    scale: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    direction: NDArray[np.float64]


@kernel(inline="always")
def _slab(origin: float, direction: float, half: float) -> Any:
    if abs(direction) < 1e-12:
        return (-_FAR, _FAR) if abs(origin) <= half else _MISS
    a, b = (-half - origin) / direction, (half - origin) / direction
    return (a, b) if a < b else (b, a)


@kernel()
def _cone_interval(
    radius: float, top: float, half: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> Any:
    start, end = _slab(oz, dz, half)
    if start > end:
        return _MISS
    slope = (top - radius) / (2.0 * half)
    middle = 0.5 * (radius + top) + slope * oz
    # x^2 + y^2 <= (middle + slope t dz)^2 along the ray: a t^2 + 2 b t + c <= 0
    a = dx * dx + dy * dy - slope * slope * dz * dz
    b = ox * dx + oy * dy - middle * slope * dz
    c = ox * ox + oy * oy - middle * middle
    if abs(a) < 1e-12:
        if abs(b) < 1e-12:
            return (start, end) if c <= 0 else _MISS
        root = -0.5 * c / b
        return (start, min(end, root)) if b > 0 else (max(start, root), end)
    discriminant = b * b - a * c
    if discriminant <= 0.0:
        return (start, end) if a < 0 else _MISS
    root = np.sqrt(discriminant)
    first, last = (-b - root) / a, (-b + root) / a
    if a > 0:
        return max(start, first), min(end, last)
    # a < 0: the ray is steeper than the side and is inside before one root and after the other; the mirrored nappe
    # lies outside the slab, so at most one of the two pieces is left.
    if min(end, last) - start > end - max(start, first):
        return start, min(end, last)
    return max(start, first), end


@kernel()
def _tetrahedron_interval(circumradius: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> Any:
    start, end = -_FAR, _FAR
    for face in range(4):
        n = TETRAHEDRON_NORMALS[face]
        along = n[0] * dx + n[1] * dy + n[2] * dz
        above = n[0] * ox + n[1] * oy + n[2] * oz - circumradius / 3.0
        if abs(along) < 1e-12:
            if above > 0:
                return _MISS
        elif along < 0:
            start = max(start, -above / along)
        else:
            end = min(end, -above / along)
    return start, end


@kernel()
def interval(kind: int, size: Any, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> Any:
    """The interval (t0, t1) of o + t d inside a primitive, in its own frame; t0 > t1 means a miss."""
    if kind == SPHERE:
        a = dx * dx + dy * dy + dz * dz
        b = ox * dx + oy * dy + oz * dz
        c = ox * ox + oy * oy + oz * oz - size[0] * size[0]
        discriminant = b * b - a * c
        if discriminant <= 0.0:
            return _MISS
        root = np.sqrt(discriminant)
        return (-b - root) / a, (-b + root) / a
    if kind == CUBE:
        start, end = _slab(ox, dx, size[0])
        first, last = _slab(oy, dy, size[0])
        start, end = max(start, first), min(end, last)
        first, last = _slab(oz, dz, size[0])
        return max(start, first), min(end, last)
    if kind == CONE:
        return _cone_interval(size[0], size[1], size[2], ox, oy, oz, dx, dy, dz)
    return _tetrahedron_interval(size[0], ox, oy, oz, dx, dy, dz)


@kernel()
def local_normal(kind: int, size: Any, x: float, y: float, z: float) -> Any:
    """The outward normal, not normalised, of the face of the primitive nearest to a point on its surface."""
    if kind == SPHERE:
        return x, y, z
    if kind == CUBE:
        if abs(x) >= abs(y) and abs(x) >= abs(z):
            return np.sign(x), 0.0, 0.0
        return (0.0, np.sign(y), 0.0) if abs(y) >= abs(z) else (0.0, 0.0, np.sign(z))
    if kind == CONE:
        radius, top, half = size[0], size[1], size[2]
        slope = (top - radius) / (2.0 * half)
        across = np.sqrt(x * x + y * y)
        if abs(abs(z) - half) < abs(across - 0.5 * (radius + top) - slope * z):
            return 0.0, 0.0, np.sign(z)
        return x, y, -slope * across
    best, nearest = -_FAR, 0
    for face in range(4):
        n = TETRAHEDRON_NORMALS[face]
        distance = n[0] * x + n[1] * y + n[2] * z
        if distance > best:
            best, nearest = distance, face
    n = TETRAHEDRON_NORMALS[nearest]
    return n[0], n[1], n[2]


@kernel()
def inside(bits: int, operations: Any, count: int) -> bool:
    """Is a point inside the composition, given a bit a primitive that it is inside of?"""
    for k in range(count):
        left, right = operations[k, 0], operations[k, 1]
        if (bits >> right) & 1:
            bits = bits & ~(1 << left) if operations[k, 2] else bits | (1 << left)
    return (bits & 1) == 1


@kernel()
def apply(m: Any, x: float, y: float, z: float, translate: float) -> Any:
    """Linear part of m (3, 4) times (x, y, z), plus `translate` times its last column."""
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + translate * m[0, 3],
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + translate * m[1, 3],
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + translate * m[2, 3],
    )


class Scratch(NamedTuple):
    """Work space of one ray: events sorted by time, each toggling the slot's bit."""

    time: Any
    slot: Any


@kernel()
def scratch(slots: int) -> Any:
    return Scratch(np.empty(2 * slots), np.empty(2 * slots, np.int64))


@kernel()
def push(work: Any, count: int, start: float, stop: float, slot: int) -> int:
    """Insert the two ends of an interval into the `count` sorted events; return the new count."""
    for time in (start, stop):
        k = count
        while k > 0 and work.time[k - 1] > time:
            work.time[k], work.slot[k] = work.time[k - 1], work.slot[k - 1]
            k -= 1
        work.time[k], work.slot[k] = time, slot
        count += 1
    return count


@kernel()
def events(kind: Any, size: Any, from_world: Any, begin: int, end: int, origin: Any, direction: Any, work: Any) -> int:
    """Fill `work` with the sorted ends of the intervals of a ray through primitives begin..end; return their number."""
    x, y, z = origin
    u, v, w = direction
    count = 0
    for slot in range(begin, end):
        if kind[slot] == ABSENT:
            continue
        ox, oy, oz = apply(from_world[slot], x, y, z, 1.0)
        dx, dy, dz = apply(from_world[slot], u, v, w, 0.0)
        start, stop = interval(kind[slot], size[slot], ox, oy, oz, dx, dy, dz)
        if start < stop:
            count = push(work, count, start, stop, slot)
    return count


@kernel()
def _invert(m: Any, out: Any) -> None:
    c0 = m[1, 1] * m[2, 2] - m[1, 2] * m[2, 1]
    c1 = m[1, 2] * m[2, 0] - m[1, 0] * m[2, 2]
    c2 = m[1, 0] * m[2, 1] - m[1, 1] * m[2, 0]
    scale = 1.0 / (m[0, 0] * c0 + m[0, 1] * c1 + m[0, 2] * c2)
    out[0, 0], out[1, 0], out[2, 0] = c0 * scale, c1 * scale, c2 * scale
    out[0, 1] = (m[0, 2] * m[2, 1] - m[0, 1] * m[2, 2]) * scale
    out[1, 1] = (m[0, 0] * m[2, 2] - m[0, 2] * m[2, 0]) * scale
    out[2, 1] = (m[0, 1] * m[2, 0] - m[0, 0] * m[2, 1]) * scale
    out[0, 2] = (m[0, 1] * m[1, 2] - m[0, 2] * m[1, 1]) * scale
    out[1, 2] = (m[0, 2] * m[1, 0] - m[0, 0] * m[1, 2]) * scale
    out[2, 2] = (m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]) * scale
    for i in range(3):
        out[i, 3] = -(out[i, 0] * m[0, 3] + out[i, 1] * m[1, 3] + out[i, 2] * m[2, 3])


@kernel()
def _rotation(q: Any, out: Any) -> None:
    w, x, y, z = q[0], q[1], q[2], q[3]
    out[0, 0], out[0, 1], out[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    out[1, 0], out[1, 1], out[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    out[2, 0], out[2, 1], out[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)


@kernel()
def _transform(m: Any, begin: int, end: int, kind: Any, to_world: Any, from_world: Any) -> None:
    """to_world[slot] <- m to_world[slot] for the primitives begin..end, and the inverses with them."""
    old = np.empty((3, 4))
    for slot in range(begin, end):
        if kind[slot] == ABSENT:
            continue
        old[:] = to_world[slot]
        for i in range(3):
            for j in range(4):
                to_world[slot, i, j] = m[i, 0] * old[0, j] + m[i, 1] * old[1, j] + m[i, 2] * old[2, j]
            to_world[slot, i, 3] += m[i, 3]
        _invert(to_world[slot], from_world[slot])


@kernel()
def _last_exit(
    kind: Any, size: Any, from_world: Any, ops: Any, count: int, begin: int, end: int, direction: Any, work: Any
) -> float:
    """Where a ray from the origin last leaves the operand in slots begin..end; 0 if it does not meet it."""
    toward = (direction[0], direction[1], direction[2])
    found = events(kind, size, from_world, begin, end, (0.0, 0.0, 0.0), toward, work)
    bits, was, exit_at = 0, False, 0.0
    for e in range(found):
        bits ^= 1 << (work.slot[e] - begin)
        state = bits
        for k in range(count):
            left, right = ops[k, 0] - begin, ops[k, 1] - begin
            if left >= 0 and right < end - begin and (state >> right) & 1:
                state = state & ~(1 << left) if ops[k, 2] else state | (1 << left)
        now = (state & 1) == 1
        if was and not now and work.time[e] > exit_at:
            exit_at = work.time[e]
        was = now
    return exit_at


@kernel()
def _compose_one(kind: Any, size: Any, place: Any, row: int, to_world: Any, from_world: Any, ops: Any) -> int:
    slots = len(kind)
    work = scratch(slots)
    to_world[:] = 0.0
    for i in range(3):
        to_world[:, i, i] = 1.0
    from_world[:] = to_world
    m = np.zeros((3, 4))
    count = 0
    for node in range(slots - 1, 0, -1):
        if not place.expanded[row, node]:
            continue
        width = slots  # slots under this node, from its depth in the heap
        heap = node
        while heap > 1:
            heap >>= 1
            width >>= 1
        begin = node * width - slots
        middle = begin + width // 2
        # T = attach o translate o rotate o scale, applied to the right operand about its own origin
        _rotation(place.rotation[row, node], m)
        at = _last_exit(kind, size, from_world, ops, count, begin, middle, place.direction[row, node], work)
        for i in range(3):
            for j in range(3):
                m[i, j] *= place.scale[row, node, j]
            m[i, 3] = at * place.direction[row, node, i] + place.translation[row, node, i]
        _transform(m, middle, begin + width, kind, to_world, from_world)
        ops[count, 0], ops[count, 1], ops[count, 2] = begin, middle, place.subtract[row, node]
        count += 1
    _rotation(place.rotation[row, 0], m)
    m[:, 3] = 0.0
    _transform(m, 0, slots, kind, to_world, from_world)
    return count


@kernel()
def _compose(kind: Any, size: Any, place: Any, to_world: Any, from_world: Any, ops: Any, count: Any) -> None:
    for row in range(len(kind)):
        count[row] = _compose_one(kind[row], size[row], place, row, to_world[row], from_world[row], ops[row])


def compose(kind: NDArray[np.int64], size: NDArray[np.float64], place: Placement) -> Shapes:
    """Place the primitives of n shapes: kind (n, L), size (n, L, 3), L = 2^D at most 32."""
    n, slots = kind.shape
    to_world, from_world = np.empty((2, n, slots, 3, 4))
    ops, count = np.zeros((n, slots, 3), np.int64), np.zeros(n, np.int64)
    _compose(kind, size, place, to_world, from_world, ops, count)
    return Shapes(kind, size, to_world, from_world, ops, count)


def in_primitive(kind: int, size: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Points (m, 3) in the primitive's own frame."""
    if kind == SPHERE:
        return np.sum(p**2, axis=1) <= size[0] ** 2
    if kind == CUBE:
        return np.all(np.abs(p) <= size[0], axis=1)
    if kind == CONE:
        radius = 0.5 * (size[0] + size[1]) + (size[1] - size[0]) * p[:, 2] / (2.0 * size[2])
        return (np.abs(p[:, 2]) <= size[2]) & (np.hypot(p[:, 0], p[:, 1]) <= radius)
    return np.all(p @ TETRAHEDRON_NORMALS.T <= size[0] / 3.0, axis=1)


@kernel()
def reach(kind: int, size: Any) -> float:
    """Radius of a ball about a primitive's origin that contains it."""
    if kind == SPHERE:
        return size[0]
    if kind == CUBE:
        return size[0] * np.sqrt(3.0)
    if kind == CONE:
        return np.sqrt(max(size[0], size[1]) ** 2 + size[2] ** 2)
    return size[0]


def bounds(shapes: Shapes, row: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A box that holds all primitives of a shape, as far as each may `reach`: its low and high corners, (3,)."""
    present = shapes.kind[row] != ABSENT
    maps, size = shapes.to_world[row, present], shapes.size[row, present]
    kind = shapes.kind[row, present]
    radius = np.array([reach(k, s) for k, s in zip(kind, size, strict=True)])
    half = np.linalg.norm(maps[:, :, :3], axis=2) * radius[:, None]
    return (maps[:, :, 3] - half).min(0), (maps[:, :, 3] + half).max(0)


def picked(shapes: Shapes, index: NDArray[np.int64]) -> Shapes:
    """Some of the shapes."""
    return Shapes._make(array[index] for array in shapes)


def transformed(shapes: Shapes, m: NDArray[np.float64]) -> Shapes:
    """Shapes moved by an affine map: m (3, 4), or one a shape (n, 1, 3, 4)."""
    to_world = m[..., :3] @ shapes.to_world
    to_world[..., 3] += m[..., 3]
    linear = np.linalg.inv(to_world[..., :3])
    from_world = np.concatenate([linear, -linear @ to_world[..., 3:]], axis=-1)
    return shapes._replace(to_world=to_world, from_world=from_world)
