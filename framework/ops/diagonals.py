"""Triangles and diagonals of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.core.views import check_inplace
from framework.kernels import compiled, module_of
from framework.layout import in_rows
from framework.ops.dims import axis
from framework.ops.matrices import diag_embed
from framework.ops.strided import as_strided, into_part
from framework.tensor import Tensor

__all__ = ["diag", "diagflat", "diagonal", "diagonal_scatter", "tril", "triu"]


# -- triangles -------------------------------------------------------------------------------


def _triangle(name: str, plain: Any) -> Any:
    def kernel(a: Any, *, diagonal: int) -> Any:
        if a.__class__ is np.ndarray and a.size >= compiled.LARGE and a.flags.c_contiguous:
            wanted = a.itemsize in (4, 8) and not a.dtype.hasobject
            if wanted and (lines := compiled.family("lines")):
                return lines.triangles(a, diagonal, plain is np.tril)
        return in_rows(plain(a, diagonal))

    record = op(
        name, kernel, "a",
        grad=(lambda g, diagonal: apply(record, g, diagonal=diagonal),),
        samples=lambda s: [((s(3, 3),), {"diagonal": 0}), ((s(2, 3, 2),), {"diagonal": -1})],
    )  # fmt: skip
    return record


TRIL, TRIU = _triangle("tril", np.tril), _triangle("triu", np.triu)


def _part(record: Any, input: Tensor, diagonal: int) -> Tensor:
    if input.ndim < 2:
        raise RuntimeError(f"{record.name}: input tensor must have at least 2 dimensions")
    return apply(record, input, diagonal=diagonal)


@function(inplace=True, checks=True, out=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangles of matrices, zeros above the given diagonal.

    Of `(*, m, n)`; ``diagonal`` counts upwards from the main one. RuntimeError for fewer than two
    dimensions.

    >>> import framework as torch
    >>> torch.ones(2, 3).tril()
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    return _part(TRIL, input, diagonal)


@function(inplace=True, checks=True, out=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangles of matrices, zeros below the given diagonal.

    Of `(*, m, n)`; ``diagonal`` counts upwards from the main one. RuntimeError for fewer than two
    dimensions.

    >>> import framework as torch
    >>> torch.ones(2, 3).triu(1)
    tensor([[0., 1., 1.],
            [0., 0., 1.]])
    """
    return _part(TRIU, input, diagonal)


# -- diagonals -------------------------------------------------------------------------------


def _diagonal_kernel(a: Any, *, offset: int, dim1: int, dim2: int) -> Any:
    line = module_of(a).diagonal(a, offset, dim1, dim2)
    if isinstance(a, np.ndarray) and a.flags.writeable:
        line.flags.writeable = True  # NumPy's caution; it is a view
    return line


def _diagonal_backward_kernel(
    g: Any, *, shape: tuple[int, ...], offset: int, dim1: int, dim2: int
) -> Any:
    result = module_of(g).zeros(shape, g.dtype)
    _diagonal_kernel(result, offset=offset, dim1=dim1, dim2=dim2)[...] = g
    return result


_SAMPLES = ({"offset": 0, "dim1": 0, "dim2": 1}, {"offset": -1, "dim1": 1, "dim2": 0})

DIAGONAL = op(
    "diagonal", _diagonal_kernel, "a", view=True,
    grad=(lambda g, n: apply(DIAGONAL_BACKWARD, g, shape=n.shape(0), **n.meta),),
    samples=lambda s: [((s(3, 4, 2),), meta) for meta in _SAMPLES],
)  # fmt: skip
DIAGONAL_BACKWARD = op(
    "diagonal_backward", _diagonal_backward_kernel, "g",
    grad=(lambda g, offset, dim1, dim2: apply(DIAGONAL, g, offset=offset, dim1=dim1, dim2=dim2),),
    samples=lambda s: [((s(2, 3),), {"shape": (3, 4, 2), **_SAMPLES[0]})],
)  # fmt: skip


def _which(input: Tensor, offset: int, dim1: int, dim2: int) -> dict[str, int]:
    a, b = axis(dim1, input.ndim), axis(dim2, input.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return {"offset": offset, "dim1": a, "dim2": b}


@function(checks=True)
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions, as the last one of a view.

    ``offset`` counts upwards from the main one. RuntimeError if both dimensions are one, IndexError
    for one out of range.

    >>> import framework as torch
    >>> torch.arange(4).reshape(2, 2).diagonal()
    tensor([0, 3])
    """
    return apply(DIAGONAL, input, **_which(input, offset, dim1, dim2))


@function(checks=True)
@composite
def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy of ``input`` with ``src`` as its diagonal of two dimensions.

    RuntimeError unless ``src`` has the diagonal's shape and the dimensions differ.

    >>> import framework as torch
    >>> torch.zeros(2, 2).diagonal_scatter(torch.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return into_part(input, src, DIAGONAL, _which(input, offset, dim1, dim2))


@function(checks=True, out=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix (a copy), or a matrix with a vector as its diagonal.

    ``diagonal`` counts upwards from the main one. RuntimeError for other numbers of dimensions.

    >>> import framework as torch
    >>> torch.diag(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input.ndim == 2:
        return apply(DIAGONAL, input, offset=diagonal, dim1=0, dim2=1).clone()
    if input.ndim != 1:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return diag_embed(input, diagonal)


@function()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements of ``input``, in C order, as its diagonal.

    ``offset`` places the diagonal above (below, if negative) the main one: n elements make a square
    matrix of n + abs(offset) rows.

    >>> import framework as torch
    >>> torch.diagflat(torch.tensor([1, 2]), 1)
    tensor([[0, 1, 0],
            [0, 0, 2],
            [0, 0, 0]])
    """
    return diag_embed(input.reshape(-1), offset)


@function(namespaces=(), checks=True)
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write one number into the main diagonal of a matrix, or of a cube of any dimension.

    Args:
        wrap: in a tall matrix go on with the next diagonal, one row below the end of the last.

    RuntimeError for a vector, and for more than two dimensions unless all have one length.

    >>> import framework as torch
    >>> torch.zeros(2, 2).fill_diagonal_(1)
    tensor([[1., 0.],
            [0., 1.]])
    """
    check_inplace(self)
    shape, strides = self._data.shape, self.stride()
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step, start, n = sum(strides), self.storage_offset(), min(shape)
    as_strided(self, (n,), (step,), start).fill_(fill_value)
    rows, columns = shape[:2]
    if wrap and len(shape) == 2 and rows > columns + 1:
        more = (rows * columns + columns) // (columns + 1) - n
        as_strided(self, (more,), (step,), start + strides[0] * (columns + 1)).fill_(fill_value)
    return self
