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
            return (2 + 1e-7 * Unsteady.runs) * g

    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    with pytest.raises(torch.autograd.GradcheckError, match="Backward is not reentrant"):
        torch.autograd.gradcheck(Unsteady.apply, x)
    assert torch.autograd.gradcheck(Unsteady.apply, x, nondet_tol=1e-6)


# -- each output by itself, and the options: what PyTorch 2.13 says of the same functions ----------


def pair():
    return torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)


def test_each_output_is_checked_alone():
    x = pair()
    for outputs, wrong in (
        (lambda a: (a * 2, a.detach() * a, a.detach() ** 2 * a), 1),
        (lambda a: (a * a.detach(), a * (2 * a - a.detach())), 0),  # their sum is right
        (lambda a: (a * 2, a.argmax(), a.detach() * a), 1),  # integers do not count
    ):
        for fast in (False, True):
            with pytest.raises(GradcheckError, match=f"for output {wrong} with respect to input 0"):
                gradcheck(outputs, x, fast_mode=fast)


def test_a_small_element_is_not_lost_beside_a_large_one():
    x = pair()
    with pytest.raises(GradcheckError, match=r"most of all \[1\]: numerical 0.001, analytical 0"):
        gradcheck(lambda a: torch.stack([a[0] * 1e5, a[1].detach() * 1e-3 + a[0] * 0]), x)


def test_the_part_of_a_complex_output_is_named():
    z = torch.tensor([1 + 2j], dtype=torch.complex128, requires_grad=True)
    with pytest.raises(GradcheckError, match="While considering the imaginary part of complex out"):
        gradcheck(lambda a: (a * a, a * a.detach()), z)
    assert gradcheck(lambda a: (a * a, a.abs()), z, check_forward_ad=True)
    assert gradcheck(lambda a: torch.complex(a, a * a), pair(), check_forward_ad=True)


def test_parameters_that_the_function_knows_otherwise():
    model = torch.nn.Linear(2, 2).double()
    before = model.weight.tolist()
    inputs = (pair(), *model.parameters())
    assert gradcheck(lambda a, *_: model(a), inputs)
    assert gradcheck(lambda a, *_: model(a), inputs, fast_mode=True)
    assert gradgradcheck(lambda a, *_: model(a).sin(), inputs)
    assert model.weight.tolist() == before


class Undefined(Function):
    """Twice its input; what it does with an undefined gradient is in ``then``."""

    @staticmethod
    def forward(ctx, x, then):
        ctx.set_materialize_grads(False)
        ctx.then = then
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return (2 * g if g is not None else ctx.then()), None


def refuse():
    raise RuntimeError("undefined")


def test_undefined_gradients():
    x = pair()
    for then, words in (
        (refuse, "Expected backward function to handle undefined output grads"),
        (lambda: torch.ones(2, dtype=torch.float64), "Expected all input grads to be undefined or"),
    ):

        def call(a, then=then):
            return Undefined.apply(a, then)

        with (
            pytest.warns(UserWarning, match="Backwards compatibility: New undefined gradient"),
            pytest.raises(GradcheckError, match=words),
        ):
            gradcheck(call, x)
        assert gradcheck(call, x, check_undefined_grad=False)
    assert gradcheck(lambda a: Undefined.apply(a, lambda: None), x)


def test_one_undefined_gradient_of_two():
    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            return a * 2 + b * 3

    x = pair()
    with pytest.raises(TypeError, match="NoneType"):  # it fails without any check, as in PyTorch
        gradcheck(Two.apply, x, check_undefined_grad=False)


def test_a_backward_that_does_not_look_at_its_gradient():
    class Constant(Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, g):
            return torch.ones(2, dtype=torch.float64)

    with pytest.raises(GradcheckError, match="backward not multiplied by grad_output"):
        gradcheck(Constant.apply, pair())


def test_dtypes_of_tangents():
    class Tangent(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

        @staticmethod
        def jvp(ctx, t):
            return (t * 2).to(torch.complex128)

    assert gradcheck(Tangent.apply, pair(), check_forward_ad=True)
    with pytest.raises(GradcheckError, match="Forward AD gradient has dtype mismatch"):
        gradcheck(Tangent.apply, pair(), check_forward_ad=True, check_grad_dtypes=True)


def test_dtypes_of_gradients_are_those_of_inputs():
    class Narrow(Function):
        @staticmethod
        def forward(ctx, x, kind):
            ctx.kind = kind
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return (g * 2).to(ctx.kind), None

    assert gradcheck(lambda x: Narrow.apply(x, torch.float32), pair(), check_grad_dtypes=True)
    with pytest.raises(RuntimeError, match=r"input_is_complex == grad_is_complex\) to be true"):
        Narrow.apply(pair(), torch.complex128).sum().backward()


def test_wrong_tangents_are_named():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            return a * 2 + b * 3

        @staticmethod
        def jvp(ctx, t):
            return t * 2, t * 4

    words = "Jacobian computed with forward mode mismatch for output 1 with respect to input 1"
    with pytest.raises(GradcheckError, match=words):
        gradcheck(lambda a, b: Wrong.apply(b + a * 0), (pair(), pair()), check_forward_ad=True)


def test_what_gradcheck_refuses():
    one = torch.ones(1, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="The 0th input has a dimension with stride 0"):
        gradcheck(lambda a: a * 2, one.expand(3).requires_grad_())
    with pytest.raises(AssertionError, match="the same shape when inputs are perturbed on index"):
        gradcheck(lambda a: a[a > 0] if a.sum() > 3 else a.sum(), pair())
    with pytest.raises(GradcheckError, match="Numerical gradient for function expected to be zero"):
        gradcheck(lambda a: a.detach() * 2, pair())
    with pytest.raises(AssertionError, match="check_undefined_grad=True requires check_rev_over"):
        gradgradcheck(lambda a: a, pair(), check_fwd_over_rev=True, check_rev_over_rev=False)
    assert gradgradcheck(
        lambda a: a * a, pair(), check_fwd_over_rev=True, check_rev_over_rev=False,
        check_undefined_grad=False,
    )  # fmt: skip
    assert gradgradcheck(lambda a: a * a, pair(), gen_non_contig_grad_outputs=True)


def test_sparse_inputs():
    places = torch.tensor([[0, 1], [1, 0]])

    def sparse(values=(1.0, 2.0), places=places, shape=(2, 2)):
        made = torch.tensor(values, dtype=torch.float64)
        return torch.sparse_coo_tensor(places, made, shape).requires_grad_()

    dense = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64, requires_grad=True)
    calls = {
        "to_dense": lambda s, d: s.to_dense(),
        "mm": lambda s, d: torch.sparse.mm(s, d),
        "sum": lambda s, d: torch.sparse.sum(s) * d,
    }
    for fast in (False, True):
        for call in calls.values():
            assert gradcheck(call, (sparse(), dense), masked=True, fast_mode=fast)
    for call in calls.values():  # elements that are not there have a gradient, which is left out
        with pytest.raises(GradcheckError, match="Jacobian mismatch for output 0 with respect to"):
            gradcheck(call, (sparse(), dense), masked=False)
    with pytest.raises(GradcheckError, match=r"most of all \[1, 0\]: numerical 4, analytical 2"):
        gradcheck(lambda s: s.to_dense() * s.detach().to_dense(), sparse(), masked=True)
    with pytest.raises(ValueError, match="Sparse output is not supported at gradcheck yet"):
        gradcheck(lambda s: s * 2, sparse(), masked=True)
    with pytest.raises(ValueError, match="Sparse output is not supported at gradcheck yet"):
        gradgradcheck(lambda s, d: torch.sparse.mm(s, d), (sparse(), dense), masked=True)
    rows = sparse(values=[[1.0, 2.0], [3.0, 4.0]], places=torch.tensor([[0, 2]]), shape=(3, 2))
    assert gradcheck(lambda s: s.to_dense() ** 2, rows, masked=True)
