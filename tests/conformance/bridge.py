"""Values of PyTorch as values of ours, and back; functions of PyTorch's tests run on our names."""

from __future__ import annotations

import contextlib
import functools
import types
from typing import Any

import ml_dtypes
import numpy as np
import torch

import framework
from framework.kernels.strided import strided
from framework.tensor import wrap

__all__ = ["DTYPES", "Unsupported", "describe", "ours", "rebound", "theirs"]

DTYPES = {
    getattr(torch, name): getattr(framework, name)
    for name in (
        "float32", "float64", "complex64", "complex128", "float16", "bfloat16", "int64", "int32",
        "uint8", "bool", "int16", "int8",
    )
}  # fmt: skip
_BACK = {mine: other for other, mine in DTYPES.items()}
_LAYOUTS = ("strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")
_FORMATS = ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")


class Unsupported(Exception):
    """A sample uses something that the framework does not set out to have, e.g. float8."""


# -- to ours ---------------------------------------------------------------------------------------


def ours(value: Any, seen: dict[Any, Any] | None = None) -> Any:
    """A copy of ``value`` with every tensor, dtype, device, ... replaced by ours.

    Strides are kept (also of expanded and of gappy tensors). A tensor that occurs twice becomes
    one tensor, so gradients with respect to it are sums as in PyTorch.
    """
    seen = {} if seen is None else seen
    if isinstance(value, torch.Tensor):
        if id(value) not in seen:
            seen[id(value)] = _tensor(value, seen), value
        return seen[id(value)][0]
    if isinstance(value, torch.Size):
        return framework.Size(value)
    if isinstance(value, tuple):
        items = [ours(v, seen) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [ours(v, seen) for v in value]
    if isinstance(value, dict):
        return {k: ours(v, seen) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(*(ours(v, seen) for v in (value.start, value.stop, value.step)))
    if isinstance(value, torch.dtype):
        if value not in DTYPES:
            raise Unsupported(f"{value}")
        return DTYPES[value]
    if isinstance(value, torch.device):
        return framework.device(value.type)
    if isinstance(value, torch.layout):
        return _named(value, _LAYOUTS)
    if isinstance(value, torch.memory_format):
        return _named(value, _FORMATS)
    if isinstance(value, torch.Generator):
        return framework.Generator().manual_seed(value.initial_seed())
    if isinstance(value, torch.nn.Module):
        return getattr(framework.nn, type(value).__name__)()
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
        return rebound(value)
    if type(value).__module__.startswith("torch"):
        raise Unsupported(f"{type(value).__module__}.{type(value).__name__}")
    return value


def _named(value: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if getattr(torch, name) is value:
            if not hasattr(framework, name):
                raise Unsupported(f"torch.{name}")
            return getattr(framework, name)
    raise Unsupported(f"{value}")


def _tensor(t: torch.Tensor, seen: dict[Any, Any]) -> Any:
    if t.layout is torch.sparse_coo:
        t = t.coalesce()
        parts = [ours(p, seen) for p in (t.indices().detach(), t.values().detach())]
        made = framework.sparse_coo_tensor(*parts, tuple(t.shape))
    elif t.layout is not torch.strided or t.is_nested or t.is_quantized:
        raise Unsupported(f"layout {t.layout}")
    elif t.device.type != "cpu":
        raise Unsupported(f"device {t.device}")
    else:
        made = _strided(t.detach(), seen)
    if t.requires_grad:
        made.requires_grad_()
    return made


def _strided(t: torch.Tensor, seen: dict[Any, Any]) -> Any:
    """A copy with the same strides; tensors that share memory do so afterwards."""
    storage = t.untyped_storage()
    if t.dtype not in DTYPES or t.is_conj() or t.is_neg() or t.ndim > 64:
        return wrap(_array(t))
    if not t.numel():
        return wrap(np.empty(tuple(t.shape), DTYPES[t.dtype].numpy))
    key = "memory", storage.data_ptr(), t.dtype
    if key not in seen:
        whole = torch.empty(0, dtype=t.dtype).set_(storage)  # type: ignore[call-overload]
        seen[key] = wrap(_array(whole.clone())), storage
    memory = seen[key][0]
    if t.storage_offset():
        return memory.as_strided(tuple(t.shape), t.stride(), t.storage_offset())
    return wrap(strided(memory._data, tuple(t.shape), t.stride()))


def _array(t: torch.Tensor) -> np.ndarray:
    """A copy with the same strides."""
    if t.dtype not in DTYPES:
        raise Unsupported(f"{t.dtype}")
    if t.ndim > 64:
        raise Unsupported("more than 64 dimensions, NumPy's limit")
    if t.is_conj() or t.is_neg():
        t = t.resolve_conj().resolve_neg()
    if t.dtype is torch.bfloat16:
        seen = t.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    else:
        seen = t.numpy()
    if not seen.size:
        return np.empty(tuple(t.shape), seen.dtype)
    if seen.flags.c_contiguous:
        return seen.copy()
    # All of the memory between the first and the last element, so that strides survive.
    reach = sum((n - 1) * s for n, s in zip(seen.shape, seen.strides))
    flat = np.lib.stride_tricks.as_strided(
        seen, (reach // seen.itemsize + 1,), (seen.itemsize,)
    ).copy()
    return np.lib.stride_tricks.as_strided(flat, seen.shape, seen.strides)


# -- to PyTorch's ----------------------------------------------------------------------------------


def theirs(value: Any) -> Any:
    """A copy of ``value`` with every tensor and dtype of ours replaced by PyTorch's."""
    if isinstance(value, framework.Tensor):
        return _their_tensor(value)
    if isinstance(value, tuple) and not isinstance(value, framework.Size):
        return tuple(theirs(v) for v in value)
    if isinstance(value, list):
        return [theirs(v) for v in value]
    if isinstance(value, dict):
        return {k: theirs(v) for k, v in value.items()}
    if isinstance(value, framework.Size):
        return torch.Size(value)
    if isinstance(value, framework.dtype):
        return _BACK[value]
    if isinstance(value, framework.device):
        return torch.device(str(value))
    return value


def _their_tensor(t: Any) -> torch.Tensor:
    if t.is_sparse:
        t = t.detach().coalesce()
        return torch.sparse_coo_tensor(
            theirs(t.indices()), theirs(t.values()), tuple(t.shape)
        ).coalesce()
    a = np.array(t.detach().cpu()._data)  # also of a lazily conjugated one
    if a.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(a.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(a)


# -- functions -------------------------------------------------------------------------------------


def find(name: str) -> Any:
    """Our function of a dotted name ("linalg.inv"), or a method of our Tensor; None if absent."""
    found: Any = framework
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None or isinstance(found, framework.dtype):
            return getattr(framework.Tensor, name, None)
    return found if callable(found) else getattr(framework.Tensor, name, None)


def rebound(f: Any) -> Any:
    """A function (often a lambda of PyTorch's tests) with ``torch`` meaning our framework."""
    if isinstance(f, functools.partial):
        return functools.partial(rebound(f.func), *ours(f.args), **ours(f.keywords))
    if not isinstance(f, types.FunctionType) or f.__module__.startswith("torch.nn"):
        return _by_name(f)
    if f.__name__ == "wrapper_set_seed":
        return wrapper_set_seed
    if not f.__module__.startswith(("torch.testing", "tests.conformance")):
        return _by_name(f)
    names = dict(f.__globals__)
    for name in _names_of(f.__code__):
        value = names.get(name)
        if name == "torch":
            names[name] = framework
        elif name == "F":
            names[name] = framework.nn.functional
        elif isinstance(value, types.FunctionType) and value is not f:
            with contextlib.suppress(Unsupported):
                names[name] = rebound(value)
    cells = tuple(types.CellType(_cell(c.cell_contents)) for c in f.__closure__ or ())
    made = types.FunctionType(f.__code__, names, f.__name__, f.__defaults__, cells)
    made.__kwdefaults__ = f.__kwdefaults__
    return made


def _cell(value: Any) -> Any:
    try:
        return ours(value)
    except Unsupported:
        return value


def _names_of(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_of(constant)
    return names


def _by_name(f: Any) -> Any:
    """Our namesake of a function of PyTorch; functions of other packages stay."""
    module = getattr(f, "__module__", None) or ""
    if module and not module.startswith("torch"):
        return f
    name = getattr(f, "__name__", "")
    for space in (torch, torch.nn.functional, torch.linalg, torch.special, torch.fft, torch.Tensor):
        if getattr(space, name, None) is f:
            path = getattr(space, "__name__", "torch").removeprefix("torch").lstrip(".")
            if path == "_C._nn":
                path = "nn.functional"
            found = find(f"{path}.{name}" if path and path != "Tensor" else name)
            if found is not None:
                return found
    if module.startswith("torch.testing") or (
        isinstance(f, types.BuiltinFunctionType) and not module
    ):
        return f
    raise Unsupported(f"{module}.{name}")


def wrapper_set_seed(f: Any, *args: Any, **options: Any) -> Any:
    """What PyTorch's tests wrap random functions in; the harness seeds by itself."""
    return f(*args, **options)


# -- in words --------------------------------------------------------------------------------------


def describe(value: Any) -> str:
    """A short text of arguments: tensors as ``float32[2, 3]``, the rest as it prints."""
    if isinstance(value, (torch.Tensor, framework.Tensor)):
        kind = str(value.dtype).removeprefix("torch.")
        plain = not isinstance(value, torch.Tensor) or value.layout is torch.strided
        note = "" if not plain or value.is_contiguous() else " gappy"
        return f"{kind}{list(value.shape)}{note}" + ("" if plain else f" {value.layout}")
    if isinstance(value, (list, tuple)) and any(
        isinstance(v, (torch.Tensor, list, tuple)) for v in value
    ):
        return "(" + ", ".join(map(describe, value)) + ")"
    if isinstance(value, dict):
        return ", ".join(f"{k}={describe(v)}" for k, v in value.items())
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."
