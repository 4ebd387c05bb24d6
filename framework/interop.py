"""Tensors among NumPy's arrays: its operators, ufuncs and reductions run our ops.

PyTorch's tensors turn into arrays and back in such calls, which loses their history; it refuses
``array * tensor`` altogether. Here both give tensors, with gradients wherever we have the function;
where we do not, it is computed on arrays, unless a gradient would be lost.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dlpack, dtypes
from framework.core.out import into
from framework.device import CPU, is_fake_cuda
from framework.tensor import Tensor, tensor, wrap

__all__ = ["METHODS"]

# NumPy's and SciPy's ufuncs that have another name here.
_NAMES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "bitwise_count": "",
    "conjugate": "conj", "degrees": "rad2deg", "divide": "true_divide", "equal": "eq",
    "fabs": "abs", "frexp": "", "greater": "gt", "greater_equal": "ge", "invert": "bitwise_not",
    "left_shift": "bitwise_left_shift", "less": "lt", "less_equal": "le", "multiply": "mul",
    "negative": "neg", "not_equal": "ne", "power": "pow", "radians": "deg2rad",
    "right_shift": "bitwise_right_shift", "rint": "round", "sign": "sgn", "subtract": "sub",
}  # fmt: skip

_REDUCE = {
    "add": "sum", "multiply": "prod", "maximum": "amax", "minimum": "amin", "logical_and": "all",
    "logical_or": "any",
}  # fmt: skip
_PRODUCTS = frozenset({"matmul", "vecdot"})
_ACCUMULATE = {"add": "cumsum", "multiply": "cumprod", "logaddexp": "logcumsumexp"}

# Reductions that are no ufuncs but call the method of the name, with arguments that ours lack.
_REDUCTIONS = {
    "all": "all", "any": "any", "cumprod": "cumprod", "cumsum": "cumsum", "max": "amax",
    "mean": "mean", "min": "amin", "prod": "prod", "std": "std", "sum": "sum", "var": "var",
}  # fmt: skip


# -- ufuncs ----------------------------------------------------------------------------------


def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """``np.sin(tensor)``, ``array * tensor``: our function of the name, else NumPy on arrays."""
    out = options.pop("out", ())
    dtype = options.pop("dtype", None)
    ours = _ours(ufunc, method, options)
    if method == "at" or (ours is None and _wants_gradient(*inputs, *out)):
        raise TypeError(
            f"np.{ufunc.__name__}{'' if method == '__call__' else f'.{method}'}: there is no such "
            "function of tensors "
            + ("that writes in place" if method == "at" else "with a gradient")
            + "; use one of ours, or tensor.detach().numpy()"
        )
    if ours is None:
        if dtype is not None:
            options["dtype"] = dtype
        result = getattr(ufunc, method)(*[_as_array(x) for x in inputs], **options)
        result = _each(lambda x: wrap(np.asarray(x)) if _known(x) else x, result)
    else:
        given = [_as_tensor(x) for x in inputs]
        if dtype is not None:
            given = [x.to(dtypes.of_numpy(dtype)) if isinstance(x, Tensor) else x for x in given]
        elif ufunc.__name__ in _PRODUCTS:  # our own want one type
            kinds = [x.dtype for x in given if isinstance(x, Tensor)]
            common = functools.reduce(dtypes.promote_types, kinds)
            given = [x.to(common) if isinstance(x, Tensor) else x for x in given]
        result = ours(*given)
    return _written(result, out, ufunc.__name__) if out else result


def _ours(ufunc: Any, method: str, options: dict[str, Any]) -> Callable[..., Any] | None:
    """Our function for a method of a ufunc with these options, if there is one."""
    torch = sys.modules["framework"]
    name = ufunc.__name__
    if method in ("__call__", "outer"):
        if options or not (
            getattr(np, name, None) is ufunc
            or getattr(sys.modules.get("scipy.special"), name, None) is ufunc
        ):
            return None
        name = _NAMES.get(name, name)
        if name == "divmod":
            return lambda a, b: (torch.floor_divide(a, b), torch.remainder(a, b))
        if name == "modf":
            return lambda a: (torch.frac(a), torch.trunc(a))
        found = getattr(torch, name, None) if name else None
        found = found or (name and getattr(torch.special, name, None)) or None
        if method == "outer" and found is not None:
            return lambda a, b: found(a.reshape(a.shape + (1,) * b.ndim), b)
        return found
    axis = options.get("axis", 0)
    if method == "reduce" and name in _REDUCE and options.keys() <= {"axis", "keepdims"}:
        keepdims = options.get("keepdims", False)
        return lambda a: _reduced(_REDUCE[name], a, axis, keepdims)
    if method == "accumulate" and name in _ACCUMULATE and options.keys() <= {"axis"}:
        return lambda a: getattr(torch, _ACCUMULATE[name])(a, axis)
    return None


def _reduced(name: str, x: Tensor, axis: Any, keepdims: bool, **options: Any) -> Tensor:
    call = getattr(sys.modules["framework"], name)
    if name.startswith("cum"):
        return call(x.flatten(), 0) if axis is None else call(x, axis)
    dims = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    if name != "prod":
        return call(x, dim=dims, keepdim=keepdims, **options)
    dims = tuple(d % x.ndim for d in dims)
    for d in dims:
        x = call(x, d, keepdim=True, **options)
    return x if keepdims else x.squeeze(dims)


def _written(result: Any, out: tuple[Any, ...], name: str) -> Any:
    """``result`` in the arrays or tensors of ``out=``, as NumPy's operators in place ask for."""
    results = result if isinstance(result, tuple) else (result,)
    for target, value in zip(out, results):
        if isinstance(target, Tensor):
            into(target, value, name)
        elif target is not None:
            np.copyto(target, _as_array(value), casting="same_kind")
    final = tuple(v if t is None else t for t, v in zip(out, results))
    return final if isinstance(result, tuple) else final[0]


def _wants_gradient(*xs: Any) -> bool:
    return any(isinstance(x, Tensor) and x.requires_grad for x in xs)


def _known(x: Any) -> bool:
    return getattr(x, "dtype", None) in dtypes.from_numpy_dtype


def _each(call: Callable[[Any], Any], x: Any) -> Any:
    return tuple([call(part) for part in x]) if isinstance(x, tuple) else call(x)


def _as_array(x: Any) -> Any:
    return x.numpy() if isinstance(x, Tensor) else x


def _as_tensor(x: Any) -> Any:
    """An operand for our functions: NumPy's numbers count as Python's, as in PyTorch."""
    if isinstance(x, (Tensor, bool, int, float, complex)) and not isinstance(x, np.generic):
        return x
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, np.ndarray) and _known(x) and min(x.strides, default=0) >= 0:
        return wrap(x)
    return tensor(np.asarray(x))


# -- functions that are no ufuncs ------------------------------------------------------------


def _array_function(self: Tensor, func: Any, types: Any, args: Any, options: Any) -> Any:
    """``np.sum(tensor)`` and other reductions; the rest of NumPy does what it does without this."""
    name = func.__name__
    if name in _REDUCTIONS and getattr(np, name) is func and len(args) <= 2:
        axis = args[1] if len(args) == 2 else options.get("axis")
        rest = {k: v for k, v in options.items() if k not in ("a", "axis", "keepdims")}
        x = args[0] if args else options["a"]
        if isinstance(x, Tensor) and rest.keys() <= {"dtype", "ddof"}:
            if name in ("std", "var"):
                rest["correction"] = rest.pop("ddof", 0)
            kind = rest.pop("dtype", None)
            x = x if kind is None else x.to(dtypes.of_numpy(kind))
            return _reduced(_REDUCTIONS[name], x, axis, options.get("keepdims", False), **rest)
        args = tuple([_as_array(a) for a in args])
    return func._implementation(*args, **options)


# -- arrays ----------------------------------------------------------------------------------


def _array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """The array for ``np.asarray(tensor)``: the same memory, unless another type or a copy is
    asked for.

    Raises:
        RuntimeError: the tensor requires grad.
        TypeError: it is on a CUDA device.
        ValueError: another type without a copy.
    """
    data = self.numpy()
    if dtype is not None and data.dtype != dtype:
        if copy is False:
            raise ValueError(
                f"Unable to avoid copy while creating an array of {np.dtype(dtype)} from "
                f"{self.dtype}."
            )
        return data.astype(dtype)
    return data.copy() if copy else data


def _array_wrap(
    self: Tensor, array: Any, context: Any = None, return_scalar: bool = False
) -> Tensor:
    """A tensor of what a NumPy function made; bools become uint8, as in PyTorch."""
    array = np.asarray(array)
    return wrap(array.astype(np.uint8) if array.dtype == bool else array)


class _CudaArrayInterface:
    """`__cuda_array_interface__`: where a CUDA tensor's memory is, for Numba and others."""

    def __get__(self, tensor: Tensor | None, kind: Any = None) -> Any:
        if tensor is None:
            return self
        if tensor._device is CPU or is_fake_cuda():
            raise AttributeError(
                f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {tensor.dtype} on "
                f"{tensor._device}{'' if tensor._device is CPU else ' (a fake one)'}. If CUDA data "
                "is required use tensor.cuda() to copy tensor to device memory."
            )
        if tensor.requires_grad:
            raise RuntimeError(
                "Can't get __cuda_array_interface__ on Variable that requires grad. If gradients "
                "aren't required, use var.detach() to get Variable that doesn't require grad."
            )
        return tensor._data.__cuda_array_interface__


def _array_namespace(self: Tensor, /, *, api_version: str | None = None) -> Any:
    """The functions of the array API standard for tensors: `framework.array_api`.

    Raises:
        ValueError: a version of the standard that there is not.
    """
    from framework import array_api

    if api_version is not None and api_version not in array_api.array.VERSIONS:
        raise ValueError(
            f"expected one of {', '.join(array_api.array.VERSIONS)} as api_version, but got "
            f"{api_version!r}"
        )
    return array_api


# What `framework` binds to Tensor.
METHODS: dict[str, Any] = {
    "__array__": _array,
    "__array_function__": _array_function,
    "__array_namespace__": _array_namespace,
    "__array_priority__": 1000,  # PyTorch's
    "__array_ufunc__": _array_ufunc,
    "__array_wrap__": _array_wrap,
    "__cuda_array_interface__": _CudaArrayInterface(),
    "__dlpack__": dlpack._dlpack,
    "__dlpack_device__": dlpack._dlpack_device,
}
