"""A process that a test may interrupt."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible(command: list[str], **options: object) -> Iterator[subprocess.Popen]:
    """The process, whose errors are piped; it is gone when the test is over.

    Children of a background job of a shell are born deaf to SIGINT: this one hears it, wherever the tests run.
    """
    hears = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **hears, **options) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()
