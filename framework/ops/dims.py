"""What reductions share: dimensions, gradients put back over them, named results, NumPy's names.

`axes` and `axis` check and normalise ``dim``; `spread` and `with_dims` undo a reduction's shape;
`named` makes PyTorch's ``return_types``; `numpy_names` accepts ``axis=`` and ``keepdims=``.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable
from types import CellType, FunctionType
from typing import Any

import numpy as np

from framework.core.overridable import GENERATED, MISSING
from framework.dtypes import FLOAT
from framework.kernels.floats import type_name
from framework.tensor import Tensor

__all__ = [
    "Dim", "aliased", "axes", "axis", "cast_in", "constant", "evenly", "named", "needs_elements",
    "numpy_names", "only_floating", "spread", "wide_type", "with_dims",
]  # fmt: skip

Dim = Any  # None, an int or a tuple of ints


def axes(dim: Dim, ndim: int) -> tuple[int, ...]:
    """Dimensions to reduce, as sorted non-negative ints; all of them for None and ().

    Raises:
        IndexError: one is out of range.
        RuntimeError: one is given twice.
        TypeError: one is no integer.
    """
    if dim is None or (isinstance(dim, (tuple, list)) and not len(dim)):
        return tuple(range(ndim))
    found = [axis(d, ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    if len(set(found)) != len(found):
        twice = next(d for i, d in enumerate(found) if d in found[:i])
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    return tuple(sorted(found)) if ndim else ()


def axis(dim: int, ndim: int) -> int:
    """One dimension as a non-negative int; a 0-d tensor counts as having one."""
    if dim.__class__ is not int:
        try:
            if isinstance(dim, (bool, np.bool_)):
                raise TypeError
            dim = operator.index(dim)
        except TypeError:
            raise TypeError(f"argument 'dim' must be int, not {type(dim).__name__}") from None
    span = max(ndim, 1)
    if not -span <= dim < span:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], "
            f"but got {dim})"
        )
    return dim % span


def spread(g: Any, shape: tuple[int, ...], dim: tuple[int, ...], keepdim: bool) -> Any:
    """A reduction's gradient back over the reduced dimensions."""
    return with_dims(g, shape, dim, keepdim).expand(shape)


def with_dims(x: Any, shape: tuple[int, ...], dim: Any, keepdim: bool) -> Any:
    """A reduction's result with the reduced dimensions put back as ones."""
    if keepdim or not shape:
        return x
    if dim.__class__ is int:
        return x.unsqueeze(dim)
    return x.reshape([1 if i in dim else n for i, n in enumerate(shape)])


def evenly(g: Any, hit: Any, dim: Any) -> Any:
    """``g`` (with its reduced dimensions) shared evenly among the elements where ``hit``."""
    count = hit.sum(dim=dim, keepdim=True) if hit.ndim else hit
    return g * hit / count


def constant(index: Any) -> Any:
    """A saved output that holds indices, without the history that saved outputs come with."""
    return index.detach()


def wide_type(a: Any) -> Any:
    """The type that float16 and bfloat16 are accumulated in; None for others: their own."""
    return np.float32 if a.dtype.itemsize == 2 and a.dtype.kind in "fV" else None


def cast_in(input: Tensor, dtype: Any) -> Tensor:
    """``input`` in the type that a ``dtype=`` argument asks for."""
    return input if dtype is None else input.to(dtype)


def only_floating(input: Tensor, words: str) -> None:
    """Refuse bools and integers: ``words`` may name the type as ``{got}``."""
    if input.dtype.category < FLOAT:
        raise RuntimeError(words.format(got=type_name(input._data)))


def needs_elements(input: Tensor, dim: Dim, name: str, colon: str = "(): ") -> None:
    """Refuse to reduce a dimension of size zero, which has no result without an identity."""
    if input._data.size:
        return
    shape = input._data.shape
    for d in axes(dim, len(shape)):
        if shape[d] == 0:
            raise IndexError(f"{name}{colon}Expected reduction dim {d} to have non-zero size.")


class _Named(tuple[Any, ...]):
    """A result with names, such as (values, indices): PyTorch's ``torch.return_types``."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name in self._fields:
            return self[self._fields.index(name)]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        parts = ",\n".join(f"{n}={v!r}" for n, v in zip(self._fields, self))
        return f"torch.return_types.{type(self).__name__}(\n{parts})"

    def __reduce__(self) -> Any:
        return _remade, (type(self).__name__, self._fields, tuple(self))


def _remade(name: str, fields: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return named(name, *fields)(values)


@functools.cache
def named(name: str, *fields: str) -> Any:
    """The type of an op's several results: ``named("sort", "values", "indices")((v, i))``.

    >>> pair = named("max", "values", "indices")((3, 1))
    >>> pair.values, pair[1]
    (3, 1)
    """
    space = {"_fields": fields, "__slots__": (), "__module__": "framework.return_types"}
    return type(name, (_Named,), space)


_NUMPY = (("axis", "dim"), ("keepdims", "keepdim"))


def numpy_names(call: Callable[..., Any]) -> Callable[..., Any]:
    """Take NumPy's ``axis`` and ``keepdims`` for ``dim`` and ``keepdim``, as PyTorch does."""
    return aliased(call, _NUMPY)


def aliased(call: Callable[..., Any], pairs: Iterable[tuple[str, str]]) -> Callable[..., Any]:
    """``call`` with further names (name, parameter) of those parameters that it has.

    The result has ``call``'s signature and these keywords more, which cost a comparison each.
    """
    inner: Any = call
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    code = inner.__code__
    count = code.co_argcount
    names = code.co_varnames[: count + code.co_kwonlyargcount]
    aliases = tuple([pair for pair in pairs if pair[1] in names])
    rest = code.co_varnames[len(names)] if code.co_flags & 4 else ""  # CO_VARARGS
    defaults = inner.__defaults__ or ()
    required = names[: count - len(defaults)]
    places = [required.index(name) for _, name in aliases if name in required]
    late = required[min(places) :] if places else ()  # may come by another name
    made: Any = FunctionType(
        _renaming(names[:count], rest, names[count:], aliases, late), inner.__globals__,
        inner.__name__, (MISSING,) * len(late) + defaults or None,
        (CellType(MISSING), CellType(call)),
    )  # fmt: skip
    more = dict.fromkeys([alias for alias, _ in aliases], MISSING)
    made.__kwdefaults__ = {**(inner.__kwdefaults__ or {}), **more}
    for name in ("__module__", "__qualname__", "__doc__", "__annotations__"):
        setattr(made, name, getattr(call, name))
    return made


@functools.cache
def _renaming(positional: Any, rest: str, only: Any, aliases: Any, required: Any) -> Any:
    """The code of a function that passes its arguments on by their proper names."""
    lines = [f"if {alias} is not MISSING: {name} = {alias}" for alias, name in aliases]
    words = "{call.__name__}() missing 1 required positional argument: "
    for name in required:
        lines.append(f"if {name} is MISSING: raise TypeError(f\"{words}'{name}'\")")
    signature = ", ".join([*positional, f"*{rest}", *only, *[alias for alias, _ in aliases]])
    passed = [*positional, *([f"*{rest}"] if rest else []), *[f"{name}={name}" for name in only]]
    body = "\n        ".join([*lines, f"return call({', '.join(passed)})"])
    text = f"def make(MISSING, call):\n    def function({signature}):\n        {body}\n"
    scope: dict[str, Any] = {}
    exec(compile(text + "    return function", GENERATED, "exec"), scope)
    return scope["make"](None, None).__code__
