"""Densities, distribution functions, quantiles and moments against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import framework as torch
from framework import distributions as D


def t(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


CONTINUOUS = [
    (D.Beta(t(0.5, 2.0), t(0.7, 3.0)), stats.beta([0.5, 2.0], [0.7, 3.0])),
    (D.Cauchy(t(0.5, -1.0), t(1.0, 2.0)), stats.cauchy([0.5, -1.0], [1.0, 2.0])),
    (D.Chi2(t(0.5, 5.0)), stats.chi2([0.5, 5.0])),
    (D.Exponential(t(0.5, 3.0)), stats.expon(scale=[2.0, 1 / 3])),
    (D.FisherSnedecor(t(3.0, 5.0), t(6.0, 9.0)), stats.f([3.0, 5.0], [6.0, 9.0])),
    (D.Gamma(t(0.5, 8.0), t(2.0, 0.5)), stats.gamma([0.5, 8.0], scale=[0.5, 2.0])),
    (
        D.GeneralizedPareto(t(0.5, 1.0, 0.0), t(1.0, 2.0, 1.0), t(0.3, -0.4, 0.0)),
        stats.genpareto([0.3, -0.4, 0.0], [0.5, 1.0, 0.0], [1.0, 2.0, 1.0]),
    ),
    (D.Gumbel(t(0.5, -1.0), t(1.0, 2.0)), stats.gumbel_r([0.5, -1.0], [1.0, 2.0])),
    (D.HalfCauchy(t(1.0, 2.0)), stats.halfcauchy(scale=[1.0, 2.0])),
    (D.HalfNormal(t(1.0, 2.0)), stats.halfnorm(scale=[1.0, 2.0])),
    (D.InverseGamma(t(2.5, 4.0), t(2.0, 0.5)), stats.invgamma([2.5, 4.0], scale=[2.0, 0.5])),
    (D.Laplace(t(0.5, -1.0), t(1.0, 2.0)), stats.laplace([0.5, -1.0], [1.0, 2.0])),
    (D.LogNormal(t(0.5, -1.0), t(1.0, 0.5)), stats.lognorm([1.0, 0.5], scale=np.exp([0.5, -1.0]))),
    (D.Normal(t(0.5, -1.0), t(1.0, 2.0)), stats.norm([0.5, -1.0], [1.0, 2.0])),
    (D.Pareto(t(0.5, 1.0), t(2.5, 4.0)), stats.pareto([2.5, 4.0], scale=[0.5, 1.0])),
    (
        D.StudentT(t(3.0, 6.0), t(0.5, -1.0), t(1.0, 2.0)),
        stats.t([3.0, 6.0], [0.5, -1.0], [1.0, 2.0]),
    ),
    (D.Uniform(t(0.5, -1.0), t(1.0, 2.0)), stats.uniform([0.5, -1.0], [0.5, 3.0])),
    (D.Weibull(t(0.5, 2.0), t(1.5, 3.0)), stats.weibull_min([1.5, 3.0], scale=[0.5, 2.0])),
]  # fmt: skip

DISCRETE = [
    (D.Bernoulli(t(0.2, 0.9)), stats.bernoulli([0.2, 0.9])),
    (D.Binomial(5, t(0.2, 0.9)), stats.binom(5, [0.2, 0.9])),
    (D.Geometric(t(0.2, 0.9)), stats.geom([0.2, 0.9], loc=-1)),
    (D.NegativeBinomial(t(2.5, 4.0), t(0.3, 0.6)), stats.nbinom([2.5, 4.0], [0.7, 0.4])),
    (D.Poisson(t(0.5, 4.0)), stats.poisson([0.5, 4.0])),
]

MULTIVARIATE = [
    (D.Dirichlet(t(0.5, 2.0, 3.0)), stats.dirichlet([0.5, 2.0, 3.0]), t(0.2, 0.5, 0.3)),
    (D.Multinomial(4, t(0.2, 0.3, 0.5)), stats.multinomial(4, [0.2, 0.3, 0.5]), t(1.0, 0.0, 3.0)),
    (
        D.MultivariateNormal(t(0.5, -1.0), t(2.0, 0.5, 0.5, 1.0).view(2, 2)),
        stats.multivariate_normal([0.5, -1.0], [[2.0, 0.5], [0.5, 1.0]]),
        t(0.3, 0.7),
    ),
    (
        D.LowRankMultivariateNormal(t(0.5, -1.0), t(1.0, 0.5).view(2, 1), t(1.0, 0.75)),
        stats.multivariate_normal([0.5, -1.0], [[2.0, 0.5], [0.5, 1.0]]),
        t(0.3, 0.7),
    ),
    (
        D.Wishart(torch.tensor(3.5, dtype=torch.float64), t(2.0, 0.5, 0.5, 1.0).view(2, 2)),
        stats.wishart(3.5, [[2.0, 0.5], [0.5, 1.0]]),
        t(1.0, 0.3, 0.3, 2.0).view(2, 2),
    ),
]


def named(cases: list) -> list:
    return [pytest.param(*c, id=type(c[0]).__name__) for c in cases]


def close(mine: torch.Tensor, other: np.ndarray, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(mine.numpy(), other, tolerance, tolerance)


def unless_absent(call):
    """None where a distribution does not know something."""
    try:
        return call()
    except NotImplementedError:
        return None


@pytest.mark.parametrize("mine, other", named(CONTINUOUS))
def test_continuous(mine, other) -> None:
    p = np.array([0.02, 0.3, 0.5, 0.9])[:, None]
    x = other.ppf(p)
    close(mine.log_prob(torch.from_numpy(x)), other.logpdf(x))
    cdf = unless_absent(lambda: mine.cdf(torch.from_numpy(x)))
    if cdf is not None:
        close(cdf, np.broadcast_to(p, x.shape))
    icdf = unless_absent(lambda: mine.icdf(torch.from_numpy(p)))
    if icdf is not None:
        close(icdf, x)
    entropy = unless_absent(mine.entropy)
    if entropy is not None:
        close(entropy, other.entropy(), 1e-8)


@pytest.mark.parametrize("mine, other", named(CONTINUOUS + DISCRETE))
def test_moments(mine, other) -> None:
    mean, variance = (np.broadcast_to(m, mine.batch_shape) for m in other.stats(moments="mv"))
    if not isinstance(mine, (D.Cauchy, D.HalfCauchy)):  # infinite or undefined
        close(mine.mean, mean)
        close(mine.variance, variance)
        close(mine.stddev, np.sqrt(variance))


@pytest.mark.parametrize("mine, other", named(DISCRETE))
def test_discrete(mine, other) -> None:
    k = np.arange(2.0)[:, None]
    close(mine.log_prob(torch.from_numpy(k)), other.logpmf(k))
    entropy = unless_absent(mine.entropy)
    if entropy is not None and not isinstance(mine, D.Poisson):  # its carrier measure has no mean
        close(entropy, other.entropy(), 1e-6)


@pytest.mark.parametrize("mine, other, x", named(MULTIVARIATE))
def test_multivariate(mine, other, x) -> None:
    density = getattr(other, "logpdf", None) or other.logpmf
    close(mine.log_prob(x), density(x.numpy()))
    close(mine.entropy(), other.entropy())


def test_von_mises() -> None:
    k = np.array([1e-3, 1.0, 30.0, 700.0])
    x = np.linspace(-3, 3, 7)[:, None]
    mine = D.VonMises(torch.tensor(0.5, dtype=torch.float64), torch.from_numpy(k))
    close(mine.log_prob(torch.from_numpy(x)), stats.vonmises(k, 0.5).logpdf(x), 1e-8)


def test_lkj_of_two_is_the_density_of_the_correlation() -> None:
    """For n = 2 the correlation is 2 x - 1 for x of a beta(eta, eta) distribution."""
    eta, r = 2.5, np.linspace(-0.9, 0.9, 7)
    factors = np.zeros((7, 2, 2))
    factors[:, 0, 0], factors[:, 1, 0], factors[:, 1, 1] = 1, r, np.sqrt(1 - r * r)
    mine = D.LKJCholesky(2, torch.tensor(eta, dtype=torch.float64))
    close(
        mine.log_prob(torch.from_numpy(factors)),
        stats.beta(eta, eta).logpdf((r + 1) / 2) - np.log(2),
    )


GRID = np.linspace(0, 1, 20001)[1:-1]
PAIRS = [  # p, q, and a grid that holds p's mass
    (D.Beta(t(2.0), t(3.0)), D.Beta(t(1.5), t(2.5)), GRID),
    (D.Beta(t(2.0), t(3.0)), D.ContinuousBernoulli(t(0.3)), GRID),
    (D.Beta(t(2.0), t(3.0)), D.Exponential(t(0.7)), GRID),
    (D.Beta(t(2.0), t(3.0)), D.Gamma(t(1.5), t(0.7)), GRID),
    (D.Beta(t(2.0), t(3.0)), D.Normal(t(0.3), t(0.7)), GRID),
    (D.Beta(t(2.0), t(3.0)), D.Uniform(t(-0.5), t(1.5)), GRID),
    (D.Cauchy(t(0.0), t(1.0)), D.Cauchy(t(1.0), t(2.0)), np.tan(np.pi * (GRID - 0.5))),
    (D.ContinuousBernoulli(t(0.2)), D.ContinuousBernoulli(t(0.6)), GRID),
    (D.ContinuousBernoulli(t(0.2)), D.Exponential(t(0.6)), GRID),
    (D.ContinuousBernoulli(t(0.2)), D.Normal(t(0.6), t(0.5)), GRID),
    (D.Exponential(t(2.0)), D.Exponential(t(0.7)), GRID * 20),
    (D.Exponential(t(2.0)), D.Gumbel(t(0.7), t(1.5)), GRID * 20),
    (D.Exponential(t(2.0)), D.Normal(t(0.7), t(1.5)), GRID * 20),
    (D.Gamma(t(3.0), t(2.0)), D.Gamma(t(1.5), t(0.7)), GRID * 20),
    (D.Gamma(t(3.0), t(2.0)), D.Exponential(t(0.7)), GRID * 20),
    (D.Gamma(t(3.0), t(2.0)), D.Gumbel(t(0.7), t(1.5)), GRID * 20),
    (D.Gumbel(t(0.5), t(0.8)), D.Gumbel(t(0.7), t(1.5)), GRID * 40 - 5),
    (D.Gumbel(t(0.5), t(0.8)), D.Normal(t(0.7), t(1.5)), GRID * 40 - 5),
    (D.HalfNormal(t(0.8)), D.HalfNormal(t(1.5)), GRID * 10),
    (D.Laplace(t(0.5), t(0.8)), D.Laplace(t(0.7), t(1.5)), GRID * 60 - 30),
    (D.Laplace(t(0.5), t(0.8)), D.Normal(t(0.7), t(1.5)), GRID * 60 - 30),
    (D.Normal(t(0.5), t(0.8)), D.Normal(t(0.7), t(1.5)), GRID * 20 - 10),
    (D.Normal(t(0.5), t(0.8)), D.Gumbel(t(0.7), t(1.5)), GRID * 20 - 10),
    (D.Normal(t(0.5), t(0.8)), D.Laplace(t(0.7), t(1.5)), GRID * 20 - 10),
    (D.Pareto(t(1.5), t(9.0)), D.Exponential(t(0.7)), 1.5 / GRID),
    (D.Pareto(t(1.5), t(9.0)), D.Gamma(t(2.0), t(0.7)), 1.5 / GRID),
    (D.Pareto(t(1.5), t(9.0)), D.Normal(t(2.0), t(0.7)), 1.5 / GRID),
    (D.Pareto(t(1.5), t(9.0)), D.Pareto(t(1.2), t(3.0)), 1.5 / GRID),
    (D.Uniform(t(0.2), t(0.9)), D.Beta(t(2.0), t(3.0)), 0.2 + 0.7 * GRID),
    (D.Uniform(t(0.2), t(0.9)), D.Exponential(t(2.0)), 0.2 + 0.7 * GRID),
    (D.Uniform(t(0.2), t(0.9)), D.Gamma(t(2.0), t(3.0)), 0.2 + 0.7 * GRID),
    (D.Uniform(t(0.2), t(0.9)), D.Gumbel(t(2.0), t(3.0)), 0.2 + 0.7 * GRID),
    (D.Uniform(t(0.2), t(0.9)), D.Normal(t(2.0), t(3.0)), 0.2 + 0.7 * GRID),
    (D.Uniform(t(0.2), t(0.9)), D.Pareto(t(0.1), t(3.0)), 0.2 + 0.7 * GRID),
]  # fmt: skip


@pytest.mark.parametrize(
    "p, q, x", [pytest.param(*c, id=f"{type(c[0]).__name__}-{type(c[1]).__name__}") for c in PAIRS]
)
def test_divergence_is_the_integral(p, q, x) -> None:
    x = np.sort(x)
    points = torch.from_numpy(x)
    log_p, log_q = p.log_prob(points).numpy(), q.log_prob(points).numpy()
    numeric = np.trapezoid(np.exp(log_p) * (log_p - log_q), x)
    close(D.kl_divergence(p, q), np.array([numeric]), 3e-3)


@pytest.mark.parametrize("low_p", [True, False])
@pytest.mark.parametrize("low_q", [True, False])
def test_divergence_of_multivariate_normals(low_p: bool, low_q: bool) -> None:
    """All four formulas are one: that of the covariances."""
    rng = np.random.default_rng(0)

    def make(low: bool):
        w, d, loc = rng.standard_normal((3, 2)), rng.uniform(0.5, 2, 3), rng.standard_normal(3)
        s = w @ w.T + np.diag(d)
        a = [torch.from_numpy(v) for v in (loc, w, d, s)]
        made = D.LowRankMultivariateNormal(*a[:3]) if low else D.MultivariateNormal(a[0], a[3])
        return made, loc, s

    (p, m, s), (q, n, r) = make(low_p), make(low_q)
    inverse, away = np.linalg.inv(r), n - m
    log_dets = np.linalg.slogdet(r)[1] - np.linalg.slogdet(s)[1]
    expected = 0.5 * (log_dets + np.trace(inverse @ s) + away @ inverse @ away - 3)
    close(D.kl_divergence(p, q), expected)
