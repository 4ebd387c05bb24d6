"""Products of vectors and matrices: matmul and its family, with the sums that PyTorch fuses.

All of them are `MATMUL` underneath. Integers multiply in their own type, float16 and bfloat16
accumulate in float32; there is no promotion: both operands have one type.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, composite, one_device
from framework.core.out import into
from framework.core.registry import function, op
from framework.core.saved import wants_gradient
from framework.dtypes import FLOAT
from framework.kernels import products as host
from framework.kernels.floats import type_name
from framework.ops.dims import axis, numpy_names
from framework.ops.legacy_forms import numbers_first
from framework.ops.shape import broadcast_tensors
from framework.tensor import Tensor

__all__ = [
    "MATMUL", "addmm", "baddbmm", "bmm", "cross", "cross_along", "dot", "inner", "kron", "matmul",
    "mm", "mv", "outer", "tensordot", "vecdot",
]  # fmt: skip

_C_NAMES = {
    "bool": "bool", "uint8": "unsigned char", "int8": "signed char", "int16": "short",
    "int32": "int", "int64": "long int", "float16": "c10::Half", "bfloat16": "c10::BFloat16",
    "float32": "float", "float64": "double", "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}  # fmt: skip


def _one_type(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """Refuse operands of two types, in the words of the product that their ranks make it."""
    a, b = arrays
    if a.dtype == b.dtype:
        return arrays
    if a.ndim == b.ndim == 1:
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{type_name(a)} and {type_name(b)}"
        )
    names = [_C_NAMES[dtypes.from_numpy_dtype[x.dtype].name] for x in arrays]
    raise RuntimeError(
        f"expected m1 and m2 to have the same dtype, but got: {names[0]} != {names[1]}"
    )


def _check_shapes(a: Any, b: Any) -> None:
    """PyTorch's words for each way in which a product can fail."""
    if not a.ndim or not b.ndim:
        raise ValueError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] == inner:
        return
    if a.ndim == b.ndim == 1:
        raise ValueError(
            f"inconsistent tensor size, expected tensor [{a.shape[0]}] and src [{b.shape[0]}] to "
            f"have the same number of elements, but got {a.shape[0]} and {b.shape[0]} elements "
            "respectively"
        )
    if a.ndim == 2 and b.ndim == 1:
        raise ValueError(
            f"size mismatch, got input ({a.shape[0]}), mat ({a.shape[0]}x{a.shape[1]}), vec "
            f"({b.shape[0]})"
        )
    if a.ndim > 2 and b.ndim > 2:
        raise ValueError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{math.prod(a.shape[:-2])}, {a.shape[-1]}] but got: "
            f"[{math.prod(b.shape[:-2])}, {b.shape[-2]}]."
        )
    rows = a.shape[:-2] + a.shape[-2:-1]
    left = [math.prod(rows), a.shape[-1]] if a.ndim > 1 else [1, a.shape[0]]
    right = [b.shape[-2], b.shape[-1]] if b.ndim > 1 else [b.shape[0], 1]
    raise ValueError(
        f"mat1 and mat2 shapes cannot be multiplied ({left[0]}x{left[1]} and {right[0]}x{right[1]})"
    )


def _matmul_kernel(a: Any, b: Any) -> Any:
    _check_shapes(a, b)
    if a.dtype.itemsize == 2 and a.dtype.kind in "fV":
        return host.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    if a.dtype.kind == "b":
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")
    return host.matmul(a, b)


def _matmul_grad_a(g: Any, n: Any, b: Any) -> Any:
    a_ndim = len(n.shape(0))
    if b.ndim == 1:
        g = g.unsqueeze(-1)
        return g * b if a_ndim > 1 else g.squeeze(-1) * b
    if a_ndim == 1:
        return matmul(b, g.unsqueeze(-1)).squeeze(-1)
    return matmul(g, b.transpose(-2, -1))


def _matmul_grad_b(g: Any, n: Any, a: Any) -> Any:
    b_ndim = len(n.shape(1))
    if a.ndim == 1:
        if b_ndim == 1:
            return g * a
        return a.unsqueeze(-1) * g.unsqueeze(-2)
    if b_ndim == 1:
        return matmul(a.transpose(-2, -1), g.unsqueeze(-1)).squeeze(-1)
    if b_ndim == 2 and a.ndim > 2:  # one product instead of a batch of them that is summed
        rows = math.prod(a.shape[:-1])
        flat = a.reshape(rows, a.shape[-1])
        return matmul(flat.transpose(-2, -1), g.reshape(rows, g.shape[-1]))
    return matmul(a.transpose(-2, -1), g)


MATMUL = op(
    "matmul", _matmul_kernel, "ab", rule=_one_type, grad=(_matmul_grad_a, _matmul_grad_b),
    samples=lambda s: [
        ((s(3, 2), s(2, 4)), {}), ((s(2), s(2, 3)), {}), ((s(3, 2), s(2)), {}), ((s(2), s(2)), {}),
        ((s(2, 3, 2), s(2, 3)), {}), ((s(2, 1, 3, 2), s(3, 2, 4)), {}), ((s(2, 3, 2), s(2)), {}),
        ((s(2), s(3, 2, 4)), {}),
    ],
)  # fmt: skip


@function(out="exact")
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product; vectors are rows or columns, leading dimensions are batches and broadcast.

    Raises:
        RuntimeError: the inner lengths or the types differ.

    >>> import framework as torch
    >>> torch.matmul(torch.ones(2, 3), torch.ones(3)).tolist()
    [3.0, 3.0]
    """
    return apply(MATMUL, input, other)


@function(namespaces=(), method=False, dunder=("__matmul__",))
def _matmul(self: Tensor, other: Any) -> Any:
    return apply(MATMUL, self, other) if isinstance(other, Tensor) else NotImplemented


_matmul.__name__ = "matmul"  # what ``__torch_function__`` is told


@function(namespaces=(), method=False, dunder=("__rmatmul__",))
def _rmatmul(self: Tensor, other: Any = None) -> Any:
    if not isinstance(other, Tensor) or not isinstance(self, Tensor):
        return NotImplemented
    return apply(MATMUL, other, self)


def _need(input: Tensor, n: int, words: str) -> None:
    if input.ndim != n:
        raise RuntimeError(words.format(input.ndim))


@function(checks=True, out="exact")
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices: [n, m] x [m, p] -> [n, p], without broadcasting.

    RuntimeError for other dimensions, lengths that do not fit, and two dtypes.

    >>> import framework as torch
    >>> torch.mm(torch.ones(2, 3), torch.ones(3, 1))
    tensor([[3.],
            [3.]])
    """
    _need(input, 2, "self must be a matrix")
    _need(mat2, 2, "mat2 must be a matrix")
    return apply(MATMUL, input, mat2)


def _check_bmm(input: Tensor, mat2: Tensor) -> None:
    _need(input, 3, "batch1 must be a 3D tensor")
    _need(mat2, 3, "batch2 must be a 3D tensor")
    if input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{input.shape[0]}, {input.shape[2]}] but got: [{mat2.shape[0]}, {mat2.shape[1]}]."
        )
    if input.dtype is not mat2.dtype:
        raise RuntimeError(
            f"expected scalar type {type_name(input._data)} but found {type_name(mat2._data)}"
        )


@function(checks=True, out="exact")
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of two batches of matrices: [b, n, m] x [b, m, p] -> [b, n, p].

    RuntimeError for other dimensions, lengths that do not fit (nothing broadcasts), and two dtypes.

    >>> import framework as torch
    >>> torch.bmm(torch.ones(5, 2, 3), torch.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    _check_bmm(input, mat2)
    return apply(MATMUL, input, mat2)


@function(checks=True, out="exact")
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Matrix times vector: `(n, m)` by `(m,)` gives `(n,)`, without broadcasting.

    RuntimeError for other numbers of dimensions, and if the lengths or the dtypes differ.

    >>> import framework as torch
    >>> torch.mv(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {1}, {input.ndim}, {vec.ndim}")
    return apply(MATMUL, input, vec)


@function(checks=True, out="exact")
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Inner product of two vectors `(n,)` of one length and dtype, without conjugation; 0-d.

    RuntimeError for other shapes (nothing broadcasts) and for two dtypes.

    >>> import framework as torch
    >>> torch.dot(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor(11)
    """
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    return apply(MATMUL, input, tensor)


@function(checks=True, out="exact")
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """Inner product of two vectors of one length, of the conjugate of the first.

    RuntimeError for other shapes and for two dtypes.

    >>> import framework as torch
    >>> torch.vdot(torch.tensor([1j]), torch.tensor([1j]))
    tensor(1.+0.j)
    """
    if not input.is_complex():
        return dot(input, other)
    if input.ndim != 1 or other.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {other.ndim}D tensors")
    return apply(MATMUL, input.conj(), other)


@function(namespaces=("linalg",), method=False, checks=True, out="exact")
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Inner products along a dimension, of the conjugate of ``x``; the rest broadcasts.

    RuntimeError for integers and for shapes that do not broadcast.

    >>> import framework as torch
    >>> torch.linalg.vecdot(torch.ones(2, 3), torch.tensor([1.0, 2.0, 3.0]))
    tensor([6., 6.])
    """
    for t in (x, y):
        if t.dtype.category < FLOAT:
            raise RuntimeError(
                "linalg.vecdot: Expected a floating point or complex tensor as input. Got "
                f"{type_name(t._data)}"
            )
    x, y = broadcast_tensors(x, y)
    if not x.ndim:
        return x.conj() * y
    d = axis(dim, x.ndim)
    rows, columns = x.movedim(d, -1).unsqueeze(-2), y.movedim(d, -1).unsqueeze(-1)
    if rows.is_complex():
        rows = rows.conj()
    return apply(MATMUL, rows, columns).squeeze(-1).squeeze(-1)


@function(checks=True, out=True)
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """``input[i] * vec2[j]``: vectors `(n,)` and `(m,)` give `(n, m)`; dtypes are promoted.

    RuntimeError if one is no vector.

    >>> import framework as torch
    >>> torch.outer(torch.tensor([1, 2]), torch.tensor([3, 4, 5]))
    tensor([[ 3,  4,  5],
            [ 6,  8, 10]])
    """
    _need(input, 1, "outer: Expected 1-D argument self, but got {}-D")
    _need(vec2, 1, "outer: Expected 1-D argument vec2, but got {}-D")
    return input.unsqueeze(-1) * vec2


@function(checks=True, out=True)
def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """Alias of `outer`."""
    return outer(input, vec2)


@function(checks=True, out="exact")
@composite
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums over the last dimension of both: ``tensordot`` of them; 0-d tensors scale.

    `(*, n)` and `(+, n)` give `(*, +)`. RuntimeError if the last lengths differ.

    >>> import framework as torch
    >>> torch.inner(torch.ones(2, 3), torch.ones(4, 3)).shape
    torch.Size([2, 4])
    """
    if not input.ndim or not other.ndim:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    if other.ndim > 2:
        return tensordot(input, other, ([-1], [-1]))
    return apply(MATMUL, input, other.T if other.ndim == 2 else other)


# -- products added to something ---------------------------------------------------------------


def _plus(input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """``beta * input + alpha * product`` in the product's shape; beta 0 ignores NaN in input."""
    if product.dtype.category < FLOAT:  # as PyTorch, which casts both to the element type
        beta, alpha = int(beta), int(alpha)
    if input.dtype is not product.dtype:
        names = [_C_NAMES[t.dtype.name] for t in (input, product)]
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {names[0]} and {names[1]}"
        )
    if input.shape != product.shape:
        input = input.expand(product.shape)
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        if not wants_gradient(input):
            return product
        input = input.masked_fill(_ones(input), 0)
    elif beta != 1:
        input = input * beta
    return input + product


def _ones(like: Tensor) -> Tensor:
    from framework.ops.creation import ones

    return ones((), dtype=dtypes.bool_, device=like.device).expand(like.shape)


@function(inplace=True, checks=True, out="exact")
@composite
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *more: Any, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * input + alpha * mat1 @ mat2``; input broadcasts to the product's shape.

    `(n, m)` by `(m, p)`; with beta 0 input is ignored, NaN in it too. RuntimeError if the shapes do
    not fit or the dtypes differ.

    >>> import framework as torch
    >>> torch.addmm(torch.ones(2), torch.ones(2, 3), torch.ones(3, 2), beta=10)
    tensor([[13., 13.],
            [13., 13.]])
    """
    if more:
        given = (input, mat1, mat2, *more)
        input, mat1, mat2, beta, alpha = numbers_first("addmm", given)
    _need(mat1, 2, "mat1 must be a matrix, got {}-D tensor")
    _need(mat2, 2, "mat2 must be a matrix, got {}-D tensor")
    if mat1._device is not input._device or mat2._device is not input._device:
        one_device("addmm", input, mat1, mat2)
    return _plus(input, apply(MATMUL, mat1, mat2), beta, alpha)


@function(inplace=True, checks=True, out="exact")
@composite
def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *more: Any, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * input + alpha * mat @ vec``: `(n, m)` by `(m,)`; input broadcasts to `(n,)`.

    With beta 0 input is ignored, NaN in it too. RuntimeError if the shapes do not fit or the dtypes
    differ.

    >>> import framework as torch
    >>> torch.addmv(torch.ones(2), torch.ones(2, 3), torch.ones(3), alpha=2)
    tensor([7., 7.])
    """
    if more:
        given = (input, mat, vec, *more)
        input, mat, vec, beta, alpha = numbers_first("addmv", given)
    if mat.ndim != 2 or vec.ndim != 1 or input.ndim > 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {input.ndim}, {mat.ndim}, {vec.ndim}"
        )
    return _plus(input, apply(MATMUL, mat, vec), beta, alpha)


@function(inplace=True, checks=True, out=True)
@composite
def addr(
    input: Tensor, vec1: Tensor, vec2: Tensor, *more: Any, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``; input broadcasts to `(n, m)`.

    Dtypes are promoted; for bools + is "or" and * is "and". RuntimeError for other shapes, and for
    a ``beta`` or ``alpha`` with a fraction where all tensors are integers.

    >>> import framework as torch
    >>> torch.addr(torch.ones(2, 2), torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor([[4., 5.],
            [7., 9.]])
    """
    if more:
        given = (input, vec1, vec2, *more)
        input, vec1, vec2, beta, alpha = numbers_first("addr", given)
    _need(vec1, 1, "addr: Expected 1-D argument vec1, but got {}-D")
    _need(vec2, 1, "addr: Expected 1-D argument vec2, but got {}-D")
    common = dtypes.result_type(input, vec1, vec2)
    for name, value in (("beta", beta), ("alpha", alpha)):
        if common.category < FLOAT and isinstance(value, (float, complex)):
            raise RuntimeError(
                f"For integral input tensors, argument {name} must not be a floating point number."
            )
    if common is not dtypes.bool_:
        return _plus(input.to(common), outer(vec1, vec2).to(common), beta, alpha)
    product = outer(vec1, vec2) & bool(alpha)
    return (input & bool(beta)) | product


@function(inplace=True, checks=True, out="exact")
@composite
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *more: Any, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * input + alpha * batch1 @ batch2`` for batches of matrices.

    `(b, n, m)` by `(b, m, p)`; input broadcasts to `(b, n, p)` and is ignored, with NaN in it,
    where beta is 0. RuntimeError if the shapes do not fit or the dtypes differ.

    >>> import framework as torch
    >>> torch.baddbmm(torch.ones(1), torch.ones(5, 2, 3), torch.ones(5, 3, 2))[0]
    tensor([[4., 4.],
            [4., 4.]])
    """
    if more:
        given = (input, batch1, batch2, *more)
        input, batch1, batch2, beta, alpha = numbers_first("baddbmm", given)
    _check_bmm(batch1, batch2)
    if batch1._device is not input._device or batch2._device is not input._device:
        one_device("baddbmm", input, batch1, batch2)
    return _plus(input, apply(MATMUL, batch1, batch2), beta, alpha)


@function(inplace=True, checks=True, out="exact")
@composite
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *more: Any, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2).sum(0)``: one product over batch and inner dim.

    `(b, n, m)` by `(b, m, p)`; input broadcasts to `(n, p)`. RuntimeError if the shapes do not fit
    or the dtypes differ.

    >>> import framework as torch
    >>> torch.addbmm(torch.zeros(2, 2), torch.ones(5, 2, 3), torch.ones(5, 3, 2))
    tensor([[15., 15.],
            [15., 15.]])
    """
    if more:
        given = (input, batch1, batch2, *more)
        input, batch1, batch2, beta, alpha = numbers_first("addbmm", given)
    _check_bmm(batch1, batch2)
    b, n, m = batch1.shape
    left = batch1.transpose(0, 1).reshape(n, b * m)
    right = batch2.reshape(b * m, batch2.shape[2])
    return _plus(input, apply(MATMUL, left, right), beta, alpha)


# -- several matrices --------------------------------------------------------------------------


@function(namespaces=("linalg",), method=False, checks=True, out="exact")
@composite
def multi_dot(tensors: Any) -> Tensor:
    """The product of two or more matrices, in the order that costs least.

    The first and the last may be vectors. The order is found by dynamic programming (Cormen et al.,
    Introduction to Algorithms, 15.2).

    RuntimeError for fewer than two tensors and for shapes that do not fit.

    >>> import framework as torch
    >>> torch.linalg.multi_dot([torch.ones(2, 9), torch.ones(9, 3), torch.ones(3)])
    tensor([27., 27.])
    """
    many = list(tensors)
    if len(many) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(many)}")
    for which, x in (("first", many[0]), ("last", many[-1])):
        if x.ndim not in (1, 2):
            raise RuntimeError(
                f"multi_dot(): the {which} tensor must be 1D or 2D but got {x.ndim}D"
            )
    row, column = many[0].ndim == 1, many[-1].ndim == 1
    if row:
        many[0] = many[0].unsqueeze(0)
    if column:
        many[-1] = many[-1].unsqueeze(-1)
    for i, x in enumerate(many):
        if x.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {x.ndim}D")
        if x.dtype is not many[0].dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                f"{type_name(many[0]._data)} and tensor {i} {type_name(x._data)}"
            )
        if i and many[i - 1].shape[1] != x.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i - 1} and {i} with shapes {list(many[i - 1].shape)} and "
                f"{list(x.shape)} cannot be multiplied"
            )
    product = _chain(many)
    if row:
        product = product.squeeze(0)
    return product.squeeze(-1) if column else product


def _chain(many: list[Tensor]) -> Tensor:
    """The product of matrices that fit, each pair of brackets where it is cheapest."""
    n = len(many)
    lengths = [many[0].shape[0], *[x.shape[1] for x in many]]
    cost = [[0] * n for _ in range(n)]
    cut = [[0] * n for _ in range(n)]
    for span in range(1, n):
        for i in range(n - span):
            j = i + span
            options = [
                (cost[i][k] + cost[k + 1][j] + lengths[i] * lengths[k + 1] * lengths[j + 1], k)
                for k in range(i, j)
            ]
            cost[i][j], cut[i][j] = min(options)
    done: dict[tuple[int, int], Tensor] = {(i, i): x for i, x in enumerate(many)}
    todo = [(0, n - 1)]
    while todo:
        i, j = todo[-1]
        k = cut[i][j]
        missing = [part for part in ((i, k), (k + 1, j)) if part not in done]
        if missing:
            todo += missing
            continue
        todo.pop()
        if (i, j) not in done:
            done[i, j] = apply(MATMUL, done[i, k], done[k + 1, j])
    return done[0, n - 1]


@function(method=False)
def chain_matmul(*matrices: Any, out: Tensor | None = None) -> Tensor:
    """Deprecated form of `linalg.multi_dot`: the matrices are arguments of their own.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.chain_matmul(torch.ones(2, 9), torch.ones(9, 3), torch.ones(3, 1))
    tensor([[27.],
            [27.]])
    """
    warnings.warn(
        "torch.chain_matmul is deprecated and will be removed in a future PyTorch release. "
        "Use torch.linalg.multi_dot instead, which accepts a list of two or more tensors rather "
        "than multiple parameters.",
        UserWarning,
        stacklevel=3,
    )
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for i, x in enumerate(matrices):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}"
            )
        if x.ndim != 2:
            raise RuntimeError(f"chain_matmul(): Tensor dimension is {x.ndim}, expected 2 instead")
    found = matrices[0].clone() if len(matrices) == 1 else multi_dot(matrices)
    if out is None:
        return found
    into(out, found, "chain_matmul", exact=True)
    return out


# -- tensors -----------------------------------------------------------------------------------


@function(method=False, checks=True, out="exact")
@composite
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sums over pairs of dimensions of two tensors.

    Args:
        dims: how many (the last ones of ``a`` with the first ones of ``b``), or two lists of
            dimensions. A dimension of length 1 broadcasts.

    RuntimeError if paired dimensions differ in length or number.

    >>> import framework as torch
    >>> torch.tensordot(torch.ones(2, 3), torch.ones(3, 2), dims=([0, 1], [1, 0]))
    tensor(6.)
    """
    left, right = _paired(a, b, dims)
    if a.dtype is not b.dtype:
        raise RuntimeError("both inputs should have same dtype")
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    summed_a = [axis(d, a.ndim) for d in left]
    summed_b = [axis(d, b.ndim) for d in right]
    for i, j in zip(summed_a, summed_b):
        m, n = a.shape[i], b.shape[j]
        if n == 1 and m != 1:
            a = a.sum(i, keepdim=True, dtype=a.dtype)
        elif m == 1 and n != 1:
            b = b.sum(j, keepdim=True, dtype=b.dtype)
        elif m != n:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {m} in dim {i} and "
                f"second has size {n} in dim {j}"
            )
    rows = [d for d in range(a.ndim) if d not in summed_a]
    columns = [d for d in range(b.ndim) if d not in summed_b]
    shape = [a.shape[d] for d in rows] + [b.shape[d] for d in columns]
    size = math.prod([a.shape[d] for d in summed_a])
    matrix = a.permute(*rows, *summed_a) if a.ndim else a
    other = b.permute(*summed_b, *columns) if b.ndim else b
    matrix = matrix.reshape(math.prod(a.shape[d] for d in rows), size)
    other = other.reshape(size, math.prod(b.shape[d] for d in columns))
    return apply(MATMUL, matrix, other).reshape(shape)


def _paired(a: Tensor, b: Tensor, dims: Any) -> tuple[list[int], list[int]]:
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, (tuple, list)) and len(dims) != 1:
        first, second = dims
        return (
            [first] if isinstance(first, int) else list(first),
            [second] if isinstance(second, int) else list(second),
        )
    count = int(dims[0] if isinstance(dims, (tuple, list)) else dims)
    if count < 0:
        raise RuntimeError(f"tensordot expects dims >= 0, but got dims={count}")
    if count > min(a.ndim, b.ndim):
        raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={count}")
    return list(range(a.ndim - count, a.ndim)), list(range(count))


@function(out=True)
@composite
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of ``input`` times all of ``other``, in its place.

    >>> import framework as torch
    >>> torch.kron(torch.tensor([1, 10]), torch.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    n = max(input.ndim, other.ndim)
    a = (1,) * (n - input.ndim) + tuple(input.shape)
    b = (1,) * (n - other.ndim) + tuple(other.shape)
    left = input.reshape([k for pair in zip(a, (1,) * n) for k in pair])
    right = other.reshape([k for pair in zip((1,) * n, b) for k in pair])
    return (left * right).reshape([i * j for i, j in zip(a, b)])


def cross_along(input: Tensor, other: Tensor, dim: int) -> Tensor:
    """The vector product along ``dim``, as `linalg.cross` checks it."""
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    if input.dtype is not other.dtype:
        names = type_name(input._data), type_name(other._data)
        raise RuntimeError("expected scalar type {} but found {}".format(*names))
    d = axis(dim, input.ndim)
    if input.shape[d] != 3 or other.shape[d] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.shape[d]} and "
            f"{other.shape[d]}"
        )
    input, other = broadcast_tensors(input, other)
    return input.roll(-1, d) * other.roll(-2, d) - input.roll(-2, d) * other.roll(-1, d)


@function(checks=True, out="apart")
@numpy_names
@composite
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The vector product along a dimension of length 3: the first such one unless given.

    Of `(*, 3, *)`, which broadcast. RuntimeError if the dimension has another length.

    >>> import framework as torch
    >>> torch.cross(torch.tensor([1, 0, 0]), torch.tensor([0, 1, 0]), dim=0)
    tensor([0, 0, 1])
    """
    if dim is None:
        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass "
            "the dim explicitly or simply use torch.linalg.cross.\nThe default value of dim will "
            "change to agree with that of linalg.cross in a future release.",
            UserWarning,
            stacklevel=3,
        )
        dim = next((i for i, n in enumerate(input.shape) if n == 3), None)
        if dim is None:
            raise RuntimeError("no dimension of size 3 in input")
    return cross_along(input, other, dim)


TRACE = op(
    "trace", lambda a: _trace_kernel(a), "a",
    grad=(lambda g, n: _trace_grad(g, n.shape(0)),),
    samples=lambda s: [((s(3, 3),), {}), ((s(2, 3),), {})],
)  # fmt: skip


def _trace_kernel(a: Any) -> Any:
    if a.dtype == bool:
        raise NotImplementedError("\"trace\" not implemented for 'Bool'")
    line = a.diagonal()
    if a.dtype.itemsize == 2 and a.dtype.kind in "fV":
        return line.sum(dtype=np.float32).astype(a.dtype)
    return line.sum(dtype=np.int64 if a.dtype.kind in "iub" else None)


def _trace_grad(g: Any, shape: tuple[int, ...]) -> Any:
    from framework.ops.creation import eye

    return g * eye(*shape, dtype=g.dtype, device=g.device)


@function(namespaces=(), checks=True)
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix; integers sum to int64.

    ``torch.trace`` is this too: `framework.trace` is a package that can be called.

    RuntimeError for anything but a matrix.

    >>> import framework as torch
    >>> torch.trace(torch.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    if input.ndim != 2:
        raise RuntimeError("trace: expected a matrix")
    return apply(TRACE, input)
