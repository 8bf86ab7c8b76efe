"""hgenv bench: optimizers against the controls, estimates against brute force, the renderer's speed."""

from __future__ import annotations

import dataclasses
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import tyro
from tqdm import tqdm

from hgenv.cli.options import DefaultBudget, EnvChoice, chosen_task, estimators, parse
from hgenv.cli.run import parse_run, players
from hgenv.options import EnvOptions


def command(words: list[str]) -> int:
    benches = {"fidelity": _fidelity, "linearity": _linearity, "render": _render}
    if words and words[0] in benches:
        return benches[words[0]](words[1:])
    if not words or "/" not in words[0]:
        usage = f"hgenv bench ENV [ENV ...] [options], or hgenv bench {'|'.join(benches)} [options]"
        if words[:1] in (["-h"], ["--help"]):
            print(f"usage: {usage}\n\noptions: hgenv bench ENV --help")
            return 0
        raise ValueError(f"expected {usage}; got {words[0] if words else 'nothing'!r}")
    return _compare(words)


def _compare(words: list[str]) -> int:
    from hgenv.bench import compare, report

    cut = words.index("--") if "--" in words else len(words)
    s = parse("bench ENV ...", words[:cut], bench=compare.CompareOptions, budget=DefaultBudget)
    common, out, failed = words[cut + 1 :], Path(s.bench.out), 0
    todo, choices = compare.cells(s.bench, s.budget, common), players()
    for cell in todo:
        if cell.seed == 0:  # a mistake in an option shows before anything is run
            parse_run(choices, cell.words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it must not leave cells behind
    status = 0
    with tqdm(unit="cell", disable=None) as bar:
        try:
            for done, total, name in compare.play(s.bench, s.budget, common):
                bar.total = total
                bar.update(done - bar.n)
                if ":" in name:
                    failed += 1
                    bar.write(f"not measured: {name}", file=sys.stderr)
        except KeyboardInterrupt:
            print("interrupted: finished cells are kept", file=sys.stderr)
            status = 130
    if status == 0 or any(compare.finished(cell.folder) for cell in todo):
        print(report.write(out, todo, shlex.join(["hgenv", "bench", *words])))
    return status or (1 if failed else 0)


def _fidelity(words: list[str]) -> int:
    from hgenv.bench import fidelity

    s = _parse_bench("fidelity", words, fidelity.FidelityOptions)
    settings = {text: _setting(text, s.training) for text in s.bench.settings}  # mistakes show before the work
    with tqdm(unit="vector", disable=None) as bar:
        for done, total in fidelity.measure(s.task, s.training, settings, s.bench):
            bar.total = total
            bar.update(done - bar.n)
    print((Path(s.bench.out) / "table.md").read_text(), end="")
    return 0


def _setting(text: str, options: EnvOptions) -> EnvOptions:
    """The options with the estimator that a setting names."""
    words = shlex.split(text)
    if not words or words[0] not in estimators():
        raise ValueError(f"setting {text!r} must begin with an estimator: {', '.join(estimators())}")
    wrong = [word for word in words[1:] if word.startswith("--") and not word.startswith("--gradient-")]
    if wrong or any(word.startswith("--gradient-every") for word in words):
        raise ValueError(f"setting {text!r} may have options --gradient-... only, and not --gradient-every")
    found = parse("bench fidelity", ["--gradient", *words], training=EnvOptions).training
    return dataclasses.replace(options, gradient=found.gradient, gradient_every=1)


def _parse_bench(name: str, words: list[str], options: type[Any]) -> Any:
    """Options of a bench whose first word may be the id of an environment."""
    named = ["--env", words[0], *words[1:]] if words and not words[0].startswith("-") else words
    return parse(
        f"bench {name} [ENV]", named, env=EnvChoice, task=chosen_task(named), training=EnvOptions, bench=options
    )


def _linearity(words: list[str]) -> int:
    from hgenv.bench import linearity

    s = _parse_bench("linearity", words, linearity.LinearityOptions)
    for line in linearity.measure(s.task, s.training, s.bench):
        print(line, flush=True)
    return 0


def _render(words: list[str]) -> int:
    from hgenv.bench import render_speed

    for line in render_speed.measure(tyro.cli(render_speed.RenderOptions, args=words, prog="hgenv bench render")):
        print(line)
    return 0
