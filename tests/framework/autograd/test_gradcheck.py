"""gradcheck tells right gradients from wrong ones; anomaly detection finds the first bad one."""

from __future__ import annotations

import warnings

import pytest

import framework as torch
from framework.autograd import (
    Function,
    GradcheckError,
    detect_anomaly,
    gradcheck,
    gradgradcheck,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from framework.trace import sink


def leaf(*values, dtype=torch.float64):
    return torch.tensor(list(values), dtype=dtype, requires_grad=True)


class WrongSquare(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (2 * x + 0.01 * x)


class WrongSecond(Function):
    """x^3 with a right gradient, whose own gradient is wrong."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x.detach()


def test_right_gradients_pass():
    x, y = leaf(0.5, -1.5), leaf(2, 3)
    assert gradcheck(lambda a, b: (a * b.sin(), a.exp().sum()), (x, y))
    assert gradgradcheck(lambda a, b: a * b.sin(), (x, y))
    assert gradcheck(lambda a: torch.ones(2, dtype=torch.float64), x)  # a constant
    assert x.grad is None and x.tolist() == [0.5, -1.5]


def test_a_wrong_gradient_is_found_and_named():
    x = leaf(0.5, -1.5)
    with pytest.raises(
        GradcheckError, match=r"with respect to input 1, 2 of 2 .* most of all \[1\]"
    ):
        gradcheck(lambda a, x: WrongSquare.apply(x) + a, (leaf(1), x))
    assert not gradcheck(WrongSquare.apply, x, raise_exception=False)
    assert not gradcheck(lambda x: x * x.detach(), x, raise_exception=False)


def test_what_is_sparse_is_refused_in_a_line():
    """In PyTorch's words where it refuses it, too."""
    table = leaf(0.5, -1.5, 2).reshape(3, 1).detach().requires_grad_()
    rows = torch.tensor([2, 0, 2])

    def looked_up(t):
        return torch.nn.functional.embedding(rows, t, sparse=True)

    with pytest.raises(GradcheckError, match=r"incorrect layout \(torch.sparse_coo is not"):
        gradcheck(looked_up, table)
    assert not gradcheck(looked_up, table, raise_exception=False)
    with pytest.raises(ValueError, match="Sparse output is not supported at gradcheck yet"):
        gradcheck(lambda t: t.to_sparse(), table)
    with pytest.raises(ValueError, match="Sparse inputs are not supported by gradcheck: make"):
        gradcheck(lambda t: t.to_dense(), table.detach().to_sparse().requires_grad_())


def test_a_wrong_second_gradient_is_found():
    x = leaf(0.5, -1.5)
    assert gradcheck(WrongSecond.apply, x)
    assert not gradgradcheck(WrongSecond.apply, x, raise_exception=False)


class LostHistory(Function):
    """exp whose backward is right, but cannot be differentiated again."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        return (g * ctx.saved_tensors[0]).detach()


def test_a_backward_that_loses_its_history_is_found():
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(LostHistory.apply, (x,))
    assert not gradgradcheck(LostHistory.apply, (x,), raise_exception=False)


def test_a_nan_is_no_match():
    class Nan(WrongSquare):
        @staticmethod
        def backward(ctx, g):
            return g * float("nan")

    assert not gradcheck(Nan.apply, leaf(1), raise_exception=False)


def test_complex_inputs():
    z = torch.tensor([1 + 2j, -0.5j], dtype=torch.complex128, requires_grad=True)
    assert gradcheck(lambda z: z * z, z)
    assert not gradcheck(lambda z: z * z.detach(), z, raise_exception=False)


def test_what_cannot_be_checked():
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(lambda x: x, torch.ones(1))
    state = iter(range(100))
    with pytest.raises(GradcheckError, match="another result"):
        gradcheck(lambda x: x * next(state), leaf(1))
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double"):
        gradcheck(lambda x: x * 2, leaf(1, dtype=torch.float32), raise_exception=False)


# -- anomalies -------------------------------------------------------------------------------


def test_the_first_nan_is_named_with_its_line():
    x = leaf(0)
    assert sink.active is None
    with detect_anomaly():
        y = x.sqrt() * 0  # marked
        with pytest.raises(RuntimeError, match="'SqrtBackward0' returned nan") as caught:
            y.backward()
    assert sink.active is None and not is_anomaly_enabled()
    text = str(caught.value)
    assert "forward op: sqrt" in text and "test_gradcheck.py, line" in text
    line = int(text.rpartition("line ")[2].rstrip(")"))
    with open(__file__) as file:
        assert "# marked" in file.read().splitlines()[line - 1]


def test_infinities_count_too():
    x = leaf(0)
    with detect_anomaly(), pytest.raises(RuntimeError, match="'LogBackward0' returned inf"):
        x.log().backward()


def test_without_anomaly_mode_nothing_is_raised():
    x = leaf(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x.log().backward()
        with detect_anomaly(check_nan=False):
            x.log().backward()
    assert x.grad.tolist() == [float("inf")]


def test_the_switch():
    set_detect_anomaly(True)
    assert is_anomaly_enabled() and sink.active is not None
    set_detect_anomaly(False)
    assert not is_anomaly_enabled() and sink.active is None
    with sink.recording() as tape:
        with detect_anomaly():
            assert sink.active is tape
        assert sink.active is tape


def test_the_output_that_is_wrong_is_named():
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    wrong = "Jacobian mismatch for output {} with respect to input 0, 2 of 2 elements differ"
    with pytest.raises(torch.autograd.GradcheckError, match=wrong.format(0)):
        torch.autograd.gradcheck(lambda x: x.detach() * x, x)
    with pytest.raises(torch.autograd.GradcheckError, match=wrong.format(2)):
        torch.autograd.gradcheck(lambda x: (x.exp(), x * 2, x.detach() * x), x)
    with pytest.raises(torch.autograd.GradcheckError, match="for output 1 with respect to input 0"):
        torch.autograd.gradcheck(lambda x: (x.exp(), x.detach() * x), x, fast_mode=True)


def test_a_backward_that_gives_another_gradient_each_time_is_refused():
    class Unsteady(torch.autograd.Function):
        runs = 0

        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            Unsteady.runs += 1
            return 2 * g + 1e-7 * Unsteady.runs

    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    with pytest.raises(torch.autograd.GradcheckError, match="Backward is not reentrant"):
        torch.autograd.gradcheck(Unsteady.apply, x)
    assert torch.autograd.gradcheck(Unsteady.apply, x, nondet_tol=1e-6)
