"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

from framework.nn import functional as F
from framework.nn import init
from framework.nn.modules.factories import empty
from framework.nn.modules.lazy import LazyModuleMixin
from framework.nn.modules.module import Module
from framework.nn.parameter import Parameter

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Fold",
    "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d",
    "LazyConvTranspose3d", "Unfold",
]  # fmt: skip

_MODES = ("zeros", "reflect", "replicate", "circular")


def _each(value: Any, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


class _ConvNd(Module):
    """What all convolutions share; subclasses set ``_dims`` and ``_transposed``."""

    _dims = 0
    _transposed = False
    padding: Any  # a tuple, or "same" or "valid"

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any,
        dilation: Any, output_padding: Any, groups: int, bias: bool, padding_mode: str,
        device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        dims = self._dims
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}"
                )
            if padding == "same" and any(s != 1 for s in _each(stride, dims)):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in _MODES:
            raise ValueError(
                f"padding_mode must be one of {set(_MODES)}, but got padding_mode={padding_mode!r}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _each(kernel_size, dims)
        self.stride = _each(stride, dims)
        self.padding = padding if isinstance(padding, str) else _each(padding, dims)
        self.dilation = _each(dilation, dims)
        self.transposed = self._transposed
        self.output_padding = _each(output_padding, dims)
        self.groups = groups
        self.padding_mode = padding_mode
        first, second = (out_channels, in_channels // groups)
        if self._transposed:
            first, second = (in_channels, out_channels // groups)
        shape = (first, second, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values: weight and bias uniform in ±1/sqrt(fan_in) (He et al.

        2015, a = sqrt(5)).
        """
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = self.weight.shape[1] * math.prod(self.kernel_size)
            if fan_in:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        s = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        if self.padding != (0,) * self._dims:
            s += f", padding={self.padding}"
        if self.dilation != (1,) * self._dims:
            s += f", dilation={self.dilation}"
        if self.output_padding != (0,) * self._dims:
            s += f", output_padding={self.output_padding}"
        if self.groups != 1:
            s += f", groups={self.groups}"
        if self.bias is None:
            s += ", bias=False"
        if self.padding_mode != "zeros":
            s += f", padding_mode={self.padding_mode}"
        return s


class _Conv(_ConvNd):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
        padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, 0,
                         groups, bias, padding_mode, device, dtype)  # fmt: skip

    def forward(self, input: Any) -> Any:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._around(), mode=self.padding_mode)
            padding = 0
        call = (F.conv1d, F.conv2d, F.conv3d)[self._dims - 1]
        return call(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _around(self) -> list[int]:
        """(before, after) of each dimension, the last one first."""
        result: list[int] = []
        for i in reversed(range(self._dims)):
            if self.padding == "valid":
                result += [0, 0]
            elif self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
                result += [total // 2, total - total // 2]
            else:
                result += [int(self.padding[i])] * 2
        return result


class Conv1d(_Conv):
    """Convolution (a cross-correlation) of signals: (N, C, L) to (N, out_channels, L').

    L' = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1; N may be missing.
    Weight (out_channels, C / groups, kernel_size) and bias start uniform in ±1/sqrt(fan_in);
    arguments and errors are those of `Conv2d`. ValueError for arguments that do not fit,
    RuntimeError for channels or sizes. Dtypes: float and complex types, the weight's.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Conv1d(3, 8, kernel_size=5, stride=2)(torch.zeros(2, 3, 20)).shape
    torch.Size([2, 8, 8])
    """

    _dims = 1


class Conv2d(_Conv):
    """Convolution (a cross-correlation) of images: (N, C, H, W) to (N, out_channels, H', W').

    H' = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, W' alike; N may be
    missing. Weight (out_channels, C / groups, KH, KW) and bias (out_channels,) start uniform in
    ±1/sqrt(fan_in), fan_in being C / groups · KH · KW.

    Args:
        kernel_size: one number, or one per dimension; ``stride``, ``padding`` and ``dilation`` too.
        padding: "same" (with stride 1) and "valid" (none) are possible as well.
        groups: input and output channels are joined in so many groups only; must divide both.
        padding_mode: what is put round the input: "zeros", "reflect", "replicate" or "circular".

    Errors: ValueError for arguments that do not fit; in a call RuntimeError for another number of
    channels or dimensions, an input smaller than the kernel, or another dtype than the weight's.
    Dtypes: float and complex types. Sizes as in Dumoulin and Visin, "A guide to convolution
    arithmetic for deep learning", 2016.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Conv2d(1, 8, 3, padding=1)(torch.zeros(2, 1, 5, 5)).shape
    torch.Size([2, 8, 5, 5])
    >>> nn.Conv2d(4, 4, (3, 1), groups=4, padding="same").weight.shape
    torch.Size([4, 1, 3, 1])
    """

    _dims = 2


class Conv3d(_Conv):
    """Convolution of volumes: (N, C, D, H, W) to (N, out_channels, D', H', W'); N may be missing.

    Each size follows the rule of `Conv2d`, as do arguments and errors. Weight (out_channels, C /
    groups, KD, KH, KW) and bias start uniform in ±1/sqrt(fan_in). ValueError for arguments that do
    not fit, RuntimeError for channels or sizes. Dtypes: float and complex types, the weight's.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Conv3d(1, 2, 3)(torch.zeros(1, 1, 4, 5, 6)).shape
    torch.Size([1, 2, 2, 3, 4])
    """

    _dims = 3


class _ConvTransposeNd(_ConvNd):
    _transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
        padding: Any = 0, output_padding: Any = 0, groups: int = 1, bias: bool = True,
        dilation: Any = 1, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation,
                         output_padding, groups, bias, padding_mode, device, dtype)  # fmt: skip

    def forward(self, input: Any, output_size: Any = None) -> Any:
        more: Any = self.output_padding
        if output_size is not None:
            more = self._more(input, list(output_size))
        call = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self._dims - 1]
        return call(input, self.weight, self.bias, self.stride, self.padding, more, self.groups,
                    self.dilation)  # fmt: skip

    def _more(self, input: Any, wanted: list[int]) -> tuple[int, ...]:
        """The output_padding that leads to this output size."""
        wanted = wanted[-self._dims :]
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                input.shape[-self._dims :], self.stride, self.padding, self.dilation,
                self.kernel_size,
            )
        ]  # fmt: skip
        most = [m + s - 1 for m, s in zip(least, self.stride)]
        if any(not low <= w <= high for w, low, high in zip(wanted, least, most)):
            raise ValueError(
                f"requested an output size of {wanted}, but valid sizes range from {least} to "
                f"{most} (for an input of {list(input.shape[-self._dims :])})"
            )
        return tuple(w - m for w, m in zip(wanted, least))


class ConvTranspose1d(_ConvTransposeNd):
    """The gradient of `Conv1d` as a layer that enlarges: (N, C, L) to (N, out_channels, L').

    L' = (L - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1. Weight (C,
    out_channels / groups, kernel_size) and bias start uniform in ±1/sqrt(fan_in), where fan_in is
    that of `Conv1d`'s gradient: out_channels / groups · kernel_size. Arguments and errors as of
    `ConvTranspose2d`: ValueError, in a call RuntimeError. Dtypes: float and complex types, the
    weight's.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ConvTranspose1d(3, 8, 4, stride=2)(torch.zeros(2, 3, 10)).shape
    torch.Size([2, 8, 22])
    """

    _dims = 1


class ConvTranspose2d(_ConvTransposeNd):
    """The gradient of `Conv2d` as a layer that enlarges: (N, C, H, W) to (N, out_channels, H', W').

    H' = (H - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1, W' alike; N
    may be missing. Weight (C, out_channels / groups, KH, KW) and bias start uniform in
    ±1/sqrt(fan_in), fan_in being out_channels / groups · KH · KW.

    Args:
        output_padding: added to the size at one side, since a strided convolution has the same
            output for several input sizes; below ``stride`` or ``dilation``. ``layer(x,
            output_size=...)`` finds it out.
        padding_mode: "zeros" only.

    Errors: ValueError for arguments that do not fit and for an ``output_size`` that cannot be
    reached; in a call RuntimeError for channels or an ``output_padding`` that do not fit, and for
    another dtype than the weight's. Dtypes: float and complex types. Zeiler et al.,
    "Deconvolutional networks", 2010.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1)
    >>> x = torch.zeros(1, 4, 6, 6)
    >>> layer(x).shape, layer(x, output_size=(12, 12)).shape
    (torch.Size([1, 2, 11, 11]), torch.Size([1, 2, 12, 12]))
    """

    _dims = 2


class ConvTranspose3d(_ConvTransposeNd):
    """The gradient of `Conv3d` as a layer: (N, C, D, H, W) to (N, out_channels, D', H', W').

    Sizes, arguments and errors as of `ConvTranspose2d`. Weight (C, out_channels / groups, KD, KH,
    KW). ValueError for arguments that do not fit, RuntimeError for channels or sizes. Dtypes: float
    and complex types, the weight's.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.ConvTranspose3d(2, 1, 2, stride=2)(torch.zeros(1, 2, 3, 3, 3)).shape
    torch.Size([1, 1, 6, 6, 6])
    """

    _dims = 3


class _LazyConvNd(LazyModuleMixin, _ConvNd):
    """A convolution whose ``in_channels`` come from the first input."""

    def reset_parameters(self) -> None:
        """Draw new initial values, once there is something to draw."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Any, *args: Any, **kwargs: Any) -> None:
        """Materialize the parameters for this input."""
        if not self.has_uninitialized_params():
            return
        self.in_channels = self._channels_of(input)
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        shape = (self.out_channels, self.in_channels // self.groups)
        if self.transposed:
            shape = (self.in_channels, self.out_channels // self.groups)
        self.weight.materialize((*shape, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()

    def _channels_of(self, input: Any) -> int:
        single = self._dims + 1
        if input.ndim not in (single, single + 1):
            raise RuntimeError(
                f"Expected {single}D (unbatched) or {single + 1}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {input.shape}"
            )
        return input.shape[-single]

    def _make_lazy(self, out_channels: int, bias: bool, device: Any, dtype: Any) -> None:
        self._add_uninitialized(("weight", "bias") if bias else ("weight",), device, dtype)
        self.out_channels = out_channels


class _LazyConv(_LazyConvNd, _Conv):
    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode,
                         device, dtype)  # fmt: skip
        self._make_lazy(out_channels, bias, device, dtype)


class _LazyConvTranspose(_LazyConvNd, _ConvTransposeNd):
    def __init__(
        self, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, bias: bool = True, dilation: Any = 1,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(0, 0, kernel_size, stride, padding, output_padding, groups, False,
                         dilation, padding_mode, device, dtype)  # fmt: skip
        self._make_lazy(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, Conv1d):
    """A `Conv1d` that finds ``in_channels`` out from its first input.

    From then on it is an ordinary one: (N, C, L) to (N, out_channels, L'). Dtypes: float and
    complex types, ``dtype``'s. RuntimeError if that input has not two or three dimensions.
    ValueError if ``groups`` do not divide its channels.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyConv1d(8, 3)
    >>> layer(torch.zeros(2, 5, 10)).shape, layer
    (torch.Size([2, 8, 8]), Conv1d(5, 8, kernel_size=(3,), stride=(1,)))
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A `Conv2d` that finds ``in_channels`` out from its first input.

    From then on it is an ordinary one: (N, C, H, W) to (N, out_channels, H', W'). Dtypes: float and
    complex types, ``dtype``'s. RuntimeError if that input has not three or four dimensions.
    ValueError if ``groups`` do not divide its channels.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyConv2d(8, 3)
    >>> layer.weight
    <UninitializedParameter>
    >>> layer(torch.zeros(2, 5, 10, 10)).shape, layer.weight.shape
    (torch.Size([2, 8, 8, 8]), torch.Size([8, 5, 3, 3]))
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A `Conv3d` that finds ``in_channels`` out from its first input.

    From then on it is an ordinary one: (N, C, D, H, W) to (N, out_channels, D', H', W'). Dtypes:
    float and complex types, ``dtype``'s. RuntimeError if that input has not four or five
    dimensions. ValueError if ``groups`` do not divide its channels.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyConv3d(8, 3)
    >>> layer(torch.zeros(2, 5, 4, 4, 4)).shape, layer.in_channels
    (torch.Size([2, 8, 2, 2, 2]), 5)
    """

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A `ConvTranspose1d` that finds ``in_channels`` out from its first input.

    From then on it is an ordinary one: (N, C, L) to (N, out_channels, L'). Dtypes: float and
    complex types, ``dtype``'s. RuntimeError if that input has not two or three dimensions.
    ValueError for a ``padding_mode`` other than "zeros".

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyConvTranspose1d(8, 2, stride=2)
    >>> layer(torch.zeros(2, 5, 10)).shape, layer.in_channels
    (torch.Size([2, 8, 20]), 5)
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A `ConvTranspose2d` that finds ``in_channels`` out from its first input.

    From then on it is an ordinary one: (N, C, H, W) to (N, out_channels, H', W'). Dtypes: float and
    complex types, ``dtype``'s. RuntimeError if that input has not three or four dimensions.
    ValueError for a ``padding_mode`` other than "zeros".

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyConvTranspose2d(8, 2, stride=2)
    >>> layer(torch.zeros(2, 5, 4, 4)).shape, layer.in_channels
    (torch.Size([2, 8, 8, 8]), 5)
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A `ConvTranspose3d` that finds ``in_channels`` out from its first input.

    From then on it is an ordinary one: (N, C, D, H, W) to (N, out_channels, D', H', W'). Dtypes:
    float and complex types, ``dtype``'s. RuntimeError if that input has not four or five
    dimensions. ValueError for a ``padding_mode`` other than "zeros".

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyConvTranspose3d(8, 2, stride=2)
    >>> layer(torch.zeros(2, 5, 2, 2, 2)).shape, layer.in_channels
    (torch.Size([2, 8, 4, 4, 4]), 5)
    """

    cls_to_become = ConvTranspose3d


class Unfold(Module):
    """Sliding patches as columns: (N, C, H, W) to (N, C · KH · KW, positions), or without N.

    Positions count row by row; there are as many as a convolution with the same ``kernel_size``,
    ``dilation``, ``padding`` and ``stride`` has outputs. RuntimeError if there are none, for steps
    that are not positive, and for other numbers of dimensions (IndexError below three). Dtypes:
    float and complex types and bool (NotImplementedError for integers). A matrix product with a
    convolution's weight (out, C · KH · KW) does what the convolution does.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Unfold(2)(torch.arange(9.0).reshape(1, 1, 3, 3))
    tensor([[[0., 1., 3., 4.],
             [1., 2., 4., 5.],
             [3., 4., 6., 7.],
             [4., 5., 7., 8.]]])
    """

    def __init__(
        self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__()
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Any) -> Any:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Module):
    """Adds up columns, the adjoint of `Unfold`: (N, C · KH · KW, positions) to (N, C, H, W).

    ``output_size`` is (H, W). Elements that lie in several patches are the sum of them.
    RuntimeError if the number of rows or of positions does not fit ``output_size``, ``kernel_size``
    and the rest. Dtypes: float and complex types and bool (NotImplementedError for integers).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Fold((3, 3), 2)(torch.ones(1, 4, 4))
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
        stride: Any = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Any) -> Any:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding,
                      self.stride)  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )
