"""Memory formats of the weights of convolutions."""

from __future__ import annotations

from typing import Any

from framework.nn.modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def _convert(module: Any, memory_format: Any, kinds: Any) -> Any:
    for part in module.modules():
        if isinstance(part, kinds):
            weight: Any = part.weight
            weight.data = weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Let the weights of two-dimensional convolutions lie in a memory format; returns ``module``.

    Shape and dtype of the weights stay. TypeError for what is no memory format.

    >>> import framework as torch
    >>> conv = torch.nn.Conv2d(2, 1, 3)
    >>> _ = torch.nn.utils.convert_conv2d_weight_memory_format(conv, torch.channels_last)
    >>> conv.weight.stride()
    (18, 1, 6, 2)
    """
    return _convert(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Let the weights of three-dimensional convolutions lie in a memory format; returns ``module``.

    Shape and dtype of the weights stay. TypeError for what is no memory format.

    >>> import framework as torch
    >>> conv = torch.nn.Conv3d(2, 1, 3)
    >>> _ = torch.nn.utils.convert_conv3d_weight_memory_format(conv, torch.channels_last_3d)
    >>> conv.weight.stride()
    (54, 1, 18, 6, 2)
    """
    return _convert(module, memory_format, (Conv3d, ConvTranspose3d))
