"""What the framework uses of CuPy's factors and triangular solutions, with CuPy's demands."""

from __future__ import annotations

import warnings
from typing import Any

import cupy
import numpy as np
from cupy import thirteen
from scipy import linalg


def _known(*arrays: Any) -> None:
    for a in arrays:
        assert isinstance(a, cupy.ndarray), type(a)
        if a.dtype.char not in "fdFD":
            raise NotImplementedError("Only float32, float64, complex64 and complex128")


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    _known(a)
    if a.ndim != 2:
        raise np.linalg.LinAlgError("array must be two-dimensional")
    cupy.counts.waits += 2  # its error number is looked at twice
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed, pivots = linalg.lu_factor(a._a, check_finite=False)
    if (np.diagonal(packed) == 0).any():
        warnings.warn("Diagonal number 1 is exactly zero.", RuntimeWarning, stacklevel=2)
    return cupy._wrapped(packed, (a,)), cupy._wrapped(pivots.astype(np.int32), (a,))


def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False,
    overwrite_b: bool = False, check_finite: bool = False,
) -> Any:  # fmt: skip
    _known(a, b)
    if a.ndim != 2 and thirteen.OLD:
        raise ValueError("expected square matrix")
    if a.shape[-1] != a.shape[-2] or a.shape[:-2] != b.shape[: a.ndim - 2]:
        raise ValueError("incompatible batch count")
    found = np.empty_like(b._a)
    for at in np.ndindex(a.shape[:-2]):
        with np.errstate(all="ignore"):
            call = linalg.get_blas_funcs("trsm", (a._a,))
            diag = int(unit_diagonal)
            found[at] = call(1.0, a._a[at], b._a[at], lower=int(lower), diag=diag)
    return cupy._wrapped(found, (a,))
