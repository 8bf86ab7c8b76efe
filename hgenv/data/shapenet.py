"""Textured models in the layout of ShapeNetCore, versions 1 and 2: SYNSET/MODEL holds all that belongs to one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hgenv.data.model import Model, load_obj
from hgenv.data.reading import there
from hgenv.render.mesh import of_unit_size

V1, V2 = "model.obj", "models/model_normalized.obj"


def find_models(root: str | Path) -> list[Path]:
    """The OBJ files ROOT/SYNSET/MODEL/model.obj, or .../models/model_normalized.obj where there is none, sorted.

    Raises FileNotFoundError if there is none.
    """
    folder = Path(root)
    candidates = [next((d / v for v in (V1, V2) if there(d / v)), None) for d in sorted(folder.glob("*/*"))]
    found = [path for path in candidates if path is not None]
    if not found:
        raise FileNotFoundError(
            f"no model in {folder}: expected SYNSET/MODEL/{V1} or SYNSET/MODEL/{V2}, as shapenet.org has them"
        )
    return found


def load_model(path: Path) -> Model:
    """One model, y up, its bounding box centred and its diagonal 1. What lies outside of SYNSET/MODEL is not read.

    Raises what `hgenv.data.model.load_obj` does.
    """
    model = load_obj(path, inside=[path.parents[1] if path.match(V2) else path.parent])
    return dataclasses.replace(model, mesh=of_unit_size(model.mesh))
