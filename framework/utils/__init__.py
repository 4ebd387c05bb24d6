"""What goes around a model: data loading, checkpoints of activations, exchange of memory."""

from __future__ import annotations

import copyreg
import importlib
import weakref
from typing import Any

from framework.utils import _pytree, checkpoint, data, deterministic, dlpack, hooks

__all__ = [
    "_pytree", "checkpoint", "data", "deterministic", "dlpack", "hooks", "set_module",
    "swap_tensors",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("collect_env", "weak"):  # few need them: imported when they are asked for
        return importlib.import_module(f"framework.utils.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def set_module(obj: Any, mod: Any) -> None:
    """Let an object say that it comes from a module of this name.

    Raises:
        TypeError: the name is no text.

    >>> import framework as torch
    >>> def double(x):
    ...     return 2 * x
    >>> torch.utils.set_module(double, "mine.functions")
    >>> double.__module__
    'mine.functions'
    """
    if not isinstance(mod, str):
        raise TypeError("The mod argument should be a string")
    obj.__module__ = mod


def swap_tensors(t1: Any, t2: Any) -> None:
    """Exchange all that two tensors are: values, gradient, history, class and attributes.

    Raises:
        RuntimeError: a weak reference to one of them is held, or one is the base of views: these
            would not follow.

    Shapes and dtypes may differ.

    >>> import framework as torch
    >>> a, b = torch.zeros(1), torch.nn.Parameter(torch.ones(2))
    >>> torch.utils.swap_tensors(a, b)
    >>> a, b
    (Parameter containing:
    tensor([1., 1.], requires_grad=True), tensor([0.]))
    """
    for name, tensor in ("t1", t1), ("t2", t2):
        if weakref.getweakrefs(tensor):
            raise RuntimeError(f"Cannot swap {name} because it has weakref associated with it")
    slots = copyreg._slotnames(type(t1))  # type: ignore[attr-defined]
    if set(slots) != set(copyreg._slotnames(type(t2))):  # type: ignore[attr-defined]
        raise RuntimeError("Cannot swap t1 and t2 if they have different slots")
    missing = object()
    for name in ("__class__", "__dict__", *slots):
        first, second = (getattr(t, name, missing) for t in (t1, t2))
        for tensor, value in (t1, second), (t2, first):
            if value is not missing:
                setattr(tensor, name, value)
            elif hasattr(tensor, name):
                delattr(tensor, name)
