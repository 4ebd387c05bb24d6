"""Layers that enlarge by interpolation."""

from __future__ import annotations

from typing import Any

from framework.nn import functional as F
from framework.nn.modules.module import Module

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]


class Upsample(Module):
    """`nn.functional.interpolate` to a size or by a factor: (N, C, *) to (N, C, *).

    Args:
        size: of the last dimensions, one number for all or one each; or give ``scale_factor``.
        mode: "nearest", "nearest-exact", "area", "linear" (3-D input), "bilinear", "bicubic" (4-D)
            or "trilinear" (5-D).
        align_corners: the first and last element stay what they are, for the linear and cubic
            modes.

    Errors, in a call: ValueError unless one of size and factor is given; NotImplementedError for a
    mode that does not fit the number of dimensions; RuntimeError for a size that is not positive.
    Dtypes: float types and uint8 (NotImplementedError for others). "bicubic" is Keys, "Cubic
    convolution interpolation for digital image processing", 1981, with a = -0.75.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Upsample(scale_factor=2)(torch.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    def __init__(
        self, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
        align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, tuple):
            self.scale_factor: Any = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Any) -> Any:
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
        )  # fmt: skip

    def extra_repr(self) -> str:
        wanted = f"size={self.size!r}"
        if self.scale_factor is not None:
            wanted = f"scale_factor={self.scale_factor!r}"
        return f"{wanted}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Each pixel repeated: (N, C, H, W) to (N, C, H', W').

    H' and W' are ``size``, or H and W times ``scale_factor``. The same as `Upsample`, an older
    name. ValueError unless one of the two is given. Dtypes: float types and uint8
    (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.UpsamplingNearest2d(scale_factor=2)(torch.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Bilinear interpolation with the corners aligned: (N, C, H, W) to (N, C, H', W').

    The same as `Upsample` with ``mode="bilinear", align_corners=True``, an older name.
    NotImplementedError for input that is not of four dimensions. Dtypes: float types and uint8
    (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.UpsamplingBilinear2d(size=(1, 5))(torch.tensor([[[[1.0, 3.0]]]]))
    tensor([[[[1.0000, 1.5000, 2.0000, 2.5000, 3.0000]]]])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
