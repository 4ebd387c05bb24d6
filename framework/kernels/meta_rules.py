"""What NumPy's functions would give for arrays without memory: shape, dtype and order.

A ufunc's dtype is asked of the ufunc itself, by a call on empty arrays. Other functions have a rule
here, or are written in terms of those that have one (`_PLAIN`); all else is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from framework.kernels.meta import ByValue, MetaArray, _new, meta_array, meta_like, no_data, ordered
from framework.layout import dense_order

__all__ = ["indexed_shape", "is_basic", "of_function", "of_ufunc", "reshaped"]


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic))


# -- ufuncs ------------------------------------------------------------------------------------


def of_ufunc(ufunc: Any, method: str, inputs: Any, out: Any, options: dict[str, Any]) -> Any:
    """The result of a call or a method of a ufunc; what it would be written to stays as it is."""
    if method == "at":
        return None
    if method == "__call__":
        made = _of_call(ufunc, inputs, options)
    elif method == "outer":
        made = _outer(ufunc, inputs, options)
    else:
        made = _of_method(ufunc, method, inputs, options)
    if out is None:
        return made
    given = out if isinstance(out, tuple) else (out,)
    results = made if isinstance(made, tuple) else (made,)
    for o, r in zip(given, results):
        if o is not None and np.broadcast_shapes(o.shape, r.shape) != o.shape:
            raise ValueError(
                f"non-broadcastable output operand with shape {o.shape} doesn't match the "
                f"broadcast shape {r.shape}"
            )
    whole = tuple([r if o is None else o for o, r in zip(given, results)])
    return whole if isinstance(made, tuple) else whole[0]


def _of_call(ufunc: Any, inputs: Any, options: dict[str, Any]) -> Any:
    kinds = _dtypes(ufunc, inputs, options.get("dtype"))
    if ufunc.signature is not None:
        shapes = _core_shapes(ufunc.signature, [np.shape(i) for i in inputs], options)
        made = tuple([meta_array(s, k) for s, k in zip(shapes, kinds)])
    else:
        shape = np.broadcast_shapes(*[np.shape(i) for i in inputs])
        operands = [i for i in inputs if _is_array(i)]
        made = tuple([_new(operands, shape, k) for k in kinds])
    return made if len(made) > 1 else made[0]


def _outer(ufunc: Any, inputs: Any, options: dict[str, Any]) -> Any:
    a, b = inputs
    kind = _dtypes(ufunc, inputs, options.get("dtype"))[0]
    return meta_array((*np.shape(a), *np.shape(b)), kind)


def _dtypes(ufunc: Any, inputs: Any, dtype: Any = None) -> tuple[Any, ...]:
    """The types of the results."""
    asked = tuple([i.dtype if _is_array(i) else _scalar(i) for i in inputs])
    return _asked(ufunc, asked, dtype)


def _scalar(value: Any) -> Any:
    """A Python number by its type, but a list as the array that it stands for."""
    return (
        type(value) if isinstance(value, (bool, int, float, complex)) else np.asarray(value).dtype
    )


@lru_cache(maxsize=4096)
def _asked(ufunc: Any, inputs: tuple[Any, ...], dtype: Any) -> tuple[Any, ...]:
    cores = _cores(ufunc.signature)[0] if ufunc.signature else [()] * len(inputs)
    probes = [
        kind(1) if isinstance(kind, type) else np.ones((1,) * max(len(core), 1), kind)
        for kind, core in zip(inputs, cores)
    ]
    with np.errstate(all="ignore"):
        found = ufunc(*probes) if dtype is None else ufunc(*probes, dtype=dtype)
    return tuple([f.dtype for f in (found if isinstance(found, tuple) else (found,))])


def _cores(signature: str) -> tuple[list[list[str]], list[list[str]]]:
    """ "(m,n),(n)->(m)" as lists of names."""
    sides = []
    for side in signature.split("->"):
        parts = side.strip()[1:-1].split("),(")
        sides.append([[n for n in part.split(",") if n] for part in parts])
    return sides[0], sides[1]


def _core_shapes(signature: str, shapes: list[Any], options: Any) -> list[tuple[int, ...]]:
    """The shapes of a generalised ufunc's results (matmul, vecdot)."""
    if "axis" in options or "axes" in options:
        raise no_data()
    given, wanted = _cores(signature)
    sizes: dict[str, int] = {}
    batches, absent = [], set()
    for shape, names in zip(shapes, given):
        optional = [n for n in names if n.endswith("?")]
        missing = len(names) - len(shape)
        if missing > len(optional):
            raise ValueError("matmul: an operand does not have enough dimensions")
        gone = set(optional[: max(missing, 0)])
        absent |= gone
        here = [n for n in names if n not in gone]
        core = shape[len(shape) - len(here) :]
        batches.append(shape[: len(shape) - len(here)])
        for name, n in zip(here, core):
            if sizes.setdefault(name.rstrip("?"), n) != n:
                raise ValueError(
                    f"matmul: Input operand has a mismatch in its core dimension, with gufunc "
                    f"signature {signature} (size {n} is different from "
                    f"{sizes[name.rstrip('?')]})"
                )
    batch = np.broadcast_shapes(*batches)
    return [(*batch, *[sizes[n.rstrip("?")] for n in names if n not in absent]) for names in wanted]


def _of_method(ufunc: Any, method: str, inputs: Any, options: dict[str, Any]) -> Any:
    """``reduce``, ``accumulate`` or ``reduceat``, whose arguments may be given by position."""
    names = {"reduceat": ("indices", "axis", "dtype", "out")}.get(method, ("axis", "dtype", "out"))
    given = {**dict(zip(names, inputs[1:])), **options}
    a, axis = inputs[0], given.get("axis", 0)
    a = a if _is_array(a) else np.asarray(a)
    kind = _reduced_type(ufunc, method, a.dtype, given.get("dtype"))
    if method == "accumulate":
        normalize_axis_index(axis, a.ndim)
        return _new([a], a.shape, kind)
    if method == "reduceat":
        at = normalize_axis_index(axis, a.ndim)
        return meta_array((*a.shape[:at], len(given["indices"]), *a.shape[at + 1 :]), kind)
    axes = range(a.ndim) if axis is None else normalize_axis_tuple(axis, a.ndim)
    rest = _without(a.shape, axes, False)
    if ufunc.identity is None and given.get("initial") is None and not a.size and 0 not in rest:
        raise ValueError(
            f"zero-size array to reduction operation {ufunc.__name__} which has no identity"
        )
    keep = given.get("keepdims") is True
    made = meta_array(_without(a.shape, axes, keep), kind)
    made.passes = ufunc is np.logical_and
    return made


@lru_cache(maxsize=1024)
def _reduced_type(ufunc: Any, method: str, given: Any, dtype: Any) -> Any:
    options = {} if dtype is None else {"dtype": dtype}
    more = ([0],) if method == "reduceat" else ()
    return np.asarray(getattr(ufunc, method)(np.ones(1, given), *more, **options)).dtype


def _without(shape: Any, axes: Any, keep: bool) -> tuple[int, ...]:
    axes = set(axes)
    if keep:
        return tuple([1 if d in axes else n for d, n in enumerate(shape)])
    return tuple([n for d, n in enumerate(shape) if d not in axes])


# -- indices -----------------------------------------------------------------------------------


def is_basic(index: Any) -> bool:
    """Whether an index takes a view."""
    items = index if isinstance(index, tuple) else (index,)
    return all(
        i is None or i is Ellipsis or isinstance(i, (slice, np.integer))
        or (isinstance(i, int) and not isinstance(i, bool))
        for i in items
    )  # fmt: skip


def indexed_shape(shape: Any, index: Any) -> tuple[int, ...]:
    """The shape that NumPy's advanced indexing gives.

    Raises:
        ByValue: the index is a mask without numbers.
    """
    items: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        if item is None or item is Ellipsis or isinstance(item, slice):
            items.append(item)
            continue
        array = item if _is_array(item) else np.asarray(item)
        if array.dtype.kind != "b":
            items.append(array)
        elif isinstance(array, MetaArray):
            raise ByValue("index by a mask")
        else:
            items += list(array.nonzero()) if array.ndim else [np.zeros(int(array), int), None]
    used = sum(i is not None and i is not Ellipsis for i in items)
    if used > len(shape):
        raise IndexError(
            f"too many indices for array: array is {len(shape)}-dimensional, but {used} were "
            "indexed"
        )
    at = next((k for k, i in enumerate(items) if i is Ellipsis), len(items))
    items[at : at + 1] = [slice(None)] * (len(shape) - used)
    where = [k for k, i in enumerate(items) if i is not None and not isinstance(i, slice)]
    together = where[-1] - where[0] + 1 == len(where)
    whole = np.broadcast_shapes(*[items[k].shape for k in where])
    result: list[int] = []
    lengths = iter(shape)
    front = 0
    for k, item in enumerate(items):
        if item is None:
            result.append(1)
            continue
        n = next(lengths)
        if isinstance(item, slice):
            result.append(len(range(*item.indices(n))))
        elif k == where[0]:
            front = len(result)
    place = front if together else 0
    return (*result[:place], *whole, *result[place:])


def reshaped(a: Any, shape: Any, copy: Any = None) -> Any:
    """A view in another shape, or an array of that shape where no view has it."""
    wanted = list(shape) if isinstance(shape, (tuple, list)) else [shape]
    if -1 in wanted:
        rest = math.prod(n for n in wanted if n != -1)
        wanted[wanted.index(-1)] = a.size // rest if rest else 0
    if math.prod(wanted) != a.size or min(wanted, default=0) < 0:
        raise ValueError(f"cannot reshape array of size {a.size} into shape {tuple(shape)}")
    whole = tuple(wanted)
    strides = _view_strides(a.shape, a.strides, whole, a.itemsize)
    if strides is None or copy:
        if copy is False:
            raise ValueError("Unable to avoid creating a copy while reshaping.")
        return meta_array(whole, a.dtype)
    return _view(a, whole, strides)


def _view(a: Any, shape: Any, strides: Any) -> Any:
    """Another view of an array's addresses, from its first element on."""
    memory = a
    while isinstance(memory, MetaArray):
        memory = memory.base
    start = a.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    return np.ndarray.__new__(MetaArray, shape, a.dtype, memory, start, strides)


def _view_strides(shape: Any, strides: Any, wanted: Any, item: int) -> Any:
    """The strides of a reshaped view; None if there is none."""
    if 0 in shape:
        return np.empty(wanted, f"V{item}").strides
    blocks: list[list[int]] = []  # dimensions that lie as one: [length, stride of the last]
    for n, s in zip(shape, strides):
        if n == 1:
            continue
        if blocks and blocks[-1][1] == n * s:
            blocks[-1] = [blocks[-1][0] * n, s]
        else:
            blocks.append([n, s])
    result: list[int] = []
    left, step = 1, item
    for n in reversed(wanted):
        if n != 1 and left == 1:
            left, step = blocks.pop()
        if left % n:
            return None
        result.append(step)
        left, step = left // n, step * n
    return tuple(reversed(result))


# -- functions ---------------------------------------------------------------------------------

_RULES: dict[Any, Callable[..., Any]] = {}


def _rule(*functions: Any) -> Callable[[Any], Any]:
    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        _RULES.update(dict.fromkeys(functions, rule))
        return rule

    return register


# Written in terms of ufuncs, methods, indices and the functions below.
_PLAIN = {
    np.sum, np.prod, np.max, np.min, np.amax, np.amin, np.any, np.all, np.mean, np.std, np.var,
    np.clip, np.moveaxis, np.swapaxes, np.transpose, np.expand_dims, np.squeeze, np.stack,
    np.vstack, np.hstack, np.split, np.array_split, np.atleast_1d, np.atleast_2d, np.flip,
    np.flipud, np.fliplr, np.roll, np.rot90, np.tril, np.triu, np.diff, np.take_along_axis,
    np.put_along_axis, np.cumsum, np.cumprod, np.ndim, np.shape, np.size, np.may_share_memory,
    np.shares_memory, np.result_type, np.can_cast, np.ravel, np.reshape, np.diagonal, np.real,
    np.imag, np.iscomplexobj, np.isrealobj, np.nansum, np.sinc, np.i0,
    np.column_stack, np.tile, np.meshgrid, np.rollaxis, np.append, np.linalg.norm, np.ptp,
    np.min_scalar_type, np.common_type, np.dstack, np.angle, np.matrix_transpose,
}  # fmt: skip


_BY_VALUE = {
    np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.bincount, np.compress, np.extract,
    np.unique_values, np.unique_counts, np.unique_inverse, np.unique_all, np.trim_zeros,
    np.intersect1d, np.union1d, np.setdiff1d, np.setxor1d, np.isin,
}  # fmt: skip


def of_function(func: Any, args: Any, kwargs: Any) -> Any:
    """The result of a function of NumPy's that is no ufunc."""
    rule = _RULES.get(func)
    if rule is not None:
        return rule(*args, **kwargs)
    if func in _PLAIN:
        return func._implementation(*args, **kwargs)
    if func in _BY_VALUE:
        raise ByValue(func.__name__)
    raise no_data()


@_rule(np.empty_like, np.zeros_like, np.ones_like)
def _like(a: Any, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None) -> Any:
    kind = a.dtype if dtype is None else dtype
    if shape is None and order != "C":
        return meta_like(a, kind)
    given = a.shape if shape is None else shape
    return meta_array(given if isinstance(given, (tuple, list)) else (given,), kind)


@_rule(np.full_like)
def _full_like(a: Any, fill_value: Any, dtype: Any = None, *rest: Any, **options: Any) -> Any:
    return _like(a, dtype, *rest, **options)


@_rule(np.round, np.around, np.fix, np.nan_to_num)
def _same(a: Any, *args: Any, **options: Any) -> Any:
    return meta_like(a)


@_rule(np.copy)
def _copy(a: Any, order: Any = "K", subok: Any = False) -> Any:
    return a.copy(order)


@_rule(np.copyto)
def _copyto(dst: Any, src: Any, *args: Any, **options: Any) -> None:
    if not isinstance(dst, MetaArray):
        raise no_data()


@_rule(np.broadcast_to)
def _broadcast_to(array: Any, shape: Any, subok: Any = False) -> Any:
    whole = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    new = len(whole) - array.ndim
    if new < 0 or np.broadcast_shapes(array.shape, whole) != whole:
        raise ValueError(
            f"operands could not be broadcast together with remapped shapes [original->remapped]: "
            f"{array.shape} and requested shape {whole}"
        )
    own = [0 if n == 1 != m else s for n, m, s in zip(array.shape, whole[new:], array.strides)]
    return _view(array, whole, (*[0] * new, *own))


@_rule(np.broadcast_arrays)
def _broadcast_arrays(*arrays: Any, subok: Any = False) -> Any:
    shape = np.broadcast_shapes(*[np.shape(a) for a in arrays])
    return tuple([np.broadcast_to(a, shape) for a in arrays])


@_rule(np.concatenate)
def _concatenate(
    arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, **k: Any
) -> Any:
    parts = [a if _is_array(a) else np.asarray(a) for a in arrays]
    kind = np.result_type(*[a.dtype for a in parts]) if dtype is None else dtype
    if axis is None:
        return meta_array((sum(a.size for a in parts),), kind)
    first = parts[0]
    at = normalize_axis_index(axis, first.ndim)
    rest = _without(first.shape, (at,), False)
    for a in parts:
        if a.ndim != first.ndim or _without(a.shape, (at,), False) != rest:
            raise ValueError(
                "all the input array dimensions except for the concatenation axis must match "
                f"exactly, but got {[a.shape for a in parts]}"
            )
    shape = (*rest[:at], sum(a.shape[at] for a in parts), *rest[at:])
    orders = {dense_order(a) for a in parts if a.size}
    order = orders.pop() if len(orders) == 1 else tuple(range(first.ndim))
    return ordered(shape, kind, order) if out is None else out


@_rule(np.where)
def _where(condition: Any, *choices: Any) -> Any:
    if not choices:
        raise ByValue("where")
    shape = np.broadcast_shapes(*[np.shape(a) for a in (condition, *choices)])
    kind = np.result_type(*[a.dtype if _is_array(a) else a for a in choices])
    operands = [a for a in (condition, *choices) if _is_array(a)]
    return _new(operands, shape, kind)


@_rule(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    if np.ndim(a) and np.ndim(b) and np.ndim(b) < 3:
        return np.matmul(a, b)
    if not np.ndim(a) or not np.ndim(b):
        return np.multiply(a, b)
    raise no_data()


@_rule(np.take)
def _take(a: Any, indices: Any, axis: Any = None, *args: Any, **options: Any) -> Any:
    if axis is None:
        return meta_array(np.shape(indices), a.dtype)
    at = normalize_axis_index(axis, a.ndim)
    return meta_array((*a.shape[:at], *np.shape(indices), *a.shape[at + 1 :]), a.dtype)


@_rule(np.repeat)
def _repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    if isinstance(repeats, MetaArray):
        raise ByValue("repeat")
    at, shape = (0, (a.size,)) if axis is None else (normalize_axis_index(axis, a.ndim), a.shape)
    times = np.broadcast_to(np.asarray(repeats).reshape(-1), (shape[at],)).sum()
    return meta_array((*shape[:at], int(times), *shape[at + 1 :]), a.dtype)


@_rule(np.sort, np.partition)
def _sort(a: Any, *args: Any, **options: Any) -> Any:
    return meta_like(a)


@_rule(np.argsort, np.argpartition)
def _argsort(a: Any, *args: Any, **options: Any) -> Any:
    return meta_like(a, np.intp)


@_rule(np.lexsort)
def _lexsort(keys: Any, axis: Any = -1) -> Any:
    return meta_like(keys[0], np.intp)


@_rule(np.argmax, np.argmin)
def _argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
    axes = range(a.ndim) if axis is None else (normalize_axis_index(axis, a.ndim),)
    return meta_array(_without(a.shape, axes, keepdims is True), np.intp)


@_rule(np.searchsorted)
def _searchsorted(a: Any, v: Any, *args: Any, **options: Any) -> Any:
    return meta_array(np.shape(v), np.intp)


@_rule(np.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    if isinstance(axes, int):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    mine, other = (normalize_axis_tuple(x, t.ndim) for x, t in zip(axes, (a, b)))
    if [a.shape[d] for d in mine] != [b.shape[d] for d in other]:
        raise ValueError("shape-mismatch for sum")
    shape = (*_without(a.shape, mine, False), *_without(b.shape, other, False))
    return meta_array(shape, np.result_type(a.dtype, b.dtype))


@_rule(np.pad)
def _pad(array: Any, pad_width: Any, *args: Any, **options: Any) -> Any:
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2))
    shape = [n + int(a) + int(b) for n, (a, b) in zip(array.shape, widths)]
    return meta_array(shape, array.dtype)
