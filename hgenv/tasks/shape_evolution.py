"""hgenv/ShapeEvolution-v0: the training shapes are a population that grows by compositions (Yang & Deng 2018)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from hgenv.batch import Batch
from hgenv.beta.distributions import Value
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise
from hgenv.csg.population import RADIUS, Member, Population, primitives
from hgenv.csg.shapes import Shapes, transformed
from hgenv.fields import MOST, AtLeast, AtMost, Over, Under
from hgenv.registry import register
from hgenv.rotations import rotation, unit_quaternion
from hgenv.task import Task
from hgenv.tasks.single_object import ObjectNormals, as_batch, from_anywhere

AXES = ("x", "y", "z")


@dataclass(frozen=True)
class CompositionBeta(Layout):
    """The 12 coordinates of one composition; the second parent is scaled, rotated and translated before it."""

    parent: Value = Value(
        (0.0, 1.0), ("first", "second"), discrete=True, meaning="which member, and which of those up to it"
    )
    operation: Value = Value((0.0, 1.0), discrete=True, meaning="union below a half, difference above")
    rotation: Value = Value((0.0, 1.0), AXES, meaning="rotation of the second parent (uniforms of Shoemake 1992)")
    scale: Value = Value((-1.0, 0.4), AXES, meaning="logarithm of its scale")
    translation: Value = Value((-0.9, 0.9), AXES, initial=0.5, meaning="translation; a member has radius 0.85")


@register("hgenv/ShapeEvolution-v0")
@dataclass(frozen=True)
class ShapeEvolution(ObjectNormals):
    """The action is one composition. A step trains on the population with it, and adds it if it is not trivial.

    `evaluate` is the paper's fitness: the validation loss of a copy of the network, trained on from the current weights
    on the dataset plus that shape. What is trivial is dropped, as in the paper: its loss is infinite, at no cost, so
    that no composition that was added is the fittest again. An action means the same tree for ever, or none until its
    first parent is there. A picture shows a member under a uniform rotation, at a uniform size.
    """

    max_primitives: Annotated[int, AtLeast(2), AtMost(32)] = 8
    """Primitives of the largest member; for a parent that would make a larger one stands a primitive."""
    max_population: Annotated[int, AtLeast(5), MOST] = 200
    """Members; beyond, a new one takes the place of the one most like it."""
    share: Annotated[float, Over(0), Under(1)] = 0.25
    """Share of the training pictures that show the composition which the action describes, if it is not trivial."""

    layout = CompositionBeta()

    @cached_property
    def population(self) -> Population:
        """All members; the primitives at first."""
        return primitives(self.max_primitives)

    @property
    def memory(self) -> NDArray[np.float64]:
        return self.population.to_array()

    def commit(self, beta: NDArray[np.float64]) -> Task:
        made = _composed(self.population, tuple(beta))
        return self if made is None else self._with(self.population.grown(made, self.max_population))

    def trivial(self, beta: NDArray[np.float64]) -> bool:
        return _composed(self.population, tuple(beta)) is None

    def recall(self, memory: NDArray[np.float64]) -> Task:
        population = Population.from_array(memory)
        slots = population.shapes.kind.shape[1]
        if slots != self.max_primitives:
            raise ValueError(f"the population has max_primitives={slots}, the task {self.max_primitives}")
        return self._with(population)

    def _with(self, population: Population) -> Task:
        other = copy.copy(self)  # what is cached of the target domain stays
        other.__dict__["population"] = population
        return other

    def report(self) -> dict[str, float]:
        return {"population": len(self.population)}

    def sample(self, beta: NDArray[np.float64], noise: Noise) -> Batch:
        return as_batch(self.photograph(self._placed(self._shapes(beta, noise), noise), from_anywhere(noise)))

    def _shapes(self, beta: NDArray[np.float64], noise: Noise) -> Shapes:
        """n shapes: the composition of row i's beta, or any member of the population."""
        self.layout.bind(beta)  # refuses what is out of range
        members = np.floor(noise.uniform("member") * len(self.population)).astype(int)
        shapes = self.population.rows(members)
        for row in np.flatnonzero(noise.uniform("share") < self.share):
            made = _composed(self.population, tuple(beta[row]))
            if made is not None:
                for whole, one in zip(shapes, made.shape, strict=True):
                    whole[row] = one[0]
        return shapes

    def _placed(self, shapes: Shapes, noise: Noise) -> Shapes:
        """Each under a rotation and at a size of its own."""
        radius = 0.45 + 0.5 * noise.uniform("size")
        linear = (radius / RADIUS)[:, None, None] * rotation(unit_quaternion(noise.uniform("rotation", (3,))))
        return transformed(shapes, np.concatenate([linear, np.zeros((len(linear), 3, 1))], axis=2)[:, None])


@lru_cache(16)  # a step's samples share a few compositions; a population is a megabyte
def _composed(population: Population, beta: tuple[float, ...]) -> Member | None:
    """The composition that physical beta (12,) describes; None if it is trivial."""
    first, second, operation, *numbers = beta
    turn, scale, translation = np.array(numbers).reshape(3, 3)
    placement = np.concatenate([rotation(unit_quaternion(turn)) * np.exp(scale), translation[:, None]], axis=1)
    return population.composition(first, second, operation >= 0.5, placement)
