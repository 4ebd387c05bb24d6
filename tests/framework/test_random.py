"""Philox random numbers: reproducible, counter-based, and distributed as they should be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

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


@pytest.mark.parametrize("ties", [False, True])
def test_few_of_many_are_those_of_a_sorted_race(ties) -> None:
    """By where the least lie, in the order of a stable sort, whatever is equal."""
    weights = np.random.default_rng(0).random((30, 100))
    weights[:, ::3] = 0  # which never arrive, and so all at once
    if ties:
        weights[5, 4:] = 0
    torch.manual_seed(4)
    u = torch.rand(30, 100, dtype=torch.float64).numpy()
    with np.errstate(divide="ignore"):
        race = -np.log1p(-u) / weights
    for count in (1, 5, 12, 13, 40):
        torch.manual_seed(4)
        found = torch.multinomial(torch.from_numpy(weights), count).numpy()
        np.testing.assert_array_equal(found, np.argsort(race, -1, kind="stable")[:, :count])


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


# -- distributions ---------------------------------------------------------------------------------

N = 20_000


def p_value(drawn, distribution) -> float:
    return stats.kstest(np.asarray(drawn, np.float64).ravel(), distribution.cdf).pvalue


def chi_square(drawn, distribution, low: int, high: int) -> float:
    """p-value of whole numbers; what lies outside of [low, high) counts as one."""
    values = np.asarray(drawn, np.float64).ravel()
    assert (values == np.floor(values)).all()
    observed = [(values == k).sum() for k in range(low, high)]
    expected = [distribution.pmf(k) * values.size for k in range(low, high)]
    rest = values.size - sum(observed), values.size - sum(expected)
    if rest[1] > 5:
        observed, expected = [*observed, rest[0]], [*expected, rest[1]]
    expected = np.array(expected) * (sum(observed) / sum(expected))
    return stats.chisquare(observed, expected).pvalue


CONTINUOUS = {
    "rand": (lambda d: torch.rand(N, dtype=d), stats.uniform()),
    "randn": (lambda d: torch.randn(N, dtype=d), stats.norm()),
    "normal": (lambda d: torch.normal(2.0, 3.0, (N,), dtype=d), stats.norm(2, 3)),
    "uniform_": (lambda d: torch.empty(N, dtype=d).uniform_(-2, 5), stats.uniform(-2, 7)),
    "normal_": (lambda d: torch.empty(N, dtype=d).normal_(-1, 0.5), stats.norm(-1, 0.5)),
    "exponential_": (lambda d: torch.empty(N, dtype=d).exponential_(2.0), stats.expon(0, 0.5)),
    "cauchy_": (lambda d: torch.empty(N, dtype=d).cauchy_(1.0, 2.0), stats.cauchy(1, 2)),
    "log_normal_": (
        lambda d: torch.empty(N, dtype=d).log_normal_(0.5, 0.75),
        stats.lognorm(0.75, 0, np.exp(0.5)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_continuous_distributions(name: str, dtype: torch.dtype) -> None:
    draw, distribution = CONTINUOUS[name]
    torch.manual_seed(5)
    assert p_value(draw(dtype).numpy(), distribution) > 0.01


WHOLE = {
    "randint": (lambda: torch.randint(3, 9, (N,)), stats.randint(3, 9), 3, 9),
    "random_": (lambda: torch.empty(N).random_(2, 7), stats.randint(2, 7), 2, 7),
    "byte": (lambda: torch.empty(N, dtype=torch.uint8).random_() // 32, stats.randint(0, 8), 0, 8),
    "bernoulli": (lambda: torch.bernoulli(torch.full((N,), 0.3)), stats.bernoulli(0.3), 0, 2),
    "bernoulli_": (lambda: torch.empty(N).bernoulli_(0.7), stats.bernoulli(0.7), 0, 2),
    "geometric_": (lambda: torch.empty(N).geometric_(0.4), stats.geom(0.4), 1, 9),
    "poisson": (lambda: torch.poisson(torch.full((N,), 4.0)), stats.poisson(4), 0, 11),
    "binomial": (
        lambda: torch.binomial(torch.full((N,), 10.0), torch.full((N,), 0.35)),
        stats.binom(10, 0.35), 0, 9,
    ),
    "multinomial": (
        lambda: torch.multinomial(torch.tensor([1.0, 2.0, 5.0]), N, replacement=True),
        stats.rv_discrete(values=([0, 1, 2], [0.125, 0.25, 0.625])), 0, 3,
    ),
    "first without replacement": (
        lambda: torch.multinomial(torch.tensor([1.0, 2.0, 5.0]).expand(N, 3), 2)[:, 0],
        stats.rv_discrete(values=([0, 1, 2], [0.125, 0.25, 0.625])), 0, 3,
    ),
    "randperm": (
        lambda: torch.stack([torch.randperm(5)[0] for _ in range(2000)]), stats.randint(0, 5), 0, 5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_distributions_of_whole_numbers(name: str) -> None:
    draw, distribution, low, high = WHOLE[name]
    torch.manual_seed(6)
    assert chi_square(draw().numpy(), distribution, low, high) > 0.01


def test_complex_numbers() -> None:
    torch.manual_seed(7)
    z = torch.randn(N, dtype=torch.complex64).numpy()
    half = stats.norm(0, np.sqrt(0.5))
    assert p_value(z.real, half) > 0.01 and p_value(z.imag, half) > 0.01
    assert abs(np.corrcoef(z.real, z.imag)[0, 1]) < 0.02
    u = torch.rand(N, dtype=torch.complex128).numpy()
    assert p_value(u.real, stats.uniform()) > 0.01 and p_value(u.imag, stats.uniform()) > 0.01


@pytest.mark.parametrize("dtype, count", [(torch.float16, 1 << 11), (torch.bfloat16, 1 << 8)])
def test_narrow_types_never_round_up_to_one(dtype: torch.dtype, count: int) -> None:
    torch.manual_seed(8)
    u = torch.rand(50_000, dtype=dtype).double()
    assert u.max().item() < 1.0 and u.min().item() == 0.0
    assert ((u * count).round() == u * count).all()


def test_random_reaches_all_that_the_type_holds() -> None:
    torch.manual_seed(9)
    whole = torch.empty(4000, dtype=torch.int64).random_()
    assert whole.min().item() >= 0 and whole.max().item() > 1 << 62
    negative = torch.empty(4000, dtype=torch.int64).random_(-(1 << 63), None)
    assert negative.min().item() < -(1 << 62) and negative.max().item() > 1 << 62
    assert torch.empty(4000).random_().max().item() <= 1 << 24
    assert set(torch.empty(100, dtype=torch.bool).random_().tolist()) == {False, True}


def test_samplers_that_reject_leave_the_stream_where_it_is_expected() -> None:
    torch.manual_seed(10)
    torch.poisson(torch.full((100,), 50.0))
    after = torch.rand(3)
    torch.manual_seed(10)
    torch.poisson(torch.full((100,), 500.0))
    assert torch.equal(after, torch.rand(3))
    first = torch.poisson(torch.full((100,), 50.0))
    assert not torch.equal(first, torch.poisson(torch.full((100,), 50.0)))


def test_a_sample_has_a_gradient_of_zero() -> None:
    mean = torch.zeros(3, requires_grad=True)
    (torch.normal(mean, 1.0) + mean).sum().backward()
    assert mean.grad.tolist() == [1.0, 1.0, 1.0]
    p = torch.full((3,), 0.5, requires_grad=True)
    assert torch.bernoulli(p).requires_grad
    x = p * 2
    x.uniform_()
    x.sum().backward()
    assert p.grad.tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        p.normal_()


@pytest.mark.parametrize(
    "draw, words",
    [
        (lambda: torch.empty(2).normal_(0, -1), "expects std >= 0.0, but found std -1"),
        (lambda: torch.empty(2).uniform_(2, 1), r"found from=2 > to=1"),
        (lambda: torch.empty(2).uniform_(0, 1e39), "to is out of bounds for float"),
        (lambda: torch.empty(2).exponential_(0), "expects lambda > 0.0, but found lambda=0"),
        (lambda: torch.empty(2).cauchy_(0, -1), "expects sigma > 0.0, but found sigma=-1"),
        (lambda: torch.empty(2).geometric_(1.0), r"expects p to be in \(0, 1\), but got p=1.0"),
        (lambda: torch.empty(2).bernoulli_(1.5), r"expects p to be in \[0, 1\], but got p=1.5"),
        (lambda: torch.empty(2, dtype=torch.int64).normal_(), "not implemented for 'Long'"),
        (lambda: torch.empty(2, dtype=torch.uint8).random_(0, 300), "out of bounds for unsigned"),
        (lambda: torch.randint(0, 300, (2,), dtype=torch.uint8), "out of bounds for unsigned char"),
        (lambda: torch.rand(2, dtype=torch.int64), "not implemented for 'Long'"),
        (lambda: torch.multinomial(torch.zeros(3), 1), "sum of probabilities <= 0"),
        (lambda: torch.multinomial(torch.ones(3), 0), "cannot sample n_sample <= 0 samples"),
        (lambda: torch.bernoulli(torch.tensor([2.0])), "p_in <= 1"),
        (lambda: torch.randperm(-1), "negative dimension"),
    ],
)
def test_refusals(draw, words: str) -> None:
    with pytest.raises((RuntimeError, NotImplementedError), match=words):
        draw()


def test_fork_rng() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with torch.random.fork_rng():
        inside = torch.rand(3)
    assert torch.equal(before, torch.get_rng_state()) and torch.equal(inside, torch.rand(3))
    with torch.random.fork_rng(enabled=False):
        torch.rand(3)
    assert not torch.equal(before, torch.get_rng_state())


def test_a_method_in_place_is_one_event() -> None:
    from framework.trace import recording

    x = torch.zeros(3)
    with recording() as tape:
        x.uniform_()
    (op,) = [e for e in tape.read() if type(e).__name__ == "Op"]
    assert op.name == "uniform_"


def test_states_are_bytes_that_survive_a_checkpoint() -> None:
    g = torch.Generator().manual_seed(-1)
    torch.rand(3, generator=g)
    state, other = g.get_state(), g.clone_state()
    assert state.dtype is torch.uint8 and g.initial_seed() == (1 << 64) - 1 and g.get_offset() == 1
    expected = torch.rand(3, generator=g)
    assert torch.equal(torch.rand(3, generator=other), expected)
    again = torch.Generator(device="cpu").set_state(state.cpu().byte())
    assert torch.equal(torch.rand(3, generator=again), expected)
    with pytest.raises(TypeError, match=r"must be a torch\.ByteTensor"):
        g.set_state(torch.zeros(16))
    with pytest.raises(TypeError, match=r"must be torch\.Generator"):
        torch.rand(3, generator=3)


def test_sobol_points():
    engine = torch.quasirandom.SobolEngine(3)
    points = engine.draw(4)
    assert points.tolist() == [
        [0, 0, 0], [0.5, 0.5, 0.5], [0.75, 0.25, 0.25], [0.25, 0.75, 0.75],
    ]  # fmt: skip
    assert engine.draw(2, dtype=torch.float64).tolist()[0] == [0.375, 0.375, 0.625]
    assert engine.num_generated == 6
    assert engine.reset().fast_forward(1).draw(3).equal(points[1:])
    with pytest.raises(ValueError, match="power of 2"):
        engine.draw_base2(1 + 2)
    with pytest.raises(ValueError, match="21201"):
        torch.quasirandom.SobolEngine(0)


def test_scrambled_sobol_points_follow_the_seed():
    draw = lambda **options: torch.quasirandom.SobolEngine(2, True, **options).draw(8)  # noqa: E731
    assert draw(seed=3).equal(draw(seed=3))
    torch.manual_seed(1)
    first = draw()
    torch.manual_seed(1)
    assert draw().equal(first) and not draw().equal(first)
    counts = (first * 8).long().sort(0).values  # each eighth of the line has one of eight points
    assert counts.equal(torch.arange(8)[:, None].expand(8, 2))


def test_neighbouring_seeds_above_the_range_of_int64_are_different_streams():
    drawn = set()
    for seed in (-1, -2, -(1 << 63), -(1 << 63) + 1, (1 << 63) - 1):
        torch.manual_seed(seed)
        drawn.add((*torch.rand(2).tolist(), torch.poisson(torch.full((1,), 50.0)).item()))
    assert len(drawn) == 5
