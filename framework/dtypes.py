"""Data types, and PyTorch's rules for mixing them.

The table is PyTorch's, not NumPy's: they differ for 14 of 121 pairs, for integer division, for
0-d tensors and for Python scalars, and a dict lookup is ten times cheaper than `np.result_type`.
"""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

__all__ = [
    "BOOL", "INT", "FLOAT", "COMPLEX",
    "NAMES", "bfloat16", "bool_", "can_cast", "category", "complex128", "complex64", "converted",
    "dtype", "finfo", "float16", "float32", "float64", "from_numpy_dtype", "get_default_dtype",
    "iinfo", "int16", "int32", "int64", "int8", "of_numpy", "promote_types", "result_type",
    "scalar_dtype", "set_default_dtype", "to_dtype", "uint16", "uint32", "uint64", "uint8",
]  # fmt: skip

BOOL, INT, FLOAT, COMPLEX = range(4)  # categories; a higher one wins a promotion


class dtype:
    """A tensor's element type, as in ``torch.float32``.

    Attributes: itemsize (bytes), is_floating_point, is_complex, is_signed.

    >>> import framework as torch
    >>> torch.float16.itemsize, torch.float16.is_floating_point
    (2, True)
    """

    __slots__ = ("category", "itemsize", "name", "numpy")

    def __init__(self, name: str, numpy_type: Any, category: int) -> None:
        self.name = name
        self.numpy = np.dtype(numpy_type)
        self.category = category
        self.itemsize = self.numpy.itemsize

    @property
    def is_floating_point(self) -> bool:
        """Whether its numbers are real and have fractions."""
        return self.category == FLOAT

    @property
    def is_complex(self) -> bool:
        """Whether its numbers are complex."""
        return self.category == COMPLEX

    @property
    def is_signed(self) -> bool:
        """Whether it has negative numbers."""
        return self.numpy.kind not in "bu"

    def to_real(self) -> dtype:
        """The real type of a complex one; itself otherwise.

        >>> import framework as torch
        >>> torch.complex128.to_real()
        torch.float64
        """
        return {complex64: float32, complex128: float64}.get(self, self)

    def to_complex(self) -> dtype:
        """The complex type that holds this one.

        >>> import framework as torch
        >>> torch.float64.to_complex()
        torch.complex128
        """
        return {float64: complex128, complex128: complex128}.get(self, complex64)

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self.name == "bool" else self.name


bool_ = dtype("bool", np.bool_, BOOL)
uint8 = dtype("uint8", np.uint8, INT)
int8 = dtype("int8", np.int8, INT)
int16 = dtype("int16", np.int16, INT)
int32 = dtype("int32", np.int32, INT)
int64 = dtype("int64", np.int64, INT)
uint16 = dtype("uint16", np.uint16, INT)
uint32 = dtype("uint32", np.uint32, INT)
uint64 = dtype("uint64", np.uint64, INT)
float16 = dtype("float16", np.float16, FLOAT)
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, FLOAT)
float32 = dtype("float32", np.float32, FLOAT)
float64 = dtype("float64", np.float64, FLOAT)
complex64 = dtype("complex64", np.complex64, COMPLEX)
complex128 = dtype("complex128", np.complex128, COMPLEX)

ALL = (
    bool_, uint8, int8, int16, int32, int64, uint16, uint32, uint64,
    float16, bfloat16, float32, float64, complex64, complex128,
)  # fmt: skip

from_numpy_dtype: dict[np.dtype, dtype] = {d.numpy: d for d in ALL}
category: dict[np.dtype, int] = {d.numpy: d.category for d in ALL}

# What numbers an integer type can be given; negative ones stand for bits of an unsigned type.
_bounds: dict[dtype, tuple[int, int]] = {}
for _type in ALL:
    if _type.category == INT:
        _high = int(np.iinfo(_type.numpy).max)
        _bounds[_type] = (-_high if _type.numpy.kind == "u" else -_high - 1, _high)

# PyTorch's names of the types in messages and in the names of its older tensor classes.
NAMES = {
    bool_: "Bool", uint8: "Byte", int8: "Char", int16: "Short", int32: "Int", int64: "Long",
    uint16: "UInt16", uint32: "UInt32", uint64: "UInt64", float16: "Half", bfloat16: "BFloat16",
    float32: "Float", float64: "Double", complex64: "ComplexFloat", complex128: "ComplexDouble",
}  # fmt: skip

_default = float32


def get_default_dtype() -> dtype:
    """The floating type of Python floats, and of integers divided: float32 unless set.

    >>> import framework as torch
    >>> torch.get_default_dtype(), torch.tensor(1.5).dtype, (torch.tensor(1) / 2).dtype
    (torch.float32, torch.float32, torch.float32)
    """
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the type that `get_default_dtype` returns.

    Complex numbers get the complex type that belongs to it. TypeError for anything but a floating
    dtype.

    >>> import framework as torch
    >>> torch.set_default_dtype(torch.float64)
    >>> torch.tensor(1.5).dtype, torch.tensor(1j).dtype
    (torch.float64, torch.complex128)
    >>> torch.set_default_dtype(torch.float32)
    """
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, but got {d}")
    _default = d


def to_dtype(value: Any) -> dtype:
    """A dtype from a dtype or a Python type (float, int, bool, complex), which means its own."""
    if isinstance(value, dtype):
        return value
    found = _OF_PYTHON.get(value) if isinstance(value, type) else None
    if found is None:
        raise TypeError(f"expected a dtype such as torch.float32, but got {value!r}")
    return found


def of_numpy(value: Any) -> dtype:
    """A dtype from what NumPy takes for one: a name, a type, a dtype of its own, or of ours."""
    if isinstance(value, dtype):
        return value
    try:
        return from_numpy_dtype[np.dtype(value)]
    except (TypeError, KeyError):
        raise TypeError(f"expected a dtype such as torch.float32, but got {value!r}") from None


_OF_PYTHON = {float: float64, int: int64, bool: bool_, complex: complex128}


_BARE = frozenset({uint16, uint32, uint64})  # types that PyTorch mixes with floats only


class _Promotions(dict[tuple[dtype, dtype], dtype]):
    def __missing__(self, pair: tuple[dtype, dtype]) -> dtype:
        a, b = pair if pair[0] in _BARE else pair[::-1]
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
            f"{NAMES[a]} and {NAMES[b]}"
        )


def _promotable(a: dtype, b: dtype) -> bool:
    return a is b or not {a, b} & _BARE or FLOAT in (a.category, b.category)


def _promote(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    if a.category != b.category:
        low, high = sorted((a, b), key=lambda d: d.category)
        if high.category == COMPLEX and low is float64:
            return complex128
        return high
    if a.category == INT and uint8 in (a, b):
        other = b if a is uint8 else a
        return int16 if other is int8 else other
    if {a, b} == {float16, bfloat16}:
        return float32
    return a if a.itemsize > b.itemsize else b


_promotions = _Promotions(
    {(a, b): _promote(a, b) for a in ALL for b in ALL if _promotable(a, b)}
)  # fmt: skip


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type of PyTorch's lattice that both can be cast to.

    Raises:
        RuntimeError: uint16, uint32 or uint64 with a type that is neither the same nor a float.

    >>> import framework as torch
    >>> torch.promote_types(torch.int8, torch.uint8)
    torch.int16
    >>> torch.promote_types(torch.int64, torch.float16)
    torch.float16
    """
    _need_types("promote_types", type1=type1, type2=type2)
    return _promotions[type1, type2]


def _need_types(name: str, **given: Any) -> None:
    for place, (argument, value) in enumerate(given.items(), 1):
        if not isinstance(value, dtype):
            raise TypeError(
                f"{name}(): argument '{argument}' (position {place}) must be torch.dtype, not "
                f"{type(value).__name__}"
            )


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether a result of one type may be written into a tensor of another.

    Never downwards in bool < int < float < complex: ``out=`` and writes in place refuse that.

    TypeError for what is no dtype.

    >>> import framework as torch
    >>> torch.can_cast(torch.double, torch.float), torch.can_cast(torch.float, torch.int)
    (True, False)
    """
    _need_types("can_cast", from_=from_, to=to)
    return from_.category <= to.category


def scalar_dtype(value: Any) -> dtype:
    """The type that a bare Python scalar stands for."""
    if isinstance(value, bool):
        return bool_
    if isinstance(value, int):
        return int64
    if isinstance(value, float):
        return _default
    if isinstance(value, complex):
        return _default.to_complex()
    if isinstance(value, np.generic):
        return from_numpy_dtype[value.dtype]
    raise TypeError(f"expected a number, but got {type(value).__name__}")


# The types' names in PyTorch's message, where they are not theirs with a "_t" behind.
_CPP = {
    bool_: "bool", int32: "int", float16: "c10::Half", bfloat16: "c10::BFloat16",
    float32: "float", float64: "double",
    complex64: "c10::complex<float>", complex128: "c10::complex<double>",
}  # fmt: skip
_largest = {to: float(ml_dtypes.finfo(to.numpy).max) for to in ALL if to.category >= FLOAT}


def overflow(to: dtype) -> RuntimeError:
    """What to raise for a number that a type does not hold."""
    name = _CPP.get(to, f"{to.name}_t")
    return RuntimeError(f"value cannot be converted to type {name} without overflow")


def assigned(value: Any, to: dtype) -> Any:
    """`converted`, but that halves become infinite, as PyTorch has it for single numbers."""
    if to in (float16, bfloat16) and not isinstance(value, complex):
        with np.errstate(all="ignore"):
            return to.numpy.type(value)
    return converted(value, to)


def converted(value: Any, to: dtype) -> Any:
    """A Python number as a NumPy scalar of a type; fractions are cut off, as is a zero ``j``.

    Raises:
        RuntimeError: the type does not reach so far (of -1 an unsigned type has the bits, though,
            which is PyTorch's way, and infinities and NaN are floats).
    """
    if to is bool_:
        return to.numpy.type(value)
    fits = True
    if isinstance(value, complex):
        if to.category == COMPLEX:
            parts = (abs(value.real), abs(value.imag))
            fits = not any(_largest[to] < part < math.inf for part in parts)
        else:
            fits, value = not value.imag, value.real
    if to.category == INT:
        low, high = _bounds[to]
        if isinstance(value, float) and to.numpy.kind == "u":
            low = 0  # PyTorch wraps negative integers round, and refuses fractions
        fits = fits and math.isfinite(value) and low <= value <= high
        value = int(value) % (1 << 64) if fits and to.numpy.kind == "u" else value
    elif not isinstance(value, complex):
        fits = fits and not (_largest[to] < abs(value) < math.inf)
    if not fits:
        raise overflow(to)
    if to.category == INT:
        return np.asarray(int(value)).astype(to.numpy)[()]
    return to.numpy.type(value)


def _combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """PyTorch's combine_categories: the lower priority only counts for a higher category."""
    if higher is None or lower is None:
        return higher or lower
    if higher.category == COMPLEX:
        return higher
    if higher.category == FLOAT:
        return higher.to_complex() if lower.category == COMPLEX else higher
    if higher is bool_ or lower.category >= FLOAT:
        return _promotions[higher, lower]
    return higher


def result_type(*operands: Any) -> dtype:
    """The type that an op on these tensors, arrays and Python scalars computes in.

    Tensors with dimensions outrank 0-d tensors, which outrank Python scalars; a lower rank only
    matters when its category (bool < int < float < complex) is higher. ValueError for no operand,
    RuntimeError where `promote_types` refuses.

    RuntimeError for uint16, uint32 or uint64 with an integer of another type.

    >>> import framework as torch
    >>> torch.result_type(torch.ones(2, dtype=torch.int8), 3)
    torch.int8
    >>> torch.result_type(torch.ones(2, dtype=torch.int8), 3.0)
    torch.float32
    """
    dims: dtype | None = None
    zero: dtype | None = None
    number: dtype | None = None
    for x in operands:
        x = getattr(x, "_data", x)
        shape = getattr(x, "shape", None)
        if shape is None or isinstance(x, np.generic):
            d = scalar_dtype(x)
            number = d if number is None else _promotions[number, d]
            continue
        d = from_numpy_dtype[x.dtype]
        if len(shape):
            dims = d if dims is None else _promotions[dims, d]
        else:
            zero = d if zero is None else _promotions[zero, d]
    found = _combine(_combine(dims, zero), number)
    if found is None:
        raise ValueError("result_type: expected at least one operand")
    return found


class finfo:
    """Limits of a floating type, the default one unless given.

    Of a complex type those of its parts. Attributes: bits, eps, max, min, tiny (the smallest normal
    number, also smallest_normal), resolution, dtype. TypeError for an integer type.

    >>> import framework as torch
    >>> torch.finfo(torch.float32).eps, torch.finfo(torch.float16).max
    (1.1920928955078125e-07, 65504.0)
    """

    def __init__(self, type: dtype | None = None) -> None:
        self._dtype = _default if type is None else type
        _need_types("finfo", type=self._dtype)
        if self._dtype.category < FLOAT:
            raise TypeError(
                f"torch.finfo() requires a floating point input type, but got {self._dtype}"
            )
        real = self._dtype.to_real()
        info: Any = ml_dtypes.finfo(real.numpy)
        self.bits = real.itemsize * 8
        self.eps = float(info.eps)
        self.max = float(info.max)
        self.min = float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.resolution = float(10.0 ** -math.floor(-math.log10(self.eps)))
        self.dtype = real.name

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer type: bits, max, min, dtype. TypeError for another type.

    >>> import framework as torch
    >>> torch.iinfo(torch.int8)
    iinfo(min=-128, max=127, dtype=int8)
    """

    def __init__(self, type: dtype) -> None:
        _need_types("iinfo", type=type)
        if type.category != INT:
            raise TypeError(f"torch.iinfo() requires an integer input type, but got {type}")
        info = np.iinfo(type.numpy)
        self.bits, self.min, self.max = int(info.bits), int(info.min), int(info.max)
        self.dtype = type.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
