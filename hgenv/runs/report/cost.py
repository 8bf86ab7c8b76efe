"""What a run has cost."""

from __future__ import annotations

from hgenv.options import build
from hgenv.pages.markup import Html
from hgenv.pages.table import table
from hgenv.run import Budget
from hgenv.runs.folder import OpenRun

_SAID = {
    "renders": ("samples drawn", "max_renders"),
    "train_steps": ("training steps, probes included", "max_train_steps"),
    "differentiated_steps": ("training steps differentiated", ""),
    "influences": ("influences of samples", ""),
    "validation_forwards": ("validation images seen", ""),
    "clipped": ("coordinates of actions outside the box", ""),
    "failed_steps": ("failed steps", ""),
    "redrawn": ("samples drawn anew", ""),
    "cpu_seconds": ("CPU seconds", "max_seconds"),
    "wall_seconds": ("seconds on the clock", "max_wall_seconds"),
    "gpu_seconds": ("GPU seconds", "max_gpu_seconds"),
}
"""The ledger and the seconds in words, with the limits of the budget on them."""


def cost(run: OpenRun) -> Html:
    """The ledger and the seconds: in all, a step, the share of their limits; and what probes had of the training."""
    last, budget = run.rows[-1], build(Budget, run.config["budget"])
    steps, lines = last["step"], []
    for name, (said, limited) in _SAID.items():
        amount, limit = last[name], getattr(budget, limited, None)
        whole = f"{amount:.1f}" if name.endswith("_seconds") else f"{amount:.0f}"
        share = f"{100.0 * amount / limit:.1f} % of {limit:g}" if limit else "-"
        lines.append((said, whole, f"{amount / steps:.4g}" if steps else "-", share))
    header = ("cost", "in all", "per environment step", "share of its limit")
    return Html(table(header, lines) + _probes(run))


def _probes(run: OpenRun) -> Html:
    """Training steps that were committed, and those of probes, which were thrown away."""
    last = run.rows[-1]
    total, committed = last["train_steps"], last["step"] * run.env.options.train_steps
    if not 0 < committed <= total:
        return Html()
    share = 100.0 * committed / total
    return Html(f"<p>Of the training steps {share:.1f} % were committed, {100.0 - share:.1f} % those of probes.</p>")
