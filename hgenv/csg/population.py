"""Shape evolution's population: CSG shapes of bounded size, composed from pairs of one another (Yang & Deng 2018).

A member is centred and scaled so that it just fits a ball of radius RADIUS; then its points inside, on a fixed set, say
whether a composition differs from its parents and from what is there already. Sizes, limits, which member leaves and
how a parent is named are ours: the paper's are not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.csg.shapes import ABSENT, CONE, CUBE, SPHERE, TETRAHEDRON, Shapes, bounds, in_primitive, picked, transformed

Array = NDArray[np.float64]
Inside = NDArray[np.bool_]
RADIUS = 0.85
PRIMITIVES = 4
_SAME = 0.95  # intersection over union from which on two shapes are hardly different
_SMALLEST = 20  # of the points inside, for a shape that fits the ball: thinner ones are all but invisible
_COUNT = 4096
# Evenly spread points of [-1, 1]^3: the additive recurrence on powers of the root of x^4 = x + 1 (Roberts 2018).
_POINTS = 2.0 * ((np.arange(1, _COUNT + 1)[:, None] * 1.2207440846057596 ** -np.arange(1.0, 4.0)) % 1.0) - 1.0


def inside(shapes: Shapes, row: int, points: Array) -> Inside:
    """Which of the points (m, 3) are inside a shape, (m,)."""
    slots = shapes.kind[row]
    within = np.zeros((len(slots), len(points)), bool)
    for slot in np.flatnonzero(slots != ABSENT):
        m = shapes.from_world[row, slot]
        within[slot] = in_primitive(slots[slot], shapes.size[row, slot], points @ m[:, :3].T + m[:, 3])
    for left, right, subtract in shapes.operations[row, : shapes.used[row]]:
        within[left] = within[left] & ~within[right] if subtract else within[left] | within[right]
    return within[0]


def _within(low: Array, high: Array) -> Array:
    """The fixed points, moved to a box."""
    return 0.5 * (low + high) + 0.5 * (high - low) * _POINTS


class Member(NamedTuple):
    """A shape (one row), and which of the points (m,) are inside it."""

    shape: Shapes
    inside: Inside


def normalised(shape: Shapes) -> Member | None:
    """One shape (row 0), centred and scaled to RADIUS, to a few percent; None if it is all but empty."""
    low, high = bounds(shape, 0)
    for _ in range(3):  # close in on what is there, so that the points are not spent on what was taken away
        points = _within(low, high)
        occupied = points[inside(shape, 0, points)]
        if len(occupied) < 8:
            return None
        gap = (high - low) * _COUNT ** (-1 / 3)
        low, high = np.maximum(low, occupied.min(0) - gap), np.minimum(high, occupied.max(0) + gap)
    centre = 0.5 * (occupied.min(0) + occupied.max(0))
    scale = RADIUS / np.linalg.norm(occupied - centre, axis=1).max()
    moved = transformed(shape, np.concatenate([scale * np.eye(3), -scale * centre[:, None]], axis=1))
    return Member(moved, inside(moved, 0, _POINTS))


def combined(a: Shapes, b: Shapes, subtract: bool) -> Shapes:
    """One shape of two (a row each) with their primitives side by side; slots must suffice for both."""
    slots, cut = a.kind.shape[1], int(np.sum(a.kind != ABSENT))
    present = int(np.sum(b.kind != ABSENT))
    if cut + present > slots:
        raise ValueError(f"{cut} and {present} primitives do not fit {slots} slots")

    def joined(first: NDArray, second: NDArray) -> NDArray:
        out = first.copy()
        out[:, cut : cut + present] = second[:, :present]
        return out

    used_a, used_b = int(a.used[0]), int(b.used[0])
    operations = np.zeros_like(a.operations)
    operations[0, :used_a] = a.operations[0, :used_a]
    operations[0, used_a : used_a + used_b] = b.operations[0, :used_b] + [cut, cut, 0]
    operations[0, used_a + used_b] = (0, cut, subtract)
    return Shapes(
        joined(a.kind, b.kind), joined(a.size, b.size), joined(a.to_world, b.to_world),
        joined(a.from_world, b.from_world), operations, np.array([used_a + used_b + 1]),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Population:
    """n members of at most L primitives each, kept in the first slots; the first four are the primitives.

    occupied (n, m): which of the fixed points are inside each.
    """

    shapes: Shapes
    occupied: Inside

    def __len__(self) -> int:
        return len(self.shapes.kind)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of primitives of each member, (n,)."""
        return np.sum(self.shapes.kind != ABSENT, axis=1)

    def member(self, row: int) -> Shapes:
        """One member as shapes of one row."""
        return self.rows(np.array([row]))

    def rows(self, index: NDArray[np.int64]) -> Shapes:
        """Some of the members."""
        return picked(self.shapes, index)

    def parents(self, first: float, second: float) -> tuple[int, int] | None:
        """Members that two numbers in [0, 1] mean; None if there is no such first one yet. However the population
        grows, they stay the same two.

        The second is any of those up to the first, uniformly. For one that does not fit, as the two would have too many
        primitives, stands a primitive.
        """
        slots = self.shapes.kind.shape[1]
        a = _named(first)
        if a >= len(self):
            return None
        a = int(a) if self.sizes[int(a)] < slots else int(a) % PRIMITIVES
        last = max(a, PRIMITIVES - 1)
        b = min(int(second * (last + 1)), last)
        return a, b if self.sizes[a] + self.sizes[b] <= slots else b % PRIMITIVES

    def composition(self, first: float, second: float, subtract: bool, placement: Array) -> Member | None:
        """Two parents composed, the second one moved by placement (3, 4), normalised; None if the result is trivial.

        Trivial: no first parent yet, all but empty, or hardly different from a parent or from any other member.
        """
        parents = self.parents(first, second)
        if parents is None:
            return None
        first_parent, second_parent = self.member(parents[0]), transformed(self.member(parents[1]), placement)
        made = combined(first_parent, second_parent, subtract)
        points = _within(*bounds(made, 0))
        before = np.stack([inside(parent, 0, points) for parent in (first_parent, second_parent)])
        if overlap(inside(made, 0, points), before).max() > _SAME:
            return None
        result = normalised(made)
        if result is None or result.inside.sum() < _SMALLEST or overlap(result.inside, self.occupied).max() > _SAME:
            return None
        return result

    def grown(self, member: Member, limit: int) -> Population:
        """With one more member. Where there are `limit` it takes the place of the one most like it (crowding, De Jong
        1975), but of no primitive, so that all others stay where they are."""
        more = _gathered([Member(self.shapes, self.occupied), Member(member.shape, member.inside[None])])
        if len(self) < limit:
            return more
        kept = np.arange(len(self))
        kept[PRIMITIVES + int(overlap(member.inside, self.occupied[PRIMITIVES:]).argmax())] = len(self)
        return Population(more.rows(kept), more.occupied[kept])

    def to_array(self) -> Array:
        """All members as plain numbers, (n, 19 L + 1); `from_array` is the inverse."""
        s = self.shapes
        parts = (s.kind, s.size, s.to_world, s.operations, s.used)
        return np.concatenate([part.reshape(len(self), -1).astype(np.float64) for part in parts], axis=1)

    @staticmethod
    def from_array(array: Array) -> Population:
        """Raises ValueError if the numbers are not those of a population."""
        n, width = array.shape
        slots = (width - 1) // 19
        if width != 19 * slots + 1 or n < PRIMITIVES or not np.isfinite(array).all():
            raise ValueError(
                f"a population has at least {PRIMITIVES} rows of 19 L + 1 finite numbers, got {array.shape}"
            )
        kind, size, to_world, operations, used = np.split(
            array, np.cumsum([slots, 3 * slots, 12 * slots, 3 * slots]), 1
        )
        maps = to_world.reshape(n, slots, 3, 4)
        shapes = Shapes(
            kind.astype(np.int64), size.reshape(n, slots, 3), maps, maps.copy(),
            operations.reshape(n, slots, 3).astype(np.int64), used[:, 0].astype(np.int64),
        )  # fmt: skip
        present = shapes.kind != ABSENT
        gaps = (np.diff(present.astype(int), axis=1) > 0).any() or not present[:, 0].all()
        whole = (np.isin(shapes.kind, range(-1, PRIMITIVES)).all(), not gaps)
        counts = np.sum(present, axis=1)
        inner = shapes.operations[..., :2]
        if not (all(whole) and (shapes.used == counts - 1).all() and ((inner >= 0) & (inner < slots)).all()):
            raise ValueError("the array is not a population: kinds, operations and their number do not fit")
        identity = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1)
        shapes = transformed(shapes, identity)
        return Population(shapes, np.stack([inside(shapes, row, _POINTS) for row in range(n)]))


def _named(u: float) -> float:
    """The member that a number in [0, 1] means, whether it is there yet or not; infinity for none.

    [0, 1] is dealt out once for all, as identity asks for: a quarter to each primitive, of which it keeps a half. 1/6
    of the quarter is the first later member's there, 1/12 the next one's, and so on. What is not theirs yet means none.
    """
    quarter = min(int(PRIMITIVES * u), PRIMITIVES - 1)
    inner = PRIMITIVES * u - quarter
    if quarter % 2:
        inner = 1.0 - inner  # mirrored, so that both sides of 1/2, where play starts, are primitives
    return quarter + PRIMITIVES * (inner // (1.0 - inner)) if inner < 1.0 else np.inf


def _gathered(members: list[Member]) -> Population:
    shapes = Shapes._make(np.concatenate(parts) for parts in zip(*(member.shape for member in members), strict=True))
    return Population(shapes, np.concatenate([np.atleast_2d(member.inside) for member in members]))


def overlap(a: Inside, others: Inside) -> Array:
    """Intersection over union of a set of points (m,) with others (n, m), (n,)."""
    return (a & others).sum(1) / np.maximum((a | others).sum(1), 1)


def primitives(slots: int) -> Population:
    """Sphere, cube, truncated cone and tetrahedron, alone."""
    kind = np.full((PRIMITIVES, slots), ABSENT)
    kind[:, 0] = (SPHERE, CUBE, CONE, TETRAHEDRON)
    size = np.ones((PRIMITIVES, slots, 3))
    size[:, 0] = [(1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 0.5, 1.0), (1.0, 0.0, 0.0)]
    maps = np.zeros((PRIMITIVES, slots, 3, 4))
    maps[..., :3] = np.eye(3)
    none = np.zeros((PRIMITIVES, slots, 3), np.int64)
    raw = Shapes(kind, size, maps, maps.copy(), none, np.zeros(PRIMITIVES, np.int64))
    made = [normalised(picked(raw, np.array([row]))) for row in range(PRIMITIVES)]
    return _gathered([member for member in made if member is not None])
