"""Arguments that can have no gradient, results whose backward refuses, and parts of arguments as
``out``: refused in PyTorch's words."""

from __future__ import annotations

import pytest

import framework as torch

F = torch.nn.functional


def leaf(*shape):
    return torch.rand(*shape).requires_grad_()


X, Y, P = torch.rand(3, 4), torch.tensor([0, 1, 2]), torch.rand(3, 4)
MAPS, CLASSES = torch.rand(1, 4, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64)

REFUSED = {
    ("nll_loss_forward", "weight"): [
        lambda: F.cross_entropy(X, Y, weight=leaf(4)),
        lambda: F.cross_entropy(X, Y, weight=leaf(4), label_smoothing=0.1),
        lambda: F.nll_loss(X, Y, weight=leaf(4), reduction="none"),
    ],
    ("nll_loss2d_forward", "weight"): [lambda: F.nll_loss(MAPS, CLASSES, weight=leaf(4))],
    ("binary_cross_entropy", "weight"): [lambda: F.binary_cross_entropy(X, P, weight=leaf(3, 4))],
    ("binary_cross_entropy_with_logits", "weight"): [
        lambda: F.binary_cross_entropy_with_logits(X, P, weight=leaf(4))
    ],
    ("binary_cross_entropy_with_logits", "pos_weight"): [
        lambda: F.binary_cross_entropy_with_logits(X, P, pos_weight=leaf(4))
    ],
    ("soft_margin_loss", "target"): [lambda: F.soft_margin_loss(X, leaf(3, 4))],
    ("multi_margin_loss", "weight"): [lambda: F.multi_margin_loss(X, Y, weight=leaf(4))],
    ("native_batch_norm", "running_mean"): [
        lambda: F.batch_norm(X, leaf(4), torch.ones(4)),
        lambda: F.batch_norm(X, leaf(4), torch.ones(4), training=True),
        lambda: F.instance_norm(X[None], leaf(3), torch.ones(3), use_input_stats=False),
    ],
    ("native_batch_norm", "running_var"): [lambda: F.batch_norm(X, torch.ones(4), leaf(4))],
    ("fractional_max_pool2d", "random_samples"): [
        lambda: F.fractional_max_pool2d(MAPS, 1, 1, _random_samples=leaf(1, 4, 2))
    ],
    ("linalg_pinv", "rtol"): [lambda: torch.linalg.pinv(X, rtol=leaf(1)[0])],
}


@pytest.mark.parametrize(("function", "argument"), list(REFUSED))
def test_arguments_without_a_gradient(function, argument):
    words = f"'{function}' is not differentiable with respect to argument '{argument}'"
    for call in REFUSED[function, argument]:
        with pytest.raises(RuntimeError, match=words):
            call()
        with torch.no_grad():
            assert not call().requires_grad


def test_targets_that_may_have_one():
    for call in (F.cross_entropy, F.mse_loss, F.binary_cross_entropy_with_logits):
        target = leaf(3, 4)
        call(X, target).backward()
        assert target.grad.abs().sum() > 0
    weight = leaf(4)
    F.cross_entropy(X, P, weight=weight).backward()  # class probabilities: made of other ops
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("call", "name", "node"),
    [
        (torch.unique, "_unique2", "Unique2Backward0"),
        (torch.unique_consecutive, "unique_consecutive", "UniqueConsecutiveBackward0"),
        (lambda x: torch.bincount(Y, weights=x), "bincount", "BincountBackward0"),
    ],
)
def test_results_whose_backward_refuses(call, name, node):
    y = call(leaf(3))
    assert type(y.grad_fn).__name__ == node
    with pytest.raises(NotImplementedError, match=f"the derivative for '{name}' is not impl"):
        y.sum().backward()
    assert not call(torch.rand(3)).requires_grad


# -- out= ------------------------------------------------------------------------------------------

SHARED = "some elements of the input tensor and the written-to tensor refer to a single memory"


@pytest.mark.parametrize(
    "call",
    [
        lambda x, out: torch.exp(x, out=out),
        lambda x, out: torch.add(x, 1, out=out),
        lambda x, out: torch.mul(2.0 * x, x, out=out),
        lambda x, out: torch.where(x > 0, x, x, out=out),
        lambda x, out: torch.cumsum(x, 0, out=out),
        lambda x, out: torch.maximum(x, x, out=out),
        lambda x, out: torch.max(x, x, out=out),
        lambda x, out: torch.special.erf(x, out=out),
        lambda x, out: F.gelu(x, out=out),
        lambda x, out: torch.cat([x], out=out),
    ],
)
def test_out_must_not_be_a_part_of_an_argument(call):
    memory = torch.rand(9)
    before = memory.clone()
    with pytest.raises(RuntimeError, match=SHARED):
        call(memory[:8], memory[1:])
    assert torch.equal(memory, before)


def test_out_may_be_the_argument_itself_or_lie_apart():
    for call in (torch.exp, torch.tanh, lambda x, out: torch.max(x, 2 * x, out=out)):
        memory = torch.rand(8)
        wanted = call(memory, out=torch.empty(8))
        assert torch.equal(call(memory, out=memory), wanted)
    memory = torch.rand(2, 8)
    torch.exp(memory[0], out=memory[1])
    assert torch.equal(memory[1], memory[0].exp())
    square = torch.rand(3, 3)
    torch.matmul(torch.eye(3), square, out=square)  # PyTorch does not look there, either
    torch.softmax(memory[0, :7], 0, out=memory[0, 1:])


def test_tangents_are_pushed_past_arguments_that_can_have_no_gradient() -> None:
    x, target, weight = torch.randn(2, 3), torch.tensor([0, 2]), torch.rand(3)

    def loss(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.nll_loss(x, target, weight, reduction="sum")

    value, tangent = torch.func.jvp(loss, (x, weight), (torch.ones(2, 3), torch.zeros(3)))
    assert torch.allclose(value, loss(x, weight))
    assert torch.allclose(tangent, -(weight[0] + weight[2]))


def test_the_tangent_of_the_variance_of_nothing() -> None:
    x = torch.zeros(0, 5)
    _, tangent = torch.func.jvp(lambda x: x.var(0), (x,), (x,))
    assert tangent.tolist() == [0.0] * 5
