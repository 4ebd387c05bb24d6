"""`Array`: the tensor whose operators follow the array API standard instead of PyTorch.

The two differ where PyTorch ranks 0-d tensors below others in promotion, floors quotients of
infinities, mixes no uint16 with other integers and knows no negative steps of slices. An `Array` is
a `Tensor` in all other respects: the same memory, history and methods. Plain tensors are taken
wherever arrays are.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from framework.core.docstrings import completed
from framework.core.views import inplace_twin
from framework.overrides import _disabled_torch_function_impl
from framework.tensor import Size, Tensor

__all__ = ["Array", "axis_of", "operators", "standard", "torch"]

torch: Any = importlib.import_module("framework")

VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


class _Count(int):
    """The number of elements: the standard's ``x.size``, which PyTorch calls, as in ``x.size(0)``.

    >>> import framework.array_api as xp
    >>> x = xp.ones((3, 2))
    >>> x.size, x.size(0)
    (6, 3)
    """

    shape: Size

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]


class Array(Tensor):
    """An array of the standard: made by the functions of `framework.array_api`.

    >>> import framework.array_api as xp
    >>> x = xp.asarray([1, 2, 3], dtype=xp.int8)
    >>> x[::-1]
    tensor([3, 2, 1], dtype=torch.int8)
    >>> (x + xp.asarray(1, dtype=xp.int32)).dtype
    torch.int32
    """

    __slots__ = ()

    __torch_function__ = _disabled_torch_function_impl  # functions of `framework` give tensors

    @property
    def size(self) -> Any:
        """Number of elements."""
        count = _Count(self._data.size)
        count.shape = self.shape
        return count

    @property
    def T(self) -> Array:
        """The transpose of a matrix; ValueError for another number of dimensions."""
        if self._data.ndim != 2:
            raise ValueError(
                f"T: expected a matrix, but got an array of {self._data.ndim} dimensions; "
                "matrix_transpose takes stacks of matrices"
            )
        return _array(self.transpose(0, 1), ())

    @property
    def mT(self) -> Array:
        """The transpose of each matrix of a stack; IndexError for fewer than two dimensions."""
        return _array(self.transpose(-2, -1), ())

    def to_device(self, device: Any, /, *, stream: Any = None) -> Array:
        """The same array on another device; the CPU knows no streams.

        Raises:
            ValueError: a stream is given.

        >>> import framework.array_api as xp
        >>> xp.asarray([1, 2]).to_device("cpu")
        tensor([1, 2])
        """
        if stream is not None:
            raise ValueError(f"to_device: expected stream=None, but got {stream!r}")
        return _array(self.to(device), (self,))

    def __getitem__(self, key: Any, /) -> Array:
        key, turned = _upright(self, key)
        found = Tensor.__getitem__(self, key)
        return _array(found.flip(turned) if turned else found, ())

    def __setitem__(self, key: Any, value: Any, /) -> None:
        key, turned = _upright(self, key)
        if turned and isinstance(value, Tensor) and value.ndim:
            shape = Tensor.__getitem__(self, key).shape
            value = value.expand(shape).flip(turned)
        Tensor.__setitem__(self, key, value)

    __hash__ = Tensor.__hash__


def _upright(x: Tensor, key: Any) -> tuple[Any, tuple[int, ...]]:
    """``key`` with its slices of negative step run forwards; dimensions of the result to flip."""
    parts = key if isinstance(key, tuple) else (key,)
    if not any(isinstance(p, slice) and p.step is not None and p.step < 0 for p in parts):
        return key, ()
    consumed = sum(p is not None and p is not Ellipsis for p in parts)
    result: list[Any] = []
    turned = []
    dim = out = 0
    for p in parts:
        if p is Ellipsis:
            dim += x.ndim - consumed
            out += x.ndim - consumed
        elif p is None:
            out += 1
        elif isinstance(p, slice):
            if p.step is not None and p.step < 0:
                every = range(*p.indices(x.shape[dim]))[::-1]
                p = slice(every.start, every.stop, every.step) if every else slice(0, 0)
                turned.append(out)
            dim += 1
            out += 1
        elif isinstance(p, Tensor) and p.ndim:
            raise IndexError("slices of negative step cannot be combined with index arrays")
        else:
            dim += 1
        result.append(p)
    return tuple(result), tuple(turned)


def _array(result: Any, inputs: tuple[Any, ...]) -> Any:
    """A fresh tensor becomes an `Array`; of one of the ``inputs`` an alias does."""
    if isinstance(result, Tensor):
        if result.__class__ is not Array and any(result is x for x in inputs):
            result = result[...]
        if result.__class__ is Tensor:
            result.__class__ = Array
    elif isinstance(result, (tuple, list)) and any(x.__class__ is Tensor for x in result):
        parts = [_array(x, inputs) for x in result]
        kind = type(result)
        return kind(*parts) if hasattr(kind, "_make") else kind(parts)
    return result


def axis_of(name: str, axis: int, *xs: Tensor) -> int:
    """An axis, counted from the front in the first of the arrays; all of them must have it.

    Raises:
        IndexError: it is out of range.
    """
    for x in xs:
        if not -x.ndim <= axis < x.ndim:
            raise IndexError(f"{name}: axis {axis} is out of range for {x.ndim} dimensions")
    return axis % xs[0].ndim


def standard(call: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of tensors return arrays."""

    @functools.wraps(call)
    def function(*args: Any, **options: Any) -> Any:
        return _array(call(*args, **options), args)

    home = call.__module__.removeprefix("framework.array_api.")
    inner = f"{home}." if home in ("fft", "linalg") else ""
    function.__doc__ = completed(f"array_api.{inner}{call.__name__}", call.__doc__ or "")
    return function


def operators(functions: dict[str, Callable[..., Any]]) -> None:
    """Give `Array` the operators that stand for these functions of the standard."""
    for symbol, name in _BINARY.items():
        call = functions[name]
        setattr(Array, f"__{symbol}__", _operator(f"__{symbol}__", call))
        if symbol in _COMPARISONS:
            continue
        setattr(Array, f"__r{symbol}__", _operator(f"__r{symbol}__", call, reflected=True))
        setattr(Array, f"__i{symbol}__", _inplace(f"__i{symbol}__", call))
    for symbol, name in _UNARY.items():
        setattr(Array, f"__{symbol}__", _operator(f"__{symbol}__", functions[name]))


_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "pow", "matmul": "matmul",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal",
}  # fmt: skip
_UNARY = {"abs": "abs", "neg": "negative", "pos": "positive", "invert": "bitwise_invert"}


def _operator(name: str, call: Callable[..., Any], reflected: bool = False) -> Any:
    def binary(self: Array, other: Any, /) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        return call(other, self) if reflected else call(self, other)

    def unary(self: Array, /) -> Any:
        return call(self)

    method = unary if name[2:-2] in _UNARY else binary
    method.__name__ = name
    method.__qualname__ = f"Array.{name}"
    method.__doc__ = f"`{call.__name__}`."
    return method


_OPERANDS = (Tensor, bool, int, float, complex)


def _inplace(name: str, call: Callable[..., Any]) -> Any:
    def same_type(x: Array, other: Any, /) -> Any:
        return call(x, other).to(x.dtype)

    write = inplace_twin(same_type, name)

    def method(self: Array, other: Any, /) -> Any:
        return write(self, other) if isinstance(other, _OPERANDS) else NotImplemented

    method.__name__ = name
    method.__qualname__ = f"Array.{name}"
    method.__doc__ = f"`{call.__name__}`, written into this array."
    return method
