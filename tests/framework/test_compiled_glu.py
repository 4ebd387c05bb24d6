"""glu, stack and bags of embeddings as one pass, against the ops that they are made of."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.kernels import compiled
from framework.nn import functional as F

pytest.importorskip("numba")


def _numbers(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def _run(call, a, dtype):
    x = torch.tensor(a, requires_grad=True)
    y = call(x)
    y.backward(torch.tensor(_numbers(tuple(y.shape), dtype, 5)))
    return y.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "dim"),
    [((70, 72), -1), ((70, 72), 0), ((3, 6, 17, 19), 1), ((6000,), 0), ((2, 5, 900), 0),
     ((3000, 2), 1)],
)  # fmt: skip
def test_glu(plainly, dtype, shape, dim):
    a = _numbers(shape, dtype) * 9
    flat = a.reshape(-1)
    flat[:40] = np.random.default_rng(1).choice([np.nan, np.inf, -np.inf, -0.0, 300, -300], 40)
    quick = _run(lambda x: F.glu(x, dim), a, dtype)
    plain = plainly(lambda: _run(lambda x: F.glu(x, dim), a, dtype))
    rounding = 3e-6 if dtype == np.float32 else 1e-14
    for found, wanted in zip(quick, plain):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, rtol=rounding, atol=50 * rounding)


def test_glu_otherwise(plainly):
    a = _numbers((80, 90), np.float64)
    turned = _run(lambda x: F.glu(x.t(), 0), a, np.float64)
    for found, wanted in zip(
        turned, plainly(lambda: _run(lambda x: F.glu(x.t(), 0), a, np.float64))
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
    assert F.glu(torch.zeros(0, 8000)).shape == (0, 4000)
    x = torch.tensor(a, requires_grad=True)
    g = torch.tensor(_numbers((80, 45), np.float64, 1), requires_grad=True)

    def twice():
        (first,) = torch.autograd.grad(F.glu(x), x, g, create_graph=True)
        again = torch.autograd.grad(first, (x, g), torch.tensor(_numbers((80, 90), np.float64, 2)))
        return [first.detach().numpy(), *[v.numpy() for v in again]]

    for found, wanted in zip(twice(), plainly(twice), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
    y = F.glu(x)
    plainly(lambda: y.backward(g))  # a Numba that is gone meanwhile
    np.testing.assert_allclose(x.grad.numpy(), twice()[0], rtol=1e-12)


def test_glu_gives_the_same_bits_in_any_number_of_threads():
    a, found, before = _numbers((70, 4098), np.float32), [], compiled.threads()
    try:
        for count in (1, 2, 5):
            compiled.set_threads(count)
            found.append(_run(F.glu, a, np.float32))
    finally:
        compiled.set_threads(before)
    for others in found[1:]:
        for one, other in zip(found[0], others):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_a_stack_is_one_node_with_slices_for_gradients(dim):
    many = [_numbers((3, 4), np.float64, i) for i in range(3)]
    leaves = [torch.tensor(a, requires_grad=i != 1) for i, a in enumerate(many)]
    y = torch.stack(leaves, dim)
    np.testing.assert_array_equal(y.detach().numpy(), np.stack(many, dim))
    assert y.is_contiguous() and y.grad_fn.name() == "StackBackward0"
    assert [n and n.name() for n, _ in y.grad_fn.next_functions if n is not None] == [
        "torch::autograd::AccumulateGrad"
    ] * 2
    g = _numbers(tuple(y.shape), np.float64, 9)
    y.backward(torch.tensor(g))
    for i in (0, 2):
        np.testing.assert_array_equal(leaves[i].grad.numpy(), g.take(i, dim))
    mixed = torch.stack([torch.tensor([1]), torch.tensor([0.5])])
    assert mixed.dtype is torch.float32 and mixed.tolist() == [[1.0], [0.5]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
def test_bags(plainly, dtype, mode, weighted):
    if weighted and mode == "mean":
        pytest.skip("has no weights")
    rng = np.random.default_rng(4)
    table, index = _numbers((50, 33), dtype), rng.integers(0, 50, 700)
    offsets = np.sort(np.concatenate([[0, 0, 700, 700], rng.integers(0, 700, 60)]))
    factors = _numbers(700, dtype, 3) if weighted else None
    table[7] = np.inf

    def both(padding=None):
        w = torch.tensor(table, requires_grad=True)
        f = None if factors is None else torch.tensor(factors, requires_grad=True)
        y = F.embedding_bag(torch.tensor(index), w, torch.tensor(offsets), mode=mode,
                            per_sample_weights=f, padding_idx=padding)  # fmt: skip
        y.backward(torch.tensor(_numbers(tuple(y.shape), dtype, 5)))
        return [y.detach().numpy(), w.grad.numpy()]

    rounding = 1e-5 if dtype == np.float32 else 1e-13
    for padding in (None, 7):
        plain = plainly(lambda padding=padding: both(padding))
        for found, wanted in zip(both(padding), plain):
            np.testing.assert_allclose(found, wanted, rtol=rounding, atol=rounding)
