"""Control flow as functions, for programs that were written with a compiler in mind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.tensor import Tensor

__all__ = ["cond"]


def cond(
    pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Any = ()
) -> Any:
    """``true_fn(*operands)`` if ``pred`` holds, else ``false_fn(*operands)``; the other is not run.

    RuntimeError for a condition that is neither a bool (or number) nor a tensor of one element, for
    branches that cannot be called, and for operands that are no tuple or list.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, -4.0])
    >>> torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: -x, (x,))
    tensor([-1.,  4.])
    """
    if isinstance(pred, Tensor):
        if pred.numel() != 1:
            raise RuntimeError(
                f"Expected pred to be bool or single-element tensor, but got {pred}."
            )
    elif not isinstance(pred, (bool, int, float)):
        raise RuntimeError(f"Expected pred to be bool or tensor, but got {pred}.")
    if not callable(true_fn) or not callable(false_fn):
        raise RuntimeError("Expect both branches to be callable.")
    if not isinstance(operands, (tuple, list)):
        raise RuntimeError(
            "Expect operands to be a tuple of possibly nested dict/list/tuple of tensors, "
            f"but got {operands}."
        )
    return (true_fn if pred else false_fn)(*operands)
