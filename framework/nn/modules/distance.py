"""Layers that measure how far apart two inputs are."""

from __future__ import annotations

from typing import Any

from framework.nn import functional as F
from framework.nn.modules.module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(Module):
    """x1 · x2 / (‖x1‖ ‖x2‖) along ``dim``: (*, D, *) twice to (*, *), in [-1, 1].

    The inputs are broadcast to one shape first. Each norm is kept above ``eps``. IndexError for a
    dimension out of range. RuntimeError for shapes that do not broadcast. Dtypes: float types
    (RuntimeError for others); two that differ are promoted.

    >>> import framework as torch
    >>> from framework import nn
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    >>> nn.CosineSimilarity(dim=1)(x, torch.tensor([[0.0, 2.0], [3.0, 3.0]]))
    tensor([0., 1.])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Any, x2: Any) -> Any:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """‖x1 - x2 + eps‖ₚ along the last dimension: (N, D) twice to (N,).

    To (N, 1) with ``keepdim``; N may be missing. The inputs are broadcast to one shape. ``eps``
    keeps the gradient finite where they are equal. RuntimeError for shapes that do not broadcast.
    Dtypes: all dtypes but bool (RuntimeError); integers give the default float type, complex
    numbers their absolute values'.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.PairwiseDistance(p=1, eps=0.0)(torch.zeros(2, 2), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([3., 7.])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Any, x2: Any) -> Any:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
