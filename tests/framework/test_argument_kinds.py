"""Arguments of a wrong kind get PyTorch's kinds of errors (`tests.conformance.refusals`)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import framework as torch
from framework import nn

F = nn.functional


def x() -> torch.Tensor:
    return torch.ones(2, 3)


REFUSED: list[tuple[Callable[[], Any], type, str]] = [
    (lambda: torch.sum(1), TypeError, r"sum\(\): argument 'input' \(position 1\) must be Tensor, "
     "not int"),
    (lambda: torch.sum([1.0]), TypeError, "must be Tensor, not list"),
    (lambda: x().sum(True), TypeError, "argument 'dim'.* must be tuple of ints, not bool"),
    (lambda: x().sum(0, 3), TypeError, r"'keepdim' \(position 2\) must be bool, not int"),
    (lambda: x().sum(0, np.True_), TypeError, "must be bool, not numpy.bool"),
    (lambda: x().unsqueeze(True), TypeError, "'dim'.* must be int, not bool"),
    (lambda: x().matmul(1), TypeError, "'other' .* must be Tensor, not int"),
    (lambda: x() @ [1, 2, 3], TypeError, "unsupported operand"),
    (lambda: x().add_("a"), TypeError, "add: expected a number, but got str"),
    (lambda: torch.ones(2, dtype="float32"), TypeError, "'dtype' must be torch.dtype, not str"),
    (lambda: torch.ones(2, dtype=np.float32), TypeError, "must be torch.dtype, not type"),
    (lambda: torch.tensor(1, dtype="float32"), TypeError, "expected a dtype"),
    (lambda: torch.ones(True), TypeError, "tuple of ints"),
    (lambda: torch.full(2, 1), TypeError, "must be tuple of ints, not int"),
    (lambda: x().view("a"), TypeError, "must be tuple of ints"),
    (lambda: x().permute("a", 1), TypeError, "'dim' must be int|tuple of ints"),
    (lambda: torch.cat([x(), 1]), TypeError, "expected Tensor as element 1"),
    (lambda: torch.meshgrid(x()[0], 1), TypeError, "expected Tensor as element 1"),
    (lambda: torch.device(None), TypeError, "must be str, not NoneType"),
    (lambda: x().requires_grad_("a"), TypeError, "must be bool, not str"),
    (lambda: x().fill_([1]), TypeError, "must be Number or Tensor, not list"),
    (lambda: x().copy_([1]), TypeError, "must be Tensor, not list"),
    (lambda: x().__setitem__(0, [1, 2, 3]), TypeError, "assign a list to a torch.FloatTensor"),
    (lambda: x().__setitem__(0, "a"), TypeError, "can't assign a str"),
    (lambda: x().__setitem__(0, np.float32(1)), TypeError, "can't assign a numpy.float32"),
    (lambda: x()[..., ..., 0], IndexError, "too many indices"),
    (lambda: torch.linspace(0, 1, 3, dtype=torch.bool), NotImplementedError, "'Bool'"),
    (lambda: x().bool().trace(), NotImplementedError, "'Bool'"),
    (lambda: x().softmax(), TypeError, "missing 1 required"),
    (lambda: x().float("a"), TypeError, "takes 1 positional"),
    (lambda: nn.Linear(3, 4)([1, 2]), TypeError, r"linear\(\): argument 'input' \(position 1\)"),
    (lambda: nn.Conv2d(1, 1, 1)("a"), TypeError, "must be Tensor, not str"),
    (lambda: F.mse_loss(x(), 1), AttributeError, "no attribute"),  # written in Python there
    (lambda: nn.Parameter(1), AttributeError, "expects a Tensor"),
    (lambda: torch.ones(10**14), RuntimeError, "Unable to allocate 364. TiB"),
    (lambda: torch.ones(10**14), MemoryError, "ones: "),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "words"), REFUSED)
def test_refused_as_in_pytorch(call: Callable[[], Any], kind: type, words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


def test_accepted_as_in_pytorch() -> None:
    assert x().sum(np.int64(0)).tolist() == x().sum(torch.tensor(0)).tolist() == [2, 2, 2]
    assert x().sum((0, 1)).item() == x().sum(dim=[0, 1]).item() == 6
    assert torch.ones(2, dtype=float).dtype is torch.float64
    assert torch.ones(2, dtype=complex).dtype is torch.complex128
    assert x()[..., ...].shape == (2, 3) and x()[0, 0, ..., ...].ndim == 0
    assert x()[[0.7]].shape == (1, 3)
    y = x().requires_grad_() * 2
    assert y.set_().shape == (0,)
    assert torch.zeros(2, requires_grad=None).requires_grad is False
    assert F.max_pool1d(torch.ones(1, 4), 2, return_indices=1)[1].tolist() == [[0, 2]]


def test_the_usual_call_is_not_looked_at() -> None:
    """Only a comparison for each flag: the table of kinds is asked when one does not hold."""
    code = """
import framework as torch
from framework.core import kinds
x, asked = torch.ones(2, 3), []
kinds.kinds_of = lambda f: asked.append(f) or {}
torch.cummin(x, 0), x.amin(0, True), x.movedim(0, 1), torch.zeros(2), x.add_(1)
print(len(asked), torch.zeros(2, dtype=torch.int8).dtype, len(asked))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "0 torch.int8 1\n", done.stderr


def test_kinds_are_told_while_a_class_overrides_functions() -> None:
    """Once there is such a class, functions take their arguments in another way."""
    program = (
        "import framework as torch\nclass S(torch.Tensor): pass\n"
        "try: torch.sum(1)\nexcept TypeError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "sum(): argument 'input' (position 1) must be Tensor, not int" in done.stdout, done
