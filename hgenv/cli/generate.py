"""hgenv generate: a dataset of what a run has found."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import tyro

from hgenv.cli.interruption import check_interruption, interruption_status
from hgenv.cli.options import parse
from hgenv.cli.progress import Progress
from hgenv.fields import Natural, OnDisk, Seed, check
from hgenv.runs import dataset, open_run
from hgenv.runs.sample_files import Format
from hgenv.workers import check as check_workers
from hgenv.workers import workers_of


@dataclasses.dataclass(frozen=True)
class GenerateOptions:
    """Pictures with ground truth and beta, drawn from what a run has found. A dataset that was cut short goes on with
    the same command, and grows with a larger --count."""

    run: tyro.conf.Positional[str]
    """Folder of the run; its best snapshot is what it has found."""
    count: Natural
    """Samples."""
    out: OnDisk
    """Folder for them: new, empty, or of the same dataset."""
    format: Format = "png"
    """png: 8 bits for images and masks, 16 for ground truth between the bounds that manifest.json says; exr: floats
    (hgenv[exr]); npz: all arrays of a sample in one file."""
    seed: Seed = 0
    """Of all keys; the samples are none that the run has seen."""
    workers: str = "1"
    """Where samples are drawn: 1, this process; N processes; auto, one a core; ray or ray://HOST:PORT, a Ray cluster.
    No bit depends on it."""

    def __post_init__(self) -> None:
        check(self)
        check_workers(self.workers)


def command(words: list[str]) -> int:
    o = parse("generate", words, generate=GenerateOptions).generate
    out, opened = Path(o.out), open_run(o.run)
    made = dataset.source(opened, o.seed, o.format)
    about = {name: opened.config[name] for name in ("env", "imports", "task")}
    with Progress("samples") as progress:
        try:
            for done in dataset.write(made, about, o.count, out, workers_of(o.workers)):
                progress.show(done, o.count)
                check_interruption()
        except KeyboardInterrupt as interruption:
            progress.say(f"interrupted: hgenv generate {shlex.join(words)} goes on")
            return interruption_status(interruption)
    print(f"{out}: {o.count} samples of {o.run}; {dataset.MANIFEST} says what is in which file")
    return 0
