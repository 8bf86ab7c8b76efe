"""The process of a generator or a renderer: asked for one picture after another over a pipe, within a time each.

What is said to a generator, a line of JSON at a time:

    hgenv      {"protocol": "hgenv 1", "height": 32, "width": 32, "channels": 3, "targets": 3}
    generator  {"protocol": "hgenv 1"}                  what it prints before this is no mistake
    hgenv      {"seed": 5, "beta": {"radius.mean": -0.5, ...}, "draws": {"radius": 0.61, ...}}
    generator  {"image": [3, 32, 32], "target": [3, 32, 32], "mask": [1, 32, 32]}
               and then, as raw little-endian float32, the numbers of image, target and mask;
               or {"error": "why it cannot be made"}

and so on, until the generator's standard input ends. To a renderer, a request has "arrays": {"uv": [12, 3, 2], ...}
besides, whose numbers, little-endian float32 too, follow the line.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hgenv.fields import shown

PROTOCOL = "hgenv 1"
SDK = Path(__file__).parent / "sdk"
"""Folder in which a generator in Python finds `hgenv_generator`."""
_LINE, _LAST_LINES = 2**20, 12
Arrays = dict[str, NDArray[np.float32]]


class GeneratorError(ValueError):
    """A generator does not do what the protocol asks for, or cannot be started."""


class LostError(GeneratorError):
    """It died, or hung and was ended: another may do better."""


class RefusedError(GeneratorError):
    """It says that it cannot make this sample, or makes one that is not finite."""


class Request(NamedTuple):
    """What is asked for: the header, the shapes of the parts that are wanted, in their order, and arrays that go with
    it."""

    header: Mapping[str, Any]
    wanted: Mapping[str, tuple[int, ...]]
    arrays: Mapping[str, NDArray] = {}


class Child:
    """A running one. hello: the first line."""

    def __init__(
        self, words: Sequence[str], folder: Path, hello: Mapping[str, Any], start_seconds: float, seconds: float
    ) -> None:
        self.name, self.seconds = os.path.basename(words[-1]), seconds
        self._heard, self._last_words, self._greeted = bytearray(), deque[str](maxlen=_LAST_LINES), False
        self._process = _started(words, folder)
        self._requests, self._answers, errors = _pipes(self._process)
        self._listener = threading.Thread(target=self._listen, args=(errors,), daemon=True)
        self._listener.start()
        with self._ended_if_it_fails():
            self._greet(hello, start_seconds)

    def ask(self, request: Request) -> Arrays:
        """The parts of a picture. Raises LostError, RefusedError, or GeneratorError for what is not the protocol; then
        it has been ended, but for RefusedError."""
        with self._ended_if_it_fails():
            until = time.monotonic() + self.seconds
            self._send(request.header, until, request.arrays)
            line = self._line(until)
            header = _json(line)
            if isinstance(header, dict) and isinstance(header.get("error"), str):
                raise RefusedError(f"{self.name} says: {header['error']}")
            if header != {name: list(shape) for name, shape in request.wanted.items()}:
                expected = json.dumps({name: list(shape) for name, shape in request.wanted.items()})
                raise GeneratorError(f"{self.name} answers {_quoted(line)}, expected {expected}{self._said()}")
            found = {name: self._array(shape, until) for name, shape in request.wanted.items()}
        for name, array in found.items():
            if not np.isfinite(array).all():
                raise RefusedError(f"{self.name} gives numbers in {name} that are not finite")
        return found

    def stop(self, seconds: float = 0.0) -> None:
        """Let it end, for so many seconds; then end it, with all that it has started."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listener.join(1.0)
        with contextlib.suppress(OSError):
            self._process.stdout.close()  # type: ignore[union-attr]

    @contextlib.contextmanager
    def _ended_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except RefusedError:
            raise
        except BaseException:  # a half-read answer would be taken for the next one
            self.stop()
            raise

    def _greet(self, hello: Mapping[str, Any], seconds: float) -> None:
        until = time.monotonic() + seconds
        self._send({"protocol": PROTOCOL} | dict(hello), until)
        while True:
            line = self._line(until)
            found = _json(line)
            if isinstance(found, dict) and "protocol" in found:
                break
            self._last_words.append(line.decode(errors="replace").rstrip())
        if found["protocol"] != PROTOCOL:
            raise GeneratorError(f"{self.name} speaks {shown(found['protocol'])}, expected {PROTOCOL!r}")
        self._greeted = True

    def _send(self, what: Mapping[str, Any], until: float, arrays: Mapping[str, NDArray] = {}) -> None:
        shapes = {"arrays": {name: array.shape for name, array in arrays.items()}} if arrays else {}
        numbers = [np.ascontiguousarray(array, "<f4").tobytes() for array in arrays.values()]
        left = memoryview(b"".join([json.dumps({**what, **shapes}).encode() + b"\n", *numbers]))
        while left:
            self._wait([], [self._requests], until)
            try:
                left = left[os.write(self._requests, left) :]
            except BrokenPipeError:
                raise self._died() from None

    def _line(self, until: float) -> bytes:
        while b"\n" not in self._heard:
            if len(self._heard) > _LINE:
                raise GeneratorError(
                    f"{self.name} answers {_quoted(bytes(self._heard))}, expected a line of JSON{self._said()}"
                )
            self._hear(until)
        return self._taken(self._heard.index(b"\n") + 1)[:-1]

    def _array(self, shape: tuple[int, ...], until: float) -> NDArray[np.float32]:
        size = 4 * int(np.prod(shape))
        while len(self._heard) < size:
            self._hear(until)
        return np.frombuffer(self._taken(size), "<f4").reshape(shape).astype(np.float32)

    def _taken(self, size: int) -> bytes:
        """The first bytes of what has been heard."""
        taken = bytes(self._heard[:size])
        del self._heard[:size]
        return taken

    def _hear(self, until: float) -> None:
        self._wait([self._answers], [], until)
        new = os.read(self._answers, 2**20)
        if not new:
            raise self._died()
        self._heard += new

    def _wait(self, readable: list[int], writable: list[int], until: float) -> None:
        if not any(select.select(readable, writable, [], max(0.0, until - time.monotonic()))):
            raise LostError(f"{self.name} hangs: no answer in time{self._said()}")

    def _died(self) -> LostError:
        self._process.wait()
        self._listener.join(1.0)
        if not self._greeted:  # what it has printed until now was for people
            os.set_blocking(self._answers, False)
            with contextlib.suppress(OSError):
                self._heard += os.read(self._answers, _LINE)
            self._last_words.extend(line.decode(errors="replace") for line in self._heard.splitlines())
        return LostError(f"{self.name} died with exit code {self._process.returncode}{self._said()}")

    def _said(self) -> str:
        """Its own last words."""
        words = " | ".join(line for line in self._last_words if line)
        return f"; its last words: {words}" if words else "; it said nothing"

    def _listen(self, errors: IO[bytes]) -> None:
        with errors:
            for line in errors:
                self._last_words.append(line.decode(errors="replace").rstrip())


def _started(words: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    search = os.pathsep.join(filter(None, [str(SDK), os.environ.get("PYTHONPATH")]))
    try:
        return subprocess.Popen(
            words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, env=os.environ | {"PYTHONPATH": search, "HGENV_SDK": str(SDK), "PWD": str(folder)},
        )  # fmt: skip
    except OSError as error:
        raise GeneratorError(f"{words[0]} cannot be started in {folder}: {error.strerror}") from error


def _pipes(process: subprocess.Popen[bytes]) -> tuple[int, int, IO[bytes]]:
    """Ends to write requests to, which never blocks, and to read answers from; and what else it says."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    os.set_blocking(process.stdin.fileno(), False)
    return process.stdin.fileno(), process.stdout.fileno(), process.stderr


def _json(line: bytes) -> Any:
    """What a line of JSON says; None for another line."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _quoted(line: bytes) -> str:
    return shown(line.decode(errors="replace"))
