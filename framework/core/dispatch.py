"""`apply`: the choke point that every op goes through.

Dtype rule, device check, kernel, wrapping, graph node, and one test whether a trace is being made.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from threading import get_ident
from time import perf_counter_ns
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.graph import Node, Version
from framework.core.mixed import refusal
from framework.core.modes import modes
from framework.core.registry import OPS, Op, composites
from framework.device import CPU, META, default
from framework.dtypes import FLOAT, INT
from framework.kernels import LinAlgError, SparseOperand, module_of, must_hold, on, to_device
from framework.kernels.cuda import kernel_of
from framework.kernels.meta import compute
from framework.kernels.pool import claim, no_memory
from framework.layout import as_type
from framework.quiet import again
from framework.trace import sink
from framework.trace.places import user_frame

__all__ = [
    "RULES", "apply", "composite", "no_derivative", "no_gradient", "one_device", "only_tensors",
    "run",
]  # fmt: skip

ndarray = np.ndarray

# What `core.interpose` puts between `apply` and the ops (vmap, autocast, ...) while it is in use.
interposer: Any = None

LONG = 8  # views of views, from which on the way to the last one is said by strides

# Types of which two of a kind need no rule: they are what all the rules make of them.
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
_SOME = 1 << 7  # elements from which on shapes are looked at
_HUGE = 1e38  # numbers beyond, infinities and NaN need a closer look
_as_array = np.asarray


class _Metas(dict[tuple[int, ...], tuple[Any, ...]]):
    """`Node.metas` of one CPU output of a type, by shape: all nodes share them.

    The garbage collector looks at every tuple and list of a graph again and again while it grows:
    with a list and a tuple of its own for each node, and more in what it saved, that was three
    quarters of the time of 10,000 small ops.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def __missing__(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        if len(self) > 10_000:
            self.clear()
        found = self[shape] = ((shape, self.dtype, CPU),)
        return found


SINGLES, DOUBLES = _Metas(SINGLE), _Metas(DOUBLE)

# Filled by framework.tensor, which stands above this layer.
Tensor: Any = None
wrap: Any = None
usual: set[Any] = set()  # of kinds of tensors: those that stand for nothing but their array


def apply(op: Op, /, *args: Any, **meta: Any) -> Any:
    """Run a primitive on tensors (or Python scalars); returns a tensor or a tuple of tensors.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit; names the op and the shapes.
    """
    if interposer is not None:
        found = interposer.op(op, args, meta)
        if found is not NotImplemented:
            return found
    recorder = sink.active
    if recorder is None or not (thread := recorder.thread) or thread != get_ident():
        return ((_quick(op, args, meta) if op.quick else None) or run(op, args, meta))[0]
    t0 = perf_counter_ns()
    try:
        out, node = (_quick(op, args, meta) if op.quick else None) or run(op, args, meta)
    except BaseException as error:
        recorder.op_error(op.name, args, meta, t0, error)
        raise
    recorder.op(op.name, args, meta, out, t0, node)
    return out


def run(op: Op, args: tuple[Any, ...], meta: dict[str, Any]) -> tuple[Any, Node | None]:
    """The result of any op, and the node that was made, if any."""
    arrays = []
    device = None
    wanted = False
    for a in args:
        if isinstance(a, Tensor):
            arrays.append(a._data)
            if a._rg or (a._base is not None and a._base._rg):
                wanted = True
            if a._device is not device:
                device = a._device if device is None else _common_device(op, args)
        else:
            arrays.append(a)
    if device is None and args:
        raise TypeError(_must_be_tensor(op.name, "input", 1, args[0]))
    rule = op.rule
    try:
        if rule is not None:
            arrays = (RULES[rule] if isinstance(rule, str) else rule)(arrays, args)
        if device is CPU or device is None:
            if op.moves:
                result = _timed(op.kernel, arrays, meta, meta["target"])
            else:
                spread = op.spread
                if spread is not None and arrays[0].__class__ is ndarray and arrays[0].size > _SOME:
                    result = spread(*arrays)
                else:
                    result = op.kernel(*arrays, **meta)
        else:
            arrays = _on_device(arrays, args, device)
            if device is META and not op.moves:
                result = compute(op, arrays, meta)
            else:
                kernel = op.cuda or kernel_of(op)
                if device.index == default.cuda:
                    if sink.active is None:
                        result = claim(kernel(*arrays, **meta), device)
                    else:
                        result = claim(_timed(kernel, arrays, meta, device), device)
                else:  # CuPy works on the current device
                    with on(device):
                        result = claim(_timed(kernel, arrays, meta, device), device)
    except FloatingPointError:
        return again(run, op, args, meta)
    except _EXPLAINED as error:
        if error.__class__ is SparseOperand and op.sparse is not None:
            found = op.sparse(*args, **meta)
            return found, found._edge[0] if found._edge is not None else None
        raise explained(op, args, error, meta) from None

    if op.moves:
        device = meta["target"]
    return _finish(op, args, meta, result, device, wanted)


def _timed(kernel: Any, arrays: list[Any], meta: dict[str, Any], device: Any) -> Any:
    """What a kernel makes; on a CUDA device it is measured if the values of the op are traced."""
    recorder = sink.active
    times = None if recorder is None or device.type != "cuda" else recorder.kernel_times()
    if times is None:
        return kernel(*arrays, **meta)
    before = times.mark(device)
    result = kernel(*arrays, **meta)
    times.around(device, before)
    return result


def _finish(
    op: Op, args: tuple[Any, ...], meta: dict[str, Any], result: Any, device: Any, wanted: bool
) -> tuple[Any, Node | None]:
    """Tensors of what the kernel returned, and the node if a gradient is ``wanted``."""
    out: Any
    outs: tuple[Any, ...]
    if result.__class__ is ndarray:
        out = wrap(result, device)
        outs = (out,)
    elif result.__class__ is tuple:
        outs = out = tuple([wrap(_array(r), device) for r in result])
    else:
        out = wrap(_array(result), device)
        outs = (out,)
    if op.view:
        _share(args[0], out, op, meta)
    if wanted and op.grad is not None and modes.grad:
        return out, _record(op, args, meta, outs)
    return out, None


def _quick(op: Op, args: tuple[Any, ...], meta: dict[str, Any]) -> tuple[Any, Node | None] | None:
    """`run` for most ops of most programs: one or two tensors of floats, of one type, no views.

    Written out, for of a small op the way through `run` is most of the time; None for other
    arguments, with which nothing has been done.
    """
    edges: tuple[Any, ...]
    key: tuple[bool, ...]
    metas: tuple[Any, ...]
    if len(args) == 2:
        a, b = args
        if not isinstance(a, Tensor) or not isinstance(b, Tensor):
            return _with_number(op, args, meta) if op.numbers else None
        x, y = a._data, b._data
        dtype = x.dtype
        if (
            dtype is not y.dtype
            or (dtype is not SINGLE and dtype is not DOUBLE)
            or x.__class__ is not ndarray
            or y.__class__ is not ndarray
            or a._device is not CPU
            or b._device is not CPU
            or a._base is not None
            or b._base is not None
        ):
            return None
        try:
            if x.size > _SOME and op.spread is not None and x.shape != y.shape:
                result = op.spread(x, y)
            else:
                result = op.kernel(x, y, **meta) if meta else op.kernel(x, y)
        except FloatingPointError:
            result = again(op.kernel, x, y, **meta)
        except _EXPLAINED as error:
            raise explained(op, args, error) from None
        if result.__class__ is not ndarray:
            return _finish(op, args, meta, result, CPU, a._rg or b._rg)
        out = wrap(result)
        if not (a._rg or b._rg) or op.grad is None or not modes.grad:
            return out, None
        edges = (
            (a if a._edge is None else a._edge) if a._rg else None,
            (b if b._edge is None else b._edge) if b._rg else None,
        )
        key = (a._rg, b._rg)
    else:
        (a,) = args
        if not isinstance(a, Tensor):
            return None
        x = a._data
        dtype = x.dtype
        if (
            (dtype is not SINGLE and dtype is not DOUBLE)
            or x.__class__ is not ndarray
            or a._device is not CPU
            or a._base is not None
        ):
            return None
        try:
            result = op.kernel(x, **meta) if meta else op.kernel(x)
        except FloatingPointError:
            result = again(op.kernel, x, **meta)
        except _EXPLAINED as error:
            raise explained(op, args, error) from None
        if result.__class__ is not ndarray:
            return _finish(op, args, meta, result, CPU, a._rg)
        out = wrap(result)
        if not a._rg or op.grad is None or not modes.grad:
            return out, None
        edges = (a if a._edge is None else a._edge,)
        key = (True,)
    plan = op.plans.get(key) or op.plan(key)
    saved: Any = [] if plan.inputs or plan.outputs else ()
    for i in plan.inputs:
        a = args[i]
        counter = a._counter
        saved.append(a if counter is None else (a, counter.value))
    data = out._data
    dtype = data.dtype
    if dtype is SINGLE:
        metas = SINGLES[data.shape]
    elif dtype is DOUBLE:
        metas = DOUBLES[data.shape]
    elif dtype.kind in "fcV":
        metas = ((data.shape, dtype, CPU),)
    else:
        return out, None
    if plan.outputs:
        counter = out._counter = Version()
        saved.append((data, counter, 0, CPU))
    node = Node(op, edges, meta, plan, saved, metas)
    out._rg = True
    out._edge = (node, 0)
    return out, node


def _with_number(
    op: Op, args: tuple[Any, ...], meta: dict[str, Any]
) -> tuple[Any, Node | None] | None:
    """`_quick` for a tensor and a number, which NumPy takes far longer to look at than to use."""
    a, b = args
    tensor, number = (a, b) if isinstance(a, Tensor) else (b, a)
    kind = number.__class__
    if (kind is not float and kind is not int) or not isinstance(tensor, Tensor):
        return None
    x = tensor._data
    dtype = x.dtype
    if (
        (dtype is not SINGLE and dtype is not DOUBLE)
        or x.__class__ is not ndarray
        or tensor._device is not CPU
        or tensor._base is not None
        or not -_HUGE < number < _HUGE
    ):
        return None
    y = _as_array(number, dtype)
    try:
        result = op.kernel(x, y, **meta) if tensor is a else op.kernel(y, x, **meta)
    except FloatingPointError:
        result = again(op.kernel, *((x, y) if tensor is a else (y, x)), **meta)
    except _EXPLAINED as error:
        raise explained(op, args, error) from None
    if result.__class__ is not ndarray:
        return _finish(op, args, meta, result, CPU, tensor._rg)
    out = wrap(result)
    if tensor._rg and op.grad is not None and modes.grad:
        return out, _record(op, args, meta, (out,))
    return out, None


def _record(op: Op, args: tuple[Any, ...], meta: dict[str, Any], outs: tuple[Any, ...]) -> Any:
    """Make the node of an applied op and point its differentiable outputs at it."""
    edges = []
    needs = []
    for a in args:
        edge = None
        if isinstance(a, Tensor):
            if a._base is not None:
                edge = edge_of(a)
            elif a._rg:
                edge = a if a._edge is None else a._edge
        edges.append(edge)
        needs.append(edge is not None)
    key = tuple(needs)
    plan = op.plans.get(key) or op.plan(key)
    saved: Any = [] if plan.inputs or plan.outputs else ()
    for i in plan.inputs:
        a = args[i]
        if isinstance(a, Tensor):
            counter = a._counter
            saved.append(a if counter is None else (a, counter.value))
        else:
            saved.append(a)
    for i in plan.outputs:
        o = outs[i]
        counter = o._counter
        if counter is None:
            counter = o._counter = Version()
        saved.append((o._data, counter, counter.value, o._device))
    if len(outs) == 1:  # nearly always
        out = outs[0]
        data = out._data
        dtype = data.dtype
        if dtype.kind not in "fcV":
            return None
        if dtype is SINGLE and out._device is CPU:
            metas: tuple[Any, ...] = SINGLES[data.shape]
        else:
            metas = ((data.shape, dtype, out._device),)
        node = Node(op, tuple(edges), meta, plan, saved, metas)
        out._rg = True
        out._edge = (node, 0)
        return node
    metas = tuple([(o._data.shape, o._data.dtype, o._device) for o in outs])
    floating = [dtype.kind in "fcV" for _, dtype, _ in metas]
    if not any(floating):
        return None
    node = Node(op, tuple(edges), meta, plan, saved, metas)
    for i, o in enumerate(outs):
        if floating[i]:
            o._rg = True
            o._edge = (node, i)
    return node


def edge_of(tensor: Any) -> Any:
    """Where a gradient for ``tensor`` goes: (node, output number), a leaf, or None."""
    base = tensor._base
    if (
        base is not None
        and (base._rg or tensor._edge is not None)
        and tensor._at != tensor._counter.value
    ):
        from framework.core.views import refresh

        refresh(tensor)
    if not tensor._rg:
        return None
    return tensor if tensor._edge is None else tensor._edge


def _share(source: Any, out: Any, op: Op, meta: dict[str, Any]) -> None:
    """``out`` may be a view of ``source``: share the version counter, remember the way."""
    if not isinstance(source, Tensor):
        return
    array, owner = source._data, out._data.base
    alien = owner is None or (owner is not array and owner is not array.base)
    if alien and out._data is not array and not _one_memory(array, out._data):
        return  # the kernel had to copy
    counter = source._counter
    if counter is None:
        counter = source._counter = Version()
    out._counter = counter
    base = source._base
    out._base = source if base is None else base
    if base is None:
        out._chain = ((op, meta),)
    else:
        chain = source._chain
        out._chain = _by_strides(base, out) if len(chain) >= LONG else None
        out._chain = out._chain or (*chain, (op, meta))
    try:
        out._at = counter.value
    except RuntimeError:  # of an inference tensor, which has none
        out._at = 0
    if not modes.grad:
        out._restricted = "no_grad"
    elif source._restricted:
        out._restricted = source._restricted


def _by_strides(base: Any, out: Any) -> Any:
    """A long way to a view in one step, so that a chain of views stays linear in its length.

    None where that step cannot be said: other numbers in the same memory, a base that has turned
    into a view itself, or batches.
    """
    data = out._data
    item = data.itemsize
    if (
        data.dtype != base._data.dtype
        or base._base is not None
        or interposer is not None
        or any(s < 0 or s % item for s in data.strides)
    ):
        return None
    target, source = (
        (tuple(t._data.shape), tuple(t.stride()), t.storage_offset()) for t in (out, base)
    )
    return ((OPS["as_strided"], {"target": target, "source": source}),)


def _one_memory(a: Any, b: Any) -> bool:
    """Whether two arrays are parts of one memory that is not NumPy's own, such as a file's."""
    return bool(module_of(a).may_share_memory(a, b))


def _array(value: Any) -> Any:
    """NumPy reductions of everything give scalars, which must never get into an expression."""
    if isinstance(value, (np.generic, bool, int, float, complex)):
        return np.asarray(value)
    return value


# -- dtype rules -----------------------------------------------------------------------------


def _promote(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """Cast all operands to their common type; Python scalars stay scalars where that is safe."""
    if len(arrays) == 2:
        a, b = arrays
        ta, tb = a.__class__, b.__class__
        if ta is tb:
            safe = a.dtype is b.dtype
        elif ta is ndarray and (tb is float or tb is int):
            safe = a.dtype.kind in "fc"
        else:
            safe = tb is ndarray and (ta is float or ta is int) and b.dtype.kind in "fc"
        if safe:
            return arrays
        if (tb is float or tb is int) and ta.__module__ == "cupy" and a.dtype.kind in "fcV":
            return [a, a.dtype.type(b)]
    return _cast(arrays, dtypes.result_type(*[a for a in arrays if a is not None]))


def _promote_float(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """As `_promote`, and integers become the default float type."""
    if len(arrays) == 1:
        a = arrays[0]
        if a.__class__ is ndarray and a.dtype.kind in "fcV":
            return arrays
    common = dtypes.result_type(*[a for a in arrays if a is not None])
    if common.category < FLOAT:
        common = dtypes.get_default_dtype()
    elif len(arrays) == 2:
        return _promote(arrays, args)
    return _cast(arrays, common)


def _cast(arrays: list[Any], common: dtypes.dtype) -> list[Any]:
    target = common.numpy
    if target.kind == "V":
        must_hold(target, next((a for a in arrays if hasattr(a, "astype")), CPU))
    result: list[Any] = []
    for a in arrays:
        if a is None:
            result.append(a)
        elif hasattr(a, "astype"):
            result.append(a if a.dtype == target else as_type(a, target))
        elif common.category == INT and isinstance(a, int) and not isinstance(a, bool):
            result.append(np.asarray(a, np.int64).astype(target))  # wraps, as in PyTorch
        else:
            result.append(np.asarray(a, target))
    return result


def _same(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """All tensors must already have one type: matmul and friends do not promote."""
    first = None
    for a in arrays:
        if hasattr(a, "dtype"):
            if first is None:
                first = a.dtype
            elif a.dtype != first:
                names = [dtypes.from_numpy_dtype[x.dtype] for x in arrays if hasattr(x, "dtype")]
                raise RuntimeError(
                    "expected all arguments to have the same dtype, but got "
                    + ", ".join(str(n) for n in names)
                )
    return arrays


def _first_tensor(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """As `_promote`; the first argument must be a tensor."""
    if arrays[0].__class__ is not ndarray:
        _must_have_dtype(arrays[:1])
    elif len(arrays) == 2 and arrays[1].__class__ is ndarray and arrays[0].dtype is arrays[1].dtype:
        return arrays
    return _promote(arrays, args)


def _all_tensors(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """As `_promote`; no argument may be a number."""
    if len(arrays) == 2:
        a, b = arrays
        if a.__class__ is ndarray and b.__class__ is ndarray and a.dtype is b.dtype:
            return arrays
    _must_have_dtype(arrays)
    return _promote(arrays, args)


def _all_tensors_float(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """As `_promote_float`; no argument may be a number."""
    _must_have_dtype(arrays)
    return _promote_float(arrays, args)


def _must_have_dtype(arrays: list[Any]) -> None:
    for i, a in enumerate(arrays):
        if a.__class__ is not ndarray and not hasattr(a, "dtype"):
            name = ("input", "other")[i] if len(arrays) < 3 else ("input", "tensor1", "tensor2")[i]
            raise TypeError(
                f"argument '{name}' (position {i + 1}) must be Tensor, not {type(a).__name__}"
            )


# By name; `framework.func.rules` takes all but "same" for promotions. Families of ops add theirs.
RULES: dict[Any, Callable[[list[Any], tuple[Any, ...]], list[Any]]] = {
    "promote": _promote,
    "float": _promote_float,
    "same": _same,
    "first": _first_tensor,
    "tensors": _all_tensors,
    "float_tensors": _all_tensors_float,
}


# -- devices ---------------------------------------------------------------------------------


def _common_device(op: Op, args: tuple[Any, ...]) -> Any:
    """0-d CPU tensors may meet CUDA tensors; anything else must live in one place."""
    tensors = [a for a in args if isinstance(a, Tensor)]
    wide = {t._device for t in tensors if t._data.ndim or t._device.type != "cpu"}
    if len(wide) > 1:
        named = list(dict.fromkeys(t._device for t in tensors if t._device in wide))
        raise RuntimeError(refusal(op.name, args, named))
    return wide.pop() if wide else tensors[0]._device


def one_device(name: str, *tensors: Any) -> None:
    """Refuse tensors on several devices of a function that is several ops here."""
    places = list(dict.fromkeys(t._device for t in tensors))
    if len(places) > 1:
        raise RuntimeError(refusal(name, tensors, places))


def _on_device(arrays: list[Any], args: tuple[Any, ...], device: Any) -> list[Any]:
    """0-d CPU operands of a CUDA op go along as arrays of that device, numbers as NumPy's scalars.

    A NumPy array, even one without dimensions, is nothing that CuPy's kernels take.
    """
    for x, a in zip(arrays, args):
        if a._device is not device if isinstance(a, Tensor) else x.__class__ is ndarray:
            break
    else:
        return arrays
    return [
        x[()] if x.__class__ is ndarray and not isinstance(a, Tensor)
        else to_device(x, device) if isinstance(a, Tensor) and a._device is not device
        else x
        for x, a in zip(arrays, args)
    ]  # fmt: skip


def no_gradient(function: str, **arguments: Any) -> None:
    """Refuse arguments that want a gradient of a function that has none for them, as PyTorch does.

    ``function`` is what PyTorch calls its kernel. Where tangents are pushed through, which takes a
    graph here, it goes by whether these have one.
    """
    if modes.forward:
        return
    for argument, value in arguments.items():
        if modes.grad and isinstance(value, Tensor) and value.requires_grad:
            raise RuntimeError(
                f"The function '{function}' is not differentiable with respect to argument "
                f"'{argument}'. This input cannot have requires_grad True."
            )


def no_derivative(name: str) -> Callable[[Any], Any]:
    """The gradient rule of an op whose result may want a gradient, but whose backward refuses."""

    def rule(g: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return rule


# -- errors ----------------------------------------------------------------------------------


def only_tensors(name: str, **arguments: Any) -> None:
    """Refuse arguments of function ``name`` that are no tensors; they are given in its order."""
    for position, (argument, value) in enumerate(arguments.items(), 1):
        if not isinstance(value, Tensor):
            raise TypeError(_must_be_tensor(name, argument, position, value))


def _must_be_tensor(name: str, argument: str, position: int, value: Any) -> str:
    return (
        f"{name}(): argument '{argument}' (position {position}) must be Tensor, not "
        f"{type(value).__name__}"
    )


# What a kernel may complain with; NotImplementedError is for a dtype that it is not defined for.
_EXPLAINED = (
    ValueError, TypeError, IndexError, MemoryError, OverflowError, NotImplementedError, LinAlgError,
)  # fmt: skip


def explained(
    op: Op, args: tuple[Any, ...], error: Exception, meta: dict[str, Any] | None = None
) -> Exception:
    """A kernel's complaint in PyTorch's words where known, always with the op and the shapes."""
    shapes = [list(a._data.shape) for a in args if isinstance(a, Tensor)]
    if isinstance(error, MemoryError):
        made = meta or {}  # of a tensor that is made: its shape and its device
        shown = f" (shapes {' and '.join(map(str, shapes))})" if shapes else ""
        if not shapes and "shape" in made:
            shown = f" (shape {list(made['shape'])})"
        where = next((a._device for a in args if isinstance(a, Tensor)), None)
        where = made.get("target", where) if op.moves else where
        found: Any = no_memory(op.name, error, where, shown + _place())
        found._explained = True
        return found
    text = str(error)
    if "broadcast" in text and " indexing " not in text and len(shapes) >= 2:
        text = broadcast_message(shapes) or text
    if isinstance(error, TypeError):
        error, text = _of_ufunc(op, args, error, text)
    kind: Any = IndexError if isinstance(error, IndexError) else RuntimeError
    if isinstance(error, (NotImplementedError, LinAlgError)):
        kind = type(error)
    elif isinstance(error, TypeError) and "Casting" not in type(error).__name__:
        kind = TypeError  # NumPy's about casts stand for a RuntimeError of PyTorch's
    described = " and ".join(str(s) for s in shapes)
    line = _with_name(op.name, text) + (f" (shapes {described})" if shapes else "")
    better = kind(line + _place())
    better._explained = True
    return better


def _of_ufunc(op: Op, args: tuple[Any, ...], error: Exception, text: str) -> tuple[Exception, str]:
    """What PyTorch raises where one of NumPy's own functions does not know a dtype."""
    if text.startswith("ufunc '") and "not supported for the input types" in text:
        common = dtypes.result_type(*[a for a in args if a is not None])
        text = f"\"{op.name}_cpu\" not implemented for '{dtypes.NAMES[common]}'"
        return NotImplementedError(text), text
    if text.startswith("The numpy boolean negative"):
        text = (
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )
        return RuntimeError(text), text
    return error, text


def _with_name(name: str, text: str) -> str:
    """``text`` with the name in front, unless it begins with it (perhaps as ``linalg.NAME:``)."""
    if text.startswith("argument '"):
        return f"{name}(): {text}"
    start = text.partition(":")[0].partition("(")[0]
    if text.startswith((f"{name}:", f"{name}(", f"{name} ")) or start.endswith(f".{name}"):
        return text
    return f"{name}: {text}"


def _place() -> str:
    """Where the user's code stands, for a message that may be read without its traceback."""
    frame = user_frame(sys._getframe(1))
    if frame is None:
        return ""
    name = os.path.basename(frame.f_code.co_filename)
    if name.startswith("<cell "):
        return f", at line {frame.f_lineno} of the cell"
    return f", at {name}, line {frame.f_lineno}"


def broadcast_message(shapes: list[list[int]]) -> str:
    a, b = shapes[0], shapes[1]
    for i in range(1, min(len(a), len(b)) + 1):
        if a[-i] != b[-i] and 1 not in (a[-i], b[-i]):
            dim = max(len(a), len(b)) - i
            return (
                f"The size of tensor a ({a[-i]}) must match the size of tensor b ({b[-i]}) "
                f"at non-singleton dimension {dim}"
            )
    return ""


# -- composites ------------------------------------------------------------------------------


def checked(call: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function's refusal of its arguments look like the failure of an op."""
    name = call.__name__

    @functools.wraps(call)
    def function(*args: Any, **meta: Any) -> Any:
        try:
            return call(*args, **meta)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            if getattr(error, "_explained", False):
                raise
            tensors = _tensors_in(args)
            shapes = " and ".join(str(list(t._data.shape)) for t in tensors)
            named = _with_name(name, str(error))
            words = named + (f" (shapes {shapes})" if shapes else "") + _place()
            better: Any = type(error)(words)
            better._explained = True
            recorder = sink.active
            if recorder is not None and recorder.thread == get_ident():
                recorder.op_error(name, tensors, {}, perf_counter_ns(), better)
            raise better from None

    return function


def _tensors_in(args: tuple[Any, ...]) -> tuple[Any, ...]:
    found: list[Any] = []
    for a in args:
        if isinstance(a, Tensor):
            found.append(a)
        elif isinstance(a, (list, tuple)):
            found += [x for x in a if isinstance(x, Tensor)]
    return tuple(found)


def composite(call: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function of other ops as one op of the trace, which a step can go over or into."""
    name = call.__name__

    @functools.wraps(call)
    def traced(*args: Any, **meta: Any) -> Any:
        if interposer is not None:
            args, meta = interposer.composite(name, args, meta)
        recorder = sink.active
        if recorder is None or recorder.thread != get_ident():
            return call(*args, **meta)
        begin = recorder.begin_op(name, args, meta)
        try:
            out = call(*args, **meta)
        except BaseException as error:
            recorder.end_op(begin, (), error)
            raise
        recorder.end_op(begin, out)
        return out

    composites[name] = traced
    return traced
