"""Dropout layers: nothing happens in evaluation mode."""

from __future__ import annotations

from typing import Any

from framework.nn import functional as F
from framework.nn.modules.module import Module

__all__ = [
    "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout",
]  # fmt: skip


class _DropoutNd(Module):
    _call: Any

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return self._call(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """Zero each element with probability ``p`` and scale the others by 1 / (1 - p): (*) to (*).

    Only in training; in evaluation mode the input is returned. ``inplace=True`` writes into the
    input. ValueError if ``p`` is not in [0, 1]. Dtypes: float types (RuntimeError for integers,
    NotImplementedError for complex numbers, in training). Hinton et al., "Improving neural networks
    by preventing co-adaptation of feature detectors", 2012.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Dropout(0.5).eval()(torch.ones(2))
    tensor([1., 1.])
    >>> bool(nn.Dropout(0.5)(torch.ones(100)).unique().equal(torch.tensor([0.0, 2.0])))
    True
    """

    _call: Any = staticmethod(F.dropout)


class Dropout1d(_DropoutNd):
    """`Dropout` of whole channels: (N, C, L) to the same, or (C, L).

    Neighbours in a signal say much the same, so that single zeros would hide little. RuntimeError
    for other numbers of dimensions. ValueError for a ``p`` outside of [0, 1]. Dtypes: float types
    (errors as of `Dropout`).

    >>> import framework as torch
    >>> from framework import nn
    >>> y = nn.Dropout1d(0.5)(torch.ones(1, 100, 3))
    >>> bool((y[..., 0] == y[..., 2]).all())
    True
    """

    _call: Any = staticmethod(F.dropout1d)


class Dropout2d(_DropoutNd):
    """`Dropout` of whole channels: (N, C, H, W) to the same.

    Input of three dimensions is taken as (N, C, L), with a warning; RuntimeError for one dimension,
    ValueError for a ``p`` outside of [0, 1]. Dtypes: float types (errors as of `Dropout`). Tompson
    et al., "Efficient object localization using convolutional networks", 2015.

    >>> import framework as torch
    >>> from framework import nn
    >>> y = nn.Dropout2d(0.5)(torch.ones(1, 100, 3, 3))
    >>> bool((y == y[..., :1, :1]).all()), nn.Dropout2d(1.0)(torch.ones(1, 2, 1, 1)).flatten()
    (True, tensor([0., 0.]))
    """

    _call: Any = staticmethod(F.dropout2d)


class Dropout3d(_DropoutNd):
    """`Dropout` of whole channels: (N, C, D, H, W) to the same, or (C, D, H, W).

    RuntimeError for one dimension, ValueError for a ``p`` outside of [0, 1]. Dtypes: float types
    (errors as of `Dropout`).

    >>> import framework as torch
    >>> from framework import nn
    >>> y = nn.Dropout3d(0.5)(torch.ones(1, 100, 2, 2, 2))
    >>> bool((y == y[..., :1, :1, :1]).all())
    True
    """

    _call: Any = staticmethod(F.dropout3d)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps mean 0 and variance 1 of a self-normalising network (`SELU`): (*) to (*).

    Elements become -1.7581, what `SELU` gives far below 0, with probability ``p``; then all are
    scaled and shifted. Only in training. ValueError for a ``p`` outside of [0, 1]. Dtypes: float
    types (RuntimeError for integers, in training). Klambauer et al., "Self-normalizing neural
    networks", 2017.

    >>> import framework as torch
    >>> from framework import nn
    >>> x = torch.randn(10000)
    >>> bool(abs(nn.AlphaDropout(0.2)(x).std() - 1) < 0.1), nn.AlphaDropout().eval()(x) is x
    (True, True)
    """

    def forward(self, input: Any) -> Any:
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """`AlphaDropout` of whole channels: (N, C, *) to the same.

    RuntimeError for input of fewer than two dimensions. ValueError for a ``p`` outside of [0, 1].
    Dtypes: float types (errors as of `Dropout`).

    >>> import framework as torch
    >>> from framework import nn
    >>> y = nn.FeatureAlphaDropout(0.5)(torch.ones(1, 100, 2, 2))
    >>> bool((y == y[..., :1, :1]).all())
    True
    """

    def forward(self, input: Any) -> Any:
        return F.feature_alpha_dropout(input, self.p, self.training)
