"""Products of matrices on a device, by cuBLAS through CuPy's binding, one call each if possible.

Each function is named as its op and takes its arrays. It returns None for what it is not for (other
types, empty arrays, shapes that do not fit or exceed 32 bits): the op's plain kernel computes that,
or says what is wrong. float16 and bfloat16 go to tensor cores, float32 if `precision` allows that.
What is asked for certain shapes and strides is found once (`product_plans`) and kept.

CuPy's calls are of the current stream, on the current device.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from framework.kernels.cuda.precision import WAYS, Way, chosen
from framework.kernels.cuda.product_plans import Plan, plan

__all__ = ["linear", "linear_weight_backward", "matmul", "part_of_convolution"]

_MOST = 1 << 12  # plans that are kept
_DEFAULT = -1  # CUBLAS_GEMM_DEFAULT: the algorithm is cuBLAS's choice
_REFUSED = (8, 15)  # CUBLAS_STATUS_ARCH_MISMATCH and _NOT_SUPPORTED

_plans: dict[Any, Plan] = {}
_cublas: Any = None


def matmul(a: Any, b: Any) -> Any:
    """``a @ b``; vectors are rows or columns, leading dimensions are batches and broadcast."""
    return _product("matmul", a, b)


def linear(x: Any, w: Any, b: Any) -> Any:
    """``x @ w.T + b``; rounded once: cuBLAS adds to the bias, with which the result begins."""
    if b is not None and (
        b.dtype != x.dtype or not b.size or b.shape not in (w.shape[:-1], (1,), ())
    ):
        return None
    return _product("linear", x, w, b)


def linear_weight_backward(g: Any, x: Any) -> Any:
    """``g.T @ x`` over all leading dimensions."""
    return _product("weight", g, x)


def part_of_convolution(a: Any, b: Any, tf32: bool) -> Any:
    """``a @ b``, of which the switches of convolutions say whether float32 goes by TF32."""
    return _product("matmul", a, b, way=chosen(a.dtype, tf32))


def _product(op: str, a: Any, b: Any, bias: Any = None, way: Way | None = None) -> Any:
    cublas = _cublas or _found(a)
    if cublas is None or a.__class__ is not cublas.array or b.__class__ is not cublas.array:
        return None
    dtype = a.dtype
    way = way or WAYS.get(dtype)
    if way is None or b.dtype != dtype:
        return None
    key = (op, a.shape, a.strides, b.shape, b.strides, dtype)
    found = _plans.get(key) or _planned(key)
    if found is None:
        return None
    shape, flags, ld, batch, calls, copied = found
    if not shape and dtype.itemsize > 2:
        return None  # a sum, for which CuPy's own kernel uses the whole device
    if copied[0] is not None:
        a = _in_rows(cublas, a, copied[0])
    if copied[1] is not None:
        b = _in_rows(cublas, b, copied[1])
    c = cublas.array(shape, dtype)
    add = way.zero
    if bias is not None:
        c[...] = bias
        add = way.one
    code, compute, one, _, mode = way
    first, second, third = b.data.ptr, a.data.ptr, c.data.ptr
    handle = cublas.handle()
    if mode:
        cublas.set_mode(handle, mode)
    try:
        for i, j, k in calls:
            if batch is None:
                cublas.gemm(
                    handle, *flags, one, first + i, code, ld[0], second + j, code, ld[1], add,
                    third + k, code, ld[2], compute, _DEFAULT,
                )  # fmt: skip
            else:
                count, x, y, z = batch
                cublas.batched(
                    handle, *flags, one, first + i, code, ld[0], x, second + j, code, ld[1], y, add,
                    third + k, code, ld[2], z, count, compute, _DEFAULT,
                )  # fmt: skip
    except cublas.error as error:
        if error.status not in _REFUSED:
            raise
        return None  # a device without this type
    finally:
        if mode:
            cublas.set_mode(handle, 0)
    return c


def _planned(key: tuple[Any, ...]) -> Plan | None:
    op, a, a_strides, b, b_strides, dtype = key
    if len(_plans) >= _MOST:
        _plans.clear()
    made = plan(op, a, a_strides, b, b_strides, dtype.itemsize)
    if made is not None:
        _plans[key] = made
    return made


def _in_rows(cublas: Any, array: Any, shape: tuple[int, ...]) -> Any:
    """A contiguous copy, of an array that may be broadcast."""
    if array.shape != shape:
        array = cublas.broadcast(array, shape)
    return array.copy(order="C")


def _found(array: Any) -> Any:
    """CuPy's binding, when the first of its arrays is seen; None for other arrays."""
    global _cublas
    if not hasattr(array, "__cuda_array_interface__"):
        return None
    import cupy
    from cupy_backends.cuda.libs import cublas

    _cublas = SimpleNamespace(
        array=cupy.ndarray, broadcast=cupy.broadcast_to, handle=cupy.cuda.device.get_cublas_handle,
        gemm=cublas.gemmEx, batched=cublas.gemmStridedBatchedEx, set_mode=cublas.setMathMode,
        error=cublas.CUBLASError,
    )  # fmt: skip
    return _cublas
