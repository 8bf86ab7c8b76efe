"""report.html of a run: how it went, what it found, what it cost. It can be made at any time, also while it goes on."""

from __future__ import annotations

from pathlib import Path

from hgenv.clock import Seconds
from hgenv.files import write_text
from hgenv.pages.chart import ASSETS
from hgenv.pages.page import page
from hgenv.run import COST
from hgenv.runs.folder import METRICS, OpenRun, read_config
from hgenv.runs.report.beta import before_and_after, over_time
from hgenv.runs.report.cost import cost
from hgenv.runs.report.curves import curves
from hgenv.runs.report.head import configuration, head, title
from hgenv.runs.report.predictions import predictions
from hgenv.runs.report.samples import samples

PAGE = "report.html"
"""Its name in the run's folder."""
_NEEDED = {"step", "val_loss", "failed", *COST, *(f"{name}_seconds" for name in Seconds._fields)}


def write(run: OpenRun, folder: Path) -> Path:
    """Write the page of a run, whose folder this is; returns its path. No lock is needed, and nothing else is written.

    The environment is left in the state of the best snapshot. Raises ValueError for a configuration or rows that are
    not a run's, OSError if the page cannot be written.
    """
    read_config(folder, of_run=True)  # run.config may be that of an environment alone
    if missing := {name for row in run.rows for name in _NEEDED - row.keys()}:
        raise ValueError(f"{folder / METRICS} has rows without {min(missing)}")
    sections = {
        "": head(run, folder),
        "Curves": curves(run),
        "Beta over time": over_time(run),
        "Samples over time": samples(run),
        "Predictions": predictions(run),
        "Cost": cost(run),
        "Beta before and after": before_and_after(run),
        "How it was run": configuration(run),
    }
    body = [(f"<h2>{name}</h2>\n" if name else "") + section for name, section in sections.items() if section]
    path = folder / PAGE
    write_text(path, page(title(run), "\n".join(body), ASSETS))
    return path
