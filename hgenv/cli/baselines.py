"""hgenv baselines: metrics of answers that need no learning, and of the network before it learns."""

from __future__ import annotations

import dataclasses

from hgenv.cli.options import AsJson, EnvChoice, chosen_task, parse, size_of
from hgenv.cli.progress import Progress
from hgenv.domains.domain import SPLITS, Scores, baselines
from hgenv.env import DataGenEnv
from hgenv.files import as_json


@dataclasses.dataclass(frozen=True)
class BaselineOptions:
    """Metrics of answers that need no learning."""

    json: AsJson = False
    """Print JSON."""


def command(words: list[str]) -> int:
    s = parse(
        "baselines", words, size_of(words), baselines=BaselineOptions, environment=EnvChoice, task=chosen_task(words)
    )  # fmt: skip
    env = DataGenEnv(s.task)
    env.reset(seed=0)
    found = dict[str, dict[str, Scores]]()
    with Progress("splits") as progress:  # shape from shading takes a third of a second a picture
        for done, split in enumerate(SPLITS, 1):
            progress.show(done - 1, len(SPLITS), split)
            found[split] = baselines(s.task.quantity, s.task.domain, split)
            found[split]["the network's start"] = env.metrics(split)
    if s.baselines.json:
        print(as_json({"env": s.environment.env, **found}, indent=1))
        return 0
    for where, answers in found.items():
        for name, metrics in answers.items():
            print(f"{where:10}  {name:19}" + "".join(f"  {k} {v:.4g}" for k, v in metrics.items()))
    return 0
