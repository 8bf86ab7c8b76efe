"""Numbers as one reads them on axes and in tables."""

from __future__ import annotations

import math

_UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3))


def short(value: float, digits: int = 4) -> str:
    """Thousands and above with their SI prefix, 1.5k; a tenth is 0.1, and never 100m. "-" for what is not finite."""
    if not math.isfinite(value):
        return "-"
    size = abs(value)
    for unit, of in _UNITS:
        if size >= of:
            return f"{value / of:.{digits}g}{unit}"
    return f"{value:.{digits}g}"
