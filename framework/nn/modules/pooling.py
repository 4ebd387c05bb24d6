"""Pooling layers."""

from __future__ import annotations

from typing import Any

from framework.nn import functional as F
from framework.nn.modules.module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d",
    "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip


class _MaxPoolNd(Module):
    _dims = 0

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        call = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[self._dims - 1]
        return call(input, self.kernel_size, self.stride, self.padding, self.dilation,
                    self.ceil_mode, self.return_indices)  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd):
    """The largest element of each window of a signal: (N, C, L) to (N, C, L').

    L' = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1; N may be missing.
    Arguments and errors are those of `MaxPool2d`. RuntimeError for too much padding and other
    numbers of dimensions. Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.MaxPool1d(3, stride=2)(torch.tensor([[1.0, 5.0, 2.0, 4.0, 3.0]]))
    tensor([[5., 4.]])
    """

    _dims = 1


class MaxPool2d(_MaxPoolNd):
    """The largest element of each window of an image: (N, C, H, W) to (N, C, H', W').

    H' = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, W' alike; N may be
    missing.

    Args:
        stride: by default ``kernel_size``: windows side by side.
        padding: -inf around the input, at most half of ``kernel_size``.
        return_indices: return the places of the maxima too, int64, counted within each (H, W); for
            `MaxUnpool2d`.
        ceil_mode: round the sizes up: a window may stand over the end.

    Errors, in a call: RuntimeError for another number of dimensions, too much padding, or no
    window. Dtypes: float and integer types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.MaxPool2d(2)
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    >>> nn.MaxPool2d(2, return_indices=True)(torch.arange(8.0).reshape(1, 2, 4))
    (tensor([[[5., 7.]]]), tensor([[[5, 7]]]))
    """

    _dims = 2


class MaxPool3d(_MaxPoolNd):
    """The largest element of each window of a volume: (N, C, D, H, W) to (N, C, D', H', W').

    Sizes, arguments and errors as of `MaxPool2d`. RuntimeError for too much padding and other
    numbers of dimensions. Dtypes: float and integer types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.MaxPool3d(2)(torch.zeros(1, 3, 4, 6, 8)).shape
    torch.Size([1, 3, 2, 3, 4])
    """

    _dims = 3


class _AvgPoolNd(Module):
    """What programs know all average pools by."""

    kernel_size: Any
    stride: Any
    padding: Any

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    """The mean of each window of a signal: (N, C, L) to (N, C, L').

    L' = floor((L + 2 padding - kernel_size) / stride) + 1; N may be missing. Arguments and errors
    are those of `AvgPool2d`. RuntimeError for too much padding and other numbers of dimensions.
    Dtypes: float types and int64 (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.AvgPool1d(2)(torch.tensor([[1.0, 3.0, 5.0, 7.0]]))
    tensor([[2., 6.]])
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
        stride = self.kernel_size if stride is None else stride
        self.stride = (stride,) if isinstance(stride, int) else tuple(stride)
        self.padding = (padding,) if isinstance(padding, int) else tuple(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Any:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                            self.count_include_pad)  # fmt: skip


class _AvgPool(_AvgPoolNd):
    _call: Any

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        return self._call(input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
                          self.count_include_pad, self.divisor_override)  # fmt: skip


class AvgPool2d(_AvgPool):
    """The mean of each window of an image: (N, C, H, W) to (N, C, H', W').

    H' = floor((H + 2 padding - kernel_size) / stride) + 1, W' alike; N may be missing.

    Args:
        stride: by default ``kernel_size``: windows side by side.
        padding: zeros around the input, at most half of ``kernel_size``.
        ceil_mode: round the sizes up: a window may stand over the end.
        count_include_pad: the zeros of the padding count as elements.
        divisor_override: divide each window's sum by this number.

    Errors, in a call: RuntimeError for another number of dimensions, too much padding, a divisor of
    0, or no window. Dtypes: float types and int64 (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.AvgPool2d(2)(torch.arange(8.0).reshape(1, 2, 4))
    tensor([[[2.5000, 4.5000]]])
    """

    _call: Any = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of each window of a volume: (N, C, D, H, W) to (N, C, D', H', W').

    Sizes, arguments and errors as of `AvgPool2d`. RuntimeError for too much padding and other
    numbers of dimensions. Dtypes: float types and int64 (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.AvgPool3d(2)(torch.zeros(1, 3, 4, 6, 8)).shape
    torch.Size([1, 3, 2, 3, 4])
    """

    _call: Any = staticmethod(F.avg_pool3d)


class _AdaptiveAvgPoolNd(Module):
    _dims = 0

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        call = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
        return call[self._dims - 1](input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """Means of ``output_size`` windows that cover a signal: (N, C, L) to (N, C, output_size).

    Window i reaches from floor(i L / output_size) to ceil((i + 1) L / output_size). N may be
    missing; RuntimeError for other numbers of dimensions. Dtypes: float types (NotImplementedError
    for others). He et al., "Spatial pyramid pooling in deep convolutional networks", 2014.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.AdaptiveAvgPool1d(2)(torch.tensor([[1.0, 2.0, 3.0, 5.0]]))
    tensor([[1.5000, 4.0000]])
    """

    _dims = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Means of windows that cover an image: (N, C, H, W) to (N, C, *output_size).

    ``output_size`` is one number, or two of which None keeps the input's size; windows as of
    `AdaptiveAvgPool1d`. ``AdaptiveAvgPool2d(1)`` is the mean over all positions. N may be missing.
    RuntimeError for other numbers of dimensions and a negative size. Dtypes: float types
    (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.AdaptiveAvgPool2d((1, None))(torch.zeros(2, 3, 8, 9)).shape
    torch.Size([2, 3, 1, 9])
    """

    _dims = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Means of windows that cover a volume: (N, C, D, H, W) to (N, C, *output_size).

    ``output_size`` is one number, or three of which None keeps the input's size; windows as of
    `AdaptiveAvgPool1d`. N may be missing. RuntimeError for other numbers of dimensions and a
    negative size. Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.AdaptiveAvgPool3d(2)(torch.zeros(2, 3, 4, 5, 6)).shape
    torch.Size([2, 3, 2, 2, 2])
    """

    _dims = 3


class _AdaptiveMaxPoolNd(Module):
    _dims = 0

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Any) -> Any:
        call = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)
        return call[self._dims - 1](input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """The largest elements of ``output_size`` windows that cover a signal: (N, C, L) to (N, C, L').

    L' is ``output_size``; windows as of `AdaptiveAvgPool1d`. With ``return_indices`` the places of
    the maxima too, int64. N may be missing; RuntimeError for other numbers of dimensions. Dtypes:
    float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.AdaptiveMaxPool1d(2, return_indices=True)(torch.tensor([[1.0, 4.0, 3.0, 2.0]]))
    (tensor([[4., 3.]]), tensor([[1, 2]]))
    """

    _dims = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """The largest elements of windows that cover an image: (N, C, H, W) to (N, C, *output_size).

    ``output_size`` is one number, or two of which None keeps the input's size; windows as of
    `AdaptiveAvgPool1d`. With ``return_indices`` the places of the maxima too, counted within each
    (H, W). N may be missing. RuntimeError for other numbers of dimensions and a negative size.
    Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.AdaptiveMaxPool2d(2)(torch.zeros(2, 3, 8, 9)).shape
    torch.Size([2, 3, 2, 2])
    """

    _dims = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """The largest elements of windows that cover a volume: (N, C, D, H, W) to (N, C, *output_size).

    Arguments as of `AdaptiveMaxPool2d`, ``output_size`` is one number or three. RuntimeError for
    other numbers of dimensions and a negative size. Dtypes: float types (NotImplementedError for
    others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.AdaptiveMaxPool3d((1, 2, 3))(torch.zeros(2, 3, 4, 5, 6)).shape
    torch.Size([2, 3, 1, 2, 3])
    """

    _dims = 3


def _each(value: Any, dims: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims


class _LPPoolNd(Module):
    _dims = 0

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def forward(self, input: Any) -> Any:
        call = getattr(F, f"lp_pool{self._dims}d")
        return call(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """(Σ xᵖ)^(1/p) of each window of a signal: (N, C, L) to (N, C, L'), p being ``norm_type``.

    L' = floor((L - kernel_size) / stride) + 1, the ``stride`` being ``kernel_size`` unless given;
    ``ceil_mode`` rounds up. p = 1 gives sums, large p the maxima. N may be missing; RuntimeError
    for other numbers of dimensions and for windows that do not fit in. Dtypes: all dtypes but
    complex ones (NotImplementedError); integers and bool give the default float type. Sermanet et
    al., "Convolutional neural networks applied to house numbers digit classification", 2012.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.LPPool1d(2, 2)(torch.tensor([[3.0, 4.0, 6.0, 8.0]]))
    tensor([[ 5., 10.]])
    """

    _dims = 1


class LPPool2d(_LPPoolNd):
    """(Σ xᵖ)^(1/p) of each window of an image: (N, C, H, W) to (N, C, H', W').

    p is ``norm_type``; sizes and arguments as of `LPPool1d`. RuntimeError for other numbers of
    dimensions. Dtypes: all dtypes but complex ones (NotImplementedError).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.LPPool2d(1, 2)(torch.ones(1, 4, 4))
    tensor([[[4., 4.],
             [4., 4.]]])
    """

    _dims = 2


class LPPool3d(_LPPoolNd):
    """(Σ xᵖ)^(1/p) of each window of a volume: (N, C, D, H, W) to (N, C, D', H', W').

    p is ``norm_type``; sizes and arguments as of `LPPool1d`. RuntimeError for other numbers of
    dimensions. Dtypes: all dtypes but complex ones (NotImplementedError).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.LPPool3d(2, 2)(torch.ones(1, 2, 2, 2))
    tensor([[[[2.8284]]]])
    """

    _dims = 3


class _FractionalMaxPool(Module):
    _dims = 0

    def __init__(
        self, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        name, dims = type(self).__name__, self._dims
        self.kernel_size = _each(kernel_size, dims)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else _each(output_size, dims)
        self.output_ratio = None if output_ratio is None else _each(output_ratio, dims)
        if output_size is None and output_ratio is None:
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Any) -> Any:
        call = getattr(F, f"fractional_max_pool{self._dims}d")
        return call(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            _random_samples=self._random_samples,
        )  # fmt: skip


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maxima of windows of an image at random places: (N, C, H, W) to (N, C, H', W').

    The windows are ``kernel_size`` large, and so placed that there are just as many as wanted. N
    may be missing. Graham, "Fractional max-pooling", 2014.

    Args:
        output_size: (H', W') or one number; or give ``output_ratio``, their share of H and W, below
            1.
        return_indices: return the places of the maxima too, int64, counted within each (H, W).

    Errors: ValueError unless just one of the two is given; in a call RuntimeError if the windows do
    not fit in. Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.FractionalMaxPool2d(2, output_size=(3, 4))(torch.zeros(1, 3, 5, 7)).shape
    torch.Size([1, 3, 3, 4])
    >>> nn.FractionalMaxPool2d(2, output_ratio=0.5)(torch.zeros(1, 3, 8, 10)).shape
    torch.Size([1, 3, 4, 5])
    """

    _dims = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """Maxima of windows of a volume at random places: (N, C, D, H, W) to (N, C, D', H', W').

    Arguments and errors as of `FractionalMaxPool2d`. ValueError unless just one of ``output_size``
    and ``output_ratio`` is given. Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.FractionalMaxPool3d(2, output_size=3)(torch.zeros(1, 2, 5, 6, 7)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _dims = 3


class _MaxUnpoolNd(Module):
    _dims = 0

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = _each(kernel_size, self._dims)
        self.stride = _each(kernel_size if stride is None else stride, self._dims)
        self.padding = _each(padding, self._dims)

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        call = getattr(F, f"max_unpool{self._dims}d")
        return call(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Put the maxima that `MaxPool1d` found back where they were, zeros elsewhere.

    Called with the maxima (N, C, L) and their indices (N, C, L), as `MaxPool1d` with
    ``return_indices=True`` gives them; the result (N, C, L') has L' = (L - 1) stride - 2 padding +
    kernel_size unless a third argument ``output_size`` says how large the pooled input was.
    RuntimeError for an index out of range, ValueError for a size that cannot be. Dtypes: float
    types (NotImplementedError for others), int64 for indices (RuntimeError for others). Zeiler and
    Fergus, "Visualizing and understanding convolutional networks", 2014.

    >>> import framework as torch
    >>> from framework import nn
    >>> maxima, places = nn.MaxPool1d(2, return_indices=True)(torch.tensor([[1.0, 3.0, 4.0, 2.0]]))
    >>> nn.MaxUnpool1d(2)(maxima, places)
    tensor([[0., 3., 4., 0.]])
    """

    _dims = 1


class MaxUnpool2d(_MaxUnpoolNd):
    """Put the maxima that `MaxPool2d` found back where they were, zeros elsewhere.

    Maxima and indices (N, C, H, W) to (N, C, H', W'); sizes, ``output_size`` and errors as of
    `MaxUnpool1d`. RuntimeError for an index out of range, ValueError for a size that cannot be.
    Dtypes: float types (NotImplementedError for others), int64 for indices.

    >>> import framework as torch
    >>> from framework import nn
    >>> x = torch.arange(8.0).reshape(1, 2, 4)
    >>> nn.MaxUnpool2d(2)(*nn.MaxPool2d(2, return_indices=True)(x))
    tensor([[[0., 0., 0., 0.],
             [0., 5., 0., 7.]]])
    """

    _dims = 2


class MaxUnpool3d(_MaxUnpoolNd):
    """Put the maxima that `MaxPool3d` found back where they were, zeros elsewhere.

    Maxima and indices (N, C, D, H, W) to (N, C, D', H', W'); sizes, ``output_size`` and errors as
    of `MaxUnpool1d`. RuntimeError for an index out of range, ValueError for a size that cannot be.
    Dtypes: float types (NotImplementedError for others), int64 for indices.

    >>> import framework as torch
    >>> from framework import nn
    >>> maxima, places = nn.MaxPool3d(2, return_indices=True)(torch.zeros(1, 4, 4, 4))
    >>> nn.MaxUnpool3d(2)(maxima, places, output_size=(5, 5, 5)).shape
    torch.Size([1, 5, 5, 5])
    """

    _dims = 3
