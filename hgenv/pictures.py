"""Batches as pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hgenv.batch import Batch
from hgenv.quantities.quantity import Quantity


def colours(image: Tensor) -> NDArray[np.float64]:
    """Images (n, c, h, w) of one or three channels as colours (n, h, w, 3) in [0, 1]."""
    return image[:, :3].clamp(0, 1).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).double().numpy()


def sheet(quantity: Quantity, batch: Batch, columns: int) -> NDArray[np.uint8]:
    """A batch as one picture (h, w, 3) uint8: strips of `columns` images with their targets below."""
    tiles = np.concatenate([colours(batch.image), quantity.picture(batch.target, batch.mask)], axis=1)
    padded = np.concatenate([tiles, np.zeros((-len(tiles) % columns, *tiles.shape[1:]))])
    _, h, w, _ = padded.shape
    grid = padded.reshape(-1, columns, h, w, 3).transpose(0, 2, 1, 3, 4).reshape(-1, columns * w, 3)
    return (255.0 * grid.clip(0, 1)).round().astype(np.uint8)
