"""Changing what a stopped program has: an element of a tensor, a gradient, an attribute.

A tensor is changed where it is, as if its op had made it so: what saved it for backward sees the
change, and no version counter moves. A gradient is exchanged where it waits, for the same array may
be on its way to several nodes. The tape says what was done: a write, and a mark with its text.
"""

from __future__ import annotations

import ast
import ctypes
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from framework.core import views
from framework.core.modes import modes
from framework.kernels import waits
from framework.trace import frames, records, sink
from framework.trace.events import EDITED
from framework.trace.gate import GateError
from framework.trace.reader import dtype_name
from framework.trace.summary import SliceError, parse_slice

if TYPE_CHECKING:
    from framework.trace.gate import Gate

__all__ = ["edit"]

LONGEST = 10_000  # characters of an expression


def edit(gate: Gate, target: str, value: str, tensor: int = 0, frame: int = 0) -> str:
    """Do one change, on the model's thread at a stop; returns its text, for people.

    Args:
        target: with ``tensor`` a slice of it, such as ``[0, :]`` ("" for all); else what stands on
            the left of an assignment in the stopped frame: ``model.p``, ``loss_weight``,
            ``optimizer.param_groups[0]["lr"]``, ``x[0, 3]``.
        value: a Python expression. It sees the names of the frame, and what is changed as ``it``.
        tensor: the id of a tensor of the tape.
        frame: of the stack, innermost first.

    Raises:
        GateError: one line that says why not.
    """
    value = value.strip()
    if not value or len(value) > LONGEST:
        raise GateError("to what? the value is an expression such as 0, it * 2 or it.clamp(0, 1)")
    if tensor:
        text = _edit_tensor(gate, tensor, target.strip(), value, frame)
    else:
        text = _assign(gate, target.strip(), value, frame)
    if gate.recorder.kernels is not None:
        gate.recorder.kernels.drop()
    gate.recorder.mark(f"{EDITED}{text}")
    gate.moved(text)
    return text


# -- names and attributes ------------------------------------------------------------------------


def _assign(gate: Gate, target: str, value: str, index: int) -> str:
    """``target = value`` in the stopped frame."""
    if not target:
        raise GateError("change what? a name, an attribute or an element: model.p, x[0, 3]")
    try:
        tree = ast.parse(f"{target} = {value}", "<edit>", "exec")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or str(error)
        raise GateError(f"{target} = {value}: {frames.one_line(reason)}") from None
    statement = tree.body[0]
    if len(tree.body) != 1 or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        raise GateError(f"{target} = {value}: this is not one assignment")
    stopped = gate.frame_at(index)
    names = gate.namespace if stopped is None else stopped.f_globals
    inner = names if stopped is None else stopped.f_locals
    extra = _needs_it(statement) and "it" not in inner
    try:
        if extra:
            inner["it"] = eval(compile(target, "<edit>", "eval"), names, inner)
        with waits.unsaid():
            _writing_tensors(gate, lambda: _run(tree, statement, names, inner))
    except GateError:
        raise
    except BaseException as error:  # also SystemExit: it is the user's code
        why = frames.one_line(f"{type(error).__name__}: {error}")
        raise GateError(f"{target} = {value}: {why}") from None
    finally:
        if extra:
            inner.pop("it", None)
    if stopped is not None and inner is not names:
        _write_back(stopped)
    return f"{target} = {frames.one_line(value)}"


def _run(tree: ast.Module, statement: ast.Assign, names: dict[str, Any], inner: Any) -> None:
    """Assign; a number that a tensor cannot hold is refused before anything is written."""
    target = statement.targets[0]
    if isinstance(target, ast.Subscript):
        value = _value_of(statement.value, names, inner)
        held = _value_of(target.value, names, inner)
        if isinstance(held, sink.tensor_type):
            plain = value._data if isinstance(value, sink.tensor_type) else value
            _check_fits(plain, held._data.dtype)
        inner[_VALUE] = value  # it is computed once
        statement.value = ast.copy_location(ast.Name(_VALUE, ast.Load()), statement.value)
    try:
        exec(compile(tree, "<edit>", "exec"), names, inner)
    finally:
        inner.pop(_VALUE, None)


_VALUE = "__tapebook_value__"


def _value_of(expression: ast.expr, names: dict[str, Any], inner: Any) -> Any:
    return eval(compile(ast.Expression(expression), "<edit>", "eval"), names, inner)


def _check_fits(value: Any, dtype: Any) -> None:
    """GateError if an array of a dtype would silently hold other numbers than these."""
    given = (
        np.asarray(value) if isinstance(value, (bool, int, float, complex, list, tuple)) else value
    )
    kind = getattr(getattr(given, "dtype", None), "kind", "O")
    if kind not in "biufcV" or dtype == given.dtype:
        return
    with np.errstate(all="ignore"):
        if dtype.kind in "biu":
            held = given.real.astype(dtype) if kind == "c" else given.astype(dtype)
            lost = held.astype(given.dtype) != given
        elif kind == "c" and dtype.kind != "c":
            held, lost = given.real.astype(dtype), given.imag != 0
        else:
            held = given.astype(dtype)
            lost = ~np.isfinite(held.astype(np.complex128)) & np.isfinite(
                given.astype(np.complex128)
            )
    if bool(lost.any()):
        at = int(lost.reshape(-1).argmax())
        was, now = given.reshape(-1)[at].item(), held.reshape(-1)[at].item()
        raise GateError(
            f"it is {dtype_name(dtype)}, where {was} would become {now}: write what it can hold, "
            "or change the tensor's dtype in the program"
        )


def _needs_it(statement: ast.Assign) -> bool:
    return any(isinstance(n, ast.Name) and n.id == "it" for n in ast.walk(statement.value))


def _writing_tensors(gate: Gate, work: Any) -> None:
    """Run it without a history, with its writes on the tape, and behind the version counters."""
    counters: dict[int, tuple[Any, int]] = {}

    def written(tensor: Any) -> None:
        counter = tensor._counter
        counters.setdefault(id(counter), (counter, counter.value))

    grad, modes.grad = modes.grad, False
    recorder = gate.recorder
    thread, recorder.thread = recorder.thread, 0  # its ops are not the model's; its writes are
    guard, views.write_guard = views.write_guard, written
    sink.active = recorder
    try:
        work()
    finally:
        modes.grad, recorder.thread, sink.active = grad, thread, None
        views.write_guard = guard
        for counter, value in counters.values():
            counter.value = value


def _write_back(frame: FrameType) -> None:
    """Make a function's changed variables the ones that it goes on with."""
    if sys.version_info < (3, 13):  # from there on they are written through
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))


# -- tensors of the tape -------------------------------------------------------------------------


def _edit_tensor(gate: Gate, ident: int, where: str, value: str, frame: int) -> str:
    waiting = _gradient(gate, ident)
    array = waiting._data if waiting is not None else _live_array(gate, ident)
    described = gate.value(ident)
    device = described[1].device if described is not None else "cpu"
    try:
        index = parse_slice(where, array.shape)
    except SliceError as error:
        raise GateError(str(error)) from None
    new = array.copy()
    found = _evaluate(gate, value, frame, array, device)
    _check_fits(found, array.dtype)
    try:
        new[index] = found
    except (ValueError, TypeError, OverflowError) as error:
        raise GateError(f"{value}: {frames.one_line(str(error))}") from None
    if waiting is not None:
        _exchange(gate, waiting, new)
    else:
        recorder = gate.recorder
        shared = recorder.values.sharing(array) if recorder.values is not None else []
        recorder.write_to(tuple(dict.fromkeys((ident, *shared))))
        array[...] = new
    name = gate.recorder.names.get(ident, "") or "it"
    whole = where if not where or where.startswith("[") else f"[{where}]"
    return f"{name}{whole} = {frames.one_line(value)}"


def _evaluate(gate: Gate, value: str, frame: int, array: Any, device: str) -> Any:
    """The value of an expression, as something that can be assigned to an array."""
    names = dict(gate.namespace)
    stopped = gate.frame_at(frame)
    if stopped is not None:
        names = {**stopped.f_globals, **stopped.f_locals}
    grad, modes.grad = modes.grad, False
    try:
        found = frames.evaluate(value, None, {**names, "it": _tensor(array.copy(), device)})
    except ValueError as error:
        raise GateError(f"{value}: {error}") from None
    finally:
        modes.grad = grad
    if isinstance(found, sink.tensor_type):
        return found._data
    if isinstance(found, (bool, int, float, complex, list, tuple, np.ndarray, np.generic)):
        return found
    raise GateError(f"{value}: expected a number or a tensor, but got {type(found).__name__}")


def _tensor(array: Any, device: Any) -> Any:
    from framework.core import dispatch
    from framework.device import device as device_type

    return dispatch.wrap(array, device_type(device))


def _live_array(gate: Gate, ident: int) -> Any:
    """The array that the program goes on with; GateError if it has none, or shares it oddly."""
    recorder = gate.recorder
    leaf = recorder.leaves.get(ident)
    if leaf is not None:
        array = leaf._data
    else:
        array = recorder.values.live(ident) if recorder.values is not None else None
        if array is None:
            raise GateError("the program has nothing of it any more: a change would change nothing")
    flags = getattr(array, "flags", None)
    if not getattr(flags, "writeable", True) or 0 in _strides(array):
        raise GateError("it shows one value in several places (expand): change what it was made of")
    return array


def _strides(array: Any) -> list[int]:
    return [stride for stride, size in zip(array.strides, array.shape) if size > 1]


def _gradient(gate: Gate, ident: int) -> Any | None:
    """The gradient with this id, if it is on its way through backward."""
    _, _, grads = gate.node
    task = modes.task
    if task is None:
        return None
    waiting = [g for slots in task.pending.values() for g in slots]
    for grad in (*grads, *waiting, *task.leaves.values()):
        if grad is not None and grad._id == ident:
            return grad
    return None


def _exchange(gate: Gate, grad: Any, array: Any) -> None:
    """Put a changed copy of a gradient in its place."""
    recorder, ident = gate.recorder, grad._id
    seq, node, grads = gate.node
    new = _tensor(array, grad._device)
    new._id = ident
    raw = recorder.raw(seq)
    before = raw is not None and raw[2] == records.NODE_BEGIN
    if before and isinstance(grads, list):
        grads[:] = [new if g is not None and g._id == ident else g for g in grads]
    recorder.write_to((ident,))
    sent = (None, ()) if before else (node, grads)
    _writing_tensors(gate, lambda: modes.task.replace(ident, new, *sent))
    if recorder.values is not None:
        recorder.values.keep(ident, recorder.seq, array)
