"""The paper's figures: drawn of a table's cells, or of samples alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hgenv.bench.charts import colours, curves
from hgenv.bench.compare import CONTROLS
from hgenv.bench.found import finds
from hgenv.bench.statistics import Result, best_seeds
from hgenv.beta.layout import Layout
from hgenv.beta.noise import Noise, keys
from hgenv.files import write_text
from hgenv.pages.chart import ASSETS, chart
from hgenv.pages.markup import Html, escaped
from hgenv.pages.page import page
from hgenv.pages.picture import picture, png
from hgenv.pictures import sheet
from hgenv.reproduce.scales import Scale
from hgenv.runs.folder import open_run
from hgenv.runs.report.beta import over_time
from hgenv.scenes.texture import TextureBeta, stages
from hgenv.task import Task, sampled

PAGE = "figure.html"
Array = NDArray[np.float64]
Strip = NDArray[np.uint8]
_WIDE, _COUNT, _COLUMNS, _CANVAS = 900, 24, 12, 96


@dataclass(frozen=True)
class PaperFigure:
    """A figure: of the cells of a table, or, where `table` is "", of samples of an environment's task."""

    title: str
    said: str
    env: str
    draw: Callable[[Sequence[Result], Task], Html]
    table: str = ""


def write(out: Path, figure: PaperFigure, scale: Scale, command: str, found: Sequence[Result], task: Task) -> Path:
    """Write its page into a folder; returns the page. Raises ValueError if no cell that it needs is over."""
    if figure.table and not found:
        raise ValueError(f"no cell of {figure.table} is over: there is nothing to draw")
    out.mkdir(parents=True, exist_ok=True)
    sized = f"<p>{escaped(scale.said)}</p>" if figure.table else ""
    body = [f"<h1>{escaped(figure.title)}</h1>", sized, figure.draw(found, task)]
    body += [f"<h2>What differs from the paper</h2><p>{escaped(figure.said)}</p>", f"<pre>{escaped(command)}</pre>"]
    write_text(out / PAGE, page("hgenv reproduce", "\n".join(body), ASSETS))
    return out / PAGE


def _pictures(strips: dict[str, Strip]) -> Html:
    return Html("\n".join(picture(png(s), said, max(1, _WIDE // s.shape[1])) for said, s in strips.items()))


def found_samples(results: Sequence[Result], task: Task) -> Html:
    """The target domain, the start, and samples of what each row's best seed has found."""
    return _pictures(finds(results).strips())


def error_against_cost(results: Sequence[Result], task: Task) -> Html:
    """Against training steps, CPU seconds and, where there are any, GPU seconds."""
    return chart(curves(results, colours([r.label for r in results])))


def beta_over_time(results: Sequence[Result], task: Task) -> Html:
    """Beta's distributions over the best seeds of the rows that move it."""
    parts = list[str]()
    for r in best_seeds([r for r in results if r.label not in (*CONTROLS, "random")]):
        parts += [f"<h2>{escaped(r.label)}, seed {r.seed}</h2>", over_time(open_run(r.folder))]
    return Html("\n".join(parts))


def samples_at_the_start(results: Sequence[Result], task: Task) -> Html:
    return _pictures({"samples, and their ground truth below": _sheet(task, task.layout.initial)})


def original_and_perturbed(results: Sequence[Result], task: Task) -> Html:
    """The same scenes and cameras: not perturbed, or by as little as beta's range has, at the start, and at random
    betas, one for every scene."""
    layout = task.layout
    still = [0.0 if ".mean" in p.name else p.low if ".std" in p.name else p.initial for p in layout.parameters]
    betas = {"original": np.array(still), "perturbed, at the start": layout.initial}
    betas["perturbed, at random betas"] = _random_betas(layout)
    return _pictures({said: _sheet(task, beta, 6) for said, beta in betas.items()})


def _random_betas(layout: Layout) -> Array:
    """One for every sample, (n, d)."""
    return layout.from_action(2.0 * Noise(np.arange(_COUNT)).uniform("random beta", (len(layout.initial),)) - 1.0)


def _sheet(task: Task, beta: Array, columns: int = _COLUMNS) -> Strip:
    """Two rows of samples at a beta (d,), or each at its own."""
    count = 2 * columns
    betas = np.broadcast_to(beta, (_COUNT, beta.shape[-1]))[:count]
    return sheet(task.quantity, sampled(task, betas, keys(0, "reproduced", count)).batch, columns)


def textures(results: Sequence[Result], task: Task) -> Html:
    """Canvases at the start beta, and at random ones."""
    layout = TextureBeta()
    betas = {"at the start": np.tile(layout.initial, (_COUNT, 1)), "at random betas": _random_betas(layout)}
    return _pictures({said: _tiled(stages(layout.bind(beta), _noise(), _CANVAS)[-1]) for said, beta in betas.items()})


def stages_of_a_texture(results: Sequence[Result], task: Task) -> Html:
    """Canvas, polygons, noise at their edges, the repeated texture, and the sample that wears it."""
    layout = TextureBeta()
    beta = np.tile(layout.initial, (_COUNT, 1))
    said = ("canvas", "polygons", "their edges roughened by noise", "repeated")
    made = dict(zip(said, map(_tiled, stages(layout.bind(beta), _noise(), _CANVAS)), strict=True))
    return _pictures(made | {"samples, and their albedo and shading": _sheet(task, layout.initial)})


def _noise() -> Noise:
    return Noise(keys(0, "reproduced", _COUNT))


def _tiled(canvases: Strip) -> Strip:
    """Pictures (n, h, w, 3) in rows of half of them, a white line between."""
    framed = np.pad(canvases, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
    rows = framed.reshape(2, len(framed) // 2, *framed.shape[1:])
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])


_SHAPES, _ROOMS, _FACES, _TEXTURES = (
    f"hgenv/{name}-v0" for name in ("ShapeNormals", "SceneNormals", "FaceDepth", "TextureIntrinsics")
)
FIGURES = {
    "fig3": PaperFigure(
        "Fig. 3. Shapes at the beta that was found", "Samples of every row's best seed by validation, those of the "
        "start and of the target domain beside them.", _SHAPES, found_samples, "table2",
    ),
    "fig4": PaperFigure(
        "Fig. 4. Error on the test images against cost", "Rows of Table 2 that train on the grammar's shapes; against "
        "training steps, CPU seconds and GPU seconds, if there were any.", _SHAPES, error_against_cost, "table2",
    ),
    "fig5": PaperFigure(
        "Fig. 5. Faces: training and test images", "Heads and scans are others than the paper's.", _FACES,
        found_samples, "table4",
    ),
    "fig6": PaperFigure(
        "Fig. 6. Textures", "Ranges and the number of components are ours.", _TEXTURES, textures,
    ),
    "figB1": PaperFigure(
        "Fig. B.1. Shapes of the grammar", "At the start, which is ours, with the light from anywhere in front.",
        _SHAPES, samples_at_the_start,
    ),
    "figC1": PaperFigure(
        "Fig. C.1. Scenes, original and perturbed", "Rooms are ours, or a folder's in SUNCG's layout. Original: all "
        "means are 0, and standard deviations as small as their range has them.", _ROOMS, original_and_perturbed,
    ),
    "figC2": PaperFigure(
        "Fig. C.2. Beta over time", "As densities: the shade is the density, lines are quantiles.", _ROOMS,
        beta_over_time, "table3",
    ),
    "figD1": PaperFigure(
        "Fig. D.1. Faces of the training", "Without subsurface scattering; a procedural head, or a folder's model.",
        _FACES, samples_at_the_start,
    ),
    "figE1": PaperFigure(
        "Fig. E.1. How a texture is made", "Ranges and the number of components are ours.", _TEXTURES,
        stages_of_a_texture,
    ),
}  # fmt: skip
