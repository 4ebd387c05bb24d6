"""Products of matrices on a device against float64: shapes, batches, types, orders in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import framework as torch
from framework.device import bfloat16_problem

__all__ = ["SHAPES", "main"]

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3, 5), (5, 4)), ((1, 5), (5, 4)), ((3, 1), (1, 4)), ((3, 5), (5, 1)), ((1, 1), (1, 1)),
    ((33, 65), (65, 17)), ((128, 64), (64, 96)), ((5,), (5, 4)), ((3, 5), (5,)), ((5,), (5,)),
    ((2, 3, 5), (5, 4)), ((2, 3, 5), (5,)), ((5,), (2, 5, 4)), ((3, 5), (2, 5, 4)),
    ((2, 3, 5), (2, 5, 4)), ((2, 1, 3, 5), (3, 5, 4)), ((2, 3, 3, 5), (2, 3, 5, 4)),
    ((2, 3, 3, 5), (1, 3, 5, 4)), ((2, 3, 3, 5), (2, 1, 5, 4)), ((1, 2, 3, 5), (1, 1, 5, 4)),
    ((2, 3, 2, 1, 5), (3, 1, 5, 4)), ((6, 1, 64), (6, 64, 8)), ((4, 7, 1), (4, 1, 7)),
    ((9, 2, 3, 5), (9, 2, 5, 4)), ((2, 3, 0), (0, 4)), ((0, 5), (5, 4)),
]  # fmt: skip

# How an operand may lie in memory: each gives another array of the same numbers.
LAID: dict[str, Callable[[Any], Any]] = {
    "rows": lambda t: t,
    "columns": lambda t: t.mT.contiguous().mT if t.ndim > 1 else t,
    "part of rows": lambda t: _within(t)[..., 2:-1],
    "part of columns": lambda t: _within(t.mT).mT[..., 2:-1, :] if t.ndim > 1 else t,
    "every other": lambda t: t.repeat_interleave(2, -1)[..., ::2],
    "heads inside": lambda t: t.transpose(-3, -2).contiguous().transpose(-3, -2),
    "batch last": lambda t: t.movedim(0, -1).contiguous().movedim(-1, 0),
}
NEAR = {torch.float16: 2e-3, torch.bfloat16: 1.6e-2, torch.float32: 2e-6, torch.float64: 4e-15}


def _within(t: Any) -> Any:
    """Numbers within others, which must not count."""
    side = t.new_full((*t.shape[:-1], 2), float("nan"))
    return torch.cat([side, t, side[..., :1]], -1)


def _drawn(shape: tuple[int, ...], dtype: Any, seed: int) -> Any:
    rng = np.random.default_rng([seed, *shape])
    return torch.from_numpy(rng.standard_normal(shape)).to(dtype)


def _bound(a: Any, b: Any, dtype: Any) -> np.ndarray:
    """What the products' sizes allow for as an error."""
    return NEAR[dtype] * np.matmul(np.abs(a), np.abs(b)) + 1e-30


def _wide(t: Any) -> np.ndarray:
    found: np.ndarray = t.detach().cpu().to(torch.float64).numpy()
    return found


def _near(found: Any, exact: np.ndarray, bound: Any, dtype: Any) -> None:
    assert found.device.type == "cuda" and found.dtype is dtype, (found.device, found.dtype)
    assert tuple(found.shape) == exact.shape, (tuple(found.shape), exact.shape)
    error = np.abs(_wide(found) - exact)
    assert np.all(error <= bound), f"off by {np.nanmax(error / bound):.3g} times what is allowed"


def _ways(t: Any) -> list[str]:
    if t.ndim > 2:
        return list(LAID)
    return [name for name in LAID if name not in ("heads inside", "batch last")]


def _multiplied() -> Iterator[tuple[str, Callable[[], None]]]:
    """Each pair of shapes in each type, laid in all ways."""
    for (left, right), dtype in itertools.product(SHAPES, NEAR):
        a, b = _drawn(left, dtype, 0), _drawn(right, dtype, 1)
        exact = np.matmul(_wide(a), _wide(b))
        bound = _bound(_wide(a), _wide(b), dtype)
        for one, other in itertools.product(_ways(a), _ways(b)):

            def check(
                a: Any = a, b: Any = b, one: str = one, other: str = other, exact: Any = exact,
                bound: Any = bound, dtype: Any = dtype,
            ) -> None:  # fmt: skip
                found = torch.matmul(LAID[one](a.cuda()), LAID[other](b.cuda()))
                _near(found, exact, bound, dtype)

            yield f"{left} ({one}) @ {right} ({other}), {dtype}", check


def _layers() -> Iterator[tuple[str, Callable[[], None]]]:
    """`linear` and its gradients, with and without a bias."""
    shapes = [((3, 5), (4, 5)), ((2, 3, 5), (4, 5)), ((5,), (4, 5)), ((3, 5), (5,)),
              ((2, 2, 3, 5), (4, 5)), ((1, 5), (1, 5))]  # fmt: skip
    biases: list[Any] = [None, "row", (1,), ()]
    for (left, right), dtype, bias in itertools.product(shapes, NEAR, biases):
        for one, other in itertools.product(("rows", "part of rows", "columns", "every other"),
                                            ("rows", "columns", "part of rows")):  # fmt: skip

            def check(
                left: Any = left, right: Any = right, dtype: Any = dtype, bias: Any = bias,
                one: str = one, other: str = other,
            ) -> None:  # fmt: skip
                _layer(left, right, dtype, bias, one, other)

            yield f"linear {left} ({one}), {right} ({other}), bias {bias}, {dtype}", check


def _layer(left: Any, right: Any, dtype: Any, bias: Any, one: str, other: str) -> None:
    given = [_drawn(left, dtype, 0), _drawn(right, dtype, 1)]
    if bias is not None:
        given.append(_drawn(right[:-1] if bias == "row" else bias, dtype, 2))
    x, w = (_wide(t) for t in given[:2])
    exact = x @ w.T
    bound = _bound(x, w.T, dtype)
    if bias is not None:
        exact = exact + _wide(given[2])
        bound = bound + NEAR[dtype] * (np.abs(exact) + np.abs(_wide(given[2])))
    there = [t.cuda().requires_grad_() for t in given]
    laid = [LAID[one](there[0]), LAID[other](there[1]), *there[2:]]
    out = torch.nn.functional.linear(*laid)
    _near(out, exact, bound, dtype)
    g = _drawn(exact.shape, dtype, 3)
    out.backward(g.cuda())
    back = _wide(g)
    rows, values = back.reshape(-1, *right[:-1]), x.reshape(-1, x.shape[-1])
    if w.ndim == 2:
        _near(there[0].grad, back @ w, 2 * _bound(back, w, dtype), dtype)
        _near(there[1].grad, rows.T @ values, 2 * _bound(rows.T, values, dtype), dtype)
    else:
        _near(there[1].grad, rows @ values, 2 * _bound(rows, values, dtype), dtype)


def main() -> int:
    """Compare all of them; prints what differs, and the score."""
    wrong = count = skipped = 0
    problem = bfloat16_problem()
    for name, check in itertools.chain(_multiplied(), _layers()):
        if problem and name.endswith(str(torch.bfloat16)):
            skipped += 1
            continue
        count += 1
        try:
            check()
        except Exception as error:
            wrong += 1
            if wrong <= 20:
                print(f"{name}: {type(error).__name__}: {str(error).strip().splitlines()[:1]}")
    print(f"products: {count - wrong} of {count} are as exact as their types allow")
    if skipped:
        print(f"products: {skipped} skipped: {problem}")
    return 1 if wrong else 0
