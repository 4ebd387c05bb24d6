"""Two arrays of which parts are used again and again: a row beside a matrix, a column, a bias.

NumPy calls its loop for each line anew, which costs as much as a line of some hundred elements.

Arrays are vectors here, places in them unsigned, so that nobody asks whether one counts from the
end. What there is to do is (A, B, M): line (a, b) of an array of two such steps begins at
``a * step_a + b * step_b`` and goes on by 1, or stays (0) where one number is for all of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, made_with

__all__ = ["FUNCTIONS", "spread"]

_u = np.uintp
_PART = {**FAST, "forceinline": True}
function: Any = None  # of two numbers, what a loop is made with


@njit(**_PART)
def _add(x, y):
    return x + y


@njit(**_PART)
def _subtract(x, y):
    return x - y


@njit(**_PART)
def _multiply(x, y):
    return x * y


@njit(**_PART)
def _divide(x, y):
    return x / y


@njit(**_PART)
def _maximum(x, y):
    """The larger one, or NaN."""
    return x if x >= y or x != x else y


@njit(**_PART)
def _minimum(x, y):
    return x if x <= y or x != x else y


def _lines(x, y, out, count, length, xs, ys, start, stop):
    (x_a, x_b, x_m), (y_a, y_b, y_m) = xs, ys
    for line in range(_u(start), _u(stop)):
        a, b = line // count, line % count
        i, k, o = a * x_a + b * x_b, a * y_a + b * y_b, line * length
        if x_m and y_m:
            for j in range(length):
                out[o + j] = function(x[i + j], y[k + j])
        elif x_m:
            v = y[k]
            for j in range(length):
                out[o + j] = function(x[i + j], v)
        else:
            u = x[i]
            for j in range(length):
                out[o + j] = function(u, y[k + j])


FUNCTIONS = {
    ufunc: made_with(_lines, f"spread{part.__name__}", FAST, function=part)
    for ufunc, part in (
        (np.add, _add),
        (np.subtract, _subtract),
        (np.multiply, _multiply),
        (np.true_divide, _divide),
        (np.maximum, _maximum),
        (np.minimum, _minimum),
    )
}


def spread(function: Any, x: Any, y: Any, out: Any, sizes: Any, xs: Any, ys: Any) -> None:
    """``function`` (one of `FUNCTIONS`) of two contiguous arrays into a third.

    Args:
        sizes: (A, B, M), whose product is the result's number of elements.
        xs, ys: the steps of x and y along these.
    """
    outer, inner, length = sizes
    steps = [tuple(_u(n) for n in step) for step in (xs, ys)]
    in_parts(FUNCTIONS[function], outer * inner, out.size, x.reshape(-1), y.reshape(-1),
             out.reshape(-1), _u(inner), _u(length), *steps)  # fmt: skip
