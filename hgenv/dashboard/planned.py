"""How many cells a bench has planned, as its folder says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hgenv.bench.plan import PLAN, read
from hgenv.dashboard.places import check_no_links
from hgenv.registry import short

_MOST = 2**20  # bytes of a plan


class Planned:
    """The plans of folders, each read once until it changes."""

    def __init__(self) -> None:
        self._known = dict[Path, tuple[int, Counter[tuple[str, bool]]]]()

    def count(self, folder: Path, env: str, random_starts: bool) -> int:
        """Cells of an environment, without its namespace, and of its default or random starts; 0 where no plan says."""
        try:
            check_no_links(folder, [PLAN])
            stat = (folder / PLAN).stat()
        except (OSError, ValueError):
            return 0
        if self._known.get(folder, (0, None))[0] != stat.st_mtime_ns:
            cells = [] if stat.st_size > _MOST else _cells(folder)
            self._known[folder] = stat.st_mtime_ns, Counter(cells)
        return self._known[folder][1][env, random_starts]


def _cells(folder: Path) -> list[tuple[str, bool]]:
    try:
        return [(short(cell.env), cell.starts == "random") for cell in read(folder).cells()]
    except (OSError, ValueError):
        return []
