"""hgenv doctor: whether what is installed works, by trying it.

A line says "works", "no (not needed)" or "FAILS". What fails is what is needed always, and what was asked for: by an
option, as `--renderer opengl` or `--device cuda`, or by a variable, as $HGENV_CACHE or $HGENV_BLENDER.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch

from hgenv import interpreter, kernels
from hgenv.cache import cache_folder, make_writable
from hgenv.cli.main import told
from hgenv.cli.options import EnvChoice, chosen_task, parse, size_of, value_of
from hgenv.env import DataGenEnv
from hgenv.options import EnvOptions
from hgenv.render.choice import Backend, find_renderer
from hgenv.render.mesh import plain_mesh
from hgenv.render.renderer import Camera, Scene
from hgenv.workers import workers_of

SECONDS = 120
"""After which another process counts as stuck."""
_DRAW = "from hgenv.cli.doctor import draw_a_triangle; draw_a_triangle('opengl')"


class Check(NamedTuple):
    """try_it says in words how well something works, or raises; `asked` is true if it has to."""

    name: str
    asked: bool
    try_it: Callable[[], str]


def command(words: list[str]) -> int:
    """Exit status 1 if what is needed or was asked for does not work."""
    try:
        settings: SimpleNamespace | ValueError = parse(
            "doctor", words, {"gradient": "image"} | size_of(words), environment=EnvChoice, task=chosen_task(words),
            training=EnvOptions,
        )  # fmt: skip
    except ValueError as error:  # as of a device that is not there: its line below says more
        settings = error
    for name, version in interpreter.versions().items():
        print(f"{name:17} {version}")
    print(f"{'cores':17} {os.cpu_count()}", flush=True)
    fine = [_say(check) for check in _checks(words)]
    print("one step with its gradient:")
    fine.append(_say(Check(str(value_of(words, "env", EnvChoice.env)), True, lambda: _step(settings))))
    return 0 if all(fine) else 1


def _say(check: Check) -> bool:
    """Try it and print its line; False if it should work and does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            line, fine = f"works: {check.try_it()}", True
    except Exception as error:  # of drivers, of other packages: whatever they raise
        line, fine = f"{'FAILS' if check.asked else 'no (not needed)'}: {told(error)}", not check.asked
    print(f"{check.name:17} {line}", flush=True)
    return fine


def _checks(words: list[str]) -> Iterator[Check]:
    for name in ("nevergrad", "stable_baselines3"):
        yield Check(name, True, partial(_imported, name))
    yield Check("cache", "HGENV_CACHE" in os.environ, _cache)
    yield Check("compiled kernels", "NUMBA_CACHE_DIR" in os.environ, _kernels)
    yield Check("cuda", (value_of(words, "device", "") or "").startswith("cuda"), _cuda)
    yield Check(
        "workers", value_of(words, "workers", "1") != "1", partial(_workers, str(value_of(words, "workers", "1")))
    )
    renderer = value_of(words, "renderer", "")
    yield Check("opengl", renderer == "opengl", _opengl)
    yield Check("blender", "HGENV_BLENDER" in os.environ or renderer == "blender", partial(_drawn, "blender"))
    yield Check("mitsuba", renderer == "mitsuba", partial(_drawn, "mitsuba"))


def _imported(name: str) -> str:
    importlib.import_module(name)
    return "it can be imported"


def _cache() -> str:
    folder = cache_folder()
    if folder is None:
        raise OSError("no home, and $HGENV_CACHE is not set: pretrained networks are not kept")
    make_writable(folder)
    return f"{folder} can be written"


def _kernels() -> str:
    folder, chosen = kernels.kept_in(), os.environ.get("NUMBA_CACHE_DIR")
    if chosen and (folder is None or not folder.is_relative_to(os.path.abspath(chosen))):
        raise OSError(f"$NUMBA_CACHE_DIR, {chosen}, cannot be written: kernels are in {folder or 'no folder'}")
    if folder is None:
        raise OSError("no folder can be written: they are compiled in every process")
    return f"kept in {folder}"


def _cuda() -> str:
    if not torch.cuda.is_available():
        raise OSError("torch finds no device of CUDA")
    total = float((torch.ones(64, 64, device="cuda") @ torch.ones(64, device="cuda")).sum())
    if total != 64.0**2:
        raise ArithmeticError(f"the sum of {64**2} ones is {total}")
    return torch.cuda.get_device_name()


def _workers(text: str) -> str:
    with closing(workers_of(text)) as workers:
        if workers.map(abs, (), range(-workers.count, 0)) != list(range(workers.count, 0, -1)):
            raise ArithmeticError("what they give is wrong")
        return f"{workers.count} at a time" + ("" if workers.count > 1 else ", here")


def _opengl() -> str:
    """In a process of its own, as drivers may take theirs down."""
    return _answer([*interpreter.COMMAND, "-c", _DRAW], interpreter.surroundings())


def draw_a_triangle(backend: Backend) -> None:
    """Draw and print what is seen; SystemExit with the reason if that fails or is wrong."""
    try:
        print(_drawn(backend))
    except (ValueError, ArithmeticError) as error:
        raise SystemExit(str(error)) from error


def _drawn(backend: Backend) -> str:
    """Draw a triangle. ArithmeticError if something else is seen."""
    corners = np.array([[-1.0, -1.0, -2.0], [1.0, -1.0, -2.0], [0.0, 1.0, -2.0]])
    scene = Scene(plain_mesh(corners, np.array([[0, 1, 2]])), Camera.of_angle(16, 16, 1.2), np.array([0.0, 0.0, 1.0]))
    picture = find_renderer(backend)(scene).image
    inside, outside = picture[:, 8, 8], picture[:, 0, 0]
    if not (np.all(inside > 0.5) and np.all(outside == 0.0)):
        raise ArithmeticError(f"a white triangle before black has the colours {inside} inside and {outside} outside")
    return "a triangle was drawn"


def _answer(command: list[str], surroundings: dict[str, str]) -> str:
    """The first line that another program prints. Raises OSError that says how it failed."""
    try:
        done = subprocess.run(
            command, env=surroundings, stdin=subprocess.DEVNULL, capture_output=True, errors="replace", timeout=SECONDS
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} gave no answer in {SECONDS} seconds") from error
    except OSError as error:
        raise OSError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        ended = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise OSError(f"{said} ({ended})")
    return (done.stdout.strip() or "it said nothing").splitlines()[0]


def _step(settings: SimpleNamespace | ValueError) -> str:
    if isinstance(settings, ValueError):
        raise settings
    env = DataGenEnv(settings.task, settings.training)
    env.reset(seed=0)
    with closing(env):
        probe = env.evaluate(env.start[None])[0]
        _, _, _, _, info = env.step(env.start)
    if not np.isfinite([probe, info["val_loss"], *info.get("hybrid_gradient", ())]).all():
        raise ArithmeticError("the loss or the gradient is not finite")
    return f"validation loss {info['val_loss']:.4f}"
