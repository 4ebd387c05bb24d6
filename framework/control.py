"""Control flow as functions, for programs that were written with a compiler in mind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.dtypes import bool_
from framework.tensor import Tensor
from framework.utils import _pytree as pytree

__all__ = ["cond", "while_loop"]


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


def while_loop(
    cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Any
) -> Any:
    """``vals = body_fn(*vals)`` as long as ``cond_fn(*vals)`` holds, from ``carried_inputs`` on.

    ``vals`` are tensors of any shape and dtype and ints, also nested in lists, tuples and dicts.
    Gradients flow through all rounds.

    Raises:
        RuntimeError: a function that cannot be called, ``carried_inputs`` that are no tuple or list
            or hold something else, a condition that is neither a bool nor a tensor of one bool, or
            a round whose results differ in number, shape or dtype from what went in.

    >>> import framework as torch
    >>> small = lambda i, x: x.sum() < 10
    >>> torch.while_loop(small, lambda i, x: (i + 1, x * 2), (0, torch.tensor([1.0, 2.0])))
    (2, tensor([4., 8.]))
    """
    if not callable(cond_fn) or not callable(body_fn):
        raise RuntimeError("Expect cond_fn and body_fn to be callable.")
    if not isinstance(carried_inputs, (tuple, list)):
        raise RuntimeError(
            "Expect carried_inputs to be a tuple of possibly nested dict/list/tuple of tensors or "
            f"ints, but got {carried_inputs!r}."
        )
    looks = _looks(carried_inputs)
    found = vals = carried_inputs
    while _holds(cond_fn(*vals)):
        found = body_fn(*vals)
        vals = found if isinstance(found, (tuple, list)) else (found,)
        if (now := _looks(vals)) != looks:
            raise RuntimeError(
                "Expected body_fn_output and carried_inputs to have same metadata but found: "
                f"{now} and {looks}"
            )
    return found


def _holds(found: Any) -> bool:
    if isinstance(found, Tensor) and found.dtype is bool_ and found.numel() == 1:
        return bool(found)
    if not isinstance(found, bool):
        raise RuntimeError(
            f"cond_fn must return a boolean scalar tensor or a boolean but got {found!r}"
        )
    return found


def _looks(vals: Any) -> list[Any]:
    """What a round must keep: each tensor's shape and dtype, each other value's type."""
    looks: list[Any] = []
    for val in pytree.tree_leaves(tuple(vals)):
        if not isinstance(val, (Tensor, int)):
            raise RuntimeError(
                "Expect carried_inputs to be tensors or ints, but got " + type(val).__name__
            )
        looks.append((list(val.shape), val.dtype) if isinstance(val, Tensor) else type(val))
    return looks
