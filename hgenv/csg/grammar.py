"""The paper's context-free grammar over CSG shapes, with the probabilities and distributions of beta.

S => E;  E => C(E, T(E)) | P;  C => union | subtract;  P => sphere | cube | truncated cone | tetrahedron;
T => attach o translate o rotate o scale (Yang & Deng 2020, appendix). Rotations are uniform and have no parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hgenv.beta.distributions import Bernoulli, Categorical, LogNormal, Normal
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise
from hgenv.csg import shapes as csg
from hgenv.rotations import unit_quaternion, unit_vector

Mask = NDArray[np.bool_]
AXES = ("x", "y", "z")


@dataclass(frozen=True)
class ShapeBeta(Layout):
    """The 29 coordinates: lengths are in units of half the default picture's width."""

    primitive: Categorical = Categorical(
        "sphere", "cube", "truncated_cone", "tetrahedron", meaning="primitive, P of the grammar"
    )
    operation: Categorical = Categorical("union", "subtract", meaning="operation, C of the grammar")
    expand: Bernoulli = Bernoulli(initial=0.5, meaning="E => C(E, T(E)) instead of P")
    translation: Normal = Normal(
        (-0.5, 0.5), (0.02, 0.5), AXES, initial=(0.0, 0.2), meaning="translation of T, after attaching"
    )
    scale: LogNormal = LogNormal((-0.8, 0.8), (0.02, 0.6), AXES, initial=(0.0, 0.3), meaning="scale of T")
    sphere_radius: LogNormal = LogNormal((-2.0, 0.0), (0.02, 0.6), initial=(-1.0, 0.3), meaning="radius of a sphere")
    cube_length: LogNormal = LogNormal((-1.4, 0.6), (0.02, 0.6), initial=(-0.4, 0.3), meaning="edge of a cube")
    cone_radius: LogNormal = LogNormal(
        (-2.0, 0.0), (0.02, 0.6), initial=(-1.0, 0.3), meaning="bottom radius of a truncated cone"
    )
    cone_height: LogNormal = LogNormal(
        (-1.4, 0.6), (0.02, 0.6), initial=(-0.4, 0.3), meaning="height of a truncated cone"
    )
    tetrahedron_length: LogNormal = LogNormal(
        (-1.0, 1.0), (0.02, 0.6), initial=(0.0, 0.3), meaning="edge of a tetrahedron"
    )


def derive(layout: ShapeBeta, beta: ArrayLike, noise: Noise, depth: int) -> csg.Shapes:
    """Derive n shapes from physical beta (n, 29) and noise of n seeds; E at the given depth is always P.

    A node's decisions are keyed by its place in the binary tree, a primitive's by its leaf slot.
    """
    slots = 2**depth
    bound = layout.bind(beta)
    expanded, present = _expand(bound, noise, depth)
    subtract = noise.draw(bound.operation, "operation", (slots,), used=expanded) == 1
    kind = np.where(present, noise.draw(bound.primitive, "primitive", (slots,), used=present), csg.ABSENT)
    place = csg.Placement(
        expanded=expanded,
        subtract=subtract,
        scale=noise.draw(bound.scale, "scale", (slots,), used=expanded),
        rotation=unit_quaternion(noise.uniform("rotation", (slots, 3))),
        translation=noise.draw(bound.translation, "translation", (slots,), used=expanded),
        direction=unit_vector(noise.uniform("attach", (slots, 2))),
    )
    return csg.compose(kind, _sizes(bound, noise, kind), place)


def _expand(bound: SimpleNamespace, noise: Noise, depth: int) -> tuple[Mask, Mask]:
    """Which inner nodes are expanded (n, L; heap order, root 1) and which leaf slots hold a primitive (n, L)."""
    n = len(noise.seeds)
    present = np.zeros((n, 2**depth), dtype=bool)
    levels: list[Mask] = [np.zeros((n, 1), dtype=bool)]
    reached = np.ones((n, 1), dtype=bool)
    for level in range(depth):
        grown = noise.draw(bound.expand, f"expand {level}", (2**level,), used=reached) & reached
        present[:, :: 2 ** (depth - level)] |= reached & ~grown
        levels.append(grown)
        reached = np.repeat(grown, 2, axis=1)
    return np.concatenate(levels, axis=1), present | reached


def _sizes(bound: SimpleNamespace, noise: Noise, kind: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sizes (n, L, 3) as csg.Shapes wants them; only the chosen primitive's draws count as used."""
    slots = (kind.shape[1],)

    def of(name: str, primitive: int) -> NDArray[np.float64]:
        return noise.draw(getattr(bound, name), name, slots, used=kind == primitive)

    radius = of("cone_radius", csg.CONE)
    taper = noise.uniform("taper", slots)  # top radius / bottom radius: uniform, as beta has no parameter for it
    first = [
        of("sphere_radius", csg.SPHERE),
        of("cube_length", csg.CUBE) / 2.0,
        radius,
        of("tetrahedron_length", csg.TETRAHEDRON) * np.sqrt(3.0 / 8.0),  # edge to circumradius
    ]
    return np.stack([np.choose(np.maximum(kind, 0), first), radius * taper, of("cone_height", csg.CONE) / 2.0], axis=-1)
