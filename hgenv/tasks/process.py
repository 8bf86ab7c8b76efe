"""hgenv/OwnGenerator-v0: whatever a generator in a process of its own makes, in any language, by a declaration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hgenv.batch import Batch, SampleError
from hgenv.beta.distributions import Categorical
from hgenv.beta.layout import DeclaredLayout
from hgenv.beta.noise import Noise, keys
from hgenv.domains.domain import Domain, Pictures
from hgenv.domains.folder import Folder, check_named
from hgenv.fields import Natural, OnDisk, Processes, Side, check
from hgenv.generators.declaration import Declared, read
from hgenv.learning.networks import HourglassSize, Positive, StackedHourglass
from hgenv.process.child import Arrays, Child, RefusedError, Request
from hgenv.process.crew import Crew, crew_of
from hgenv.quantities.quantity import Quantity
from hgenv.registry import register
from hgenv.task import Task, sampled

Array = NDArray[np.float64]
EXAMPLE = Path(__file__).parents[1] / "generators" / "example" / "balls.toml"


@register("hgenv/OwnGenerator-v0")
@dataclass(frozen=True)
class OwnGenerator(Task):
    """A generator in a process of its own, declared by a file: its samples, and what it says is to be learned.

    hgenv draws what beta says of every sample and asks for it; `hgenv.process.child` has the protocol,
    `hgenv.generators.declaration` the file. A process that dies or hangs is started again and asked again, which
    changes no bit. A sample that cannot be made is drawn anew, and counted as redrawn.
    """

    generator: OnDisk | None = None
    """TOML or JSON file that declares the generator; built in: balls and cones."""
    resolution: Side = 32
    """Width of the images in pixels."""
    height: Side | None = None
    """Height of the images in pixels; None: as their width."""
    target: Literal["itself", "folder"] = "itself"
    """Target domain: the generator at the beta of its [target], or your own pictures with ground truth in `data`."""
    data: OnDisk | None = None
    """Folder of the pictures."""
    processes: Processes = 1
    """Processes of the generator that make the samples of a batch; they change no bit."""
    validation_size: Natural = 32
    """Number of validation images where the target domain is the generator's own, at the beta of its [target]."""
    test_size: Natural = 64
    """Number of test images there."""
    hourglass: HourglassSize = HourglassSize()
    """Size of the network."""

    def __post_init__(self) -> None:
        check(self)
        check_named(self.target, self.data)
        for side in self.size:
            self.hourglass.check_side(side)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.height or self.resolution, self.resolution

    @cached_property
    def declared(self) -> Declared:
        """What the file says."""
        return read(EXAMPLE if self.generator is None else Path(self.generator).absolute())

    @property
    def layout(self) -> DeclaredLayout:
        return self.declared.layout

    @property
    def quantity(self) -> Quantity:  # type: ignore[override]
        return self.declared.quantity

    @property
    def slow(self) -> bool:
        return True

    def sample(self, beta: Array, noise: Noise) -> Batch:
        requests, refused = list(self._requests(beta, noise)), dict[int, str]()
        crew, shapes = self._crew, self._shapes

        def asked(row: int) -> Arrays | None:
            try:
                return crew.ask(Request(requests[row], shapes))
            except RefusedError as error:
                refused[row] = str(error)
                return None

        if self.processes == 1:
            found = [asked(row) for row in range(len(requests))]
        else:
            with ThreadPoolExecutor(self.processes) as pool:
                found = list(pool.map(asked, range(len(requests))))
        if refused:
            raise SampleError(refused, refused[min(refused)])
        samples = [sample for sample in found if sample is not None]
        return Batch(*(torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in shapes))

    def _requests(self, beta: Array, noise: Noise) -> Iterator[dict[str, Any]]:
        """What is asked for each row: all that is drawn, and a seed for what is not."""
        bound, layout = vars(self.layout.bind(beta)), self.layout
        drawn = {name: noise.draw(bound[name], name, self._count(name)) for name in layout.distributions}
        seeds = keys(noise.seeds, "generator", 1)[:, 0] >> np.uint64(11)  # a double holds 53 bits
        for row, seed in enumerate(seeds.tolist()):
            values = {name: self._named(name, draws[row].tolist()) for name, draws in drawn.items()}
            yield {"seed": seed, "beta": dict(zip(layout.names, beta[row].tolist(), strict=True)), "draws": values}

    def _count(self, name: str) -> tuple[int, ...]:
        return (self.declared.counts[name],) if name in self.declared.counts else ()

    def _named(self, name: str, value: Any) -> Any:
        """A draw as the generator is told: of a Categorical, the names."""
        family = self.layout.distributions[name]
        if not isinstance(family, Categorical):
            return value
        return [family.names[one] for one in value] if isinstance(value, list) else family.names[value]

    @property
    def _shapes(self) -> Mapping[str, tuple[int, ...]]:
        o = self.declared
        return {"image": (o.options.channels, *self.size), "target": (o.targets, *self.size), "mask": (1, *self.size)}

    @property
    def _crew(self) -> Crew:
        """Its processes, which it shares with every task of this process that asks for the same."""
        o, (height, width) = self.declared.options, self.size
        words, folder = self.declared.words, self.declared.path.parent
        hello = {"height": height, "width": width, "channels": o.channels, "targets": self.declared.targets}
        start = partial(Child, words, folder, hello, o.start_seconds, o.sample_seconds)
        return crew_of((folder, *words, *hello.values(), o.start_seconds, o.sample_seconds), start)

    def network(self) -> nn.Module:
        body = StackedHourglass(self.declared.options.channels, self.declared.targets, self.hourglass)
        return Positive(body, self.declared.options.middle) if self.declared.options.quantity == "depth" else body

    @cached_property
    def domain(self) -> Domain:
        if self.data is not None:
            return Folder(self.data, self.quantity, self.declared.targets, self.declared.options.channels, self.size)
        if not self.declared.target:
            raise ValueError(f"{self.declared.path} has no [target]: expected that, or target='folder', data='FOLDER'")
        beta = self.layout.named(self.declared.target)
        validation, test = (
            sampled(self, np.tile(beta, (count, 1)), keys(number, "target", count)).batch
            for number, count in enumerate((self.validation_size, self.test_size))
        )
        return Pictures(validation, test)
