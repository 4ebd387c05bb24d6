"""Exchange of memory with PyTorch itself by DLPack, and NumPy's ufuncs on both kinds of tensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import framework

__all__ = ["main"]

DTYPES = (
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16",
    "bfloat16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip

# A tensor of each kind of layout, from a library's namespace and a type.
LAYOUTS: dict[str, Callable[[Any, Any], Any]] = {
    "plain": lambda lib, d: lib.ones(2, 3, dtype=d),
    "0-d": lambda lib, d: lib.ones((), dtype=d),
    "empty": lambda lib, d: lib.ones(2, 0, dtype=d),
    "transposed": lambda lib, d: lib.ones(2, 3, dtype=d).t(),
    "sliced": lambda lib, d: lib.ones(4, 6, dtype=d)[1::2, 2:5],
    "expanded": lambda lib, d: lib.ones(1, 3, dtype=d).expand(2, 3),
}

# PyTorch's tensors give what NumPy makes of their arrays; ours run our ops.
UFUNCS = ("sin", "exp", "sqrt", "absolute", "negative", "floor", "add", "multiply", "divide")

REFUSALS: dict[str, Callable[[Any], Any]] = {
    "requires grad": lambda lib: lib.ones(2, requires_grad=True).__dlpack__(),
    "taken twice": lambda lib: _twice(lib),
    "no capsule": lambda lib: lib.from_dlpack(3),
    "a stream on the CPU": lambda lib: lib.ones(2).__dlpack__(stream=7),
    "a stream that is none": lambda lib: lib.ones(2).__dlpack__(stream="main"),
    "an object array": lambda lib: lib.from_dlpack(np.ones(2, object)),
    "array of a tensor that requires grad": lambda lib: np.asarray(lib.ones(2, requires_grad=True)),
    "objects": lambda lib: lib.tensor(np.array([1, None], object)),
    "__cuda_array_interface__": lambda lib: lib.ones(2).__cuda_array_interface__,
}


def _twice(lib: Any) -> Any:
    capsule = lib.ones(2).__dlpack__()
    lib.from_dlpack(capsule)
    return lib.from_dlpack(capsule)


def main(options: Any) -> int:
    """Compare and print a score; 1 if something differs."""
    import torch

    problems = []
    count = 0
    for name, problem in (*_exchanges(torch), *_ufuncs(torch), *_refusals(torch)):
        count += 1
        if problem:
            problems.append(f"{name}: {problem}")
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"interop: {count - len(problems)} of {count} exchanges as PyTorch")
    return 1 if problems else 0


def _exchanges(torch: Any) -> Iterator[tuple[str, str]]:
    for dtype in DTYPES:
        for layout, make in LAYOUTS.items():
            for giver, taker in ((torch, framework), (framework, torch)):
                given = make(giver, getattr(giver, dtype))
                for way in ("tensor", "capsule"):
                    name = f"{dtype} {layout} {way} {giver.__name__} -> {taker.__name__}"
                    yield name, _exchanged(given, taker, way)


def _exchanged(given: Any, taker: Any, way: str) -> str:
    try:
        taken = taker.from_dlpack(given if way == "tensor" else given.__dlpack__())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    for what in ("shape", "dtype"):
        if str(getattr(taken, what)) != str(getattr(given, what)):
            return f"{what} {getattr(taken, what)} of {getattr(given, what)}"
    if given.numel() and taken.data_ptr() != given.data_ptr():
        return "does not share memory"
    return "" if taken.tolist() == given.tolist() else f"{taken.tolist()} of {given.tolist()}"


def _ufuncs(torch: Any) -> Iterator[tuple[str, str]]:
    for name in UFUNCS:
        ufunc = getattr(np, name)
        for dtype in ("float32", "float64", "complex64"):
            if name == "floor" and dtype == "complex64":
                continue
            args = [[0.5, 1.5, 2.0]] * ufunc.nin
            ours, theirs = [
                ufunc(*[lib.tensor(a, dtype=getattr(lib, dtype)) for a in args])
                for lib in (framework, torch)
            ]
            same = str(ours.dtype) == str(theirs.dtype)
            same = same and np.allclose(ours.numpy(), theirs.numpy(), rtol=1e-5)
            yield f"np.{name} of {dtype}", "" if same else f"{ours}, but PyTorch {theirs}"


def _refusals(torch: Any) -> Iterator[tuple[str, str]]:
    for name, call in REFUSALS.items():
        kinds = []
        for lib in (framework, torch):
            try:
                kinds.append(f"returned {call(lib)}")
            except Exception as error:
                kinds.append(f"{type(error).__name__}: {str(error).partition(chr(10))[0][:40]}")
        yield name, "" if kinds[0] == kinds[1] else f"{kinds[0]!r}, but PyTorch {kinds[1]!r}"


warnings.filterwarnings("ignore", "__array_wrap__ must accept", DeprecationWarning)
