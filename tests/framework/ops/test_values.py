"""Forward values against NumPy: floats, integers and bools, by a table of (ours, NumPy's)."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch

rng = np.random.default_rng(0)
A = rng.standard_normal((3, 4))
B = rng.standard_normal((3, 4)) + 3.0
P = rng.uniform(0.1, 2.0, (3, 4))
U = rng.uniform(-0.9, 0.9, (3, 4))
I = rng.integers(-9, 10, (3, 4))
J = rng.integers(1, 6, (3, 4))
M = A > 0
N = U > 0

UNARY = {
    "neg": (np.negative, A), "abs": (np.abs, A), "sqrt": (np.sqrt, P), "exp": (np.exp, A),
    "rsqrt": (lambda x: x**-0.5, P), "exp2": (np.exp2, A), "log": (np.log, P),
    "log2": (np.log2, P), "log10": (np.log10, P), "log1p": (np.log1p, P),
    "expm1": (np.expm1, A), "sin": (np.sin, A), "cos": (np.cos, A), "tan": (np.tan, U),
    "asin": (np.arcsin, U), "acos": (np.arccos, U), "atan": (np.arctan, A),
    "sinh": (np.sinh, A), "cosh": (np.cosh, A), "tanh": (np.tanh, A),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), A), "relu": (lambda x: np.maximum(x, 0), A),
    "reciprocal": (np.reciprocal, B), "square": (np.square, A), "sign": (np.sign, A),
    "floor": (np.floor, A), "ceil": (np.ceil, A), "trunc": (np.trunc, A), "round": (np.round, A),
    "frac": (lambda x: x - np.trunc(x), A), "isnan": (np.isnan, A), "isinf": (np.isinf, A),
    "isfinite": (np.isfinite, A), "logical_not": (np.logical_not, M),
    "bitwise_not": (np.invert, I), "any": (np.any, M), "all": (np.all, M),
    "argmax": (np.argmax, A), "argmin": (np.argmin, A), "prod": (np.prod, A),
    "sum": (np.sum, I), "mean": (np.mean, A), "max": (np.max, A), "min": (np.min, A),
    "var": (lambda x: np.var(x, ddof=1), A), "std": (lambda x: np.std(x, ddof=1), A),
    "norm": (np.linalg.norm, A), "tril": (np.tril, A), "triu": (np.triu, A), "diag": (np.diag, A),
    "ravel": (np.ravel, A), "t": (np.transpose, A), "unique": (np.unique, I),
    "count_nonzero": (np.count_nonzero, I), "nonzero": (np.argwhere, M),
}  # fmt: skip

BINARY = {
    "add": (np.add, A, B), "sub": (np.subtract, A, B), "mul": (np.multiply, A, B),
    "div": (np.divide, A, B), "floor_divide": (np.floor_divide, I, J), "fmod": (np.fmod, A, B),
    "remainder": (np.remainder, I, J), "pow": (np.power, P, B), "maximum": (np.maximum, A, B),
    "minimum": (np.minimum, A, B), "atan2": (np.arctan2, A, B), "hypot": (np.hypot, A, B),
    "logaddexp": (np.logaddexp, A, B), "lt": (np.less, I, J), "le": (np.less_equal, I, J),
    "gt": (np.greater, I, J), "ge": (np.greater_equal, I, J), "eq": (np.equal, I, J),
    "ne": (np.not_equal, I, J), "logical_and": (np.logical_and, M, N),
    "logical_or": (np.logical_or, M, N), "logical_xor": (np.logical_xor, M, N),
    "bitwise_and": (np.bitwise_and, I, J), "bitwise_or": (np.bitwise_or, I, J),
    "bitwise_xor": (np.bitwise_xor, I, J), "bitwise_left_shift": (np.left_shift, I, J),
    "bitwise_right_shift": (np.right_shift, I, J), "matmul": (np.matmul, A, B.T.copy()),
    "outer": (np.outer, A[0], B[0]), "dot": (np.dot, A[0], B[0]), "mv": (np.dot, A, B[0]),
    "isclose": (np.isclose, A, A + 1e-9),
}  # fmt: skip

CALLS = [
    (lambda: torch.div(torch.tensor(A), torch.tensor(B), rounding_mode="trunc"), np.trunc(A / B)),
    (lambda: torch.arange(2, 20, 3), np.arange(2, 20, 3)),
    (lambda: torch.linspace(0, 1, 5, dtype=torch.float64), np.linspace(0, 1, 5)),
    (lambda: torch.eye(2, 3, dtype=torch.float64), np.eye(2, 3)),
    (lambda: torch.full((2, 2), 7), np.full((2, 2), 7)),
    (lambda: torch.argsort(torch.tensor(A), 1), np.argsort(A, 1)),
    (lambda: torch.argsort(torch.tensor(A), 1, descending=True), np.argsort(-A, 1)),
    (lambda: torch.sort(torch.tensor(A), 0).values, np.sort(A, 0)),
    (lambda: torch.topk(torch.tensor(A), 2, 1).values, -np.sort(-A, 1)[:, :2]),
    (lambda: torch.cumsum(torch.tensor(A), 1), np.cumsum(A, 1)),
    (lambda: torch.cumprod(torch.tensor(A), 0), np.cumprod(A, 0)),
    (lambda: torch.tensor(A).flip(0, 1), A[::-1, ::-1]),
    (lambda: torch.tensor(A).roll(1, 1), np.roll(A, 1, 1)),
    (lambda: torch.where(torch.tensor(M), torch.tensor(A), torch.tensor(B)), np.where(M, A, B)),
    (lambda: torch.tensor(A).clamp(-0.5, 0.5), np.clip(A, -0.5, 0.5)),
    (lambda: torch.tensor(A).masked_fill(torch.tensor(M), 0.0), np.where(M, 0.0, A)),
    (lambda: torch.tensor(A).repeat(2, 1), np.tile(A, (2, 1))),
    (lambda: torch.tensor(A).repeat_interleave(2, 0), np.repeat(A, 2, 0)),
    (lambda: torch.cat([torch.tensor(A), torch.tensor(B)], 1), np.concatenate([A, B], 1)),
    (lambda: torch.stack([torch.tensor(A), torch.tensor(B)], 1), np.stack([A, B], 1)),
    (lambda: torch.tensor(A).logsumexp(1), np.log(np.exp(A).sum(1))),
    (lambda: torch.einsum("ij,kj->ik", torch.tensor(A), torch.tensor(B)), A @ B.T),
    (lambda: torch.tensor(A)[torch.tensor([2, 0]), 1:3], A[[2, 0], 1:3]),
    (lambda: torch.gather(torch.tensor(A), 1, torch.tensor(J % 4)),
     np.take_along_axis(A, J % 4, 1)),
    (lambda: torch.zeros(6, dtype=torch.float64).index_add(
        0, torch.tensor(J[0]), torch.tensor(A[0])), np.bincount(J[0], A[0], 6)),
    (lambda: torch.zeros(6, dtype=torch.float64).scatter_add(
        0, torch.tensor(J[1]), torch.tensor(A[1])), np.bincount(J[1], A[1], 6)),
    (lambda: torch.nn.functional.one_hot(torch.tensor([2, 0]), 3), np.eye(3, dtype=int)[[2, 0]]),
]  # fmt: skip


def check(found: torch.Tensor, expected: np.ndarray) -> None:
    assert tuple(found.shape) == np.shape(expected)
    np.testing.assert_allclose(found._data, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", UNARY)
def test_one_argument(name: str) -> None:
    reference, x = UNARY[name]
    check(getattr(torch, name)(torch.tensor(x)), reference(x))


@pytest.mark.parametrize("name", BINARY)
def test_two_arguments(name: str) -> None:
    reference, x, y = BINARY[name]
    check(getattr(torch, name)(torch.tensor(x), torch.tensor(y)), reference(x, y))


@pytest.mark.parametrize("i", range(len(CALLS)))
def test_calls(i: int) -> None:
    call, expected = CALLS[i]
    check(call(), expected)


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)])
def test_equations_without_unknowns_or_matrices(shape: tuple[int, ...]) -> None:
    factors, pivots = torch.linalg.lu_factor(torch.zeros(shape))
    right = torch.zeros(*shape[:-1], 4)
    assert torch.linalg.lu_solve(factors, pivots, right).shape == right.shape
    assert torch.lu_unpack(factors, pivots)[0].shape == shape
