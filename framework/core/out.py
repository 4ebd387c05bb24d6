"""``out=``: a result written into a tensor that the caller brings."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from framework.core import dispatch, views
from framework.core.modes import modes
from framework.core.views import before_write, check_cast, check_writable, shared_memory
from framework.kernels import module_of
from framework.kernels.floats import type_name
from framework.kernels.strided import partly_same, storage_bytes, strided

__all__ = ["into", "no_gradients", "with_out"]

# Families whose functions refuse an ``out`` that is a part of an argument, or that an argument is a
# part of: those that PyTorch computes element by element. Exceptions both ways, by name.
_BY_ELEMENT = frozenset(
    "activation compare complex indexing joining pairs pointwise polynomials random scan scatter "
    "select special unary".split()
)
_PARTS_ACCEPTED = frozenset(
    "softmax log_softmax logsigmoid ndtr mvlgamma multigammaln _chunk_cat".split()
)
_PARTS_REFUSED = frozenset(
    "addbmm addmm addmv addr baddbmm inner kron max min msort normalize outer renorm".split()
)
_FIRST_ONLY = frozenset("addbmm addmm addmv baddbmm".split())  # PyTorch does not look at the others


def with_out(
    call: Callable[..., Any], exact: bool = False, apart: bool = False, typed: bool = False
) -> Callable[..., Any]:
    """``call`` with a keyword ``out``: a tensor, or a tuple of them for several results.

    With ``exact`` results are not cast: ``out`` must have their type. With ``apart`` it must not
    share memory with an argument. With ``typed`` its type is the function's ``dtype``.
    """
    name = call.__name__
    home = call.__module__.rpartition(".")[2]
    whole = name in _PARTS_REFUSED or (home in _BY_ELEMENT and name not in _PARTS_ACCEPTED)

    @functools.wraps(call)
    def function(*args: Any, out: Any = None, **options: Any) -> Any:
        if out is None:
            return call(*args, **options)
        if typed and options.get("dtype") is None and isinstance(out, dispatch.Tensor):
            options["dtype"] = out.dtype
        before, modes.grad = modes.grad, False
        try:
            result = call(*args, **options)
        finally:
            modes.grad = before
        targets = out if isinstance(out, (tuple, list)) else (out,)
        no_gradients(name, targets, args, *options.values())
        results = result if isinstance(result, (tuple, list)) else (result,)
        if len(targets) != len(results):
            raise TypeError(
                f"{name}(): expected {len(results)} out tensors, but got {len(targets)}"
            )
        if apart and (targets is out or name not in _PARTS_REFUSED):
            for target, value in zip(targets, results):
                check_writable(target, name)
                if _meets(target, _room(target, value), (args, *options.values())):
                    raise shared_memory(name)
        elif whole and isinstance(out, dispatch.Tensor) and out._device is result._device:
            values = args[:1] if name in _FIRST_ONLY else (args, *options.values())
            if _is_part(_room(out, result), values):
                raise shared_memory(name)
        for target, value in zip(targets, results):
            into(target, value, name, exact)
        return type(result)(targets) if hasattr(result, "_fields") else out

    return function


def no_gradients(name: str, *values: Any) -> None:
    """Refuse ``out=`` where gradients are recorded and an argument wants one, as PyTorch does."""
    if modes.grad and _any_wants_gradient(values):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic "
            "differentiation, but one of the arguments requires grad."
        )


def _any_wants_gradient(values: Any) -> bool:
    for v in values:
        if isinstance(v, (tuple, list)):
            if _any_wants_gradient(v):
                return True
        elif isinstance(v, dispatch.Tensor) and v.requires_grad:
            return True
    return False


def _room(target: Any, value: Any) -> Any:
    """The memory that a result will take in ``out``, which may grow into more of its storage."""
    data, count = target._data, value._data.size
    if data.shape == value._data.shape:
        return data
    return strided(data, (min(count, storage_bytes(data) // data.itemsize),), (1,))


def _is_part(memory: Any, values: Any) -> bool:
    """Whether an argument shares some of the memory, but is not the very same part of it."""
    for v in values:
        if isinstance(v, (tuple, list)):
            if _is_part(memory, v):
                return True
        elif (
            isinstance(v, dispatch.Tensor)
            and type(v._data) is type(memory)
            and not v.is_sparse
            and partly_same(memory, v._data)
        ):
            return True
    return False


def _meets(target: Any, memory: Any, values: Any) -> bool:
    """Whether a tensor, or the memory that it will take, is also one of the arguments'."""
    for v in values:
        if isinstance(v, (tuple, list)):
            if _meets(target, memory, v):
                return True
        elif v is target or (
            isinstance(v, dispatch.Tensor)
            and type(v._data) is type(memory)
            and module_of(memory).may_share_memory(v._data, memory)
        ):
            return True
    return False


def into(out: Any, result: Any, name: str, exact: bool = False) -> None:
    """Write ``result`` into ``out``, which takes on its shape if it has another.

    Raises:
        RuntimeError: the result's dtype cannot be cast to ``out``'s (with ``exact``: is not
            ``out``'s), another device, or an ``out`` whose elements share memory.
        TypeError: ``out`` is no tensor.
    """
    if not isinstance(out, dispatch.Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if out._device is not result._device:
        raise RuntimeError(
            f"{name}: Expected out tensor to have device {result._device}, but got {out._device}"
        )
    target, data = out._data, result._data
    if exact and target.dtype != data.dtype:
        raise RuntimeError(
            f"{name}: Expected object of scalar type {type_name(data)} but got scalar type "
            f"{type_name(target)} for argument 'out'"
        )
    check_cast(data, target, name)
    if target.shape != data.shape:
        if target.size:
            warnings.warn(
                f"An output with one or more elements was resized since it had shape "
                f"{list(out.shape)}, which does not match the required output shape "
                f"{list(result.shape)}. Reuse of the out tensor is safe; to avoid the warning, "
                f"out.resize_(0) first.",
                UserWarning,
                stacklevel=4,
            )
        before_write(out)
        out._data = data.astype(target.dtype)
        if views.written is not None:
            views.written(out, result)
        return
    check_writable(out, name)
    if views.written is not None:
        views.written(out, result)
    before_write(out)
    target[...] = data
