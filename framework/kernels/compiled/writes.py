"""``x.add_(y, alpha=a)`` and its like in one pass, without an array for what is written.

Nothing is contracted or reordered: each element goes through the roundings of the plain way, an
array for each step. Arrays are vectors of one float type and one size; ``c`` is of that type, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import made_with

__all__ = ["KERNELS", "write", "written"]

_EXACT: dict[str, Any] = {"error_model": "numpy", "nogil": True, "cache": True}
_PART = {**_EXACT, "forceinline": True}
function: Any = None  # what a loop is made with


@njit(**_PART)
def _sum(x, y, z, c):
    return x + y


@njit(**_PART)
def _scaled_sum(x, y, z, c):
    return x + c * y


@njit(**_PART)
def _difference(x, y, z, c):
    return x - y


@njit(**_PART)
def _scaled_difference(x, y, z, c):
    return x - c * y


@njit(**_PART)
def _product(x, y, z, c):
    return x * y


@njit(**_PART)
def _quotient(x, y, z, c):
    return x / y


@njit(**_PART)
def _sum_with(x, y, z, c):
    return x + c


@njit(**_PART)
def _difference_with(x, y, z, c):
    return x - c


@njit(**_PART)
def _product_with(x, y, z, c):
    return x * c


@njit(**_PART)
def _quotient_with(x, y, z, c):
    return x / c


@njit(**_PART)
def _with_product(x, y, z, c):
    return x + c * y * z


@njit(**_PART)
def _with_quotient(x, y, z, c):
    return x + c * y / z


def _loop(x, y, z, c, start, stop):
    p, q, r = x[start:stop], y[start:stop], z[start:stop]
    for i in range(p.size):
        p[i] = function(p[i], q[i], r[i], c)


def _loop_elsewhere(x, y, z, out, c, start, stop):
    p, q, r, s = x[start:stop], y[start:stop], z[start:stop], out[start:stop]
    for i in range(p.size):
        s[i] = function(p[i], q[i], r[i], c)


_FUNCTIONS = {
    "add": _sum,
    "add_number": _sum_with,
    "add_scaled": _scaled_sum,
    "addcdiv": _with_quotient,
    "addcmul": _with_product,
    "div": _quotient,
    "div_number": _quotient_with,
    "mul": _product,
    "mul_number": _product_with,
    "sub": _difference,
    "sub_number": _difference_with,
    "sub_scaled": _scaled_difference,
}
KERNELS = {
    name: made_with(_loop, f"write_{name}", _EXACT, function=function)
    for name, function in _FUNCTIONS.items()
}
_ELSEWHERE = {
    name: made_with(_loop_elsewhere, name, _EXACT, function=_FUNCTIONS[name])
    for name in ("addcdiv", "addcmul")
}


def written(name: str, x: Any, others: Any, number: float) -> Any:
    """The same in an array of its own."""
    out = np.empty_like(x)
    flat = [a.reshape(-1) for a in (x, *others, out)]
    in_parts(_ELSEWHERE[name], x.size, x.size, *flat, x.dtype.type(number))
    return out


def write(name: str, x: Any, others: Any, number: float) -> None:
    """Run a kernel: ``x`` is written; ``others`` are one or two more arrays, or none."""
    flat = [a.reshape(-1) for a in (x, *others)]
    flat += flat[-1:] * (3 - len(flat))
    in_parts(KERNELS[name], x.size, x.size, *flat, x.dtype.type(number))
