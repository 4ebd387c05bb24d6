"""Convolutions by cuDNN, through NVIDIA's Python front end, where that is installed and usable.

The front end (``pip install 'tapebook[cudnn]'``) is a graph of operations: one convolution here, or
one of its gradients, built once for shapes and switches (`backends.cudnn`) and then executed on
addresses. What cuDNN has no plan for is left to the kernels of our own (`conv`), as is everything
where it is not there (`problem`) or not wanted (``backends.cudnn.enabled = False``).

None of it waits for the device, but for ``benchmark``, which times plans when shapes are new.
"""

from __future__ import annotations

import functools
import math
import threading
from typing import Any, NamedTuple

import numpy as np

from framework import backends
from framework.device import cuda_problem, first_words, is_fake_cuda
from framework.dtypes import bfloat16
from framework.kernels import cuda
from framework.kernels.cuda import empty
from framework.layout import formatted, in_order, in_rows, suggested

__all__ = [
    "Plan", "allows_tf32", "missing", "problem", "refused", "run", "version", "wanted",
]  # fmt: skip

_OLDEST = 90000  # of the library: the front end's own minimum
_MOST = 1 << 10  # plans that are kept

# By the gradient: the front end's name, and what it calls its two operands.
_ENTRIES = {
    "forward": ("conv_fprop", "image", "weight"),
    "input": ("conv_dgrad", "loss", "filter"),
    "weight": ("conv_wgrad", "image", "loss"),
}
_NAMES = {
    np.dtype(np.float16): "HALF", bfloat16.numpy: "BFLOAT16",
    np.dtype(np.float32): "FLOAT", np.dtype(np.float64): "DOUBLE",
}  # fmt: skip


# -- whether it is there ------------------------------------------------------------------------


@functools.cache
def missing() -> str:
    """Why the front end or the library cannot be loaded, in one line; empty if both are there."""
    try:
        import cudnn
    except ModuleNotFoundError as error:
        if error.name == "cudnn":
            return "not installed (pip install 'tapebook[cudnn]')"
        return f"the front end cannot be imported: {first_words(error)}"
    except Exception as error:  # an OSError where the library itself is not there
        return f"the front end finds no cuDNN: {first_words(error)}"
    try:
        found = int(cudnn.backend_version())
    except Exception as error:
        return f"the front end finds no cuDNN: {first_words(error)}"
    if found < _OLDEST:
        return f"cuDNN {found} is older than 9.0 (pip install -U nvidia-cudnn-cu12)"
    return ""


@functools.cache
def problem() -> str:
    """Why cuDNN computes nothing here, in one line; empty if it does."""
    if is_fake_cuda():
        return "the device is a fake one"
    return cuda_problem() or missing()


def version() -> int | None:
    """The library's number, 91002 for 9.10.2; None without one."""
    if missing():
        return None
    import cudnn

    return int(cudnn.backend_version())


def wanted(array: Any) -> bool:
    """Whether convolutions of such an array are to be tried with cuDNN."""
    return (
        not isinstance(array, np.ndarray)
        and bool(backends.cudnn.enabled)  # type: ignore[attr-defined]
        and array.dtype in _NAMES
        and not problem()
    )


# -- graphs -------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """A graph that is ready to be executed.

    Attributes:
        workspace: bytes that it needs beside its operands.
        choice: number of the execution plan that was the fastest; None: the library's own.
    """

    graph: Any
    workspace: int
    choice: int | None


class _Handles(threading.local):
    """A library's handle belongs to a thread and a device; ``streams`` are what they run in."""

    def __init__(self) -> None:
        self.known: dict[int, Any] = {}
        self.streams: dict[int, int] = {}


_handles = _Handles()
_plans: dict[Any, Plan | None] = {}  # None: cuDNN has none
_refused: dict[Any, str] = {}


def refused() -> dict[Any, str]:
    """Why cuDNN did not take some convolutions, by what they were."""
    return dict(_refused)


def _handle(lib: Any, device: Any) -> Any:
    """The thread's handle of the current device, on its current stream."""
    import cupy

    found = _handles.known.get(device.id)
    if found is None:
        found = _handles.known[device.id] = lib.create_handle()
    stream = int(cupy.cuda.get_current_stream(device.id).ptr)
    if _handles.streams.get(device.id) != stream:
        lib.set_stream(found, stream)
        _handles.streams[device.id] = stream
    return found


def _strides(shape: Any, last: bool) -> list[int]:
    """In elements, of an array in rows or with its channels last."""
    order = [0, *range(2, len(shape)), 1] if last else list(range(len(shape)))
    found, step = [0] * len(shape), 1
    for d in reversed(order):
        found[d] = step
        step *= shape[d]
    return found


def _seen(shape: Any) -> list[int]:
    """A signal of one dimension as an image of one row."""
    found = [int(n) for n in shape]
    return found if len(found) > 3 else [*found[:2], 1, found[2]]


class _Question(NamedTuple):
    """One convolution: what its graph depends on."""

    entry: str
    device: int
    kind: str  # of its elements
    last: bool  # whether channels lie innermost
    shapes: tuple[tuple[int, ...], ...]  # of both operands and the result
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    tf32: bool
    deterministic: bool
    benchmark: bool


def _graph(lib: Any, q: _Question, handle: Any) -> Any:
    """The graph with its candidate plans; an exception of the front end's where there is none."""
    types = lib.data_type
    kind, compute = getattr(types, q.kind), types.DOUBLE if q.kind == "DOUBLE" else types.FLOAT
    graph = lib.pygraph(
        io_data_type=kind, intermediate_data_type=compute, compute_data_type=compute, handle=handle
    )
    name, first, second = _ENTRIES[q.entry]
    shapes = [_seen(shape) for shape in q.shapes]
    operands = [
        graph.tensor(name=n, dim=s, stride=_strides(s, q.last), data_type=kind)
        for n, s in zip((first, second), shapes)
    ]
    front = [] if len(q.stride) > 1 else [1]  # of a signal, which is an image of one row
    result = getattr(graph, name)(
        **dict(zip((first, second), operands)),
        padding=[*(0 * n for n in front), *q.padding], stride=[*front, *q.stride],
        dilation=[*front, *q.dilation], compute_data_type=compute,
    )  # fmt: skip
    result.set_output(True)
    result.set_dim(shapes[2])
    result.set_stride(_strides(shapes[2], q.last))
    result.set_data_type(kind)
    for uid, tensor in enumerate((*operands, result), 1):
        tensor.set_uid(uid)
    graph.validate()
    graph.build_operation_graph()
    graph.create_execution_plans([lib.heur_mode.A, lib.heur_mode.FALLBACK])
    notes = lib.numerical_note
    unwanted = [notes.DOWN_CONVERT_INPUTS]
    if q.kind == "FLOAT" and not q.tf32:
        unwanted.append(notes.TENSOR_CORE)
    if q.deterministic:
        unwanted.append(notes.NONDETERMINISTIC)
    graph.deselect_numeric_notes(unwanted)
    graph.check_support()
    return graph


def _planned(lib: Any, q: _Question, handle: Any, arrays: Any) -> Plan:
    graph = _graph(lib, q, handle)
    if q.benchmark:
        found = _fastest(lib, graph, handle, arrays)
        if found is not None:
            return found
    graph.build_plans(lib.build_plan_policy.HEURISTICS_CHOICE)
    return Plan(graph, int(graph.get_workspace_size()), None)


def _fastest(lib: Any, graph: Any, handle: Any, arrays: Any) -> Plan | None:
    """The plan that takes the least time, of those that can be built; each is run twice."""
    import cupy

    best: tuple[float, Plan] | None = None
    most = int(backends.cudnn.benchmark_limit) or math.inf  # type: ignore[attr-defined]
    tried = 0
    for index in range(graph.get_execution_plan_count()):
        if tried >= most:
            break
        try:
            graph.build_plan_at_index(index)
            size = int(graph.get_workspace_size_plan_at_index(index))
            plan = Plan(graph, size, index)
            _execute(plan, handle, arrays)  # what is loaded at the first time is not measured
            events = [cupy.cuda.Event() for _ in range(2)]
            events[0].record()
            _execute(plan, handle, arrays)
            events[1].record()
            events[1].synchronize()
        except (lib.cudnnGraphNotSupportedError, MemoryError, RuntimeError, ValueError):
            continue  # barred, or not for this device
        tried += 1
        took = cupy.cuda.get_elapsed_time(*events)
        if best is None or took < best[0]:
            best = took, plan
    return None if best is None else best[1]


def _execute(plan: Plan, handle: Any, arrays: Any) -> None:
    space = empty(arrays[0], (max(1, plan.workspace),), np.uint8)
    pack = {uid: int(a.data.ptr) for uid, a in enumerate(arrays, 1)}
    if plan.choice is None:
        plan.graph.execute(pack, int(space.data.ptr), handle=handle)
    else:
        plan.graph.execute_plan_at_index(pack, int(space.data.ptr), plan.choice, handle=handle)


# -- convolutions -------------------------------------------------------------------------------


def allows_tf32() -> bool:
    """Whether convolutions of float32 may round operands to TF32, as `backends.cudnn` says."""
    switches: Any = backends.cudnn
    for chosen in (switches.conv.fp32_precision, switches.fp32_precision):
        if chosen in ("ieee", "tf32"):
            return bool(chosen == "tf32")
    return bool(switches.allow_tf32)


def run(
    entry: str, first: Any, second: Any, shape: Any, stride: Any, padding: Any, dilation: Any
) -> Any:
    """A convolution or one of its gradients, of ``shape``; None if it is left to our own kernels.

    Args:
        entry: "forward" (images, windows), "input" (what arrives, windows) or "weight" (images,
            what arrives).
    """
    import cudnn as lib

    switches: Any = backends.cudnn
    form = suggested(first)
    if form is None:
        form = suggested(second)
    device = first.device
    q = _Question(
        entry, device.id, _NAMES[first.dtype], form is not None,
        (tuple(first.shape), tuple(second.shape), tuple(shape)), tuple(map(int, stride)),
        tuple(map(int, padding)), tuple(map(int, dilation)), allows_tf32(),
        bool(switches.deterministic) or cuda.deterministic, bool(switches.benchmark),
    )  # fmt: skip
    if q in _plans and _plans[q] is None:
        return None
    with device:
        operands = [_laid(a, form) for a in (first, second)]
        arrays = [*operands, _result(first, shape, form)]
        plan = _plans.get(q)
        try:
            handle = _handle(lib, device)
            if plan is None:
                plan = _kept(q, _planned(lib, q, handle, arrays))
        except (lib.cudnnGraphNotSupportedError, RuntimeError, ValueError) as error:
            _kept(q, None, first_words(error))
            return None
        try:
            _execute(plan, handle, arrays)
        except MemoryError:  # for the workspace, which our own kernels do without
            return None
    return arrays[2] if entry != "weight" else in_rows(arrays[2])


def _kept(q: _Question, plan: Any, reason: str = "") -> Any:
    if len(_plans) >= _MOST:
        _plans.clear()
        _refused.clear()
    _plans[q] = plan
    if reason:
        _refused[q] = reason
    return plan


def _laid(array: Any, form: Any) -> Any:
    if form is None:
        return in_rows(array)
    return array if in_order(array, form) else formatted(array, form)


def _result(like: Any, shape: Any, form: Any) -> Any:
    if form is None:
        return empty(like, shape)
    made = empty(like, (shape[0], *shape[2:], shape[1]))
    return made.transpose(0, len(shape) - 1, *range(1, len(shape) - 1))
