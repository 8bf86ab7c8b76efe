"""Stacked hourglass network (Newell et al. 2016), smooth enough to differentiate through its training.

GroupNorm, SiLU and average pooling stand in for the original's BatchNorm, ReLU and max-pooling, whose buffers break
recomputation and whose kinks lose second derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from hgenv.fields import AtLeast, AtMost, check


@dataclass(frozen=True)
class HourglassSize:
    """Size of the network. The default suits a CPU at 32 to 64 pixels; full size is 256 channels, depth 4, stride 2."""

    stacks: Annotated[int, AtLeast(1), AtMost(64)] = 1
    """Number of hourglasses, each with a prediction of its own that the loss sees."""
    channels: Annotated[int, AtLeast(1), AtMost(4096)] = 24
    """Width of the hourglasses, a multiple of 8."""
    hourglass_depth: Annotated[int, AtLeast(1), AtMost(12)] = 3
    """Number of times an hourglass halves the resolution."""
    stem_stride: Annotated[int, AtLeast(1), AtMost(64)] = 2
    """Stride of the stem; predictions are upsampled back to the input's resolution."""

    def __post_init__(self) -> None:
        check(self)
        if self.channels % 8:
            raise ValueError(f"channels must be a multiple of 8, got {self.channels}")

    @property
    def multiple(self) -> int:
        """The sides of the images must be multiples of this."""
        return self.stem_stride * 2**self.hourglass_depth

    def check_side(self, resolution: int) -> None:
        """Raise ValueError unless square images of this side suit the network."""
        if resolution < 8 or resolution % self.multiple:
            raise ValueError(f"resolution must be a multiple of {self.multiple} and at least 8, got {resolution}")


class Residual(nn.Module):
    """Pre-activation bottleneck: 1x1 to half the width, 3x3, 1x1 back, added to the input.

    One normalisation a block, without scale and shift: each costs a tenth of a step and a fifth of its reverse.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            nn.GroupNorm(max(1, channels // 8), channels, affine=False), nn.SiLU(), nn.Conv2d(channels, half, 1),
            nn.SiLU(), nn.Conv2d(half, half, 3, padding=1),
            nn.SiLU(), nn.Conv2d(half, channels, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Hourglass(nn.Module):
    """Recursive {skip residual, pool, residual, inner, residual, nearest upsample, add}."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.skip, self.before, self.after = Residual(channels), Residual(channels), Residual(channels)
        self.inner = Hourglass(channels, depth - 1) if depth > 1 else Residual(channels)

    def forward(self, x: Tensor) -> Tensor:
        low = self.after(self.inner(self.before(functional.avg_pool2d(x, 2))))
        return self.skip(x) + functional.interpolate(low, scale_factor=2.0, mode="nearest")


class StackedHourglass(nn.Module):
    """image (n, inputs, h, w) -> predictions (stacks, n, outputs, h, w); h and w multiples of size.multiple."""

    def __init__(self, inputs: int, outputs: int, size: HourglassSize) -> None:
        super().__init__()
        width, self.stride, self.multiple = size.channels, size.stem_stride, size.multiple
        self.stem = nn.Sequential(nn.Conv2d(inputs, width, 7, stride=self.stride, padding=3), Residual(width))
        self.hourglasses = nn.ModuleList(
            nn.Sequential(
                Hourglass(width, size.hourglass_depth), Residual(width), nn.Conv2d(width, width, 1), nn.SiLU()
            )
            for _ in range(size.stacks)
        )
        # Each head predicts stride^2 sub-pixels a position, which keeps the output at full resolution.
        self.heads = nn.ModuleList(nn.Conv2d(width, outputs * self.stride**2, 1) for _ in range(size.stacks))
        self.features = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(size.stacks - 1))
        self.feedback = nn.ModuleList(nn.Conv2d(outputs * self.stride**2, width, 1) for _ in range(size.stacks - 1))

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[-1] % self.multiple or image.shape[-2] % self.multiple:
            raise ValueError(f"image sides must be multiples of {self.multiple}, got {tuple(image.shape[-2:])}")
        x, predictions = self.stem(image), []
        for i, hourglass in enumerate(self.hourglasses):
            y = hourglass(x)
            p = self.heads[i](y)
            predictions.append(functional.pixel_shuffle(p, self.stride))
            if i < len(self.features):
                x = x + self.features[i](y) + self.feedback[i](p)
        return torch.stack(predictions)


class Positive(nn.Module):
    """A network whose predictions are positive: softplus, the paper's ReLU made smooth, about where they begin."""

    def __init__(self, body: nn.Module, begin: float) -> None:
        super().__init__()
        self.body, self.begin = body, begin

    def forward(self, image: Tensor) -> Tensor:
        return functional.softplus(self.body(image) + self.begin)
