"""``out=``: a result written into a tensor that the caller brings."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from framework.core import dispatch
from framework.core.modes import modes
from framework.core.views import before_write

__all__ = ["into", "with_out"]


def with_out(call: Callable[..., Any]) -> Callable[..., Any]:
    """``call`` with a keyword ``out``: a tensor, or a tuple of them for several results."""
    name = call.__name__

    @functools.wraps(call)
    def function(*args: Any, out: Any = None, **options: Any) -> Any:
        if out is None:
            return call(*args, **options)
        before, modes.grad = modes.grad, False
        try:
            result = call(*args, **options)
        finally:
            modes.grad = before
        targets = out if isinstance(out, (tuple, list)) else (out,)
        if before and any(
            isinstance(t, dispatch.Tensor) and t.requires_grad
            for t in (*targets, *args, *options.values())
        ):
            raise RuntimeError(
                f"{name}(): functions with out=... arguments don't support automatic "
                "differentiation, but one of the arguments requires grad."
            )
        results = result if isinstance(result, (tuple, list)) else (result,)
        if len(targets) != len(results):
            raise TypeError(
                f"{name}(): expected {len(results)} out tensors, but got {len(targets)}"
            )
        for target, value in zip(targets, results):
            into(target, value, name)
        return out

    return function


def into(out: Any, result: Any, name: str) -> None:
    """Write ``result`` into ``out``, which takes on its shape if it has another.

    Raises:
        RuntimeError: the result's dtype cannot be cast to ``out``'s, or another device.
        TypeError: ``out`` is no tensor.
    """
    if not isinstance(out, dispatch.Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if out._device is not result._device:
        raise RuntimeError(
            f"{name}: Expected out tensor to have device {result._device}, but got {out._device}"
        )
    target, got = out.dtype, result.dtype
    if got.category > target.category:
        raise RuntimeError(
            f"{name}: result type {got} can't be cast to the desired output type {target}"
        )
    if out._data.shape != result._data.shape:
        if out._data.size:
            warnings.warn(
                f"An output with one or more elements was resized since it had shape "
                f"{list(out.shape)}, which does not match the required output shape "
                f"{list(result.shape)}. Reuse of the out tensor is safe; to avoid the warning, "
                f"out.resize_(0) first.",
                UserWarning,
                stacklevel=4,
            )
        out._data = result._data.astype(target.numpy)
        return
    before_write(out)
    out._data[...] = result._data
