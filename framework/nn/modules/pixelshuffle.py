"""Layers that move elements between channels and space."""

from __future__ import annotations

from typing import Any

from framework.nn import functional as F
from framework.nn.modules.module import Module

__all__ = ["ChannelShuffle", "PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Module):
    """Channels to pixels: (*, C r², H, W) to (*, C, H r, W r), r being ``upscale_factor``.

    Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network", 2016. RuntimeError if the channels are not a multiple of r², or
    for fewer than three dimensions. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.PixelShuffle(2)(torch.zeros(1, 8, 3, 3)).shape
    torch.Size([1, 2, 6, 6])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Any) -> Any:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """The inverse of `PixelShuffle`: (*, C, H r, W r) to (*, C r², H, W).

    r is ``downscale_factor``. RuntimeError if height or width is not a multiple of r, or for fewer
    than three dimensions. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.PixelUnshuffle(2)(torch.arange(4.0).reshape(1, 2, 2)).shape
    torch.Size([4, 1, 1])
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Any) -> Any:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Mix the channels of ``groups``: (N, groups · c, *) as (N, c · groups, *), of the same shape.

    Lets information pass between the groups of grouped convolutions (Zhang et al., "ShuffleNet",
    2018). RuntimeError if the channels are not a multiple of ``groups``, or for fewer than three
    dimensions. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ChannelShuffle(2)(torch.arange(4.0).reshape(1, 4, 1, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Any) -> Any:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
