"""Padding layers."""

from __future__ import annotations

from typing import Any

from framework.nn import functional as F
from framework.nn.modules.module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d",
    "ConstantPad3d", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d",
    "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _PadNd(Module):
    """``padding``: one number for all sides, or (left, right, top, bottom, ...)."""

    _dims = 0
    _kind = ""

    def __init__(self, padding: Any) -> None:
        super().__init__()
        both = 2 * self._dims
        self.padding = (padding,) * both if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self._kind)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReflectionPadNd(_PadNd):
    _kind = "reflect"


class _ReplicationPadNd(_PadNd):
    _kind = "replicate"


class _ConstantPadNd(_PadNd):
    _kind = "constant"

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self._kind, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """``value`` around the last dimension: (*, L) to (*, L').

    L' = left + L + right. ``padding`` is one number for both sides or (left, right); a negative one
    cuts off. RuntimeError if less than nothing would be left. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ConstantPad1d((1, 2), 9.0)(torch.tensor([1.0, 2.0]))
    tensor([9., 1., 2., 9., 9.])
    """

    _dims = 1


class ConstantPad2d(_ConstantPadNd):
    """``value`` around the last two dimensions: (*, H, W) to (*, H', W').

    H' = top + H + bottom, W' = left + W + right. ``padding`` is one number for all sides or (left,
    right, top, bottom); a negative one cuts off. RuntimeError for a tensor of one dimension and if
    less than nothing would be left. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ConstantPad2d((1, 0, 0, 1), 9.0)(torch.ones(1, 2))
    tensor([[9., 1., 1.],
            [9., 9., 9.]])
    """

    _dims = 2


class ConstantPad3d(_ConstantPadNd):
    """``value`` around the last three dimensions: (*, D, H, W) to (*, D', H', W').

    W' = left + W + right and so on. ``padding`` is one number for all sides or (left, right, top,
    bottom, front, back); a negative one cuts off. RuntimeError for a tensor of two dimensions and
    if less than nothing would be left. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ConstantPad3d((1, 1, 0, 0, 0, 2), 9.0)(torch.zeros(1, 2, 3, 4)).shape
    torch.Size([1, 4, 3, 6])
    """

    _dims = 3


class _ZeroPad(_ConstantPadNd):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Zeros around the last dimension: (*, L) to (*, L').

    L' = left + L + right. ``padding`` as of `ConstantPad1d`. RuntimeError if less than nothing
    would be left. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ZeroPad1d((2, 0))(torch.tensor([1.0, 2.0]))
    tensor([0., 0., 1., 2.])
    """


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Zeros around the last two dimensions: (*, H, W) to (*, H', W').

    H' = top + H + bottom, W' = left + W + right. ``padding`` as of `ConstantPad2d`. RuntimeError
    for a tensor of one dimension. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ZeroPad2d(1)(torch.ones(1, 1))
    tensor([[0., 0., 0.],
            [0., 1., 0.],
            [0., 0., 0.]])
    """


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Zeros around the last three dimensions: (*, D, H, W) to (*, D', H', W').

    W' = left + W + right and so on. ``padding`` as of `ConstantPad3d`. RuntimeError for a tensor of
    two dimensions. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ZeroPad3d(1)(torch.ones(1, 2, 3, 4)).shape
    torch.Size([1, 4, 5, 6])
    """


class ReflectionPad1d(_ReflectionPadNd):
    """The mirror image around the last dimension: (N, C, L) to (N, C, L').

    L' = left + L + right; N may be missing. ``padding`` is one number or (left, right). The border
    itself is not repeated; RuntimeError if a side is as long as its dimension or nothing would be
    left. Dtypes: all dtypes but bool (NotImplementedError).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ReflectionPad1d(2)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    _dims = 1


class ReflectionPad2d(_ReflectionPadNd):
    """The mirror image around the last two dimensions: (N, C, H, W) to (N, C, H', W').

    H' = top + H + bottom, W' = left + W + right; N may be missing. ``padding`` is one number or
    (left, right, top, bottom). The border itself is not repeated; RuntimeError if a side is as long
    as its dimension or nothing would be left. Dtypes: all dtypes but bool (NotImplementedError).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ReflectionPad2d((1, 1, 0, 1))(torch.arange(4.0).reshape(1, 2, 2))
    tensor([[[1., 0., 1., 0.],
             [3., 2., 3., 2.],
             [1., 0., 1., 0.]]])
    """

    _dims = 2


class ReflectionPad3d(_ReflectionPadNd):
    """The mirror image around three dimensions: (N, C, D, H, W) to (N, C, D', H', W').

    W' = left + W + right and so on; N may be missing. ``padding`` is one number or (left, right,
    top, bottom, front, back). The border itself is not repeated; RuntimeError if a side is as long
    as its dimension or nothing would be left. Dtypes: all dtypes but bool (NotImplementedError).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ReflectionPad3d(1)(torch.zeros(1, 2, 3, 4)).shape
    torch.Size([1, 4, 5, 6])
    """

    _dims = 3


class ReplicationPad1d(_ReplicationPadNd):
    """The border's elements around the last dimension: (N, C, L) to (N, C, L').

    L' = left + L + right; N may be missing. ``padding`` is one number or (left, right).
    RuntimeError for an empty input and if nothing would be left. Dtypes: all dtypes but bool
    (NotImplementedError).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ReplicationPad1d(2)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """

    _dims = 1


class ReplicationPad2d(_ReplicationPadNd):
    """The border's elements around the last two dimensions: (N, C, H, W) to (N, C, H', W').

    H' = top + H + bottom, W' = left + W + right; N may be missing. ``padding`` is one number or
    (left, right, top, bottom). RuntimeError for an empty input and if nothing would be left.
    Dtypes: all dtypes but bool (NotImplementedError).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ReplicationPad2d((1, 1, 0, 1))(torch.arange(4.0).reshape(1, 2, 2))
    tensor([[[0., 0., 1., 1.],
             [2., 2., 3., 3.],
             [2., 2., 3., 3.]]])
    """

    _dims = 2


class ReplicationPad3d(_ReplicationPadNd):
    """The border's elements around three dimensions: (N, C, D, H, W) to (N, C, D', H', W').

    W' = left + W + right and so on; N may be missing. ``padding`` is one number or (left, right,
    top, bottom, front, back). RuntimeError for an empty input and if nothing would be left. Dtypes:
    all dtypes but bool (NotImplementedError).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ReplicationPad3d(1)(torch.zeros(1, 2, 3, 4)).shape
    torch.Size([1, 4, 5, 6])
    """

    _dims = 3


class _CircularPadNd(_PadNd):
    _kind = "circular"

    def forward(self, input: Any) -> Any:
        if input.ndim not in (self._dims + 1, self._dims + 2):
            raise ValueError(
                f"expected {self._dims + 1}D or {self._dims + 2}D input (got {input.ndim}D input)"
            )
        return super().forward(input)


class CircularPad1d(_CircularPadNd):
    """The other side's elements around the last dimension: (N, C, L) to (N, C, L').

    L' = left + L + right; N may be missing. ``padding`` is one number or (left, right). ValueError
    for other numbers of dimensions; RuntimeError if a side is longer than its dimension. Dtypes:
    all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.CircularPad1d(2)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 3., 1., 2., 3., 1., 2.]])
    """

    _dims = 1


class CircularPad2d(_CircularPadNd):
    """The other side's elements around the last two dimensions: (N, C, H, W) to (N, C, H', W').

    H' = top + H + bottom, W' = left + W + right; N may be missing. ``padding`` is one number or
    (left, right, top, bottom). ValueError for other numbers of dimensions; RuntimeError if a side
    is longer than its dimension. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.CircularPad2d((1, 1, 0, 1))(torch.arange(4.0).reshape(1, 2, 2))
    tensor([[[1., 0., 1., 0.],
             [3., 2., 3., 2.],
             [1., 0., 1., 0.]]])
    """

    _dims = 2


class CircularPad3d(_CircularPadNd):
    """The other side's elements around three dimensions: (N, C, D, H, W) to (N, C, D', H', W').

    W' = left + W + right and so on; N may be missing. ``padding`` is one number or (left, right,
    top, bottom, front, back). ValueError for other numbers of dimensions; RuntimeError if a side is
    longer than its dimension. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.CircularPad3d(1)(torch.zeros(1, 2, 3, 4)).shape
    torch.Size([1, 4, 5, 6])
    """

    _dims = 3
