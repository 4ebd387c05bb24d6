"""The exponential of matrices by products alone, for devices: nothing but its scaling is read.

Higham's way (SciPy's, which the CPU has) solves a system of equations and chooses among several
approximants. Products are what devices are good at, and one form of each type will do: a Taylor
polynomial of degree 18 in five products (P. Bader, S. Blanes and F. Casas, "Computing the matrix
exponential with an optimized Taylor polynomial approximation", 2019), whose coefficients these are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.kernels import module_of

__all__ = ["expm"]

# Of I, A, A^2, A^3 and A^6, for each of the five sums.
_SUMS = (
    (0.0, -1.00365581030144618291e-01, -8.02924648241156932449e-03, -8.92138498045729985177e-04,
     0.0),
    (0.0, 3.97849749499645077844e-01, 1.36783778460411720168e00, 4.98289622525382669416e-01,
     -6.37898194594723280150e-04),
    (-1.09676396052962061844e01, 1.68015813878906206114e00, 5.71779846478865511061e-02,
     -6.98210122488052056106e-03, 3.34975017086070470649e-05),
    (-9.04316832390810593223e-02, -6.76404519071381882256e-02, 6.75961301770459654925e-02,
     2.95552570429315521194e-02, -1.39180257516060693404e-05),
    (0.0, 0.0, -9.23364619367118555360e-02, -1.69364939002081722752e-02,
     -1.40086798182036094347e-05),
)  # fmt: skip
# Norms up to which the polynomial is exact but for rounding.
_EXACT = {np.dtype(np.float32): 3.010066362817634, np.dtype(np.float64): 1.090863719290036}
_MOST = 1100  # times that a matrix is halved: more than any finite norm takes


def expm(a: Any) -> Any:
    """The exponential of square matrices (*, n, n) of float32, float64 or complex numbers.

    Each is scaled by a power of two of its own, and squared again as many times; how often at most
    is the one number that is read. A matrix that is not finite gives NaN.
    """
    xp = module_of(a)
    real = a.real.dtype
    norms = xp.abs(a).sum(-2).max(-1)
    halvings = xp.ceil(xp.log2(xp.maximum(norms, 1e-30) / _EXACT[real]))
    halvings = xp.clip(xp.where(xp.isfinite(halvings), halvings, 0), 0, _MOST)
    most = int(halvings.max())
    scale = xp.exp2(-halvings).astype(real)[..., None, None]
    result = _polynomial(xp, a * scale)
    for k in range(most):
        again = (halvings > k)[..., None, None]
        result = xp.where(again, xp.matmul(result, result), result)
    return result


def _polynomial(xp: Any, a: Any) -> Any:
    second = xp.matmul(a, a)
    third = xp.matmul(a, second)
    powers = a, second, third, xp.matmul(third, third)
    unit = xp.eye(a.shape[-1], dtype=a.dtype)
    kind = a.real.dtype.type  # a number that would not make complex64 of float32

    def total(row: tuple[float, ...]) -> Any:
        found = unit * kind(row[0])
        for factor, power in zip(row[1:], powers):
            if factor:
                found = found + power * kind(factor)
        return found

    b1, b2, b3, b4, b5 = map(total, _SUMS)
    ninth = xp.matmul(b1, b5) + b4
    return b2 + xp.matmul(b3 + ninth, ninth)
