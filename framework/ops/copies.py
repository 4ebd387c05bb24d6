"""``NAME_copy``: what a view op shows, copied."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from framework.core.registry import function
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


def _copying(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """``name``: the view op ``call``, whose result (or each of them) is copied."""

    @wraps(call)
    def copied(*args: Any, **options: Any) -> Any:
        found = call(*args, **options)
        return tuple([x.clone() for x in found]) if isinstance(found, tuple) else found.clone()

    copied.__name__ = copied.__qualname__ = name
    copied.__doc__ = f"`{name.removesuffix('_copy')}`, copied: no view of its input."
    return copied


# Some take sizes one by one, which their copying twins do not.


def _expanded(input: Tensor, size: Any, *, implicit: bool = False) -> Tensor:
    return expand(input, size)


def _permuted(input: Tensor, dims: Any) -> Tensor:
    return permute(input, dims)


def _viewed(input: Tensor, size: Any = None, *, dtype: Any = None) -> Tensor:
    return view(input, size if dtype is None else dtype)


_VIEWS: dict[str, Callable[..., Any]] = {
    "as_strided": as_strided, "detach": detach, "diagonal": diagonal, "expand": _expanded,
    "permute": _permuted, "select": select, "slice": slice_, "split": split,
    "split_with_sizes": split_with_sizes, "squeeze": squeeze, "t": t, "transpose": transpose,
    "unbind": unbind, "unfold": unfold, "unsqueeze": unsqueeze, "view": _viewed,
    "view_as_complex": view_as_complex, "view_as_real": view_as_real,
}  # fmt: skip

for _name, _call in _VIEWS.items():
    function(method=False, out=True)(_copying(_call, f"{_name}_copy"))
