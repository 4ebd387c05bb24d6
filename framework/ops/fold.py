"""Sliding patches of images as columns, and columns added up to images."""

from __future__ import annotations

import math
from typing import Any

from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.kernels import module_of
from framework.kernels.floats import type_name, wide
from framework.ops.conv import columns_of, out_size, sum_columns
from framework.ops.windows import spread

__all__ = ["fold", "unfold"]


def _unfold_kernel(
    x: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any
) -> Any:
    if x.dtype.kind in "iu":
        raise NotImplementedError(f"\"im2col_out_cpu\" not implemented for '{type_name(x)}'")
    out = out_size(size, kernel, stride, padding, dilation)
    columns = columns_of(x, kernel, stride, padding, dilation, out)
    return columns.reshape(*_flat(x, kernel), math.prod(out))


def _flat(x: Any, kernel: Any) -> tuple[int, int]:
    return x.shape[0], x.shape[1] * math.prod(kernel)


def _fold_kernel(
    x: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any
) -> Any:
    if x.dtype.kind in "iu":
        raise NotImplementedError(f"\"col2im_out_cpu\" not implemented for '{type_name(x)}'")
    out = out_size(size, kernel, stride, padding, dilation)
    columns = wide(x).reshape(x.shape[0], x.shape[1] // math.prod(kernel), *kernel, *out)
    image = sum_columns(columns, size, kernel, stride, padding, dilation, out)
    return module_of(x).ascontiguousarray(image).astype(x.dtype, copy=False)


_FOLD = {"kernel": (2, 2), "stride": (1, 2), "padding": (1, 0), "dilation": (1, 1), "size": (3, 4)}
UNFOLD = op(
    "im2col", _unfold_kernel, "a", grad=(lambda g, n: apply(FOLD, g, **n.meta),),
    samples=lambda s: [((s(2, 2, 3, 4),), _FOLD)],
)  # fmt: skip
FOLD = op(
    "col2im", _fold_kernel, "a", grad=(lambda g, n: apply(UNFOLD, g, **n.meta),),
    samples=lambda s: [((s(2, 8, 8),), _FOLD)],
)  # fmt: skip


def _window(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, Any]:
    """The sliding window's numbers, each for both dimensions."""
    given = {"kernel": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
    names = {"kernel": "kernel_size"}
    window = {
        key: spread(value, 2, f"It is expected {names.get(key, key)} equals to 2")
        for key, value in given.items()
    }
    for key in ("kernel", "stride", "dilation"):
        if min(window[key]) <= 0:
            height, width = window[key]
            raise RuntimeError(
                f"{key} should be greater than zero, but got {key}_height: {height} {key}_width: "
                f"{width}"
            )
    if min(window["padding"]) < 0:
        height, width = window["padding"]
        raise RuntimeError(
            f"padding should be non-negative, but got pad_height: {height} pad_width: {width}"
        )
    return window


@function(namespaces=("nn.functional",), method=False, checks=True)
def unfold(
    input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """Sliding patches as columns: (N, C, H, W) to (N, C · KH · KW, positions).

    Without the batch: (C, H, W) to (C · KH · KW, positions). RuntimeError for sizes without a
    patch, NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.unfold(torch.arange(4.0).reshape(1, 1, 2, 2), (1, 2))
    tensor([[[0., 2.],
             [1., 3.]]])
    """
    window = _window(kernel_size, dilation, padding, stride)
    if input.ndim in (1, 2):  # PyTorch asks for a size first
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-input.ndim}, "
            f"{input.ndim - 1}], but got {input.ndim})"
        )
    if input.ndim not in (3, 4) or 0 in input.shape[input.ndim - 3 :]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(input.shape)}"
        )
    batched = input if input.ndim == 4 else input.unsqueeze(0)
    size = tuple(batched.shape[2:])
    blocks = out_size(size, **_named(window))
    if min(blocks) < 1:
        raise RuntimeError(
            f"Given input with spatial size {size}, kernel_size={window['kernel']}, "
            f"dilation={window['dilation']}, padding={window['padding']}, calculated shape of the "
            f"array of sliding blocks as {blocks}, but its components must be at least one."
        )
    out = apply(UNFOLD, batched, size=size, **window)
    return out if input.ndim == 4 else out.squeeze(0)


def _named(window: dict[str, Any]) -> dict[str, Any]:
    return {key: window[key] for key in ("kernel", "stride", "padding", "dilation")}


@function(namespaces=("nn.functional",), method=False, checks=True)
def fold(
    input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
    stride: Any = 1,
) -> Any:  # fmt: skip
    """The adjoint of `unfold`: add columns up into images (N, C, *output_size).

    Shapes: input (N, C · KH · KW, positions) or (C · KH · KW, positions); elements that fall on the
    same pixel are added. RuntimeError for sizes that do not fit, NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.fold(torch.ones(1, 2, 2), output_size=(1, 3), kernel_size=(1, 2))
    tensor([[[[1., 2., 1.]]]])
    """
    size = spread(output_size, 2, "It is expected output_size equals to 2")
    window = _window(kernel_size, dilation, padding, stride)
    if min(size) <= 0:
        raise RuntimeError(
            f"Expected output spatial size to be positive, but got: output_size={size}."
        )
    if input.ndim not in (2, 3) or 0 in input.shape[input.ndim - 2 :]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and other "
            f"non-zero dimensions for input, but got: {list(input.shape)}"
        )
    batched = input if input.ndim == 3 else input.unsqueeze(0)
    kernel = window["kernel"]
    if batched.shape[1] % math.prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={batched.shape[1]} and kernel_size={kernel}."
        )
    blocks = out_size(size, **_named(window))
    if batched.shape[2] != math.prod(blocks) or min(blocks) < 1:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={window['dilation']}, "
            f"padding={window['padding']}, stride={window['stride']}, expected size of input's "
            "dimension 2 to match the calculated number of sliding blocks "
            f"{blocks[0]} * {blocks[1]} = {math.prod(blocks)}, but got "
            f"input.size(2)={batched.shape[2]}."
        )
    out = apply(FOLD, batched, size=size, **window)
    return out if input.ndim == 3 else out.squeeze(0)
