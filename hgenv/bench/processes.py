"""The processes of a comparison's cells, which end with ours."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from typing import NamedTuple

from hgenv import interpreter
from hgenv.registry import loaded

_KEPT = 4000  # letters of a failed cell's standard error


class Failure(NamedTuple):
    """Why a cell could not be run, and the end of what it wrote to standard error."""

    reason: str
    output: str = ""


class Processes:
    """The processes that run now, so that an interruption ends them too."""

    def __init__(self) -> None:
        self._lock, self._running, self._stopped = threading.Lock(), set[subprocess.Popen](), False

    def run(self, commands: list[list[str]]) -> Failure | None:
        """Run commands of hgenv one after another in one process; why one failed. After stop() nothing is said."""
        imports = [word for what in loaded() for word in ("--import", what)]
        words = json.dumps([[*command, *imports] for command in commands])
        read, write = os.pipe()  # nothing comes: the process ends when nobody is left who could write, as we die
        try:
            with self._lock:
                if self._stopped:
                    return None
                process = subprocess.Popen(
                    [*interpreter.COMMAND, "-m", "hgenv.cli.cell", words], stdin=read, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True, env=interpreter.surroundings() | interpreter.ONE_THREAD,
                )  # fmt: skip
                self._running.add(process)
            answer, errors = process.communicate()
        finally:
            os.close(read)
            os.close(write)
        with self._lock:
            self._running.discard(process)
            if self._stopped or process.returncode == 0:
                return None
        if answer:
            return Failure(json.loads(answer)["reason"], errors[-_KEPT:])
        code = process.returncode  # killed, as by the system when memory runs out
        return Failure(f"killed by signal {-code}" if code < 0 else f"ended with status {code}", errors[-_KEPT:])

    def stop(self) -> None:
        """End them; they have a moment for a last checkpoint."""
        with self._lock:
            self._stopped, running = True, list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
