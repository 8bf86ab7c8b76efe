"""How far something is, on stderr: a bar where there is a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

EVERY = 30.0
"""Wall seconds between plain lines."""


class Progress:
    """`with Progress("cells") as progress: progress.show(done, total, note)`."""

    def __init__(self, unit: str) -> None:
        self._unit, self._said = unit, time.monotonic()
        self._bar: tqdm | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from tqdm import tqdm

            form = "{percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} {unit} [{elapsed}<{remaining}{postfix}]"
            self._bar = tqdm(unit=self._unit, total=1, bar_format=form)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total`, and a word on it."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
            self._bar.set_postfix_str(note)
        elif time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            print(f"{done} of {total} {self._unit}{note and ': '}{note}", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)
