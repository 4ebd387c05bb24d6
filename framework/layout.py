"""What PyTorch calls layout (strided or some form of sparse) and memory format (order of strides).

Four- and five-dimensional tensors may lie in memory with their channels innermost: dimension 1 has
the smallest stride then. That order is a property of the strides, not of the tensor's dimensions.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from framework.kernels.orders import in_rows_copy

__all__ = [
    "as_type", "channels_last", "channels_last_3d", "contiguous_format", "dense_order", "formatted",
    "in_order", "in_rows", "is_dense", "keeps_format", "laid_out", "layout", "like_dense",
    "memory_format", "preserve_format", "result_strides", "suggested",
    "sparse_bsc", "sparse_bsr", "sparse_coo", "sparse_csc", "sparse_csr", "strided",
]  # fmt: skip


class _Named:
    """One of a closed set of names; it prints and pickles as ``torch.NAME``."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


class layout(_Named):
    """How a tensor's elements are kept: ``torch.strided``, or ``torch.sparse_coo``.

    >>> import framework as torch
    >>> torch.ones(2).layout, isinstance(torch.strided, torch.layout)
    (torch.strided, True)
    """


class memory_format(_Named):
    """An order of strides: ``torch.contiguous_format``, ``torch.channels_last``, ...

    >>> import framework as torch
    >>> x = torch.zeros(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    >>> x.stride(), x.is_contiguous(), x.is_contiguous(memory_format=torch.channels_last)
    ((24, 1, 8, 2), False, True)
    """


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
sparse_csc = layout("sparse_csc")
sparse_bsr = layout("sparse_bsr")
sparse_bsc = layout("sparse_bsc")

contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")

# Outermost dimension first, as they lie in memory.
_ORDERS = {channels_last: (0, 2, 3, 1), channels_last_3d: (0, 2, 3, 4, 1)}


def _order(form: memory_format, ndim: int) -> tuple[int, ...]:
    order = _ORDERS.get(form)
    if order is None:
        return tuple(range(ndim))
    if len(order) != ndim:
        raise RuntimeError(f"required rank {len(order)} tensor to use {form.name} format")
    return order


def in_order(array: Any, form: Any) -> bool:
    """Whether the elements lie in the order of a memory format, without gaps."""
    order = _ORDERS.get(form)
    if order is None:
        return bool(array.flags.c_contiguous)
    return len(order) == array.ndim and bool(array.transpose(order).flags.c_contiguous)


def in_rows(array: Any) -> Any:
    """``array`` as a contiguous one: NumPy's results lie as their operands do, PyTorch's may not.

    Joins, reductions, softmax and running sums give contiguous results whatever went in, and
    programs call ``view`` on them.
    """
    flags = getattr(array, "flags", None)
    return array if flags is None or flags.c_contiguous else in_rows_copy(array)


def as_type(array: Any, kind: Any) -> Any:
    """``array`` in another type. Dimensions that repeat their elements still do.

    `astype` would write them out, innermost, and results would lie as its result does.
    """
    if array.__class__ is not np.ndarray or 0 not in array.strides or not array.size:
        return array.astype(kind)
    once = array[tuple([slice(None, None if s else 1) for s in array.strides])].astype(kind)
    steps = [s and step for s, step in zip(array.strides, once.strides)]
    return as_strided(once, array.shape, steps)


def formatted(array: Any, form: Any) -> Any:
    """A copy of ``array`` whose elements lie in the order of a memory format."""
    if form is None or form is preserve_format:
        # Dimensions that repeat their elements have no place in the order of strides.
        return array.copy(order="C" if 0 in array.strides else "K")
    order = _order(form, array.ndim)
    back = tuple([order.index(d) for d in range(array.ndim)])
    return in_rows_copy(array.transpose(order)).transpose(back)


def suggested(array: Any) -> memory_format | None:
    """The format with the channels innermost, if that is how an array's elements lie.

    PyTorch's `suggest_memory_format`, but for arrays that are in C order as well.
    """
    if array.flags.c_contiguous or array.ndim not in (4, 5):
        return None
    form = channels_last if array.ndim == 4 else channels_last_3d
    shape, strides = array.shape, array.strides
    least = 0
    if strides[1] == 0:
        return None
    for d in reversed(_ORDERS[form]):
        if not shape[d] or strides[d] < least or (d == 0 and least == strides[1]):
            return None
        least = strides[d] * shape[d] if shape[d] > 1 else strides[d]
    return form


def keeps_format(kernel: Any, operands: int = 1) -> Any:
    """A kernel whose results have their channels innermost where one of its operands has."""

    @functools.wraps(kernel)
    def kept(*arrays: Any, **meta: Any) -> Any:
        result = kernel(*arrays, **meta)
        if result is None:  # of a kernel that leaves these arrays to another one
            return None
        form = suggested(arrays[0])
        if form is None and operands > 1:
            form = suggested(arrays[1])
        if form is None:
            return result
        if isinstance(result, tuple):
            return tuple([_in_format(r, form) for r in result])
        return _in_format(result, form)

    return kept


def _in_format(array: Any, form: memory_format) -> Any:
    if array.ndim != len(_ORDERS[form]) or in_order(array, form):
        return array
    return formatted(array, form)


def like_dense(array: Any, other: Any) -> Any:
    """``array``, copied into the order of ``other``'s elements if that is another one.

    In C order where ``other``'s elements do not fill a block of memory.
    """
    if other.flags.c_contiguous:
        return in_rows(array)
    if 0 in other.strides or not is_dense(other):
        return in_rows(array)
    return array if _steps(array) == _steps(other) else laid_out(array, other, None)


def _steps(array: Any) -> list[int]:
    return [s for s, n in zip(array.strides, array.shape) if n > 1]


def is_dense(array: Any) -> bool:
    """Whether the elements fill a block of memory, in whatever order of dimensions."""
    return bool(array.transpose(dense_order(array)).flags.c_contiguous)


def dense_order(array: Any) -> tuple[int, ...]:
    """The dimensions from the largest stride to the smallest; as they come where equal."""
    return tuple(np.argsort([-s for s in array.strides], kind="stable").tolist())


def laid_out(array: Any, like: Any, form: Any) -> Any:
    """A copy of ``array`` in the order of a memory format, or in that of ``like``'s elements."""
    if form is not None and form is not preserve_format:
        return formatted(array, form)
    order = dense_order(like)
    back = tuple([order.index(d) for d in range(array.ndim)])
    return in_rows_copy(array.transpose(order)).transpose(back)


def result_strides(shape: tuple[int, ...], operands: Any, item: int) -> Any:
    """Strides in bytes of what is computed element by element; None: those of C order.

    PyTorch's rule (TensorIterator): the dimensions lie in the order of the first operand that can
    tell, dimensions that an operand repeats being silent about it.
    """
    ndim = len(shape)
    if ndim < 2 or all(a.flags.c_contiguous and a.shape == shape for a in operands):
        return None
    known = [_over(a, shape) for a in operands]
    order = list(range(ndim - 1, -1, -1))  # the fastest dimension first
    for i in range(1, ndim):
        at = i
        for before in range(i - 1, -1, -1):
            verdict = _comes_later(shape, known, order[before], order[at])
            if verdict > 0:
                order[before], order[at] = order[at], order[before]
                at = before
            elif verdict < 0:
                break
    if order == list(range(ndim - 1, -1, -1)):
        return None
    result, step = [0] * ndim, item
    for d in order:
        result[d] = step
        step *= max(shape[d], 1)
    return tuple(result)


def _over(array: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """An operand's strides over the result's dimensions, 0 where it repeats."""
    new = len(shape) - array.ndim
    own = [
        0 if n == 1 != whole else abs(s)
        for n, s, whole in zip(array.shape, array.strides, shape[new:])
    ]
    return (*[0] * new, *own)


def _comes_later(shape: Any, operands: Any, a: int, b: int) -> int:
    """Whether dimension ``a`` has to lie outside of ``b`` (1), inside (-1), or nobody knows (0)."""
    for strides in operands:
        x, y = strides[a], strides[b]
        if x == 0 or y == 0:
            continue
        if x != y:
            return -1 if x < y else 1
        if shape[a] > shape[b]:
            return 1
    return 0
