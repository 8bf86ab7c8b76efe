"""Logs of other tools, to which a run's rows and figures go besides its folder."""

from hgenv.runs.logs.log import Log, LogName, Logs, check

__all__ = ["Log", "LogName", "Logs", "check"]
