"""What the framework calls of cuBLAS, on the host: written from NVIDIA's documentation.

Matrices lie in columns, one leading dimension apart, at addresses. What cuBLAS refuses is refused
with its status; what it would not notice (an operand that reaches beyond its array) is an error
here. `calls` has what was asked for.
"""

from __future__ import annotations

import ctypes
from collections import deque
from typing import Any, NamedTuple

import cupy
import ml_dtypes
import numpy as np

_F16, _BF16, _F32, _F64 = 2, 14, 0, 1  # cudaDataType
_TYPES: dict[int, Any] = {
    _F16: np.dtype(np.float16), _BF16: np.dtype(ml_dtypes.bfloat16),
    _F32: np.dtype(np.float32), _F64: np.dtype(np.float64),
}  # fmt: skip

# cublasComputeType_t: the type of alpha and beta, and (type of A and B, type of C).
_COMPUTE: dict[int, tuple[Any, set[tuple[int, int]]]] = {
    64: (np.float16, {(_F16, _F16)}),
    68: (np.float32, {(_BF16, _BF16), (_F16, _F16), (_BF16, _F32), (_F16, _F32), (_F32, _F32)}),
    77: (np.float32, {(_F32, _F32)}),
    70: (np.float64, {(_F64, _F64)}),
}
_INVALID_VALUE, _NOT_SUPPORTED, _NOT_INITIALIZED = 7, 15, 1

HANDLE = 0xB1A5
lacks: set[int] = set()  # types that the device is to be without


class CUBLASError(RuntimeError):
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"CUBLAS status {status}")


class Call(NamedTuple):
    name: str
    flags: tuple[int, int, int, int, int]  # transposed or not, m, n, k
    batch: int
    type: int
    compute: int
    beta: float
    mode: int  # of the handle
    stream: Any


calls: deque[Call] = deque(maxlen=1000)
_mode = [0]


def setMathMode(handle: int, mode: int) -> None:
    assert handle == HANDLE
    _mode[0] = mode


def _matrices(
    address: int, kind: int, rows: int, columns: int, ld: int, step: int, count: int
) -> np.ndarray:  # fmt: skip
    """(count, rows, columns) of the memory at an address, which has to be an array's own."""
    dtype = _TYPES[kind]
    if ld < max(1, rows) or step < 0:
        raise CUBLASError(_INVALID_VALUE)
    size = (step * (count - 1) + ld * (columns - 1) + rows) * dtype.itemsize
    assert address % dtype.itemsize == 0, "misaligned"
    assert cupy.is_owned(address, size), f"{size} bytes at {address:#x} are beyond the array"
    memory = (ctypes.c_char * size).from_address(address)
    strides = (step * dtype.itemsize, dtype.itemsize, ld * dtype.itemsize)
    return np.ndarray((count, rows, columns), dtype, memory, 0, strides)


def _narrowed(a: Any) -> Any:
    """float32 with 10 bits of mantissa, as tensor cores read it."""
    bits = a.astype(np.float32).view(np.uint32)
    return ((bits + np.uint32(1 << 12)) & ~np.uint32((1 << 13) - 1)).view(np.float32)


def _number(address: int, kind: Any) -> Any:
    size = np.dtype(kind).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), kind)[0]


def _gemm(
    name: str, handle: int, transa: int, transb: int, m: int, n: int, k: int, alpha: int, a: Any,
    b: Any, beta: int, c: Any, count: int, compute: int, algo: int,
) -> None:  # fmt: skip
    short = (transa, transb, m, n, k, *a[1:3], *b[1:3], *c[1:3], count, compute, algo)
    for x in (*short, handle, alpha, beta, a[0], b[0], c[0], a[3], b[3], c[3]):
        if type(x) is not int:
            raise TypeError(f"an integer is required, got {x!r}")
    if any(x.bit_length() > 31 for x in short):
        raise OverflowError("value too large to convert to int")
    if handle != HANDLE:
        raise CUBLASError(_NOT_INITIALIZED)
    if min(m, n, k, count) < 0 or transa not in (0, 1) or transb not in (0, 1):
        raise CUBLASError(_INVALID_VALUE)
    scale, kinds = _COMPUTE.get(compute, (None, set()))
    if a[1] != b[1] or (a[1], c[1]) not in kinds or a[1] in lacks:
        raise CUBLASError(_NOT_SUPPORTED)
    cupy.counts.launches += 1
    one, other = _number(alpha, scale), _number(beta, scale)
    shape_a, shape_b = ((k, m) if transa else (m, k)), ((n, k) if transb else (k, n))
    x = _matrices(a[0], a[1], *shape_a, a[2], a[3], count)
    y = _matrices(b[0], b[1], *shape_b, b[2], b[3], count)
    z = _matrices(c[0], c[1], m, n, c[2], c[3], count)
    assert count == 1 or c[3] >= c[2] * (n - 1) + m, "results lie over each other"
    x, y = (x.mT if transa else x), (y.mT if transb else y)
    wide = np.float64 if compute == 70 else np.float32
    x, y = x.astype(wide), y.astype(wide)
    if compute == 77:
        x, y = _narrowed(x), _narrowed(y)
    with np.errstate(all="ignore"):
        found = wide(one) * (x @ y)
        if other != 0:  # else what lies there is not read
            found += wide(other) * z.astype(wide)
        z[...] = found.astype(z.dtype)
    stream = cupy.cuda.get_current_stream()
    flags = (transa, transb, m, n, k)
    calls.append(Call(name, flags, count, a[1], compute, float(other), _mode[0], stream))


def gemmEx(
    handle: Any, transa: Any, transb: Any, m: Any, n: Any, k: Any, alpha: Any, A: Any, Atype: Any,
    lda: Any, B: Any, Btype: Any, ldb: Any, beta: Any, C: Any, Ctype: Any, ldc: Any,
    computeType: Any, algo: Any,
) -> None:  # fmt: skip
    _gemm("gemmEx", handle, transa, transb, m, n, k, alpha, (A, Atype, lda, 0),
          (B, Btype, ldb, 0), beta, (C, Ctype, ldc, 0), 1, computeType, algo)  # fmt: skip


def gemmStridedBatchedEx(
    handle: Any, transa: Any, transb: Any, m: Any, n: Any, k: Any, alpha: Any, A: Any, Atype: Any,
    lda: Any, strideA: Any, B: Any, Btype: Any, ldb: Any, strideB: Any, beta: Any, C: Any,
    Ctype: Any, ldc: Any, strideC: Any, batchCount: Any, computeType: Any, algo: Any,
) -> None:  # fmt: skip
    _gemm("gemmStridedBatchedEx", handle, transa, transb, m, n, k, alpha,
          (A, Atype, lda, strideA), (B, Btype, ldb, strideB), beta, (C, Ctype, ldc, strideC),
          batchCount, computeType, algo)  # fmt: skip
