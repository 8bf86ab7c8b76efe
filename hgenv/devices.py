"""From the host to a device and back, with as little waiting as can be: each transfer back lets the host wait once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; itself if it is there. To a GPU it goes by pinned memory, and nobody waits for it."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def on_host(tensors: Sequence[Tensor]) -> list[NDArray[np.float64]]:
    """Tensors of one device as arrays of their shapes, each of its own memory, by one transfer for all."""
    if not tensors:
        return []
    whole = torch.cat([tensor.detach().reshape(-1).double() for tensor in tensors]).cpu().numpy()
    parts = np.split(whole, np.cumsum([tensor.numel() for tensor in tensors])[:-1])
    return [part.reshape(tensor.shape).copy() for part, tensor in zip(parts, tensors, strict=True)]


def free_bytes(device: torch.device) -> int:
    """Memory of a GPU that is free, or that torch holds and does not use."""
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + held
