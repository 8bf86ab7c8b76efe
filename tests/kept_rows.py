"""The rows that a run keeps, as its file has them."""

import csv
from pathlib import Path


def rows_of(run: Path) -> list[dict[str, str]]:
    """All but the seconds, which no seed determines."""
    with (run / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in csv.DictReader(file)]
