"""``NAME_copy``: what a view op shows, copied."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from framework.core.registry import function
from framework.layout import contiguous_format
from framework.ops.complex import view_as_complex, view_as_real
from framework.ops.conversion import detach
from framework.ops.diagonals import diagonal
from framework.ops.joining import split, split_with_sizes, unbind
from framework.ops.shape import expand, permute, squeeze, t, transpose, unsqueeze, view
from framework.ops.strided import as_strided, select, slice_, unfold
from framework.tensor import Tensor

__all__ = ["alias_copy"]


@function(method=False, out=True)
def alias_copy(input: Tensor) -> Tensor:
    """A copy of a tensor.

    >>> import framework as torch
    >>> torch.alias_copy(torch.ones(2))
    tensor([1., 1.])
    """
    return input.clone()


def _copying(call: Callable[..., Any], name: str, example: str) -> Callable[..., Any]:
    """``name``: the view op ``call``, whose result (or each of them) is copied."""

    @wraps(call)
    def copied(*args: Any, **options: Any) -> Any:
        found = call(*args, **options)
        if isinstance(found, tuple):
            return tuple([x.clone(memory_format=contiguous_format) for x in found])
        return found.clone(memory_format=contiguous_format)

    copied.__name__ = copied.__qualname__ = name
    copied.__doc__ = f"""`{name.removesuffix("_copy")}`, copied: no view of its input.

    It takes the same arguments and raises the same errors.

    >>> import framework as torch
    >>> torch.{name}{example}
    """
    return copied


# Some take sizes one by one, which their copying twins do not.


def _expanded(input: Tensor, size: Any, *, implicit: bool = False) -> Tensor:
    return expand(input, size)


def _permuted(input: Tensor, dims: Any) -> Tensor:
    return permute(input, dims)


def _viewed(input: Tensor, size: Any = None, *, dtype: Any = None) -> Tensor:
    return view(input, size if dtype is None else dtype)


# Each view op, and how its copying twin is called, with what that prints.
_VIEWS: dict[str, tuple[Callable[..., Any], str]] = {
    "as_strided": (
        as_strided,
        "(torch.arange(4), (2, 2), (1, 1))\n    tensor([[0, 1],\n            [1, 2]])",
    ),
    "detach": (detach, "(torch.ones(2, requires_grad=True))\n    tensor([1., 1.])"),
    "diagonal": (diagonal, "(torch.eye(2))\n    tensor([1., 1.])"),
    "expand": (
        _expanded, "(torch.tensor([[1], [2]]), (2, 2))\n    tensor([[1, 1],\n            [2, 2]])"
    ),
    "permute": (_permuted, "(torch.zeros(2, 3), (1, 0)).shape\n    torch.Size([3, 2])"),
    "select": (select, "(torch.tensor([[1, 2], [3, 4]]), 1, 0)\n    tensor([1, 3])"),
    "slice": (slice_, "(torch.arange(5), 0, 1, 3)\n    tensor([1, 2])"),
    "split": (split, "(torch.arange(3), 2)\n    (tensor([0, 1]), tensor([2]))"),
    "split_with_sizes": (
        split_with_sizes, "(torch.arange(3), [1, 2])\n    (tensor([0]), tensor([1, 2]))"
    ),
    "squeeze": (squeeze, "(torch.zeros(1, 3)).shape\n    torch.Size([3])"),
    "t": (t, "(torch.zeros(2, 3)).shape\n    torch.Size([3, 2])"),
    "transpose": (transpose, "(torch.zeros(2, 3), 0, 1).shape\n    torch.Size([3, 2])"),
    "unbind": (unbind, "(torch.arange(2))\n    (tensor(0), tensor(1))"),
    "unfold": (
        unfold, "(torch.arange(4), 0, 2, 2)\n    tensor([[0, 1],\n            [2, 3]])"
    ),
    "unsqueeze": (unsqueeze, "(torch.zeros(3), 0).shape\n    torch.Size([1, 3])"),
    "view": (
        _viewed, "(torch.arange(4), (2, 2))\n    tensor([[0, 1],\n            [2, 3]])"
    ),
    "view_as_complex": (view_as_complex, "(torch.tensor([1.0, 2.0]))\n    tensor(1.+2.j)"),
    "view_as_real": (view_as_real, "(torch.tensor(1 + 2j))\n    tensor([1., 2.])"),
}  # fmt: skip

for _name, (_call, _example) in _VIEWS.items():
    function(method=False, out=True)(_copying(_call, f"{_name}_copy", _example))
