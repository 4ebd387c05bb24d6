"""How cuBLAS is to compute products of each type: what is added up in what, and with which bits.

The switches are PyTorch's (`backends.cuda.matmul`, `set_float32_matmul_precision`). What they come
to is looked up by each product (`WAYS`), so that a product asks no switch.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from framework.dtypes import bfloat16

__all__ = ["WAYS", "Way", "allowed", "choose", "chosen"]

_F16, _BF16 = np.dtype(np.float16), bfloat16.numpy
_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)

# cudaDataType, cublasComputeType_t and cublasMath_t, of which CuPy has not all by name.
_CODES = {_F16: 2, _BF16: 14, _F32: 0, _F64: 1}
_IN_HALVES, _IN_SINGLE, _BY_TF32, _IN_DOUBLE = 64, 68, 77, 70
_SUMS_IN_SINGLE = 16  # CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION


class Way(NamedTuple):
    """What `gemmEx` is told of a type."""

    code: int
    compute: int
    one: int  # the address of a one on the host, in the type that is computed in
    zero: int
    mode: int  # of the handle; 0 is what it is in anyway


# What a script may allow; as PyTorch begins.
allowed = SimpleNamespace(
    tf32=False,  # float32 multiplied with 10 bits of mantissa, on tensor cores
    float16_reduced=True,  # parts of a sum joined in float16, where cuBLAS splits it
    bfloat16_reduced=True,
    float16_sums=False,  # float16 added up in float16
)
WAYS: dict[Any, Way] = {}

# A zero and a one of each type that is computed in; cuBLAS reads them at their addresses.
_NUMBERS = {kind: np.array([0, 1], kind) for kind in (_F16, _F32, _F64)}


def _way(kind: Any) -> Way:
    numbers, compute, mode = _NUMBERS[_F32], _IN_SINGLE, 0
    if kind is _F64:
        numbers, compute = _NUMBERS[_F64], _IN_DOUBLE
    elif kind is _F32:
        compute = _BY_TF32 if allowed.tf32 else _IN_SINGLE
    elif kind is _F16 and allowed.float16_sums:
        numbers, compute = _NUMBERS[_F16], _IN_HALVES
    elif not (allowed.float16_reduced if kind is _F16 else allowed.bfloat16_reduced):
        mode = _SUMS_IN_SINGLE
    zero = numbers.ctypes.data
    return Way(_CODES[kind], compute, zero + numbers.itemsize, zero, mode)


def chosen(dtype: Any, tf32: bool) -> Way:
    """The way of a product that is not asked for as one, but by who says himself about TF32."""
    way = WAYS[dtype]
    return way._replace(compute=_BY_TF32 if tf32 else _IN_SINGLE) if dtype == _F32 else way


def choose(**switches: bool) -> None:
    """Set some of what is `allowed`."""
    vars(allowed).update(switches)
    WAYS.update({kind: _way(kind) for kind in _CODES})


choose()
