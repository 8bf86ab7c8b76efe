"""Quantities: what is learned of an image, one file each."""

from hgenv.quantities.depth import Depth
from hgenv.quantities.intrinsics import Intrinsics
from hgenv.quantities.normals import Normals
from hgenv.quantities.quantity import ErrorMap, Quantity, SquaredError

__all__ = ["Depth", "ErrorMap", "Intrinsics", "Normals", "Quantity", "SquaredError"]
