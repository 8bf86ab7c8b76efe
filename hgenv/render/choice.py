"""The backends by name."""

from __future__ import annotations

from importlib import import_module
from typing import Literal, cast, get_args

from hgenv.render.renderer import Renderer

Backend = Literal["raster", "opengl", "blender", "mitsuba"]


def find_renderer(name: Backend) -> Renderer:
    """The backend of a name. Raises ValueError for an unknown one, or if what it needs is not installed."""
    if name not in get_args(Backend):
        raise ValueError(f"renderer must be one of {get_args(Backend)}, got {name!r}")
    return cast(Renderer, import_module(f"hgenv.render.{name}").render)
