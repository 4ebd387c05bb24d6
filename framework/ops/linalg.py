"""Linear algebra: products, einsum, and decompositions from NumPy's LAPACK."""

from __future__ import annotations

import string
from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.tensor import Tensor

__all__ = ["bmm", "einsum", "matmul", "mm"]


def _matmul_kernel(a: Any, b: Any) -> Any:
    if not a.ndim or not b.ndim:
        raise ValueError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ValueError(
            "mat1 and mat2 shapes cannot be multiplied "
            f"({'x'.join(map(str, a.shape))} and {'x'.join(map(str, b.shape))})"
        )
    if a.dtype.itemsize == 2 and a.dtype.kind in "fV":  # accumulate in float32
        return np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    if a.dtype.kind == "b":
        raise TypeError("\"addmm_impl_cpu_\" not implemented for 'Bool'")
    return np.matmul(a, b)


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
        flat = a.reshape(-1, a.shape[-1])
        return matmul(flat.transpose(-2, -1), g.reshape(-1, g.shape[-1]))
    return matmul(a.transpose(-2, -1), g)


MATMUL = op(
    "matmul", _matmul_kernel, "ab", rule="same", grad=(_matmul_grad_a, _matmul_grad_b),
    samples=lambda s: [
        ((s(3, 2), s(2, 4)), {}), ((s(2), s(2, 3)), {}), ((s(3, 2), s(2)), {}), ((s(2), s(2)), {}),
        ((s(2, 3, 2), s(2, 3)), {}), ((s(2, 1, 3, 2), s(3, 2, 4)), {}), ((s(2, 3, 2), s(2)), {}),
        ((s(2), s(3, 2, 4)), {}),
    ],
)  # fmt: skip


@function(dunder=("__matmul__",))
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product; vectors are rows or columns, leading dimensions are batches and broadcast.

    >>> import framework as torch
    >>> torch.matmul(torch.ones(2, 3), torch.ones(3)).tolist()
    [3.0, 3.0]
    """
    return apply(MATMUL, input, other)


def _need(name: str, input: Tensor, n: int, which: str = "self") -> None:
    if input.ndim != n:
        raise RuntimeError(f"{name}: {which} must be a {n}D tensor, but got {input.ndim}D")


@function(checks=True)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices."""
    _need("mm", input, 2)
    _need("mm", mat2, 2, "mat2")
    return apply(MATMUL, input, mat2)


@function(checks=True)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of two batches of matrices: [b, n, m] x [b, m, p] -> [b, n, p]."""
    _need("bmm", input, 3, "batch1")
    _need("bmm", mat2, 3, "batch2")
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{input.shape[0]}, {input.shape[2]}] but got: [{mat2.shape[0]}, {mat2.shape[1]}]."
        )
    return apply(MATMUL, input, mat2)


@function(checks=True)
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Matrix times vector."""
    _need("mv", input, 2)
    _need("mv", vec, 1, "vec")
    return apply(MATMUL, input, vec)


@function(checks=True)
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Inner product of two vectors."""
    _need("dot", input, 1)
    _need("dot", tensor, 1, "tensor")
    return apply(MATMUL, input, tensor)


@function(checks=True)
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """``input[i] * vec2[j]``."""
    _need("outer", input, 1)
    _need("outer", vec2, 1, "vec2")
    return input.unsqueeze(-1) * vec2


@function(inplace=True)
@composite
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * mat1 @ mat2``."""
    product = mm(mat1, mat2)
    product = product if alpha == 1 else product * alpha
    return (input if beta == 1 else input * beta) + product


@function(inplace=True)
@composite
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """``beta * input + alpha * batch1 @ batch2``, for batches of matrices."""
    product = bmm(batch1, batch2)
    product = product if alpha == 1 else product * alpha
    return (input if beta == 1 else input * beta) + product


@function(method=False, checks=True)
@composite
def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products by index letters (Einstein's convention): ``einsum("bij,bjk->bik", a, b)``.

    Two operands at a time, each pair as one batched matrix product.

    >>> import framework as torch
    >>> torch.einsum("ij,ij->", torch.ones(2, 3), torch.ones(2, 3)).item()
    6.0
    """
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    terms, out = _parse_einsum(equation, operands)
    labelled = [_diagonals(t, x) for t, x in zip(terms, operands)]
    sizes: dict[str, int] = {}
    for term, x in labelled:
        for letter, n in zip(term, x.shape):
            if sizes.setdefault(letter, n) == 1:
                sizes[letter] = n
            elif n not in (1, sizes[letter]):
                raise RuntimeError(
                    f"einsum(): operands do not broadcast: index {letter!r} has sizes "
                    f"{sizes[letter]} and {n}"
                )
    term, x = labelled[0]
    for k, (other, y) in enumerate(labelled[1:], 2):
        later = set(out).union(*[t for t, _ in labelled[k:]])
        term, x = _contract(term, x, other, y, later)
    gone = [i for i, letter in enumerate(term) if letter not in out]
    if gone:
        x = x.sum(gone)
        term = [letter for letter in term if letter in out]
    return x.permute(*[term.index(letter) for letter in out])


def _parse_einsum(equation: str, operands: Any) -> tuple[list[list[str]], list[str]]:
    """Index letters of each operand and of the result; an ellipsis becomes letters of its own."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        raise RuntimeError(
            f"einsum(): the equation {equation!r} names {len(parts)} operands, but got "
            f"{len(operands)}"
        )
    free = [c for c in string.ascii_letters if c not in text]
    widest = max(
        [x.ndim - len(p.replace("...", "")) for p, x in zip(parts, operands) if "..." in p],
        default=0,
    )
    dots = free[:widest]
    terms = []
    for p, x in zip(parts, operands):
        if "..." in p:
            n = x.ndim - len(p.replace("...", ""))
            p = p.replace("...", "".join(dots[len(dots) - n :]))
        if len(p) != x.ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in {p!r} does not match the number of "
                f"dimensions ({x.ndim}) of its operand"
            )
        terms.append(list(p))
    if arrow:
        out = list(right.replace("...", "".join(dots)))
    else:
        letters = [c for t in terms for c in t]
        out = dots + sorted(c for c in set(letters) - set(dots) if letters.count(c) == 1)
    for c in out:
        if not any(c in t for t in terms):
            raise RuntimeError(f"einsum(): output subscript {c!r} does not appear in the equation")
    return terms, out


def _diagonals(term: list[str], x: Any) -> tuple[list[str], Any]:
    """A letter that stands twice in one operand takes the diagonal."""
    for letter in sorted({c for c in term if term.count(c) > 1}):
        while term.count(letter) > 1:
            i = term.index(letter)
            j = term.index(letter, i + 1)
            x = x.diagonal(0, i, j)
            term = [c for k, c in enumerate(term) if k not in (i, j)] + [letter]
    return term, x


def _contract(a: list[str], x: Any, b: list[str], y: Any, later: set[str]) -> tuple[list[str], Any]:
    """One pair: letters kept in both are batches, shared ones that end here are summed."""
    lonely = [i for i, c in enumerate(a) if c not in b and c not in later]
    if lonely:
        x = x.sum(lonely)
        a = [c for i, c in enumerate(a) if i not in lonely]
    lonely = [i for i, c in enumerate(b) if c not in a and c not in later]
    if lonely:
        y = y.sum(lonely)
        b = [c for i, c in enumerate(b) if i not in lonely]
    batch = [c for c in a if c in b and c in later]
    summed = [c for c in a if c in b and c not in later]
    rows = [c for c in a if c not in b]
    cols = [c for c in b if c not in a]
    size = {**dict(zip(b, y.shape)), **{c: n for c, n in zip(a, x.shape) if n != 1 or c not in b}}
    for c, n in zip(b, y.shape):
        size[c] = max(size.get(c, 1), n)
    x = x.permute(*[a.index(c) for c in batch + rows + summed])
    y = y.permute(*[b.index(c) for c in batch + summed + cols])

    def length(letters: list[str]) -> int:
        n = 1
        for c in letters:
            n *= size[c]
        return n

    lead = [size[c] for c in batch]
    x = x.expand(*lead, *[size[c] for c in rows + summed])
    y = y.expand(*lead, *[size[c] for c in summed + cols])
    x = x.reshape(*lead, length(rows), length(summed))
    y = y.reshape(*lead, length(summed), length(cols))
    z = matmul(x, y).reshape(*lead, *[size[c] for c in rows + cols])
    return batch + rows + cols, z


# -- decompositions --------------------------------------------------------------------------

_LINALG = ("linalg",)


def _t(x: Any) -> Any:
    return x.transpose(-2, -1)


INV = op(
    "inv", np.linalg.inv, "a", rule="float",
    grad=(lambda g, y: -matmul(_t(y), matmul(g, _t(y))),),
    samples=lambda s: [((s.regular(3),), {})],
)  # fmt: skip
DET = op(
    "det", np.linalg.det, "a", rule="float",
    grad=(lambda g, a, y: (g * y)[..., None, None] * _t(apply(INV, a)),),
    samples=lambda s: [((s.regular(3),), {})],
)  # fmt: skip


def _solve_kernel(a: Any, b: Any) -> Any:
    vector = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])
    return np.linalg.solve(a, b[..., None])[..., 0] if vector else np.linalg.solve(a, b)


def _solve_grad(g: Any, n: Any, a: Any, y: Any) -> tuple[Any, Any]:
    back = apply(SOLVE, _t(a), g)
    vector = g.ndim == a.ndim - 1
    product = back.unsqueeze(-1) * y.unsqueeze(-2) if vector else matmul(back, _t(y))
    return -product, back


SOLVE = op(
    "solve", _solve_kernel, "ab", rule="same", grad=_solve_grad,
    samples=lambda s: [((s.regular(3), s(3, 2)), {}), ((s.regular(3), s(3)), {})],
)  # fmt: skip


def _cholesky_grad(g: Any, y: Any) -> Any:
    """I. Murray, Differentiation of the Cholesky decomposition (2016), eq. 10."""
    inner = matmul(_t(y), g).tril()
    half = inner - inner.diagonal(0, -2, -1).diag_embed() * 0.5
    solved = apply(SOLVE, _t(y), half)
    full = _t(apply(SOLVE, _t(y), _t(solved)))
    return (full + _t(full)) * 0.5


def _cholesky_kernel(a: Any) -> Any:
    # The mean of both triangles, so that the gradient is symmetric for any direction.
    return np.linalg.cholesky((a + a.swapaxes(-2, -1)) / 2)


CHOLESKY = op(
    "cholesky", _cholesky_kernel, "a", rule="float", grad=(_cholesky_grad,),
    samples=lambda s: [((s.definite(3),), {})],
)  # fmt: skip


@function(namespaces=("", "linalg"), method="inverse")
def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices."""
    return apply(INV, A)


@function(namespaces=("", "linalg"))
def det(A: Tensor) -> Tensor:
    """The determinant of square matrices."""
    return apply(DET, A)


@function(namespaces=_LINALG, method=False)
def solve(A: Tensor, B: Tensor) -> Tensor:
    """X with ``A @ X = B``."""
    return apply(SOLVE, A, B)


@function(namespaces=_LINALG, method="cholesky")
def cholesky(A: Tensor) -> Tensor:
    """Lower-triangular L with ``L @ L.mT = A``, for symmetric positive-definite A."""
    return apply(CHOLESKY, A)


@function()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last dimension as their diagonal."""
    from framework.ops.creation import eye

    if offset or (dim1, dim2) != (-2, -1):
        raise RuntimeError("diag_embed: only the main diagonal of the last two dims is supported")
    n = input.shape[-1]
    return input.unsqueeze(-1) * eye(n, dtype=input.dtype, device=input.device)
