"""Dropout. The mask is a function of two integers, so a node keeps these and not the mask."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes, random
from framework.core.dispatch import apply, composite, only_tensors
from framework.core.registry import function, op
from framework.core.views import inplace_twin
from framework.kernels import compiled, module_of
from framework.kernels.floats import real_floating, type_name
from framework.layout import like_dense

__all__ = [
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
    "least_kept", "native_dropout", "native_dropout_backward",
]  # fmt: skip


def _kept(shape: tuple[int, ...], p: float, seed: int, offset: int) -> np.ndarray:
    """Which elements stay: those whose random 32 bits are not below p."""
    stream = random.Generator().manual_seed(seed)
    stream.offset = offset
    count = math.prod(shape)
    bits = stream.words(-(-count // 2)).view(np.uint32)[:count]
    return (bits >= np.uint32(least_kept(p))).reshape(shape)


def least_kept(p: float) -> int:
    """The smallest 32-bit number that keeps an element."""
    return min(round(p * 2**32), 2**32 - 1)


def _dropout_kernel(
    a: Any, *, p: float, shape: tuple[int, ...], seed: int, offset: int
) -> Any:  # fmt: skip
    if p >= 1:
        return a * 0
    if a.shape == shape and offset < 1 << 62 and (quick := compiled.drawing(a)):
        return quick.dropout(a, p, least_kept(p), seed, offset)
    mask = _kept(shape, p, seed, offset)
    xp = module_of(a)
    result = a * (xp.asarray(mask) * a.dtype.type(1 / (1 - p)))
    return result if a.flags.c_contiguous else like_dense(result, a)


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
    if not input.is_meta:
        stream.offset += -(-math.prod(shape) // 8)  # a block is eight 32-bit numbers
    return apply(DROPOUT, input, p=p, shape=shape, seed=stream.initial_seed(), offset=offset)


def _check(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _check_type(input: Any, p: float) -> None:
    if p == 1.0:
        return  # zero times anything
    if input.dtype.category < dtypes.FLOAT:
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {type_name(input._data)}"
        )
    real_floating(input._data, "bernoulli_scalar_cpu_")


@function(namespaces=("", "nn.functional"), method=False)
def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Zero each element with probability ``p`` and scale the others by 1 / (1 - p).

    Nothing happens unless ``training``. The mask follows from the default generator's seed and
    position: `manual_seed` repeats it. ValueError for a ``p`` outside of [0, 1], RuntimeError for
    integers.

    >>> import framework as torch
    >>> _ = torch.manual_seed(0)
    >>> sorted(set(torch.nn.functional.dropout(torch.ones(100), 0.5).tolist()))
    [0.0, 2.0]
    """
    _check(p)
    if not training or p == 0.0:
        only_tensors("dropout", input=input)
        return input
    _check_type(input, p)
    return (_twin if inplace else _drop)(input, p, tuple(input.shape))


_twin = inplace_twin(_drop, "dropout_")


def _feature_shape(input: Any, first: int = 0) -> tuple[int, ...]:
    """The mask's shape: one number for each channel of each sample."""
    if input.ndim < 2 - first:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return (*input.shape[: 2 - first], *[1] * (input.ndim - 2 + first))


def _feature_dropout(
    input: Any, p: float, training: bool, inplace: bool, single: bool
) -> Any:  # fmt: skip
    """Dropout of channels: dimension 1, or dimension 0 of a ``single`` sample."""
    if not training or p == 0.0:
        return input
    _check_type(input, p)
    return (_twin if inplace else _drop)(input, p, _feature_shape(input, int(single)))


def _spatial(dims: int) -> str:
    plural = "dimension" if dims == 1 else "dimensions"
    return (
        f"Note that dropout{dims}d exists to provide channel-wise dropout on inputs with {dims} "
        f"spatial {plural}, a channel dimension, and an optional batch dimension (i.e. "
        f"{dims + 1}D or {dims + 2}D inputs)."
    )


def _warn_rank(input: Any, dims: int) -> None:
    if input.ndim not in (dims + 1, dims + 2):
        warnings.warn(
            f"dropout{dims}d: Received a {input.ndim}-D input to dropout{dims}d, which is "
            "deprecated and will result in an error in a future release. To retain the behavior "
            f"and silence this warning, please use dropout instead. {_spatial(dims)}",
            stacklevel=4,
        )


@function(namespaces=("nn.functional",), method=False)
def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels of (N, C, L) or (C, L) (Tompson et al. 2015).

    Raises: RuntimeError for another rank, ValueError for a ``p`` outside of [0, 1].

    >>> import framework as torch
    >>> y = torch.nn.functional.dropout1d(torch.ones(4, 3), p=0.5)
    >>> [len(set(channel.tolist())) for channel in y]
    [1, 1, 1, 1]
    """
    _check(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. {_spatial(1)}"
        )
    return _feature_dropout(input, p, training, inplace, single=input.ndim == 2)


@function(namespaces=("nn.functional",), method=False)
def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels of (N, C, H, W) (Tompson et al. 2015).

    Three dimensions are taken for (N, C, L), as in PyTorch: it warns that it will change this.
    ValueError for a ``p`` outside of [0, 1].

    >>> import framework as torch
    >>> y = torch.nn.functional.dropout2d(torch.ones(1, 4, 2, 2), p=0.5)
    >>> [len(set(channel.flatten().tolist())) for channel in y[0]]
    [1, 1, 1, 1]
    """
    _check(p)
    _warn_rank(input, 2)
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. This behavior will change in a future release to interpret the input as one "
            "without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise "
            "dropout behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _feature_dropout(input, p, training, inplace, single=False)


@function(namespaces=("nn.functional",), method=False)
def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W).

    ValueError for a ``p`` outside of [0, 1]; other ranks get a warning.

    >>> import framework as torch
    >>> y = torch.nn.functional.dropout3d(torch.ones(3, 2, 2, 2), p=0.5)
    >>> [len(set(channel.flatten().tolist())) for channel in y]
    [1, 1, 1]
    """
    _check(p)
    _warn_rank(input, 3)
    return _feature_dropout(input, p, training, inplace, single=input.ndim == 4)


# -- for self-normalising networks -------------------------------------------------------------


def _alpha_drop(input: Any, p: float, shape: tuple[int, ...]) -> Any:
    """Set elements to SELU's lower limit, then restore the mean and the variance."""
    if p == 1.0:
        return input * 0.0
    low = -1.7580993408473766
    a = ((1 - p) * (1 + p * low**2)) ** -0.5
    kept = _drop(input.detach().new_ones(shape), p, shape) * (1 - p)
    return input * (kept * a) + ((1 - kept) * (low * a) - a * low * p)


_alpha_twin = inplace_twin(_alpha_drop, "alpha_dropout_")


@function(namespaces=("", "nn.functional"), method=False)
@composite
def alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Any:  # fmt: skip
    """Dropout that keeps the mean and the variance of a self-normalising network's activations.

    Dropped elements become SELU's lower limit, -1.7581, and all are scaled and shifted. Any shape,
    floating point. ValueError for a ``p`` outside of [0, 1].
    Klambauer et al., "Self-normalizing neural networks", 2017.

    >>> import framework as torch
    >>> y = torch.alpha_dropout(torch.randn(10_000), p=0.2, training=True)
    >>> round(y.mean().item(), 1) + 0.0, round(y.std().item(), 1)
    (0.0, 1.0)
    """
    _check(p)
    if not training or p == 0.0:
        return input
    _check_type(input, p)
    return (_alpha_twin if inplace else _alpha_drop)(input, p, tuple(input.shape))


@function(namespaces=("", "nn.functional"), method=False)
@composite
def feature_alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Any:  # fmt: skip
    """`alpha_dropout` of whole channels (dimension 1).

    Raises: RuntimeError for fewer than two dimensions, ValueError for a ``p`` outside of [0, 1].

    >>> import framework as torch
    >>> y = torch.feature_alpha_dropout(torch.zeros(1, 4, 3), p=0.5, training=True)
    >>> [len(set(channel.tolist())) for channel in y[0]]
    [1, 1, 1, 1]
    """
    _check(p)
    if not training or p == 0.0:
        return input
    _check_type(input, p)
    return (_alpha_twin if inplace else _alpha_drop)(input, p, _feature_shape(input))


@function(method=False)
@composite
def feature_dropout(input: Any, p: float, train: bool) -> Any:
    """`dropout` of whole channels (dimension 1) of an input of any number of dimensions.

    Raises: RuntimeError for fewer than two dimensions, ValueError for a ``p`` outside of [0, 1].

    >>> import framework as torch
    >>> y = torch.feature_dropout(torch.ones(1, 4, 3), p=0.5, train=True)
    >>> [len(set(channel.tolist())) for channel in y[0]]
    [1, 1, 1, 1]
    """
    return _feature(input, p, train)


def _in_place(call: Callable[..., Any]) -> None:
    """Publish ``NAME_(input, p, train)``."""

    def function_(input: Any, p: float, train: bool) -> Any:
        return call(input, p, train, inplace=True)

    function_.__name__ = f"{call.__name__}_"
    function_.__doc__ = f"""In-place version of `{call.__name__}`: writes the result into ``input``.

    Of the same shapes. ValueError for a ``p`` outside of [0, 1], RuntimeError for a leaf
    that wants a gradient and, with ``train``, for integers.

    >>> import framework as torch
    >>> x = torch.ones(1, 2, 3)
    >>> torch.{call.__name__}_(x, 0.5, train=False) is x
    True
    """
    function(method=False)(function_)


def _feature(input: Any, p: float, train: bool, inplace: bool = False) -> Any:
    _check(p)
    return _feature_dropout(input, p, train, inplace, single=False)


_feature.__name__ = "feature_dropout"
for _call in (dropout, alpha_dropout, feature_alpha_dropout, _feature):
    _in_place(_call)


@function(method=False)
def native_dropout(input: Any, p: float, train: bool | None) -> tuple[Any, Any]:
    """(`dropout` of the input, the boolean mask of what was kept).

    ``train`` None is True; with False nothing is dropped. RuntimeError for integers.

    Both results have the shape of ``input``.

    >>> import framework as torch
    >>> y, kept = torch.native_dropout(torch.ones(4), 0.5, True)
    >>> torch.equal(y, kept * 2.0)
    True
    """
    ones = input.detach().new_ones(input.shape)
    if train is False or p == 0.0:
        return input * 1, ones.bool()
    _check_type(input, p)
    scaled = _drop(ones, p, tuple(input.shape))
    return input * scaled, scaled != 0


@function(method=False)
def native_dropout_backward(grad_output: Any, mask: Any, scale: float) -> Any:
    """The gradient of `native_dropout`: grad_output * mask * scale, with scale = 1 / (1 - p).

    RuntimeError for a mask that is not boolean.

    All three have one shape, which the result has.

    >>> import framework as torch
    >>> torch.native_dropout_backward(torch.ones(2), torch.tensor([True, False]), 2.0)
    tensor([2., 0.])
    """
    if mask.dtype is not dtypes.bool_:
        raise RuntimeError(f"Mask should be Bool Scalar Type {type_name(mask._data)}")
    return grad_output * (mask.to(grad_output.dtype) * scale)
