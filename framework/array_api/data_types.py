"""The standard's data types: which there are, how they mix, their limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from framework import dtypes
from framework.array_api.array import standard, torch
from framework.dtypes import BOOL, COMPLEX, FLOAT, INT, dtype
from framework.tensor import Tensor

__all__ = ["astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]

KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
KINDS["integral"] = KINDS["signed integer"] + KINDS["unsigned integer"]
KINDS["numeric"] = KINDS["integral"] + KINDS["real floating"] + KINDS["complex floating"]

STANDARD = {d.name: d for d in dtypes.ALL if d.name in (*KINDS["bool"], *KINDS["numeric"])}


@standard
def astype(x: Tensor, dtype: dtype, /, *, copy: bool = True, device: Any = None) -> Any:
    """``x`` in another type; without ``copy`` itself where that will do.

    Raises:
        TypeError: from a complex type to one that is not.

    The shape stays.

    >>> import framework.array_api as xp
    >>> xp.astype(xp.asarray([0, 2]), xp.bool)
    tensor([False,  True])
    """
    if x.dtype.category == COMPLEX > dtype.category:
        raise TypeError(
            f"astype: cannot cast {x.dtype} to {dtype}, which has no imaginary part; use real(x)"
        )
    result = x.to(device=x.device if device is None else device, dtype=dtype)
    return result.clone() if copy and result is x else result


def can_cast(from_: Any, to: dtype, /) -> bool:
    """Whether promotion leads from one type (an array's, perhaps) to another.

    Shapes do not matter. AttributeError for what is neither a type nor an array.

    >>> import framework.array_api as xp
    >>> xp.can_cast(xp.int8, xp.int16), xp.can_cast(xp.ones(2), xp.int16)
    (True, False)
    """
    given = from_.dtype if isinstance(from_, Tensor) else from_
    try:
        return promoted(given, to) is to
    except TypeError:
        return False


def promoted(a: dtype, b: dtype) -> dtype:
    """The type that arrays of two types compute in; 0-d ones count as any other.

    Raises:
        TypeError: uint64 with a signed integer: no integer holds both.
    """
    if a is b:
        return a
    if a.category == INT == b.category:
        common = np.promote_types(a.numpy, b.numpy)
        if common.kind == "f":
            raise TypeError(f"{a} and {b} have no common integer type: cast one of them")
        return dtypes.from_numpy_dtype[common]
    if {a, b} == {torch.float64, torch.complex64}:
        return torch.complex128
    if INT in (a.category, b.category) and {a.category, b.category} & {BOOL, COMPLEX}:
        return b if a.category < b.category else a
    return dtypes.promote_types(a, b)


def result_type(*arrays_and_dtypes: Any) -> dtype:
    """The type that the given arrays, types and Python numbers compute in.

    Raises:
        ValueError: there are only numbers.
        TypeError: uint64 with a signed integer: no integer holds both.

    >>> import framework.array_api as xp
    >>> xp.result_type(xp.ones(2, dtype=xp.int8), xp.uint8, 1)
    torch.int16
    """
    found: dtype | None = None
    numbers = []
    for x in arrays_and_dtypes:
        kind = x if isinstance(x, dtype) else getattr(x, "dtype", None)
        if kind is None:
            numbers.append(x)
        else:
            found = kind if found is None else promoted(found, kind)
    if found is None:
        raise ValueError("result_type: expected at least one array or data type")
    for x in numbers:
        number = dtypes.scalar_dtype(x)
        if number.category == COMPLEX:
            found = found.to_complex()
        elif number.category > found.category:
            found = number
    return found


@dataclass(frozen=True)
class _FloatInfo:
    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: dtype


@dataclass(frozen=True)
class _IntInfo:
    bits: int
    max: int
    min: int
    dtype: dtype


def finfo(type: Any, /) -> _FloatInfo:
    """Limits of a floating type (an array's, perhaps): those of its parts for a complex one.

    It has ``bits eps max min smallest_normal dtype``. TypeError for other types.

    >>> import framework.array_api as xp
    >>> xp.finfo(xp.complex128).dtype
    torch.float64
    """
    kind = type.dtype if isinstance(type, Tensor) else type
    info = dtypes.finfo(kind)
    real = kind.to_real()
    return _FloatInfo(info.bits, info.eps, info.max, info.min, info.smallest_normal, real)


def iinfo(type: Any, /) -> _IntInfo:
    """Limits of an integer type (an array's, perhaps): ``bits``, ``max``, ``min`` and ``dtype``.

    TypeError for another type.

    >>> import framework.array_api as xp
    >>> xp.iinfo(xp.int8).max, xp.iinfo(xp.int8).min
    (127, -128)
    """
    kind = type.dtype if isinstance(type, Tensor) else type
    info = dtypes.iinfo(kind)
    return _IntInfo(info.bits, info.max, info.min, kind)


def isdtype(dtype: dtype, kind: Any) -> bool:
    """Whether a type is of a kind: another type, a name such as "integral", or a tuple of them.

    ValueError for a name that is no kind: those are "bool", "signed integer", "unsigned integer",
    "integral", "real floating", "complex floating" and "numeric".

    >>> import framework.array_api as xp
    >>> xp.isdtype(xp.uint8, "integral"), xp.isdtype(xp.uint8, (xp.int8, "bool"))
    (True, False)
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if not isinstance(kind, str):
        return dtype is kind
    if kind not in KINDS:
        raise ValueError(f"isdtype: expected one of {', '.join(KINDS)} as kind, but got {kind!r}")
    if kind == "real floating":
        return dtype.category == FLOAT
    return dtype.name in KINDS[kind]


def same_type(*xs: Any) -> list[Any]:
    """Arrays and Python numbers, cast to the type that they compute in."""
    common = result_type(*xs)
    device = next(x.device for x in xs if isinstance(x, Tensor))
    return [
        x.to(common) if isinstance(x, Tensor) else torch.tensor(x, dtype=common, device=device)
        for x in xs
    ]
