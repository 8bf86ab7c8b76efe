"""What a run leaves: its folder and its figures; agents that play."""

from hgenv.runs.folder import OpenRun, open_run

__all__ = ["OpenRun", "open_run"]
