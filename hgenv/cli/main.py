"""The command line. A command is a module, imported when it is run: `hgenv list` must not wait for torch."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from hgenv import __version__
from hgenv.cli.commands import COMMANDS, usage
from hgenv.cli.interruption import importing, interruptible, interruption_status
from hgenv.registry import load, unknown

KINDS = {
    RecursionError: "nested too deeply: ", MemoryError: "more than memory can hold: ",
    RuntimeError: "more than memory can hold: ", OverflowError: "a number is too large: ",
}  # fmt: skip
"""What errors are about that name neither option nor file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 2 for a mistake of the user's, 130 or 143 for an interruption."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold what no encoding has
    try:
        with interruptible():
            status = execute(list(sys.argv[1:] if arguments is None else arguments))
            sys.stdout.flush()
            return status
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its exit
        return 1
    except (
        ValueError,
        KeyError,
        TypeError,
        OSError,
        OverflowError,
        FloatingPointError,
        MemoryError,
        RuntimeError,
    ) as error:
        if os.environ.get("HGENV_TRACEBACK") or not is_bad_input(error):  # for those who look for the cause
            raise
        print(f"hgenv: error: {told(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        print("interrupted", file=sys.stderr)
        return interruption_status(interruption)


def execute(arguments: list[str]) -> int:
    """Run one command, of which errors are raised; returns the exit status."""
    imports, words = split_imports(arguments)
    if not words or words[0] in ("-h", "--help"):
        print(usage(), end="")
        return 0
    if words[0] == "--version":
        print(f"hgenv {__version__}")
        return 0
    if words[0] not in COMMANDS:
        raise ValueError(unknown("command", words[0], COMMANDS))
    for what in imports:
        load(what)
    with importing():
        command = import_module(f"hgenv.cli.{COMMANDS[words[0]].module}").command
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)  # two threads on two busy cores were several times slower
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, "blas")  # and so are numpy's, which spin while they wait
    return int(command(words[1:]))


def split_imports(words: list[str]) -> tuple[list[str], list[str]]:
    """What every --import names, and the words without them."""
    imports, rest, left = [], [], iter(words)
    for word in left:
        if word == "--import":
            if (value := next(left, None)) is None:
                raise ValueError("--import needs the name of a module or the path of a file")
            imports.append(value)
        elif word.startswith("--import="):
            imports.append(word.partition("=")[2])
        else:
            rest.append(word)
    return imports, rest


def is_bad_input(error: BaseException) -> bool:
    """Whether an error can be what was asked for. Of torch's RuntimeErrors only what does not fit in memory is."""
    if not isinstance(error, RuntimeError) or isinstance(error, RecursionError):
        return True
    return any(word in str(error) for word in ("allocate memory", "out of memory", "Storage size"))


def told(error: BaseException) -> str:
    """What an error says, in one line of about a thousand letters at most."""
    # A KeyError would put its message in quotes; torch adds where in its sources it was.
    words = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    line = " ".join(words.partition("\nException raised")[0].splitlines()).strip() or type(error).__name__
    kind = next((what for cls, what in KINDS.items() if isinstance(error, cls) and is_bad_input(error)), "")
    return kind + (line if len(line) <= 1000 else f"{line[:700]} ... {line[-200:]}")
