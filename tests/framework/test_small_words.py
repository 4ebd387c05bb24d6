"""Names, words and warnings that a program meets in passing: PyTorch 2.13's, by running it."""

from __future__ import annotations

import pickle
import sys
import warnings

import numpy as np
import pytest

import framework as torch
from framework import nn, tensor


def test_custom_fwd_keeps_names():
    for decorator in (torch.amp.custom_fwd(device_type="cuda"), torch.amp.custom_fwd):

        @decorator
        def forward(ctx, x):
            "Words."
            return x

        assert (forward.__name__, forward.__doc__) == ("forward", "Words.")
    older = torch.cuda.amp
    assert (older.custom_fwd.__name__, older.custom_bwd.__name__) == ("custom_fwd", "custom_bwd")
    with pytest.warns(FutureWarning, match=r"Please use `torch.amp.custom_fwd\(args..., device_t"):
        older.custom_fwd(cast_inputs=torch.float32)
    with pytest.warns(FutureWarning, match=r"`torch.cuda.amp.custom_bwd\(args...\)` is deprecated"):
        assert older.custom_bwd(forward).__name__ == "forward"


def test_set_grad_enabled_says_its_mode():
    try:
        for mode in (False, True):
            shown = repr(torch.set_grad_enabled(mode))
            assert shown.endswith(f"autograd.grad_mode.set_grad_enabled(mode={mode})")
    finally:
        torch.set_grad_enabled(True)


def test_linalg_error_is_one_class():
    error = torch.linalg.LinAlgError
    assert error is torch._C._LinAlgError
    assert (error.__name__, error.__module__) == ("_LinAlgError", "framework._C")
    assert issubclass(error, RuntimeError) and type(pickle.loads(pickle.dumps(error("x")))) is error
    with pytest.raises(error, match=r"linalg\.inv: The diagonal element 1 is zero"):
        torch.linalg.inv(torch.zeros(2, 2))


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("ReLU", "ReLU"), ("SiLU", "SiLU"), ("Softmax", "Softmax"), ("Conv2d", "Conv2d"),
        ("ZeroPad2d", "ZeroPad2d"), ("CELU", "CELU"), ("TransformerEncoderLayer", None),
        ("Dropout", "_DropoutNd"), ("AdaptiveAvgPool2d", "_AdaptiveAvgPoolNd"),
        ("MSELoss", "_Loss"), ("BatchNorm1d", "_BatchNorm"), ("MaxPool2d", "_MaxPoolNd"),
        ("Sigmoid", "Sigmoid"), ("Linear", "Linear"), ("LSTM", None),
    ],
)  # fmt: skip
def test_a_module_is_named_when_it_refuses_an_argument(name, owner):
    with pytest.raises(TypeError, match="argument") as caught:
        getattr(nn, name)(foo=1)
    assert owner is None or str(caught.value).startswith(f"{owner}.__init__() ")


def test_a_named_constructor_is_an_ordinary_one():
    class Mine(nn.ReLU):
        def __init__(self):
            super().__init__(inplace=True)

    assert repr(Mine()) == "Mine(inplace=True)" and repr(nn.ReLU(True)) == "ReLU(inplace=True)"
    conv = nn.Conv2d(1, 2, kernel_size=3, padding=1)
    assert conv(torch.ones(1, 1, 4, 4)).shape == (1, 2, 4, 4)


def test_negative_lengths():
    with pytest.raises(RuntimeError, match="zeros: Dimension size must be non-negative"):
        torch.zeros(2, -1)
    words = r"Trying to create tensor with negative dimension -1: \[-1\]"
    for make in (torch.ones, torch.empty, torch.rand, torch.Tensor, torch.FloatTensor):
        with pytest.raises(RuntimeError, match=words):
            make(-1)


def test_products_with_arrays_promote():
    for array in (np.ones(2), np.ones(2, np.float32), np.ones(2, np.int64)):
        for y in (torch.ones(2) @ array, array @ torch.ones(2)):
            assert y.item() == 2 and y.dtype is (torch.ones(2) + tensor(array)).dtype
    x = torch.ones(2, 2, requires_grad=True)
    (x @ np.full(2, 3.0)).sum().backward()
    assert x.grad.tolist() == [[3, 3], [3, 3]] and x.grad.dtype is torch.float32
    with pytest.raises(RuntimeError, match="same dtype"):
        torch.ones(2) @ torch.ones(2, dtype=torch.float64)


def test_a_number_of_a_tensor_with_a_gradient_warns_once(monkeypatch):
    x = torch.ones((), requires_grad=True)
    for convert in (float, complex, lambda t: np.sqrt(float(t * 2))):
        monkeypatch.setattr(sys.modules["framework.cautions"], "_said", set())
        with pytest.warns(UserWarning, match="Converting a tensor with requires_grad=True to a"):
            convert(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        float(x)  # it has been said
        monkeypatch.setattr(sys.modules["framework.cautions"], "_said", set())
        assert (int(x), bool(x), x.item(), f"{x:.1f}") == (1, True, 1.0, "1.0")
        float(x.detach())
        with torch.no_grad():
            float(x)
        p = nn.Parameter(torch.ones(2))
        lbfgs = torch.optim.LBFGS([p])  # takes the number of its own accord
        assert lbfgs.step(lambda: ((p**2).sum().backward(), (p**2).sum())[1]).item() == 2


def test_lists_that_are_too_deep():
    inside: list = []
    inside.append(inside)
    both: list = [1]
    both.append(both)
    deep: list = [1]
    for _ in range(200):
        deep = [deep]
    for make in (torch.tensor, torch.as_tensor, torch.Tensor):
        for data in (inside, deep):
            with pytest.raises(ValueError, match="too many dimensions 'list'"):
                make(data)
    with pytest.raises(ValueError, match="too many dimensions"):  # PyTorch: TypeError
        torch.tensor(both)


def test_out_of_random_functions_with_gradients():
    x, out = torch.full((2,), 0.5, requires_grad=True), torch.zeros(2)
    for call in (
        lambda: torch.normal(x, 1.0, out=out), lambda: torch.normal(0.0, x, out=out),
        lambda: torch.bernoulli(x, out=out), lambda: torch.diff(x, out=out),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
            call()
        with torch.no_grad():
            assert call() is out


def test_imaginary_parts_are_lost_in_pytorch_s_words(monkeypatch) -> None:
    """Once in a program, at its line; NumPy warns each time, of a line of ours."""
    monkeypatch.setattr(sys.modules["framework.cautions"], "_said", set())
    z, real = torch.tensor([1 + 2j]), torch.zeros(1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert z.to(torch.float32).tolist() == z.double().tolist() == [1.0]
        assert z.to(torch.int64).tolist() == [1] and z.to(torch.bool).tolist() == [True]
        assert real.copy_(z).tolist() == [1.0]
    (said,) = caught
    assert said.category is UserWarning and said.filename == __file__
    assert str(said.message) == "Casting complex values to real discards the imaginary part"


def test_out_of_solve_triangular_has_the_type_of_the_result():
    a, b = torch.tensor([[2.0, 0.0], [1.0, 3.0]]), torch.ones(2, 1)
    solve = torch.linalg.solve_triangular
    for shape in ((2, 1), (0,)):
        out = torch.empty(shape)
        assert solve(a, b, upper=False, out=out) is out and out.shape == (2, 1)
        for kind in (torch.float64, torch.int64):
            with pytest.raises(RuntimeError, match="xpected"):
                solve(a, b, upper=False, out=torch.empty(shape, dtype=kind))
    expected = solve(a, b, upper=False).tolist()
    assert solve(a, b, upper=False, out=b) is b and b.tolist() == expected
