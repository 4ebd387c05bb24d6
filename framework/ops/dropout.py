"""Dropout. The mask is a function of two integers, so a node keeps these and not the mask."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import random
from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.core.views import inplace_twin
from framework.kernels import module_of

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d"]


def _kept(shape: tuple[int, ...], p: float, seed: int, offset: int) -> np.ndarray:
    """Which elements stay: those whose random 32 bits are not below p."""
    stream = random.Generator().manual_seed(seed)
    stream.offset = offset
    count = math.prod(shape)
    bits = stream.words(-(-count // 2)).view(np.uint32)[:count]
    return (bits >= np.uint32(min(round(p * 2**32), 2**32 - 1))).reshape(shape)


def _dropout_kernel(
    a: Any, *, p: float, shape: tuple[int, ...], seed: int, offset: int
) -> Any:  # fmt: skip
    if p >= 1:
        return a * 0
    mask = _kept(shape, p, seed, offset)
    xp = module_of(a)
    return a * (xp.asarray(mask) * a.dtype.type(1 / (1 - p)))


DROPOUT = op(
    "dropout", _dropout_kernel, "a", grad=(lambda g, n: apply(DROPOUT, g, **n.meta),),
    samples=lambda s: [
        ((s(3, 4),), {"p": 0.4, "shape": (3, 4), "seed": 1, "offset": 5}),
        ((s(2, 3, 4),), {"p": 0.4, "shape": (2, 3, 1), "seed": 2, "offset": 0}),
    ],
)  # fmt: skip


def _drop(input: Any, p: float, shape: tuple[int, ...]) -> Any:
    """Apply the op with the next part of the default generator's stream."""
    stream = random.default_generator
    offset = stream.offset
    stream.offset += -(-math.prod(shape) // 8)  # a block is eight 32-bit numbers
    return apply(DROPOUT, input, p=p, shape=shape, seed=stream.initial_seed(), offset=offset)


def _check(input: Any, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not (input.is_floating_point() or input.is_complex()):
        raise RuntimeError(f"dropout: expected a floating point input, but got {input.dtype}")


@function(namespaces=("nn.functional",), method=False)
def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Zero each element with probability ``p`` and scale the others by 1 / (1 - p).

    Nothing happens unless ``training``. The mask follows from the default generator's seed and
    position: `manual_seed` repeats it.

    >>> import framework as torch
    >>> _ = torch.manual_seed(0)
    >>> sorted(set(torch.nn.functional.dropout(torch.ones(100), 0.5).tolist()))
    [0.0, 2.0]
    """
    _check(input, p)
    if not training or p == 0.0:
        return input
    if inplace:
        return _twin(input, p, tuple(input.shape))
    return _drop(input, p, tuple(input.shape))


_twin = inplace_twin(_drop, "dropout_")


def _feature_dropout(
    dims: int, input: Any, p: float, training: bool, inplace: bool
) -> Any:  # fmt: skip
    _check(input, p)
    if input.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"dropout{dims}d: Expected {dims + 1}D or {dims + 2}D input, but received a "
            f"{input.ndim}D input."
        )
    if not training or p == 0.0:
        return input
    shape = (*input.shape[:-dims], *[1] * dims)
    return (_twin if inplace else _drop)(input, p, shape)


@function(namespaces=("nn.functional",), method=False)
def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels of (N, C, L) or (C, L)."""
    return _feature_dropout(1, input, p, training, inplace)


@function(namespaces=("nn.functional",), method=False)
def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels of (N, C, H, W) or (C, H, W)."""
    return _feature_dropout(2, input, p, training, inplace)


@function(namespaces=("nn.functional",), method=False)
def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return _feature_dropout(3, input, p, training, inplace)


@function(namespaces=("nn.functional",), method=False)
@composite
def alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Any:  # fmt: skip
    """Dropout that keeps the mean and the variance of a self-normalising network's activations."""
    _check(input, p)
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return input * 0.0
    low = -1.7580993408473766
    a = ((1 - p) * (1 + p * low**2)) ** -0.5
    kept = _drop(input.detach() * 0.0 + 1.0, p, tuple(input.shape)) * (1 - p)
    return (input * kept + (1 - kept) * low) * a - a * low * p
