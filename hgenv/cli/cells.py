"""Cells of comparisons, played while it is told how far they are."""

from __future__ import annotations

from collections.abc import Iterator

from hgenv.bench.playing import Played
from hgenv.cli.interruption import interruption_status
from hgenv.cli.progress import Progress


def play(played: Iterator[Played]) -> int:
    """Play cells and tell how far they are; the exit status."""
    status = 0
    with Progress("cells") as progress:
        try:
            for done, total, cell, failure in played:
                progress.show(done, total, cell.folder.name)
                if failure is not None:
                    status = 1
                    progress.say(f"not measured: {cell.folder.name}: {failure.reason}")
        except KeyboardInterrupt as interruption:
            progress.say("interrupted: the same command goes on")
            return interruption_status(interruption)
    return status
