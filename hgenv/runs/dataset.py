"""A dataset of what a run has found: pictures, ground truth and beta, in a folder that other tools can read.

Sample i is made of the key (seed, i), so that a dataset that was cut short goes on, and grows, without a bit's change.
Its line in samples.csv is written once its files are whole: what is listed is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv import interpreter
from hgenv.beta.box import Box, Spreading, spread_about
from hgenv.beta.noise import stream_keys
from hgenv.files import append, as_csv, read_json, whole, write_json, write_text
from hgenv.runs.folder import OpenRun, start_at
from hgenv.runs.sample_files import Format, Plane, check_format, described, files, planes
from hgenv.runs.writer import LOCK, WRITER, sole_writer
from hgenv.task import Task, sampled
from hgenv.workers import Workers

MANIFEST, SAMPLES = "manifest.json", "samples.csv"
PIECE = 16
"""Samples that are drawn together."""
_FOLDER = 1000
"""Samples in a folder of their own."""


class Source(NamedTuple):
    """What a dataset is drawn from: samples spread about the start of a box, of keys of a seed, in a format."""

    task: Task
    box: Box
    spread: Spreading
    seed: int
    format: Format
    shown: tuple[Plane, ...]

    @property
    def each_its_own(self) -> bool:
        """Whether every sample has a beta of its own."""
        return self.spread is not None


class Drawn(NamedTuple):
    """Samples of a piece: the contents of their files by name, and their lines."""

    files: dict[str, bytes]
    lines: list[list[Any]]


def source(run: OpenRun, seed: int, format: Format) -> Source:
    """What a run has found, as what it is: a point, or a distribution where its samples were spread or its answer is.

    Raises ValueError if there is no snapshot yet, or if the format cannot hold what is learned.
    """
    if not run.snapshot:
        raise ValueError("the run has no snapshot yet: no validation metric was finite")
    env = run.env
    start_at(env, run.snapshot)
    option = env.options.spread
    truth = env.task.domain.batch("validation")
    shown = planes(env.task.quantity.parts(truth.target.shape[1]), truth.image.shape[1])
    check_format(format, shown)
    return Source(env.task, env.box, env.box.spreading("found" if option is None else option), seed, format, shown)


def write(made: Source, about: dict[str, Any], count: int, out: Path, workers: Workers) -> Iterator[int]:
    """Write so many samples, those that the folder lacks; yields how many are there.

    about: what they are of, for the manifest. Raises ValueError if the folder holds another dataset, or more of this
    one; FileExistsError if it holds something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    with sole_writer(out):
        done = _begun(made, about, count, out)
        yield done
        pieces = range(done // PIECE, -(-count // PIECE))
        with closing(workers):
            for number, drawn in _in_order(workers, made, pieces):
                stop = min(count, (number + 1) * PIECE)
                _keep(drawn, number * PIECE, stop, out)
                yield stop


def _begun(made: Source, about: dict[str, Any], count: int, out: Path) -> int:
    """How many samples of whole pieces are there already, after the manifest is written."""
    content = _manifest(made, about) | {"count": count}
    if (out / MANIFEST).is_file():
        old = read_json(out / MANIFEST)
        for name in content:
            if name not in ("count", "versions") and (not isinstance(old, dict) or old.get(name) != content[name]):
                raise ValueError(f"{out / MANIFEST} is of another dataset, by its {name}: name another --out")
        content["versions"] = old.get("versions")
    elif {path.name for path in out.iterdir()} - {LOCK, WRITER}:
        raise FileExistsError(f"{out} is not empty and no dataset: name another folder with --out")
    lines = _lines(made, out / SAMPLES)
    if len(lines) - 1 > count:
        raise ValueError(f"{out} has {len(lines) - 1} samples already, more than {count}")
    done = (len(lines) - 1) // PIECE * PIECE
    write_json(out / MANIFEST, content)
    write_text(out / SAMPLES, "".join(lines[: done + 1]))
    return done


def _manifest(made: Source, about: dict[str, Any]) -> dict[str, Any]:
    layout, box = made.task.layout, made.box
    beta = dict(zip(layout.names, box.beta(box.centre).tolist(), strict=True))
    spread: Any = made.spread
    if isinstance(spread, np.ndarray):
        spread = dict(zip(layout.names, box.whole(spread).tolist(), strict=True))
    mine = {"beta": beta, "spread": spread, "seed": made.seed, "format": made.format}
    return {**about, **mine, **described(made.format, made.shown), "versions": interpreter.versions()}


def _lines(made: Source, path: Path) -> list[str]:
    """The lines of samples.csv that are whole, its header first."""
    names = made.task.layout.names if made.each_its_own else []
    header = as_csv([["index", "file", "seed", *(f"beta.{name}" for name in names)]])
    if not path.is_file():
        return [header]
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in file if line.endswith("\n")]
    return lines if lines[:1] == [header] else [header]


def _in_order(workers: Workers, made: Source, pieces: range) -> Iterator[tuple[int, Drawn]]:
    """Pieces with their numbers, in their order, wherever they are drawn."""
    waiting, following = dict[int, Drawn](), 0
    for i, drawn in workers.each(draw, (made,), pieces):
        waiting[i] = drawn
        while following in waiting:
            yield pieces[following], waiting.pop(following)
            following += 1


def draw(made: Source, piece: int) -> Drawn:
    """The samples of a piece. Raises ValueError for values that the format cannot hold."""
    seeds = stream_keys(made.seed, "dataset", piece, PIECE)
    beta = made.box.beta(spread_about(made.box.centre, seeds, made.spread))
    found = sampled(made.task, beta, seeds)
    content, lines = dict[str, bytes](), list[list[Any]]()
    for row, seed in enumerate(found.noise.seeds.tolist()):
        index = piece * PIECE + row
        stem = f"{index // _FOLDER:04d}/{index:06d}"
        others: dict[str, NDArray] = {"seed": np.array(seed, np.uint64), "beta": beta[row]}
        try:
            mine = files(made.format, made.shown, found.batch, row, others)
        except ValueError as error:
            raise ValueError(f"sample {index}: {error}") from error
        content |= {stem + end: value for end, value in mine.items()}
        lines.append([index, stem, seed, *(beta[row].tolist() if made.each_its_own else [])])
    return Drawn(content, lines)


def _keep(drawn: Drawn, first: int, stop: int, out: Path) -> None:
    """Write the files of the samples from first until stop, then their lines."""
    kept = drawn.lines[: stop - first]
    stems = {line[1] for line in kept}
    for name, content in drawn.files.items():
        if name[: name.rindex("/") + 7] in stems:
            (out / name).parent.mkdir(exist_ok=True)
            with whole(out / name) as partial:
                partial.write_bytes(content)
    append(out / SAMPLES, as_csv(kept))
