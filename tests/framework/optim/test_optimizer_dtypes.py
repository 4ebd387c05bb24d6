"""The dtypes of parameters that each optimizer's docstring names are those that it takes."""

from __future__ import annotations

from typing import Any

import pytest

import framework as torch
from framework import optim

KINDS = {
    name: getattr(optim, name)
    for name in optim.__all__
    if isinstance(getattr(optim, name), type) and name != "Optimizer"
}
FLOAT = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
COMPLEX = (torch.complex64, torch.complex128)


def stepped(kind: Any, dtype: Any) -> Any:
    """A parameter after a step down from one."""
    size = (2, 2) if kind is optim.Muon else (2,)
    p = torch.ones(size, dtype=dtype, requires_grad=True)
    optimizer = kind([p], lr=10.0 if kind is optim.Adadelta else 0.1)  # the one starts slowly
    grad = torch.ones(size, dtype=dtype)
    p.grad = grad.to_sparse() if kind is optim.SparseAdam else grad
    optimizer.step(lambda: torch.tensor(1.0))
    return p.detach()


@pytest.mark.parametrize("name", KINDS)
def test_the_docstring_names_the_dtypes(name: str) -> None:
    doc = " ".join(KINDS[name].__doc__.split())
    both = "float or complex dtype" in doc
    assert both or "float dtype" in doc
    for dtype in (*FLOAT, *(COMPLEX if both else ())):
        p = stepped(KINDS[name], dtype)
        assert p.dtype is dtype and (p != 1).any() and p.isfinite().all(), dtype
    for dtype in () if both else COMPLEX:
        with pytest.raises((RuntimeError, ValueError), match=r"[Cc]omplex"):
            stepped(KINDS[name], dtype)
