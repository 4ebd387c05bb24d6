"""Arrays without memory: what a tensor on the ``meta`` device is made of.

A `MetaArray` is a NumPy array whose elements lie in addresses that are reserved and never touched,
so it costs nothing however large it is. It has a real shape, strides and dtype: views of it are
NumPy's own. Where NumPy would compute, the rules in `meta_rules` say what the result would look
like. The kernels run on such arrays as they are, and none of them has to know.

A kernel that insists on numbers (SciPy's routines, loops over values) fails, and is run on a small
stand-in of the same shapes instead; one whose result's shape depends on the numbers is refused.
"""

from __future__ import annotations

import math
import mmap
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.layout import dense_order, is_dense, laid_out, result_strides

__all__ = [
    "META_NUMPY", "SMALL", "ByValue", "MetaArray", "compute", "creation_without_numbers",
    "meta_array", "meta_like", "no_data", "not_for_meta",
]  # fmt: skip

SMALL = 1 << 20  # elements of the operands that a stand-in may have
NO_DATA = "Cannot copy out of meta tensor; no data!"

# Ops whose shapes, or whose sense, depend on numbers: the op, and what PyTorch calls it.
_BY_VALUE = {
    "nonzero": "nonzero", "masked_select": "masked_select", "unique": "_unique2", "equal": "equal",
    "argwhere": "nonzero", "bincount": "bincount", "unique_consecutive": "unique_consecutive",
}  # fmt: skip


class ByValue(NotImplementedError):
    """Somebody wanted numbers of an array that has none, and the result's shape depends on them."""


def no_data() -> Exception:
    """The complaint of who wants numbers of an array that has none."""
    return NotImplementedError(NO_DATA)


# -- addresses ---------------------------------------------------------------------------------

_SPANS = (1 << 45, 1 << 40, 1 << 36)  # of the reservation: the largest that the system grants
_ALIGN = 64


class _Addresses:
    """A reservation of addresses that is handed out again and again: nothing lies there."""

    def __init__(self) -> None:
        self.bytes: Any = None
        self.at = 0

    def take(self, size: int) -> Any:
        if self.bytes is None:
            self.bytes = _reserve()
        if size > self.bytes.size:
            raise MemoryError(f"a meta tensor of {size:,} bytes is larger than the address space")
        start = self.at if self.at + size <= self.bytes.size else 0
        self.at = (start + size + _ALIGN) // _ALIGN * _ALIGN
        return self.bytes[start : start + size]


def _reserve() -> Any:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    for span in _SPANS:
        try:
            return np.frombuffer(mmap.mmap(-1, span, flags, mmap.PROT_READ), np.uint8)
        except (OSError, ValueError, OverflowError):
            continue
    raise MemoryError("the system grants no addresses for meta tensors")


_addresses = _Addresses()


def meta_array(shape: Any, dtype: Any, strides: tuple[int, ...] | None = None) -> Any:
    """An array of that shape and no memory; ``strides`` in bytes, those of C order unless given."""
    kind = np.dtype(dtype)
    shape = tuple(shape)
    size = math.prod(shape) * kind.itemsize
    if strides is not None and size:
        size = sum((n - 1) * s for n, s in zip(shape, strides)) + kind.itemsize
    return np.ndarray.__new__(MetaArray, shape, kind, _addresses.take(size), 0, strides)


def ordered(shape: Any, dtype: Any, order: tuple[int, ...]) -> Any:
    """A meta array whose dimensions lie in that order, the outermost first."""
    made = meta_array([shape[d] for d in order], dtype)
    return made.transpose([order.index(d) for d in range(len(order))])


def meta_like(array: Any, dtype: Any = None) -> Any:
    """A meta array like another one, whose elements lie in the same order."""
    kind = array.dtype if dtype is None else np.dtype(dtype)
    return _new([array], array.shape, kind)


def _new(operands: Any, shape: Any, dtype: Any) -> Any:
    """The result of an elementwise computation."""
    kind = np.dtype(dtype)
    return meta_array(shape, kind, result_strides(tuple(shape), operands, kind.itemsize))


# -- the array ---------------------------------------------------------------------------------


# Ops whose kernels would make numbers first, and what comes out of them.
_RESULTS: dict[str, Callable[..., Any]] = {
    "dropout": lambda a, **meta: meta_like(a),
    "histc": lambda a, bins, **meta: meta_array((bins,), a.dtype),
    "isin": lambda a, b, **meta: meta_like(a, np.bool_),
    "segment_of": lambda lengths, n: meta_array((*lengths.shape[:-1], n), np.int64),
    "segment_reduce": lambda a, lengths, axis, **meta: meta_array(
        (*a.shape[:axis], lengths.shape[-1], *a.shape[axis + 1 :]), a.dtype
    ),
    "nonzero_static": lambda a, size, **meta: meta_array((size, a.ndim), np.int64),
}

# Ops that look at numbers only to refuse some, or to take a short way: they pass every check.
_CHECKING = frozenset(
    "bce bernoulli div_floor div_trunc embedding embedding_bag_max embedding_bag_mean "
    "embedding_bag_sum floor_divide fmod gather index index_put logaddexp masked_scatter "
    "max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d max_unpool3d multinomial nll_loss "
    "nll_loss_backward normal pow remainder scatter "
    "scatter_add scatter_reduce".split()
)


class _Passing(threading.local):
    """Whether such an op's kernel runs."""

    now = False


_passing = _Passing()


def _a_number(name: str, kind: Any) -> Callable[..., Any]:
    def method(self: Any) -> Any:
        if _passing.now and self.size == 1:
            return kind(self.passes)
        raise no_data()

    method.__name__ = name
    return method


def _no_numbers(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **options: Any) -> Any:
        raise no_data()

    method.__name__ = name
    return method


class MetaArray(np.ndarray):
    """See the module. Only what NumPy would compute without asking has methods here."""

    is_meta = True
    passes = False  # what it is taken for in a check: that of ``all`` holds

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        from framework.kernels.meta_rules import of_ufunc

        return of_ufunc(ufunc, method, inputs, out, options)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from framework.kernels.meta_rules import of_function

        return of_function(func, args, kwargs)

    def __getitem__(self, index: Any) -> Any:
        from framework.kernels.meta_rules import indexed_shape, is_basic

        if is_basic(index):
            items = index if isinstance(index, tuple) else (index,)
            whole = items if any(i is Ellipsis for i in items) else (*items, Ellipsis)
            return np.ndarray.__getitem__(self, whole)
        shape = indexed_shape(self.shape, index)
        first, *rest = index if isinstance(index, tuple) else (index,)
        rows = np.ndim(first) == 1 and all(i is Ellipsis or i == slice(None) for i in rest)
        if rows and not self.flags.c_contiguous:
            return ordered(shape, self.dtype, dense_order(self))
        return meta_array(shape, self.dtype)

    def __setitem__(self, index: Any, value: Any) -> None:
        from framework.kernels.meta_rules import indexed_shape, is_basic

        if is_basic(index):
            target = self[index].shape
        else:
            try:
                target = indexed_shape(self.shape, index)
            except ByValue:  # a mask: as many places as it says
                return
        given = np.shape(value)
        if np.broadcast_shapes(target, given) != target and math.prod(given) != math.prod(target):
            raise ValueError(
                f"could not broadcast input array from shape {given} into shape {target}"
            )

    def astype(  # type: ignore[override]
        self, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: bool = True,
        copy: bool = True,
    ) -> Any:  # fmt: skip
        if not copy and self.dtype == dtype:
            return self
        return meta_array(self.shape, dtype) if order == "C" else meta_like(self, dtype)

    def copy(self, order: Any = "C") -> Any:
        return meta_like(self) if order in ("K", "A") else meta_array(self.shape, self.dtype)

    def __copy__(self) -> Any:
        return meta_like(self)

    def __deepcopy__(self, memo: Any) -> Any:
        return meta_like(self)

    def reshape(self, *shape: Any, order: Any = "C", copy: Any = None) -> Any:
        from framework.kernels.meta_rules import reshaped

        return reshaped(self, shape[0] if len(shape) == 1 else shape, copy)

    def ravel(self, order: Any = "C") -> Any:
        return self.reshape(-1)

    def flatten(self, order: Any = "C") -> Any:
        return meta_array((self.size,), self.dtype)

    def fill(self, value: Any) -> None:
        pass

    def sort(self, axis: Any = -1, kind: Any = None, order: Any = None, **options: Any) -> None:
        pass

    def partition(self, *args: Any, **options: Any) -> None:
        pass

    def argsort(self, axis: Any = -1, **options: Any) -> Any:  # type: ignore[override]
        return np.argsort(self, axis)

    def argpartition(self, kth: Any, axis: Any = -1, **options: Any) -> Any:  # type: ignore[override]
        return np.argsort(self, axis)

    def argmax(self, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        return np.argmax(self, axis, keepdims=keepdims)

    def argmin(self, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        return np.argmax(self, axis, keepdims=keepdims)

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> Any:
        return np.take(self, indices, axis)

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        return np.repeat(self, repeats, axis)

    def dot(self, b: Any, out: Any = None) -> Any:
        return np.dot(self, b)

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return np.add.accumulate(self if axis is not None else self.ravel(), axis or 0, dtype)

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return np.multiply.accumulate(self if axis is not None else self.ravel(), axis or 0, dtype)

    def nonzero(self) -> Any:
        raise ByValue("nonzero")

    def round(self, decimals: Any = 0, out: Any = None) -> Any:
        return meta_like(self)

    def conj(self) -> Any:
        return meta_like(self) if self.dtype.kind == "c" else self

    conjugate = conj

    @property
    def real(self) -> Any:
        return super().real

    @real.setter
    def real(self, value: Any) -> None:
        pass

    @property
    def imag(self) -> Any:
        return super().imag if self.dtype.kind == "c" else meta_like(self)

    @imag.setter
    def imag(self, value: Any) -> None:
        pass

    def __reduce__(self) -> Any:
        return _again, (self.shape, self.dtype, self.strides)

    __reduce_ex__ = lambda self, protocol: self.__reduce__()  # noqa: E731

    item = _no_numbers("item")
    tolist = _no_numbers("tolist")
    tobytes = _no_numbers("tobytes")
    searchsorted = _no_numbers("searchsorted")
    compress = _no_numbers("compress")
    choose = _no_numbers("choose")
    trace = _no_numbers("trace")
    put = _no_numbers("put")
    __bool__ = _a_number("__bool__", bool)
    __int__ = _a_number("__int__", int)
    __float__ = _a_number("__float__", float)
    __complex__ = _a_number("__complex__", complex)
    __index__ = _a_number("__index__", int)
    __contains__ = _no_numbers("__contains__")

    def __repr__(self) -> str:
        return f"MetaArray(shape={self.shape}, dtype={self.dtype})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)


def _again(shape: Any, dtype: Any, strides: Any) -> Any:
    return meta_array(shape, dtype, strides)


class _MetaNumpy:
    """NumPy, as `kernels.module_of` gives it for meta arrays: what it makes has no memory."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def empty(shape: Any, dtype: Any = float, order: str = "C") -> Any:
        return meta_array(shape if isinstance(shape, (tuple, list)) else (shape,), dtype)

    zeros = ones = empty

    @staticmethod
    def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
        kind = np.asarray(fill_value).dtype if dtype is None else dtype
        return _MetaNumpy.empty(shape, kind)

    @staticmethod
    def asarray(a: Any, dtype: Any = None) -> Any:
        if not isinstance(a, MetaArray):
            a = meta_like(np.asarray(a, dtype))
        return a if dtype is None else a.astype(dtype, copy=False)

    array = asarray

    @staticmethod
    def arange(*args: Any, dtype: Any = None) -> Any:
        return meta_array((len(range(*args)),), np.int64 if dtype is None else dtype)

    @staticmethod
    def ascontiguousarray(a: Any, dtype: Any = None) -> Any:
        a = _MetaNumpy.asarray(a, dtype)
        return a if a.flags.c_contiguous else a.copy()


META_NUMPY: Any = _MetaNumpy()


# -- ops ---------------------------------------------------------------------------------------


def compute(record: Any, arrays: list[Any], meta: dict[str, Any]) -> Any:
    """The result of an op's kernel on meta arrays.

    Raises:
        NotImplementedError: it cannot be said without numbers.
    """
    if record.name in _BY_VALUE:
        raise NotImplementedError(not_for_meta(_BY_VALUE[record.name]))
    if "generator" in meta:
        meta = {**meta, "generator": _Unused()}
    _passing.now = record.name in _CHECKING
    try:
        result = _RESULTS.get(record.name, record.kernel)(*arrays, **meta)
    except ByValue:
        raise NotImplementedError(not_for_meta(record.name)) from None
    except Exception as error:  # whatever a kernel says of arrays without memory
        _passing.now = False
        result = _on_stand_ins(record, arrays, meta, error)
    finally:
        _passing.now = False
    return tuple([_as_meta(r) for r in result]) if isinstance(result, tuple) else _as_meta(result)


def creation_without_numbers(kernel: Any, dtype: Any, meta: dict[str, Any]) -> Any:
    """Run the kernel of a creation op; random numbers are neither drawn nor used up."""
    if "generator" in meta:
        meta = {**meta, "generator": _Unused()}
    return _as_meta(kernel(dtype=dtype, **meta))


class _Unused:
    """Stands for a `framework.random.Generator`, whose stream goes no further."""

    def uniform(self, shape: Any, dtype: Any) -> Any:
        return meta_array(shape, dtype)

    normal = uniform

    def integers(self, low: int, high: int, shape: Any) -> Any:
        return meta_array(shape, np.int64)

    def permutation(self, n: int) -> Any:
        return meta_array((n,), np.int64)

    def rejection(self) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:  # a distribution of NumPy's: poisson, binomial, ...
        if name.startswith("_"):
            raise AttributeError(name)

        def draw(*parameters: Any, size: Any = None) -> Any:
            shape = np.broadcast_shapes(*[np.shape(p) for p in parameters])
            return meta_array(shape if size is None else size, np.float64)

        return draw


def not_for_meta(name: str) -> str:
    """PyTorch's words about an op that has no shapes without numbers."""
    return (
        f"aten::{name}: attempted to run this operator with Meta tensors, but there was no fake "
        "impl or Meta kernel registered."
    )


def _as_meta(result: Any) -> Any:
    if isinstance(result, MetaArray):
        return result
    array = np.asarray(result) if not hasattr(result, "dtype") else result
    return meta_array(array.shape, array.dtype, array.strides if is_dense(array) else None)


def _on_stand_ins(record: Any, arrays: list[Any], meta: dict[str, Any], error: Exception) -> Any:
    """Run the kernel on numbers that hardly anything objects to; ``error``: why it must be."""
    if sum(getattr(a, "size", 1) for a in arrays) > SMALL:
        if isinstance(error, NotImplementedError):
            raise NotImplementedError(not_for_meta(record.name)) from None
        raise error
    with np.errstate(all="ignore"):
        return record.kernel(*[_stand_in(a) for a in arrays], **meta)


def _stand_in(array: Any) -> Any:
    """Identity matrices of floating types, zeros of others; lists of arrays one by one."""
    if isinstance(array, (list, tuple)):
        return type(array)([_stand_in(a) for a in array])
    if not isinstance(array, MetaArray):
        return array
    made = np.zeros(array.shape, array.dtype)
    if array.dtype.kind in "fcV" and array.size:
        n = min(made.shape[-2:]) if made.ndim > 1 else 0
        if n:
            made[..., range(n), range(n)] = 1
        else:
            made[...] = 1
    if array.flags.c_contiguous or 0 in array.strides or min(array.strides, default=0) < 0:
        return made
    return laid_out(made, array, None)
