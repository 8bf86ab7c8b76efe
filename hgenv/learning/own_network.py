"""Your own network: any nn.Module from pictures to maps, by the name of what makes it, and its first weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hgenv import registry
from hgenv.batch import Batch
from hgenv.data.reading import opened

_MOST_BYTES = 2**33


class Stacked(nn.Module):
    """A network with an axis of stacks in front of its predictions, where it has none."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, image: Tensor) -> Tensor:
        found = self.body(image)
        if not isinstance(found, Tensor):
            raise ValueError(f"the network gives {type(found).__name__}, expected one tensor: wrap it in a module")
        return found if found.ndim == 5 else found[None]


def own_network(where: str) -> nn.Module:
    """What MODULE:FUNCTION or FILE.py:FUNCTION makes. Raises ValueError for what is no such, or makes no network."""
    module, colon, name = where.rpartition(":")
    if not colon or not module or not name:
        raise ValueError(f"network must be MODULE:FUNCTION or FILE.py:FUNCTION, got {where!r}")
    make = _attribute(module, name)
    try:
        found = make()
    except Exception as error:  # somebody else's code: whatever it raises
        raise ValueError(f"{where} makes no network: {type(error).__name__}: {error}") from error
    if not isinstance(found, nn.Module):
        raise ValueError(f"{where} gives {type(found).__name__}, expected a torch.nn.Module")
    return Stacked(found)


def _attribute(module: str, name: str) -> Callable[[], Any]:
    known = Path(module).stem if module.endswith(".py") else module
    if not any(Path(what).stem == known or what == module for what in registry.loaded()):  # a run is opened anywhere
        registry.load(module)
    found = getattr(sys.modules[known], name, None)
    if not callable(found):
        raise ValueError(f"{module} has no function {name}")
    return found


def check_fits(network: nn.Module, batch: Batch) -> None:
    """ValueError unless a network predicts what a batch's target is."""
    try:
        with torch.no_grad():
            found = network(batch.image)
    except (RuntimeError, TypeError, IndexError) as error:
        given = tuple(batch.image.shape)
        raise ValueError(f"the network does not take images {given}: {str(error).splitlines()[0]}") from error
    if found.ndim != 5 or found.shape[1:] != batch.target.shape:
        wanted = tuple(batch.target.shape)
        raise ValueError(
            f"the network predicts {tuple(found.shape)[1:]} for images {tuple(batch.image.shape)}, expected {wanted}, "
            "or several of these as (stacks, ...)"
        )


def load_weights(network: nn.Module, path: Path) -> None:
    """Give a network the weights of a checkpoint, .safetensors, or .pt or .pth of a state dict; nothing is unpickled.

    Raises FileNotFoundError, or ValueError that names the file and what does not fit.
    """
    state = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    body = network.body if isinstance(network, Stacked) else network
    ours = body.state_dict()
    lacking, unknown = sorted(ours.keys() - state.keys()), sorted(state.keys() - ours.keys())
    if lacking or unknown:
        told = [f"it lacks {', '.join(lacking[:3])}"] if lacking else []
        told += [f"the network has no {', '.join(unknown[:3])}"] if unknown else []
        raise ValueError(f"{path} is no checkpoint of this network: {'; '.join(told)}")
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor) or tensor.shape != ours[name].shape:
            given = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ValueError(f"{path}: {name} is {given}, expected {tuple(ours[name].shape)}")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path}: {name} has numbers that are not finite")
    body.load_state_dict(state)


def _safetensors(path: Path) -> Mapping[str, Any]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ValueError(f"{path}: safetensors are not installed: pip install 'hgenv[safetensors]'") from error
    opened(path, _MOST_BYTES).close()
    try:
        return load_file(str(path))
    except Exception as error:  # it raises a type of its own
        raise ValueError(f"{path} is not a file of safetensors: {error}") from error


def _torch(path: Path) -> Mapping[str, Any]:
    with opened(path, _MOST_BYTES) as file:
        try:
            found = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many types
            raise ValueError(
                f"{path} is no state dict that can be read without unpickling: {str(error).splitlines()[0]}"
            ) from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds {type(found).__name__}, expected a state dict")
    return found
