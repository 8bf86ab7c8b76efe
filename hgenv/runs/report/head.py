"""What a run is, how it ended, and how it was run."""

from __future__ import annotations

from pathlib import Path

from hgenv.episode import Failure
from hgenv.files import as_json
from hgenv.pages.markup import Html, escaped, folded
from hgenv.pages.numbers import short
from hgenv.pages.table import table
from hgenv.registry import short as short_id
from hgenv.run import Row
from hgenv.runs.folder import OpenRun, best_of, ending
from hgenv.runs.writer import is_written


def title(run: OpenRun) -> str:
    """Who plays what."""
    return f"{run.config['optimizer_name']} on {short_id(run.config['env'])}"


def head(run: OpenRun, folder: Path) -> Html:
    """Title, state, and the numbers that one looks for first."""
    facts = "".join(f"<div><dt>{escaped(name)}</dt><dd>{value}</dd></div>" for name, value in _facts(run).items())
    return Html(
        f"<h1>{escaped(title(run))}</h1>\n<p class='quiet'>{escaped(folder.resolve().name)}</p>\n{state(folder)}\n"
        f"<dl class='facts'>{facts}</dl>{_failed_steps(run.rows)}"
    )


def state(folder: Path) -> Html:
    """How the run has ended, or that it has not."""
    ended = ending(folder)
    if ended == "budget":
        return Html("<p>It has come to the end of its budget.</p>")
    if ended:
        return Html(f"<p class='failed'>It has no end that counts: {escaped(ended)}.</p>")
    if is_written(folder):
        return Html("<p>It goes on; this page shows what it has come to so far.</p>")
    return Html(
        f"<p class='failed'>It was cut short. It goes on by <code>{escaped(f'hgenv resume {folder}')}</code>.</p>"
    )


def configuration(run: OpenRun) -> Html:
    """The command, every option, versions."""
    parts = [Html(f"<pre>{escaped(str(run.config.get('command', '')))}</pre>")]
    shown = {name: value for name, value in run.config.items() if name not in ("command", "words", "versions")}
    parts.append(folded("every option", f"<pre>{escaped(as_json(shown))}</pre>"))
    versions = [(name, str(version)) for name, version in run.config["versions"].items()]
    parts.append(folded("versions", table(("software", "version"), versions)))
    return Html("\n".join(parts))


def _facts(run: OpenRun) -> dict[str, str]:
    last, metric = run.rows[-1], run.env.task.quantity.primary
    facts = {}
    if best := best_of(run.rows, metric):
        facts[f"best validation {metric}, at step {best['step']:.0f}"] = f"{best[f'validation.{metric}']:.4g}"
        facts[f"test {metric} there"] = f"{best[f'test.{metric}']:.4g}"
    facts |= {"environment steps": short(last["step"]), "training steps": short(last["train_steps"])}
    facts |= {"renders": short(last["renders"]), "CPU seconds": short(last["cpu_seconds"])}
    return facts | ({"GPU seconds": short(last["gpu_seconds"])} if last["gpu_seconds"] else {})


def _failed_steps(rows: list[Row]) -> Html:
    """What was not finite, how often, and when."""
    steps: dict[str, list[float]] = {}
    for row in rows:
        if row["failed"]:
            steps.setdefault(Failure(int(row["failed"])).name.lower(), []).append(row["step"])
    if not steps:
        return Html()
    lines = [(what, str(len(at)), f"{at[0]:.0f}", f"{at[-1]:.0f}") for what, at in steps.items()]
    return Html(
        "<h3>Failed steps, which have committed nothing</h3>"
        + table(("what was not finite", "steps", "first", "last"), lines)
    )
