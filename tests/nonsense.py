"""Words that no command can want, and what `hgenv` makes of them: every case in a process of its own, with bounds."""

import contextlib
import io
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SECONDS = 30
PARSER = 42
"""Exit status of a case that a parser of options has refused, in its own words."""
MEMORY = 1 << 30
"""Bytes that a case may take beside what the process had before."""
TINY = ["--train-steps", "2", "--batch-size", "2", "--validation-images", "2", "--max-steps", "1", "--max-seconds", "2"]
TOY = ["--env", "hgenv/ToyShading-v0"]


def values(folder: Path) -> dict[str, str]:
    """What is typed, by a short name; the files are made in the folder."""
    (folder / "folder").mkdir(exist_ok=True)
    files: dict[str, bytes] = {
        "binary": bytes(range(256)) * 8,
        "deep.json": b"[" * 100_000,
        "deep object.json": b'{"a":' * 100_000,
        "nan.json": b'{"light.mean": NaN}',
        "latin.json": '{"é": 1}'.encode("latin-1"),
        "list.json": b"[1, 2]",
        "long.json": b'{"light.mean": ' + b"9" * 5000 + b"}",
        "text.json": b'{"light.mean": "x"}',
        "best.npz": b"PK\x03\x04" + bytes(200),
        "module.py": b"1 / 0",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    words = ["0", "-1", "0.5", "1e30", "1e308", "1e999", "inf", "-inf", "nan", "true", "False", "None", "", "x", "[]"]
    words += ["{}", "--", "ü\u202e\U0001f600", "\udcff", "a\nb", str(10**9), str(2**63), str(10**30), str(-(10**30))]
    words += ["9" * 5000, "x" * 100_000, "/dev/null", "/", str(folder / "missing"), str(folder / "folder")]
    return {_short(word): word for word in words} | {name: str(folder / name) for name in files}


def _short(word: str) -> str:
    return ascii(word if len(word) < 40 else f"{word[:3]} x {len(word)}")


class Base(NamedTuple):
    """A command that works, to which nonsense is added."""

    words: list[str]
    help: list[str]
    ending: tuple[str, ...] = ()


def options_of(base: Base) -> dict[str, bool]:
    """The options that a command's help names, and whether they take text, as paths are."""
    page = io.StringIO()
    from hgenv.cli.main import main

    with contextlib.redirect_stdout(page), contextlib.suppress(SystemExit):
        main([*base.help, "--help"])
    found = re.findall(r"^[│ ]*(?:-v, )?(--[a-z][a-z0-9-]+)(.*)", page.getvalue(), re.MULTILINE)
    return {name: "TR" in kind or kind.strip() == "" for name, kind in found if name != "--help"}


class Outcome(NamedTuple):
    """Exit status (None if it was killed, as after SECONDS) and standard error."""

    status: int | None
    errors: str

    @property
    def problem(self) -> str:
        """What is wrong with it; nothing if the command did its work, or said in one line why not."""
        if self.status is None:
            return f"killed or too slow: {self.errors[-300:]}"
        if "Traceback" in self.errors:
            return "traceback: " + self.errors.strip().rpartition("\n")[2][:300]
        if self.status == PARSER:
            return "" if self.errors.strip() else "refused in silence"
        if self.status not in (0, 1, 2, 3):
            return f"status {self.status}"
        lines = [line for line in self.errors.splitlines() if line.strip()]
        if self.status == 2 and not lines:
            return "an error in silence"
        wrong = [line for line in lines if not line.startswith("hgenv: ")]
        if wrong:
            return f"more than an error in one line: {wrong[0][:300]}"
        if max(map(len, lines), default=0) > 2000:
            return f"a line of {len(lines[0])} letters: {lines[0][:200]}"
        return ""


def warmed(folder: Path) -> Path:
    """A run in the folder; what every environment needs is imported and compiled, so that children have it."""
    import matplotlib
    import torch

    from hgenv.bench import render_speed, report  # noqa: F401
    from hgenv.cli.main import main

    torch.set_num_threads(1)
    matplotlib.use("Agg")
    for name, base in bases().items():
        if name.startswith(("run ", "random-search", "nevergrad", "sb3 PPO")):
            assert main([*base.words, "--out", str(folder / name.replace("/", "-"))]) == 0
    return folder / "random-search"


def tried(words: Sequence[str], run: Path) -> Outcome:
    """What `hgenv WORDS` comes to in a child of this process, in an empty folder but for `run`."""
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "run").symlink_to(run)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the child does without
            child = os.fork()
        if child == 0:
            _play(words, Path(folder), errors.fileno())
        _, status = os.waitpid(child, 0)
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    return Outcome(os.WEXITSTATUS(status) if os.WIFEXITED(status) else None, text)


def _play(words: Sequence[str], folder: Path, errors: int) -> None:
    """In the child: never returns."""
    status = 70
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(folder)
        os.dup2(errors, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  (of the child, which ends here)
        sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
        from hgenv.cli.main import main

        _without_processes()
        status = main(list(words))
    except SystemExit as stop:
        status = PARSER if stop.code == 2 else 71
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
        os._exit(status)


def _without_processes() -> None:
    """Benches play nothing in processes of their own."""
    from hgenv.bench import fidelity, playing, report

    fidelity.ProcessPoolExecutor = lambda *_: ThreadPoolExecutor(1)  # type: ignore[misc, assignment]
    playing.Processes.run = lambda self, commands: None  # type: ignore[method-assign]
    report.write = lambda *_: Path("report.md")  # type: ignore[assignment]


def bases() -> dict[str, Base]:
    """The commands."""
    from hgenv import TASKS
    from optimizers import OPTIMIZERS

    run = [*TINY, *TOY, "--no-figures", "--validation-size", "2", "--test-size", "2"]
    found = {name: Base(["run", name, *run], ["run", name, *TOY]) for name in sorted(OPTIMIZERS)}
    found |= {
        f"sb3 {name}": Base(["run", "sb3", "--algorithm", name, *run], ["run", "sb3", *TOY])
        for name in ("PPO", "SAC", "TD3")
    }
    gradients = ("image", "influence", "score", "mixed", "perturbed")
    for name in gradients:
        words = ["hybrid-gradient", *TOY, "--gradient", name]
        found[f"gradient {name}"] = Base(["run", *words, *run], ["run", *words])
    words = ["fixed", *TOY, "--inner", "sgd"]
    found["inner sgd"] = Base(["run", *words, *run], ["run", *words])
    small = {
        "hgenv/SceneNormals-v0": [
            "--pretrain-steps",
            "0",
            "--rooms",
            "1",
            "--validation-size",
            "2",
            "--test-size",
            "2",
        ],
        "hgenv/ShapeNormals-v0": ["--validation-size", "2", "--test-size", "2"],
        "hgenv/ShapeEvolution-v0": ["--validation-size", "2", "--test-size", "2"],
    }
    for env in sorted(TASKS):
        words = ["--env", env, *small.get(env, [])]
        found[f"run {env}"] = Base(["run", "fixed", *TINY, *words, "--no-figures"], ["run", "fixed", "--env", env])
    for command in ("show", "baselines", "doctor"):
        more = ["--count", "2"] if command == "show" else []
        found[command] = Base([command, *TOY, "--validation-size", "2", "--test-size", "2", *more], [command, *TOY])
    toy = "hgenv/ToyShading-v0"
    tiny = [*TINY[:-4], "--validation-size", "2", "--test-size", "2"]
    benches = {
        "fidelity": ["--ages", "2", "--estimates", "2", "--references", "2", "--long-steps", "2", "--long-references",
                     "0", "--settings", "score"],
        "linearity": ["--age", "2", "--repeats", "1"],
        "signal": ["--estimates", "4"],
        "speed": ["--repeats", "1", "--steps", "1", "--points", "1", "--workers", "1", "--render-workers", "0"],
    }  # fmt: skip
    for name, options in benches.items():
        found[f"bench {name}"] = Base(["bench", name, toy, *tiny, *options], ["bench", name, toy])
    found["bench render"] = Base(
        ["bench", "render", "--count", "1", "--repeats", "1", "--resolutions", "32"], ["bench", "render"]
    )
    found["bench"] = Base(
        ["bench", toy, "--seeds", "2", "--random-fixed", "0", "--optimizers", "fixed", "--retrain-steps",
         "--max-steps", "1"], ["bench", toy],
    )  # fmt: skip
    found["data"] = Base(["data"], ["data"])
    found["list"] = Base(["list"], ["list"])
    found["plot"] = Base(["plot", "run"], ["plot"])
    found["film"] = Base(["film", "run", "--frames", "2"], ["film"])
    found["report"] = Base(["report", "run"], ["report"])
    for kind in ("csv", "parquet", "optuna"):
        found[f"export {kind}"] = Base(["export", kind, "run"], ["export", kind])
    found["completion"] = Base(["completion", "bash"], ["completion"])
    return found


def positions() -> dict[str, list[str]]:
    """Commands that lack their last word."""
    return {
        "hgenv": [], "import": ["list", "--import"], "run": ["run"], "bench": ["bench"], "signal": ["bench", "signal"],
        "plot": ["plot"], "film": ["film"], "report": ["report"], "data": ["data"], "list": ["list"],
        "completion": ["completion"], "export": ["export"], "export csv": ["export", "csv"],
        "complete": ["completion", "--complete", "--", "run"], "resolution": ["bench", "render", "--resolutions", "32"],
        "every run": ["bench", "hgenv/ToyShading-v0", "--optimizers", "fixed", "--max-steps", "1", "--"],
    }  # fmt: skip


def broken_runs(run: Path, folder: Path) -> Iterator[Path]:
    """Copies of a run with one file each that is not what it should be."""
    rows = (run / "metrics.csv").read_text()
    table = rows.splitlines()
    beta = next(name for name in table[0].split(",") if name.startswith("beta."))
    contents: dict[str, bytes | str] = {
        "nothing": b"", "zeros": bytes(100), "binary": bytes(range(256)), "deep": "[" * 100_000, "list": "[1]",
        "null": "null", "empty": "{}", "latin": "é".encode("latin-1"), "long": "9" * 200_000, "nan": '{"env": NaN}',
    }  # fmt: skip
    for name in ("config.json", "metrics.csv", "best.npz"):
        for what, content in contents.items():
            yield _copied(run, folder / f"{name} {what}", name, content)
    config = json.loads((run / "config.json").read_text())
    changes: list[tuple[str, Any]] = [
        (key, value) for key in config for value in (None, 1, [], {}, "x", [[]], {"x": 1})
    ]
    for number, (key, value) in enumerate(changes):
        yield _copied(run, folder / f"config {number}", "config.json", json.dumps(config | {key: value}))
    for key in config:
        without = {name: value for name, value in config.items() if name != key}
        yield _copied(run, folder / f"config without {key}", "config.json", json.dumps(without))
    for what in ("x", "nan", "inf", "1e30", "", "1,2"):
        column = table[0].split(",").index(beta)
        last = table[-1].split(",")
        last[column] = what
        lines = [*table[:-1], ",".join(last)]
        yield _copied(run, folder / f"beta {what}", "metrics.csv", "\n".join(lines) + "\n")
    yield _copied(run, folder / "columns", "metrics.csv", rows.replace(beta, "beta.other"))
    yield _copied(run, folder / "steps", "metrics.csv", rows.replace("train_steps", "steps"))
    yield _copied(run, folder / "header", "metrics.csv", table[0] + "\n")
    outside = np.load(run / "best.npz")["beta"] + 100.0
    for what, value in (
        ("outside", outside),
        ("short", outside[:1]),
        ("nan", outside * np.nan),
        ("text", np.array("x")),
    ):
        copy = _copied(run, folder / f"best {what}", "summary.json", "{}")
        np.savez(copy / "best.npz", **{**np.load(run / "best.npz"), "beta": value})
        yield copy


def _copied(run: Path, where: Path, name: str, content: bytes | str) -> Path:
    """A copy of a run, of which one file holds something else."""
    shutil.copytree(run, where)
    (where / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return where
