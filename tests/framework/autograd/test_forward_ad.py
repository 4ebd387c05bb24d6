"""Dual numbers."""

from __future__ import annotations

import pytest

import framework as torch
from framework.autograd import forward_ad as fw


def test_tangents_go_through_ops_views_and_writes():
    x, v = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 10.0])
    with fw.dual_level():
        d = fw.make_dual(x, v)
        y = (d * d).clone()
        y[0] = d[1] * 3
        assert fw.unpack_dual(y).tangent.tolist() == [30.0, 40.0]
        assert fw.unpack_dual(y.sum()).primal.item() == 10.0
        assert fw.unpack_dual(torch.ones(2)).tangent is None
        assert fw.unpack_dual(d.detach() * 2).tangent is None
    assert fw.unpack_dual(d).tangent is None


def test_several_duals_and_no_grad_around():
    with torch.no_grad(), fw.dual_level():
        a = fw.make_dual(torch.tensor(2.0), torch.tensor(1.0))
        b = fw.make_dual(torch.tensor(5.0), torch.tensor(100.0))
        assert fw.unpack_dual(a * b).tangent.item() == 205.0
    assert torch.is_grad_enabled()


def test_through_a_gradient():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with fw.dual_level():
        d = fw.make_dual(x, torch.tensor([1.0, 0.0]))
        (g,) = torch.autograd.grad((d**3).sum(), d)
        assert fw.unpack_dual(g).tangent.tolist() == [6.0, 0.0]


def test_a_primal_can_be_dual_again():
    with fw.dual_level():
        d = fw.make_dual(torch.tensor(3.0), torch.tensor(1.0))
        primal, tangent = fw.unpack_dual(d * d)
        again = fw.make_dual(primal, tangent * 0 + 1)
        assert fw.unpack_dual(again * 2).tangent.item() == 2.0


def test_modules():
    layer = torch.nn.Linear(2, 1)
    weight = layer.weight
    with fw.dual_level():
        del layer.weight
        layer.weight = fw.make_dual(weight.detach(), torch.ones(1, 2))
        out = fw.unpack_dual(layer(torch.tensor([3.0, 4.0])))
        assert out.tangent.tolist() == [7.0]


def test_refusals():
    with pytest.raises(RuntimeError, match="no level exists"):
        fw.make_dual(torch.ones(1), torch.ones(1))
    with fw.dual_level():
        with pytest.raises(RuntimeError, match="Nested forward mode"):
            fw.enter_dual_level()
        with pytest.raises(RuntimeError, match="different size"):
            fw.make_dual(torch.ones(2), torch.ones(1))
        with pytest.raises(ValueError, match="floating point or complex"):
            fw.make_dual(torch.tensor(1), torch.tensor(1))


class NoJvp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


def test_a_function_without_jvp_is_refused():
    with fw.dual_level():
        d = fw.make_dual(torch.ones(1), torch.ones(1))
        with pytest.raises(NotImplementedError, match="implement the jvp function"):
            fw.unpack_dual(NoJvp.apply(d))


def test_what_a_gradient_leaves_out_has_a_tangent() -> None:
    """The row of padding, an element that others are written over, the mean of nothing."""
    table, rows = torch.ones(3, 2), torch.tensor([0, 2])
    lookup = lambda w: torch.nn.functional.embedding(rows, w, padding_idx=2)  # noqa: E731
    assert torch.func.jvp(lookup, (table,), (table,))[1].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    places = torch.tensor([[0, 0]])
    unpool = lambda x: torch.nn.functional.max_unpool1d(x, places, 2)  # noqa: E731
    given = torch.tensor([[1.0, 2.0]])
    assert torch.func.jvp(unpool, (given,), (given,))[1].tolist() == [[2.0, 0.0, 0.0, 0.0]]
    nothing = torch.ones(0, 2)
    assert torch.func.jvp(lambda x: x.mean(0), (nothing,), (nothing,))[1].isnan().all()


def _partly(x):
    with torch.no_grad():
        constant = (x * x).view(-1).sin()
    return constant + x


def test_tangents_go_through_no_grad_and_gradients_do_not():
    x, v = torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.5])
    slope = 1 + 2 * x * (x * x).cos()
    assert torch.allclose(torch.func.jvp(_partly, (x,), (v,))[1], slope * v)
    assert torch.allclose(torch.func.jacfwd(_partly)(x), slope.diag())
    assert torch.equal(torch.func.jacrev(_partly)(x), torch.eye(2))
    wanted = 2 * slope  # the derivative of 2 f(x): reverse mode takes the constant for one
    found = torch.func.hessian(lambda x: (_partly(x) ** 2).sum())(x)
    assert torch.allclose(found, wanted.diag())
    twice = torch.func.jvp(lambda x: torch.func.jvp(_partly, (x,), (v,))[1], (x,), (v,))[1]
    second = 2 * (x * x).cos() - 4 * x * x * (x * x).sin()
    assert torch.allclose(twice, second * v * v)
    with torch.no_grad():
        assert torch.allclose(torch.func.jvp(_partly, (x,), (v,))[1], slope * v)


def test_what_no_grad_gives_in_a_level_has_no_history_outside():
    layer = torch.nn.Linear(2, 2)
    x, v = torch.ones(2), torch.tensor([1.0, 0.0])
    with fw.dual_level(), torch.no_grad():
        dual = fw.make_dual(x, v)
        primal, tangent = fw.unpack_dual(layer(dual))
    assert torch.equal(tangent, layer.weight[:, 0]) and not primal.requires_grad
    assert not tangent.requires_grad
    norm = torch.nn.BatchNorm1d(2)
    torch.func.jvp(norm, (torch.rand(3, 2),), (torch.rand(3, 2),))
    assert not norm.running_mean.requires_grad and norm.num_batches_tracked == 1
    with fw.dual_level(), torch.inference_mode():
        assert fw.unpack_dual(fw.make_dual(x, v) * 2).tangent is None


def test_tangents_of_what_no_grad_gave_have_no_gradient_either():
    def f(y):
        with torch.no_grad():
            cube = y**3
        return cube + y**2

    x, ones = torch.tensor([1.0, 2.0]), torch.ones(2)
    slope = torch.func.grad(lambda x: torch.func.jvp(f, (x,), (ones,))[1].sum())(x)
    assert slope.tolist() == [2.0, 2.0]  # of y ** 2 alone

    def scaled(a):
        with torch.no_grad():
            largest = torch.linalg.eigvalsh(a).max()
        return largest * ones

    a = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert torch.func.jvp(scaled, (a,), (torch.eye(2),))[1].tolist() == [1.0, 1.0]


def test_nothing_looks_at_ops_without_a_level():
    from framework.core import dispatch

    x = torch.ones(2)
    torch.func.jvp(_partly, (x,), (x,))
    with fw.dual_level():
        assert dispatch.interposer is not None
    assert dispatch.interposer is None
