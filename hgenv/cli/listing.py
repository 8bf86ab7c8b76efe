"""hgenv list: what there is, by name."""

from __future__ import annotations

import argparse  # not tyro, which takes longer than all the rest
import json
from collections.abc import Iterator
from typing import Any

from hgenv.cli import commands
from hgenv.recipes import RECIPES
from hgenv.registry import TASKS


def command(words: list[str]) -> int:
    parser = argparse.ArgumentParser("hgenv list", description="The environments, optimizers, recipes and estimators.")
    parser.add_argument("-v", "--verbose", action="store_true", help="every coordinate of beta: range, start, meaning")
    parser.add_argument("--json", action="store_true", help="as JSON")
    s = parser.parse_args(words)
    environments: dict[str, dict[str, Any]] = {}
    for env, text in commands.environments().items():
        environments[env] = {"summary": text} | ({"beta": list(coordinates(env))} if s.verbose else {})
    optimizers, recipes, estimators = commands.players(), commands.recipes(), commands.estimators()
    if s.json:
        others = {"recipes": {name: RECIPES[name]._asdict() for name in recipes}, "estimators": estimators}
        print(json.dumps({"environments": environments, "optimizers": optimizers, **others}, indent=1))
        return 0
    print("environments (--env)")
    for env, one in environments.items():
        print(f"  {env:27} {one['summary']}")
        for c in one.get("beta", ()):
            kind = "discrete" if c["discrete"] else "continuous"
            numbers = f"[{c['low']:6.2f}, {c['high']:6.2f}]  start {c['start']:6.2f}"
            print(f"    {c['name']:28} {numbers}  {kind:10}  {c['meaning']}")
    titles = ("optimizers (hgenv run)", "recipes (hgenv run)", "estimators (--gradient)")
    for title, found in zip(titles, (optimizers, recipes, estimators), strict=True):
        print(f"\n{title}")
        for name, text in found.items():
            print(f"  {name:27} {text}")
    return 0


def coordinates(env: str) -> Iterator[dict[str, Any]]:
    """Every coordinate of beta as plain values."""
    layout = TASKS[env]().layout
    for p, discrete in zip(layout.parameters, layout.discrete, strict=True):
        yield {
            "name": p.name, "low": float(p.low), "high": float(p.high), "start": float(p.initial),
            "discrete": bool(discrete), "meaning": p.meaning,
        }  # fmt: skip
