"""Philox random numbers: reproducible, counter-based, and distributed as they should be."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch


def test_a_seed_repeats_the_stream_and_a_state_resumes_it() -> None:
    torch.manual_seed(3)
    first = torch.rand(5), torch.randn(3, 3), torch.randperm(10), torch.randint(0, 9, (4,))
    torch.manual_seed(3)
    again = torch.rand(5), torch.randn(3, 3), torch.randperm(10), torch.randint(0, 9, (4,))
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    state = torch.get_rng_state()
    a = torch.randn(7)
    torch.set_rng_state(state)
    assert torch.equal(a, torch.randn(7))


def test_the_stream_is_a_function_of_seed_and_offset() -> None:
    one = torch.Generator().manual_seed(11)
    one.words(8)  # two blocks of four
    two = torch.Generator().manual_seed(11)
    two.offset = 2
    assert (one.words(4) == two.words(4)).all()
    assert (torch.Generator().manual_seed(12).words(4) != two.words(4)).any()


def test_generators_are_independent_of_the_default_one() -> None:
    g = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    a = torch.rand(3)
    torch.manual_seed(0)
    torch.rand(3, generator=g)
    assert torch.equal(a, torch.rand(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_moments(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    u = torch.rand(40_000, dtype=dtype).double()._data
    n = torch.randn(40_000, dtype=dtype).double()._data
    assert u.min() >= 0 and u.max() <= 1 and abs(u.mean() - 0.5) < 0.01
    assert abs(u.var() - 1 / 12) < 0.005
    assert np.isfinite(n).all() and abs(n.mean()) < 0.02 and abs(n.std() - 1) < 0.02
    assert abs(np.mean(n[:-1] * n[1:])) < 0.03  # neighbours are not correlated


def test_uniform_float32_never_reaches_one() -> None:
    torch.manual_seed(0)
    assert torch.rand(1_000_000).max().item() < 1.0


def test_multinomial_and_permutations() -> None:
    torch.manual_seed(0)
    p = torch.tensor([0.0, 1.0, 3.0])
    drawn = torch.multinomial(p, 20_000, replacement=True)._data
    assert set(drawn.tolist()) == {1, 2} and abs((drawn == 2).mean() - 0.75) < 0.02
    assert sorted(torch.multinomial(torch.ones(5), 5).tolist()) == [0, 1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="without replacement"):
        torch.multinomial(p, 4)
    assert sorted(torch.randperm(100).tolist()) == list(range(100))
    with pytest.raises(RuntimeError, match="'from' to be less than 'to'"):
        torch.randint(3, 3, (1,))


def test_random_tensors_are_in_the_trace() -> None:
    from framework.trace import recording

    with recording() as tape:
        torch.randn(2, 3)
    (op,) = [e for e in tape.read() if type(e).__name__ == "Op"]
    assert op.name == "randn" and op.outputs[0].shape == (2, 3)
