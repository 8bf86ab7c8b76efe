"""How far a gradient sees: estimates by several horizons against brute force over trainings of several lengths.

A gradient that sees K steps ahead should point where the gradient of a training of about K steps points, and nowhere
else: each length of training has a horizon that suits it best (Wu et al. 2018, arXiv 1803.02021, on the bias of those
that are too short).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from hgenv.bench.fidelity import FidelityOptions, Group, between, grouped, halves, long_references, read, vectors
from hgenv.fields import MOST, AtLeast, Length, Natural, OnDisk, Seed, check
from hgenv.files import whole, write_text
from hgenv.learning.directions import cosine
from hgenv.options import EnvOptions
from hgenv.task import Task

TABLE, FIGURE = "horizons.md", "horizons.png"


@dataclasses.dataclass(frozen=True)
class HorizonOptions:
    """Horizons of the gradient against brute force over whole trainings."""

    out: OnDisk = "horizon"
    """Folder for vectors.csv, horizons.md and horizons.png; what it holds already is not measured again."""
    settings: tuple[str, ...] = ("score", "perturbed")
    """Estimators with their options, without a horizon: "NAME --gradient-OPTION VALUE ..."."""
    horizons: tuple[Annotated[int, AtLeast(0), MOST], ...] = (0, 10, 100, 1000, 10_000, 100_000)
    """Steps ahead that each of them sees; 0: none."""
    lengths: tuple[Natural, ...] = (100, 1000, 10_000)
    """Training steps from scratch of each reference."""
    references: Natural = 4
    """Repetitions of each reference; an even number."""
    age: Natural = 400
    """Training steps at the start beta before the gradient is estimated."""
    estimates: Annotated[int, AtLeast(2), MOST] = 16
    """Estimates a setting and horizon."""
    delta: Length = 0.1
    """Length of the references' differences, where each coordinate of the box is 2 long."""
    seed: Seed = 0
    """Seed of everything."""

    def __post_init__(self) -> None:
        check(self)
        if not (self.horizons and self.lengths):
            raise ValueError("name at least one horizon and one length")
        self.vectors()

    def vectors(self) -> FidelityOptions:
        """What has to be measured."""
        words = tuple(ahead(text, horizon) for text in self.settings for horizon in self.horizons)
        return FidelityOptions(
            self.out, words, (self.age,), self.estimates, self.references, self.delta, self.lengths, self.references,
            self.seed,
        )  # fmt: skip


def ahead(setting: str, horizon: int) -> str:
    """The setting with a horizon, in the words of the command line."""
    return f"{setting} --gradient-horizon {horizon}" if horizon else setting


def measure(
    task: Task, options: EnvOptions, settings: Mapping[str, EnvOptions], o: HorizonOptions
) -> Iterator[tuple[int, int]]:
    """Measure what the folder lacks, then write table and figure; yields (vectors done, vectors in all).

    settings: of every setting of `o.vectors()` the options with its estimator; options: those of the references.
    """
    yield from vectors(task, options, settings, o.vectors())
    folder = Path(o.out)
    rows = read(folder)
    write_text(folder / TABLE, table(rows, o))
    with whole(folder / FIGURE) as path:
        figure(cosines(rows, o), o).savefig(path, dpi=110)


Cosines = dict[str, dict[str, list[float]]]
"""Setting -> reference -> of the mean estimate for each horizon."""


def references(rows: list[dict[str, str]], o: HorizonOptions) -> dict[str, Group]:
    """Brute force, by the training that it is over: an environment step at that age, then those from scratch."""
    groups = grouped(rows)
    long = long_references(groups, o.vectors())
    return {"one environment step": groups["short", o.age]} | {f"{steps:,} steps": one for steps, one in long.items()}


def cosines(rows: list[dict[str, str]], o: HorizonOptions) -> Cosines:
    """Of every setting's mean estimate with every reference's mean."""
    groups, known = grouped(rows), references(rows, o)
    return {
        text: {
            said: [between(groups[ahead(text, horizon), o.age], one) for horizon in o.horizons]
            for said, one in known.items()
        }
        for text in o.settings
    }


def table(rows: list[dict[str, str]], o: HorizonOptions) -> str:
    """Markdown: how well the references know themselves, then the cosines, the best horizon of each reference bold."""
    lines = ["| brute force over | cosine of its halves | CPU s a repetition |", "|---|---|---|"]
    for said, group in references(rows, o).items():
        lines.append(f"| {said} | {cosine(*halves(group)):.2f} | {group.costs['cpu_seconds']:.3g} |")
    for text, by_reference in cosines(rows, o).items():
        lines.append(f"\n| {text}: cosine with brute force over | {' | '.join(map(_said, o.horizons))} |")
        lines.append("|---" * (1 + len(o.horizons)) + "|")
        for said, values in by_reference.items():
            cells = [f"{value:.2f}" for value in values]
            best = int(np.argmax(values))
            cells[best] = f"**{cells[best]}**"
            lines.append(f"| {said} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _said(horizon: int) -> str:
    return f"K = {horizon:,}" if horizon else "no horizon"


def figure(seen: Cosines, o: HorizonOptions) -> Figure:
    """A panel a setting, a line a reference, the darker the longer the training; a ring at its best horizon."""
    picture = Figure(figsize=(5.5 * len(seen), 4.2), layout="constrained")
    panels = picture.subplots(1, len(seen), sharey=True, squeeze=False)[0]
    places, viridis = np.arange(len(o.horizons)), colormaps["viridis"]
    for panel, (text, by_reference) in zip(panels, seen.items(), strict=True):
        shades = viridis(np.linspace(0.9, 0.0, len(by_reference)))
        for colour, (said, values) in zip(shades, by_reference.items(), strict=True):
            panel.plot(places, values, ".-", color=colour, lw=2, label=said)
            panel.plot(int(np.argmax(values)), max(values), "o", mfc="none", color=colour, ms=11)
        panel.set_xticks(places, [f"{horizon:,}" if horizon else "none" for horizon in o.horizons])
        panel.set(title=text, xlabel="horizon of the gradient, training steps")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("cosine with brute force")
    panels[-1].legend(title="brute force over", fontsize=8)
    return picture
