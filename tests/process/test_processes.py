"""A generator in a process of its own: what it is asked, what becomes of one that fails, and that no bit changes."""

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from environments import assert_same
from generators import GOOD, SMALL, made, written

import hgenv
from hgenv.beta.noise import Noise, keys
from hgenv.cli import commands
from hgenv.cli.main import main
from hgenv.process import crew
from hgenv.process.child import GeneratorError
from hgenv.task import sampled
from hgenv.tasks.process import OwnGenerator

IN_C = Path(__file__).parents[2] / "examples" / "generator_in_c"
SEEDS = np.arange(6, dtype=np.uint64)


@pytest.fixture(autouse=True)
def _no_generator_is_left() -> Iterator[None]:
    yield
    for one in crew._CREWS.values():
        one.close()
    crew._CREWS.clear()


def batch_of(task: OwnGenerator, seeds: np.ndarray = SEEDS) -> hgenv.Batch:
    return task.sample(np.tile(task.layout.initial, (len(seeds), 1)), Noise(seeds))


def assert_equal(one: hgenv.Batch, other: hgenv.Batch) -> None:
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_it_is_asked_for_what_beta_says(tmp_path: Path) -> None:
    task = OwnGenerator(generator=str(written(tmp_path)), **SMALL)
    noise = Noise(SEEDS)
    found = task.sample(np.tile(task.layout.initial, (6, 1)), noise)
    drawn = {draw.name: draw.values for draw in noise.draws}
    np.testing.assert_allclose(found.target[:, :, 0, 0], drawn["slope"], rtol=1e-6)
    assert drawn["kind"].shape == (6, 3)
    for row, seed in enumerate(keys(SEEDS, "generator", 1)[:, 0] >> np.uint64(11)):
        grain = np.random.default_rng(int(seed)).standard_normal((8, 8)) * 0.1 * (drawn["kind"][row] == 1).sum()
        image = drawn["level"][row] + drawn["slope"][row, 0] * np.linspace(-1, 1, 8) + grain
        np.testing.assert_allclose(found.image[row, 0], image, rtol=1e-5, atol=1e-6)
    assert found.mask.min() == 1.0


def test_how_many_processes_there_are_changes_no_bit(tmp_path: Path) -> None:
    path = written(tmp_path)
    task, several = (OwnGenerator(generator=str(path), **SMALL, processes=n) for n in (1, 3))
    assert_equal(batch_of(task), batch_of(several))
    env, other = made(path), made(path, {"workers": "2"})
    try:
        for one in (env, other):
            one.reset(seed=3)
        steps = [one.step(one.start)[4]["val_loss"] for one in (env, other)]
        assert steps[0] == steps[1]
    finally:
        other.close()


def test_one_that_is_killed_twenty_times_gives_the_same_rows(tmp_path: Path) -> None:
    source = GOOD + "import os\ndef told(*what):\n    open('pid', 'w').write(str(os.getpid()))\n"
    env, killed = made(written(tmp_path, source + "    return sample(*what)\nserve(told)\n")), list[int]()

    def kill() -> None:
        rng = random.Random(0)
        while len(killed) < 20:
            time.sleep(rng.uniform(0.0, 0.1))
            pid = int((tmp_path / "pid").read_text() or 0)
            if pid and pid not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    env.reset(seed=0)
    killer, rows = threading.Thread(target=kill, daemon=True), list[dict]()
    killer.start()
    while killer.is_alive():
        rows.append(env.step(env.start)[4])
    env.reset(seed=0)
    assert rows
    for row in rows:
        assert_same(env.step(env.start)[4], row)


LOOP = "import json, sys, time\nhello = json.loads(input())\nprint(json.dumps({'protocol': 'hgenv 1'}), flush=True)\n"
START = "does not start: mine.py "
LOST = "two samples in a row were lost, 3 times each: mine.py "
NONE = r"no sample could be made of the rows .*"
SHAPES = r"mine.py answers .*, expected \{\"image\": \[1, 8, 8\], \"target\": \[2, 8, 8\], \"mask\": \[1, 8, 8\]\}"
FAULTS = {
    "it dies at its start": ("raise OSError('no scene')", START + "died with exit code 1; .*OSError: no scene"),
    "it ends without a word": ("", START + "died with exit code 0; it said nothing"),
    "it hangs at its start": (
        "import time\nprint('loading', flush=True)\ntime.sleep(100)",
        START + "hangs: no answer in time; its last words: loading",
    ),
    "it speaks something else": (
        'print(\'{"protocol": "other 2"}\', flush=True)\ninput()',
        "mine.py speaks 'other 2', expected 'hgenv 1'",
    ),
    "it hangs": (LOOP + "time.sleep(100)", LOST + "hangs: no answer in time; it said nothing"),
    "it dies": (LOOP + "input()\nraise MemoryError('all of it')", LOST + "died .* 1; .*MemoryError: all of it"),
    "it prints junk": (LOOP + "while True:\n    input()\n    print('Fra:1 Mem:8.6M', flush=True)", SHAPES),
    "it prints junk without end": (
        LOOP + "input()\nsys.stdout.write('x' * 10**7)\nsys.stdout.flush()\ninput()",
        r"mine.py answers 'xxx.*, expected a line of JSON",
    ),
    "it gives other shapes": (GOOD + "serve(lambda a, b, *_: sample(a, b, 8, 9))", SHAPES),
    "it gives numbers that are not": (
        GOOD + "serve(lambda *what: (np.nan * sample(*what)[0], *sample(*what)[1:]))",
        NONE + "mine.py gives numbers in image that are not finite",
    ),
    "it never can": (
        GOOD + "def never(*what):\n    raise ValueError('no light')\nserve(never)",
        NONE + "mine.py says: ValueError: no light",
    ),
    "it gives something else": (GOOD + "serve(lambda *what: 3)", NONE + "mine.py says: TypeError"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_one_that_is_broken_gives_one_clear_error(tmp_path: Path, what: str, capfd: pytest.CaptureFixture) -> None:
    source, message = FAULTS[what]
    path = written(tmp_path, source, "sample_seconds = 0.3\nstart_seconds = 1.5")
    with pytest.raises(ValueError, match=message) as caught:
        made(path)
    assert caught.type in (GeneratorError, hgenv.SampleError)
    assert main(["run", "fixed", "--generator", str(path), "--resolution", "8", "--out", str(tmp_path / "run")]) == 2
    told = capfd.readouterr().err.splitlines()
    assert [line for line in told if line.startswith("hgenv: error:")] == told[-1:]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", ["no-such-program --flag", "$NO_SUCH_VARIABLE -b", "./mine.py"])
def test_one_that_cannot_be_started(tmp_path: Path, words: str) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace("{python} -u mine.py", words))
    with pytest.raises(ValueError, match=r"cannot be started in|the command has [$]NO_SUCH_VARIABLE, and no such"):
        made(path)


def test_what_it_prints_before_the_protocol_and_beside_it_is_no_mistake(tmp_path: Path) -> None:
    plain = batch_of(OwnGenerator(generator=str(written(tmp_path)), **SMALL))
    noisy = "print('Blender 3.4.1', flush=True)\n" + GOOD + "\ndef loud(*what):\n    print('Saved: x.png')\n"
    noisy += "    import os; os.system('echo rendering')\n    return sample(*what)\nserve(loud)\n"
    assert_equal(plain, batch_of(OwnGenerator(generator=str(written(tmp_path, noisy, "middle = 2.5")), **SMALL)))


def test_a_sample_that_cannot_be_made_is_drawn_anew_and_counted(tmp_path: Path) -> None:
    source = GOOD + "\ndef moody(draws, rng, height, width):\n    if draws['slope'][0] > 0.3:\n"
    source += "        raise ValueError('too steep')\n    return sample(draws, rng, height, width)\nserve(moody)\n"
    task = OwnGenerator(generator=str(written(tmp_path, source)), **SMALL)
    beta = np.tile(task.layout.initial, (6, 1))
    found = sampled(task, beta, SEEDS)
    assert found.redrawn > 0
    assert (found.batch.target[:, 0] <= 0.3).all()
    assert_equal(found.batch, task.sample(beta, Noise(found.noise.seeds)))


def test_a_sample_that_always_kills_it_is_drawn_anew(tmp_path: Path) -> None:
    source = GOOD + "\ndef deadly(draws, rng, height, width):\n    if draws['slope'][0] > 0.8:\n"
    source += "        import os; os._exit(7)\n    return sample(draws, rng, height, width)\nserve(deadly)\n"
    task = OwnGenerator(generator=str(written(tmp_path, source)), **SMALL)
    beta = np.tile(task.layout.initial, (6, 1))
    noise = Noise(np.arange(60))
    slopes = noise.draw(vars(task.layout.bind(task.layout.initial))["slope"], "slope")[:, 0]
    steep = int(np.flatnonzero(slopes > 0.8)[0])
    found = sampled(task, beta, np.array([1000, steep, *range(1001, 1005)], np.uint64))
    assert found.redrawn >= 1
    assert (found.batch.target[:, 0] <= 0.8).all()


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_example_in_c_draws_the_same_pictures(tmp_path: Path) -> None:
    shutil.copytree(IN_C, tmp_path / "c")
    one, other = OwnGenerator(), OwnGenerator(generator=str(tmp_path / "c" / "balls.toml"))
    for a, b in zip(batch_of(one), batch_of(other), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert subprocess.run(["git", "check-ignore", "-q", str(IN_C / "balls")], cwd=IN_C, check=False).returncode == 0


@pytest.mark.parametrize("name", [*commands.optimizers()])
def test_every_optimizer_plays_it(name: str, tmp_path: Path) -> None:
    words = ["--generator", str(written(tmp_path)), "--resolution", "8", "--channels", "8", "--hourglass-depth", "1"]
    words += ["--validation-size", "4", "--test-size", "3", "--max-train-steps", "8", "--train-steps", "2"]
    words += ["--batch-size", "2", "--validation-images", "4", "--no-figures", "--out", str(tmp_path / "run")]
    if name == "optuna":
        pytest.importorskip("optuna")
    assert main(["run", name, *words]) == 0
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) > 1
