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
    (lambda: x().addmm_(0, 1), TypeError, r"addmm_\(\): argument 'mat1' \(position 1\)"),
    (lambda: x().sub_("x"), TypeError, r"sub_\(\): argument 'other' \(position 1\)"),
    (lambda: x().scatter_(0, 1), TypeError, "scatter_|missing"),
    (lambda: x().normal_(x()), TypeError, r"normal_\(\): argument 'mean' \(position 1\)"),
    (lambda: torch.embedding(x(), 1), TypeError, "'indices' .* must be Tensor, not int"),
    (lambda: x().flip(), TypeError, "flip.* missing 1 required"),
    (lambda: x().tile(), TypeError, "tile.* missing 1 required"),
    (lambda: x().contiguous(1), TypeError, "takes 1 positional"),
    (lambda: x().is_contiguous("a"), TypeError, "takes 1 positional"),
    (lambda: x().cpu("a"), TypeError, "takes 1 positional"),
    (lambda: x().type_as(None), TypeError, "'other' .* must be Tensor, not NoneType"),
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
    assert x().flip(()).tolist() == x().tile(()).tolist() == x().tolist()
    assert torch.ones(2).uniform_(torch.tensor(3.0), 3).tolist() == [3, 3]
    assert torch.tensor([float("nan")]).nan_to_num_(None).tolist() == [0.0]


def test_methods_take_dimensions_one_by_one_too() -> None:
    y = torch.zeros(1, 2, 1)
    assert y.squeeze(0, 2).shape == (2,) and y.squeeze_(2, 0).shape == (2,)
    assert x().count_nonzero(0, 1).item() == 6
    assert torch.ones(3).broadcast_to(2, 3).shape == torch.ones(3).broadcast_to((2, 3)).shape
    assert [p.shape for p in x().hsplit(1, 2)] == [(2, 1), (2, 1), (2, 1)]
    assert len(x().vsplit(0, 1)) == 3 and len(torch.ones(1, 1, 4).dsplit(1, 3)) == 3
    with pytest.raises(RuntimeError, match="must be greater or equal"):
        x().broadcast_to(1)


def test_the_usual_call_is_not_looked_at() -> None:
    """Only a comparison for each flag and number: the kinds are asked when one does not hold."""
    code = """
import framework as torch
from framework.core.overridable import _space
x, asked = torch.ones(2, 3), []
_space["wrong"] = lambda f, *rest: asked.append(f)
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


# -- conversions, and numbers that are written -----------------------------------------------------


def test_what_to_takes() -> None:
    a, d = x(), torch.float64
    for args in ((1.5,), (1.5, True, True), ("cpu", d, True, True), (None, d), (d, True), (float,)):
        assert a.to(*args).dtype is d, args
    assert a.to(True).dtype is torch.bool and a.to(1j).dtype is torch.complex128
    assert a.to("cpu", None, True) is a and a.to(None) is a and a.to(a, False, True) is not a
    assert a.to("cpu", dtype=d).dtype is d and a.to(d, copy=True).dtype is d


@pytest.mark.parametrize(
    "args",
    [
        ("cpu", True), (torch.float64, None), (torch.float64, 1), ("cpu", torch.float64, 1), ([1],),
        (torch.device("cpu"), "cpu"), (torch.float64, "cpu"), ("cpu", 1.5), (None, True),
        ("cpu", torch.float64, True, True, True), (torch.ones(1), None), (object(),),
    ],
)  # fmt: skip
def test_what_to_refuses(args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match=r"to\(\): expected a device, a dtype or both"):
        x().to(*args)


def test_numbers_that_are_assigned_are_cut_off_and_must_fit() -> None:
    i = torch.zeros(3, dtype=torch.int64)
    for value, kept in ((1.5, 1), (-1.5, -1), (True, 1), (2 + 0j, 2), (-(2**63), -(2**63))):
        i[0] = value
        assert i[0].item() == kept
    b = torch.zeros(1, dtype=torch.uint8)
    b[0] = -1
    assert b.item() == 255
    for t, value in ((i, 1e20), (i, float("nan")), (i, 1j), (b, 256), (b, -1.5), (x(), 1e300)):
        with pytest.raises(RuntimeError, match="without overflow"):
            t[0] = value
    for t in (i, x()):
        with pytest.raises(ValueError, match="Overflow when unpacking long long"):
            t[0] = 2**63


def test_forms_of_which_names_say_nothing() -> None:
    """A parameter's name tells its kind only where it means the same in every form of a call."""
    assert torch.randint(5, (2,)).shape == torch.randint(0, 5, (2,)).shape == (2,)
    assert torch.scalar_tensor(1.0).item() == 1
    assert torch.tensordot(x(), x(), dims=((0, 1), (0, 1))).item() == 6
    assert torch.tensor(0.0).set_(x().untyped_storage(), 1, (2,)).tolist() == [1, 1]
    assert F.interpolate(torch.ones(1, 1, 2), size=[4]).shape == (1, 1, 4)
    assert F.adaptive_avg_pool2d(torch.ones(1, 4, 4), [None, 2]).shape == (1, 4, 2)
