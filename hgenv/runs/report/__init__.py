"""A run's own page, one file a section."""

from hgenv.runs.report.page import PAGE, write

__all__ = ["PAGE", "write"]
