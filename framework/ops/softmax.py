"""Softmax and its kin, along one dimension."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, composite
from framework.core.registry import Op, function, op
from framework.kernels import compiled
from framework.kernels.floats import real_floating, widening
from framework.ops.activation import uniform_like
from framework.ops.dims import numpy_names

__all__ = ["gumbel_softmax", "log_softmax", "softmax", "softmin"]

_F = ("nn.functional",)


def _rows(a: Any, dim: int) -> Any:
    """The compiled kernels, for large arrays along their last dimension."""
    if dim != a.ndim - 1 or not compiled.is_plain_or_wide(a):
        return None
    return compiled.family("rows" if a.dtype.itemsize == 4 else "doubles")


def _softmax(a: Any, *, dim: int) -> Any:
    real_floating(a, "softmax")
    if rows := _rows(a, dim):
        return rows.softmax(a)
    result = _shifted(a, dim)
    np.exp(result, out=result)
    result /= _line_sums(result, dim)
    return result


def _log_softmax(a: Any, *, dim: int) -> Any:
    real_floating(a, "log_softmax")
    if rows := _rows(a, dim):
        return rows.log_softmax(a)
    result = _shifted(a, dim)
    result -= np.log(_line_sums(np.exp(result), dim))
    return result


def _shifted(a: Any, dim: int) -> Any:
    """``a`` less its largest element along ``dim``, in a contiguous array of its own."""
    return np.subtract(a, _peak(a, dim), out=np.empty_like(a, order="C"))


def _has_lines(a: Any, dim: int) -> bool:
    """Whether BLAS can add up along ``dim``, as precisely as NumPy."""
    lines = a.__class__ is np.ndarray and a.ndim and dim in (-1, a.ndim - 1)
    return bool(lines and 16 <= a.shape[-1] <= 1 << 14 and a.flags.c_contiguous)


def _line_sums(a: Any, dim: int) -> Any:
    """Sums along ``dim``, which is kept; those of lines by BLAS, in half of the time."""
    if _has_lines(a, dim):
        return np.vecdot(a, np.ones(a.shape[-1], a.dtype))[..., None]
    return a.sum(axis=dim, keepdims=True)


def _peak(a: Any, dim: int) -> Any:
    return a.max(axis=dim, keepdims=True) if a.size else a.sum(axis=dim, keepdims=True)


def _softmax_backward(grad: Any, y: Any, *, dim: int) -> Any:
    if (rows := _rows(y, dim)) and grad.dtype is y.dtype and compiled.is_plain_or_wide(grad):
        return rows.softmax_backward(grad, y)
    if _has_lines(y, dim) and _has_lines(grad, dim):
        result = grad - np.vecdot(grad, y)[..., None]
        result *= y
        return result
    product = grad * y
    return product - y * product.sum(axis=dim, keepdims=True)


def _log_softmax_backward(grad: Any, y: Any, *, dim: int) -> Any:
    if (rows := _rows(y, dim)) and grad.dtype is y.dtype and compiled.is_plain_or_wide(grad):
        return rows.log_softmax_backward(grad, y)
    result = np.exp(y)
    result *= _line_sums(grad, dim)
    return np.subtract(grad, result, out=result)


def _total(x: Any, dim: int) -> Any:
    return x.sum(dim, keepdim=True)


SOFTMAX_BACKWARD = op(
    "softmax_backward", widening(_softmax_backward), "grad out",
    grad=(
        lambda g, out, dim: apply(SOFTMAX_BACKWARD, g, out, dim=dim),
        lambda g, grad, out, dim: (
            g * grad - g * _total(grad * out, dim) - grad * _total(g * out, dim)
        ),
    ),
    samples=lambda s: [((s(3, 4), s(3, 4)), {"dim": 1}), ((s(3, 4), s(3, 4)), {"dim": 0})],
)  # fmt: skip
LOG_SOFTMAX_BACKWARD = op(
    "log_softmax_backward", widening(_log_softmax_backward), "grad out",
    grad=(
        lambda g, out, dim: g - _total(g * out.exp(), dim),
        lambda g, grad, out, dim: -(g * out.exp() * _total(grad, dim)),
    ),
    samples=lambda s: [((s(3, 4), s(3, 4)), {"dim": 1}), ((s(3, 4), s(3, 4)), {"dim": 0})],
)  # fmt: skip
SOFTMAX = op(
    "softmax", widening(_softmax), "a",
    grad=(lambda g, y, dim: apply(SOFTMAX_BACKWARD, g, y, dim=dim),),
    samples=lambda s: [((s(3, 4),), {"dim": 1}), ((s(2, 3, 2),), {"dim": 0})],
)  # fmt: skip
LOG_SOFTMAX = op(
    "log_softmax", widening(_log_softmax), "a",
    grad=(lambda g, y, dim: apply(LOG_SOFTMAX_BACKWARD, g, y, dim=dim),),
    samples=lambda s: [((s(3, 4),), {"dim": 1}), ((s(2, 3, 2),), {"dim": 0})],
)  # fmt: skip


def _along(record: Op, input: Any, dim: int | None, dtype: Any, name: str = "") -> Any:
    """Run a softmax-like op along ``dim``, in ``dtype`` if one is given."""
    rank = input.ndim
    if dim is None:
        warnings.warn(
            f"Implicit dimension choice for {name or record.name} has been deprecated. Change the "
            "call to include dim=X as an argument.",
            stacklevel=3,
        )
        dim = 0 if rank in (0, 1, 3) else 1
    low = max(rank, 1)
    if not -low <= dim < low:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-low}, {low - 1}], "
            f"but got {dim})"
        )
    if dtype is not None:
        input = input.to(dtypes.to_dtype(dtype))
    if rank == 0:
        return apply(record, input.reshape(1), dim=0).reshape(())
    return apply(record, input, dim=dim % rank)


@function(out=True)
@numpy_names
def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """exp(input) / sum(exp(input)) along ``dim``; the result sums to one there.

    Shapes: any, the result has the input's. IndexError for a dimension out of range,
    NotImplementedError for integers without a ``dtype``.

    Args:
        dtype: compute and return in this type (float16 input is summed in float32 anyway).

    >>> import framework as torch
    >>> torch.softmax(torch.zeros(4), dim=0)
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    return _along(SOFTMAX, input, dim, dtype)


@function(out=True)
@numpy_names
def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """log(softmax(input)) along ``dim``, without underflow.

    Shapes: any, the result has the input's. IndexError for a dimension out of range,
    NotImplementedError for integers without a ``dtype``.

    >>> import framework as torch
    >>> torch.log_softmax(torch.tensor([0.0, 1000.0]), dim=0)
    tensor([-1000.,     0.])
    """
    return _along(LOG_SOFTMAX, input, dim, dtype)


@function(method=False)
def _softmax_backward_data(grad_output: Any, output: Any, dim: int, input_dtype: Any) -> Any:
    """PyTorch's internal name for the gradient of `softmax`, from its ``output``."""
    rank = max(output.ndim, 1)
    if output.ndim == 0:
        return grad_output * 0
    found = apply(SOFTMAX_BACKWARD, grad_output, output, dim=dim % rank)
    return found.to(dtypes.to_dtype(input_dtype))


@function(namespaces=_F, method=False)
def softmin(
    input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Any:  # fmt: skip
    """softmax(-input) along ``dim``: the smallest element gets the largest share.

    IndexError for a dimension out of range; ``dtype`` as of `softmax`.

    >>> import framework as torch
    >>> torch.nn.functional.softmin(torch.tensor([0.0, 1.0]), dim=0)
    tensor([0.7311, 0.2689])
    """
    return _along(SOFTMAX, -input, dim, dtype, "softmin")


@function(namespaces=_F, method=False)
@composite
def gumbel_softmax(
    logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Any:
    """softmax((logits + Gumbel noise) / tau): a relaxed draw of one class (Jang et al. 2017).

    Shapes: logits (*, C) along ``dim``, unnormalised log-probabilities; the result has their shape.
    IndexError for a dimension out of range.

    Args:
        tau: near zero the result is nearly one-hot, but its gradient varies more.
        hard: return the drawn class as a one-hot vector, with the gradient of the relaxed draw.
        eps: has no effect, as in PyTorch.

    >>> import framework as torch
    >>> draw = torch.nn.functional.gumbel_softmax(torch.zeros(2, 5), hard=True)
    >>> draw.sum(-1)
    tensor([1., 1.])
    """
    noise = -(-(-uniform_like(logits)).log1p()).log()
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = soft.detach().argmax(dim, keepdim=True)
    one_hot = soft.detach().new_zeros(soft.shape).scatter(dim, index, 1.0)
    return one_hot - soft.detach() + soft
