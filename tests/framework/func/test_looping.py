"""Functions that look at values, which vmap runs sample by sample; statistics inside of vmap."""

from __future__ import annotations

import pytest

import framework as torch

F = torch.nn.functional

REPEATS = torch.tensor([[1, 0, 2], [2, 1, 0], [0, 0, 3]])
FUNCTIONS = {
    "repeat_interleave": lambda x: x.repeat_interleave(torch.tensor([1, 0, 2])) * x.sum(),
    "embedding_bag": lambda x: F.embedding_bag(
        torch.tensor([2, 0, 1]), x.unsqueeze(1), torch.tensor([0, 1]), mode="sum"
    ),
    "multilabel_margin_loss": lambda x: F.multilabel_margin_loss(x, torch.tensor([1, -1, 0])) ** 2,
    "grid_sample": lambda x: F.grid_sample(
        x.reshape(1, 1, 1, 3), x.sigmoid()[:2].reshape(1, 1, 1, 2), align_corners=True
    ),
    "linspace": lambda x: torch.linspace(x[0], x[1], 4, dtype=torch.float64) * x[2],
}


def batch() -> torch.Tensor:
    return torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5], [3.0, 1.0, 0.1]]).double()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_is_the_function_of_each_sample(name: str) -> None:
    f, x = FUNCTIONS[name], batch()
    expected = torch.stack([f(row) for row in x])
    torch.testing.assert_close(torch.vmap(f)(x), expected)
    nested = torch.vmap(torch.vmap(f))(torch.stack([x, x * 2]))
    torch.testing.assert_close(nested[1], torch.stack([f(row * 2) for row in x]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_inside_and_outside(name: str) -> None:
    f, x = FUNCTIONS[name], batch()
    total = lambda row: f(row).sum()  # noqa: E731
    per_sample = torch.stack([torch.func.grad(total)(row) for row in x])
    torch.testing.assert_close(torch.vmap(torch.func.grad(total))(x), per_sample)
    whole = torch.func.grad(lambda b: torch.vmap(total)(b).sum())(x)
    torch.testing.assert_close(whole, per_sample)
    hessians = torch.stack([torch.func.hessian(total)(row) for row in x])
    torch.testing.assert_close(torch.vmap(torch.func.hessian(total))(x), hessians)
    push = lambda row: torch.func.jvp(f, (row,), (torch.ones_like(row),))[1]  # noqa: E731
    torch.testing.assert_close(torch.vmap(push)(x), torch.stack([push(row) for row in x]))


def test_arguments_that_are_not_of_floats_may_be_mapped() -> None:
    x = batch()
    got = torch.vmap(lambda x, n: x.repeat_interleave(n, output_size=3))(x, REPEATS)
    torch.testing.assert_close(
        got, torch.stack([x[i].repeat_interleave(REPEATS[i]) for i in range(3)])
    )
    with pytest.raises(RuntimeError, match="dynamic shape"):
        torch.vmap(lambda x, n: x.repeat_interleave(n))(
            x, torch.tensor([[1, 0, 2], [2, 2, 0], [0, 0, 3]])
        )


def test_running_statistics() -> None:
    x = torch.arange(24.0).reshape(3, 4, 2) ** 1.5
    mean, var = torch.zeros(3, 2), torch.ones(3, 2)
    torch.vmap(lambda x, m, v: F.batch_norm(x, m, v, training=True))(x, mean, var)
    for i in range(3):
        m, v = torch.zeros(2), torch.ones(2)
        F.batch_norm(x[i], m, v, training=True)
        torch.testing.assert_close(mean[i], m)
        torch.testing.assert_close(var[i], v)
    with pytest.raises(RuntimeError, match="Batch norm got a batched tensor as input while the"):
        torch.vmap(lambda x: F.batch_norm(x, mean[0], var[0], training=True))(x)


def test_a_gradient_outside_is_seen_inside() -> None:
    a = torch.tensor([[[2.0, 1.0], [0.0, 3.0]]]).requires_grad_()
    assert torch.vmap(torch.linalg.svdvals)(a).requires_grad
    assert torch.vmap(torch.linalg.eigvals)(a).requires_grad


def test_reductions_of_numbers() -> None:
    x = torch.tensor([1.0, 2.0, 3.0])
    for f in (
        lambda v: v.amax(()),
        lambda v: v.amin(0),
        lambda v: v.sort().values,
        lambda v: v.sum(),
    ):
        got = torch.func.grad(lambda b, f=f: torch.vmap(f)(b).sum())(x)
        torch.testing.assert_close(got, torch.ones(3))


def test_random_ops_that_other_functions_are_made_of() -> None:
    x = -torch.ones(3, 50)
    for f in (
        lambda row: F.rrelu(row, training=True),
        lambda row: F.gumbel_softmax(row),
        lambda row: F.fractional_max_pool2d(row.reshape(1, 5, 10), 2, output_size=(2, 4)),
    ):
        with pytest.raises(RuntimeError, match="randomness error mode"):
            torch.vmap(f)(x)
        torch.vmap(f, randomness="different")(x)
    same = torch.vmap(lambda row: F.rrelu(row, training=True), randomness="same")(x)
    assert (same == same[0]).all()
    different = torch.vmap(lambda row: F.rrelu(row, training=True), randomness="different")(x)
    assert not (different == different[0]).all()
