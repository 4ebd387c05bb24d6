"""Samples have the distribution that they are said to have, and gradients that are theirs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import framework as torch
from framework import distributions as D
from framework.autograd import grad, gradcheck
from framework.kernels.implicit import beta_slope, gamma_slope

N = 4000


def t(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


CONTINUOUS = [
    (D.Beta(t(0.5), t(0.7)), stats.beta(0.5, 0.7)),
    (D.Cauchy(t(0.5), t(2.0)), stats.cauchy(0.5, 2.0)),
    (D.Chi2(t(0.5)), stats.chi2(0.5)),
    (D.Exponential(t(0.5)), stats.expon(scale=2.0)),
    (D.FisherSnedecor(t(3.0), t(6.0)), stats.f(3.0, 6.0)),
    (D.Gamma(t(0.05), t(2.0)), stats.gamma(0.05, scale=0.5)),
    (D.Gamma(t(1.0), t(2.0)), stats.gamma(1.0, scale=0.5)),
    (D.Gamma(t(300.0), t(2.0)), stats.gamma(300.0, scale=0.5)),
    (D.GeneralizedPareto(t(0.5), t(1.0), t(0.3)), stats.genpareto(0.3, 0.5, 1.0)),
    (D.Gumbel(t(0.5), t(2.0)), stats.gumbel_r(0.5, 2.0)),
    (D.HalfCauchy(t(2.0)), stats.halfcauchy(scale=2.0)),
    (D.HalfNormal(t(2.0)), stats.halfnorm(scale=2.0)),
    (D.InverseGamma(t(2.5), t(2.0)), stats.invgamma(2.5, scale=2.0)),
    (D.Laplace(t(0.5), t(2.0)), stats.laplace(0.5, 2.0)),
    (D.LogNormal(t(0.5), t(0.7)), stats.lognorm(0.7, scale=np.exp(0.5))),
    (D.Normal(t(0.5), t(2.0)), stats.norm(0.5, 2.0)),
    (D.Pareto(t(0.5), t(2.5)), stats.pareto(2.5, scale=0.5)),
    (D.StudentT(t(3.0), t(0.5), t(2.0)), stats.t(3.0, 0.5, 2.0)),
    (D.Uniform(t(0.5), t(2.0)), stats.uniform(0.5, 1.5)),
    (D.VonMises(t(0.5), t(1e-6)), stats.vonmises(1e-6, 0.5)),
    (D.VonMises(t(0.5), t(4.0)), stats.vonmises(4.0, 0.5)),
    (D.Weibull(t(0.5), t(1.5)), stats.weibull_min(1.5, scale=0.5)),
]

DISCRETE = [
    (D.Bernoulli(t(0.2)), stats.bernoulli(0.2)),
    (D.Binomial(5, t(0.3)), stats.binom(5, 0.3)),
    (D.Binomial(200, t(0.3)), stats.binom(200, 0.3)),
    (
        D.Categorical(t(0.2, 0.3, 0.5).view(1, 3)),
        stats.rv_discrete(values=([0, 1, 2], [0.2, 0.3, 0.5])),
    ),
    (D.Geometric(t(0.3)), stats.geom(0.3, loc=-1)),
    (D.NegativeBinomial(t(2.5), t(0.3)), stats.nbinom(2.5, 0.7)),
    (D.Poisson(t(3.0)), stats.poisson(3.0)),
    (D.Poisson(t(80.0)), stats.poisson(80.0)),
]  # fmt: skip


def named(cases: list) -> list:
    return [pytest.param(*c, id=f"{type(c[0]).__name__}-{i}") for i, c in enumerate(cases)]


def drawn(distribution) -> np.ndarray:
    torch.manual_seed(0)
    return distribution.sample((N,)).numpy()


@pytest.mark.parametrize("mine, other", named(CONTINUOUS))
def test_continuous(mine, other) -> None:
    values = drawn(mine)[:, 0]
    if isinstance(mine, D.VonMises):  # SciPy's is around loc, ours in [-pi, pi)
        values = (values - 0.5 + np.pi) % (2 * np.pi) - np.pi + 0.5
    assert stats.kstest(values, other.cdf).pvalue > 1e-3


@pytest.mark.parametrize("mine, other", named(DISCRETE))
def test_discrete(mine, other) -> None:
    values = drawn(mine)[:, 0]
    low, high = other.ppf([0.01, 0.99])
    edges = np.arange(low, high + 1)
    found = np.searchsorted(edges, values)
    chances = np.diff(np.concatenate([[0], other.cdf(edges), [1]]))
    counts = np.bincount(found, minlength=len(edges) + 1)
    some = chances * N > 3
    chi2 = ((counts - N * chances)[some] ** 2 / (N * chances)[some]).sum()
    assert stats.chi2(some.sum()).sf(chi2) > 1e-3
    assert counts[~some].sum() < 40


SQUARE = t(2.0, 0.5, 0.5, 1.0).view(2, 2)
VECTORS = [
    D.Dirichlet(t(0.5, 2.0, 3.0)),
    D.Multinomial(4, t(0.2, 0.3, 0.5)),
    D.MultivariateNormal(t(0.5, -1.0), SQUARE),
    D.MultivariateNormal(t(0.5, -1.0), precision_matrix=SQUARE),
    D.LowRankMultivariateNormal(t(0.5, -1.0), t(1.0, 0.5).view(2, 1), t(1.0, 0.75)),
    D.Wishart(torch.tensor(4.5, dtype=torch.float64), SQUARE),
    D.OneHotCategorical(t(0.2, 0.3, 0.5)),
    D.MixtureSameFamily(D.Categorical(t(0.3, 0.7)), D.Gamma(t(1.5, 9.0), t(1.0, 2.0))),
    D.MixtureSameFamily(
        D.Categorical(t(0.3, 0.7)),
        D.Independent(D.Normal(t(0.5, 1.0, -3.0, 0.0).view(2, 2), t(0.1)), 1),
    ),
    D.ContinuousBernoulli(t(0.1, 0.4999, 0.8)),
    D.Kumaraswamy(t(0.5, 2.0), t(2.0, 3.0)),
    D.Independent(D.Poisson(t(1.0, 5.0)), 1),
]


@pytest.mark.parametrize("mine", [pytest.param(d, id=type(d).__name__) for d in VECTORS])
def test_means_and_variances(mine) -> None:
    values = drawn(mine)
    error = np.sqrt(mine.variance.numpy() / N)
    assert (np.abs(values.mean(0) - mine.mean.numpy()) < 4.5 * error).all()
    np.testing.assert_allclose(values.var(0), mine.variance.numpy(), 0.15)


@pytest.mark.parametrize("eta", [0.7, 1.0, 3.0])
def test_correlations_of_lkj(eta: float) -> None:
    """Each correlation of n variables is 2 x - 1 for a beta x of eta - 1 + n / 2, twice."""
    values = drawn(D.LKJCholesky(4, torch.tensor(eta, dtype=torch.float64)))
    correlations = values @ values.swapaxes(-1, -2)
    a = eta + 1
    for i, j in ((1, 0), (2, 1), (3, 0)):
        x = (correlations[:, i, j] + 1) / 2
        assert stats.kstest(x, stats.beta(a, a).cdf).pvalue > 1e-3


def test_relaxed_samples_near_the_corners() -> None:
    p = t(0.2, 0.3, 0.5)
    cold = drawn(D.RelaxedOneHotCategorical(torch.tensor(0.01, dtype=torch.float64), p))
    np.testing.assert_allclose(np.eye(3)[cold.argmax(-1)].mean(0), p.numpy(), atol=0.03)
    cold = drawn(D.RelaxedBernoulli(torch.tensor(0.01, dtype=torch.float64), p))
    np.testing.assert_allclose((cold > 0.5).mean(0), p.numpy(), atol=0.03)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_types_stay_in_the_support(dtype) -> None:
    a = torch.full((200,), 0.05, dtype=dtype)
    gamma = D.Gamma(a, torch.ones_like(a)).sample()
    share = D.Beta(a, a).sample()
    assert gamma.dtype is share.dtype is dtype
    assert (gamma > 0).all() and (share > 0).all() and (share <= 1).all()
    assert torch._sample_dirichlet(torch.zeros(0, 3, dtype=dtype)).shape == (0, 3)


def test_seeds_repeat_and_generators_are_apart() -> None:
    a = t(0.5, 3.0)
    torch.manual_seed(3)
    first = torch._standard_gamma(a)
    g = torch.Generator().manual_seed(3)
    assert torch.equal(torch._standard_gamma(a, generator=g), first)
    assert not torch.equal(torch._standard_gamma(a), first)


# -- gradients -------------------------------------------------------------------------------

PATHWISE = {  # samples that are smooth functions of the parameters and of fixed noise
    "Cauchy": lambda a, b: D.Cauchy(a, b),
    "ContinuousBernoulli": lambda a, b: D.ContinuousBernoulli(logits=a * b),
    "Exponential": lambda a, b: D.Exponential(a * b),
    "GeneralizedPareto": lambda a, b: D.GeneralizedPareto(a, b, 0.3 * a),
    "Gumbel": lambda a, b: D.Gumbel(a, b),
    "HalfCauchy": lambda a, b: D.HalfCauchy(a * b),
    "HalfNormal": lambda a, b: D.HalfNormal(a * b),
    "Independent": lambda a, b: D.Independent(D.Normal(a, b), 1),
    "Kumaraswamy": lambda a, b: D.Kumaraswamy(a, b),
    "Laplace": lambda a, b: D.Laplace(a, b),
    "LogNormal": lambda a, b: D.LogNormal(a, b),
    "LogisticNormal": lambda a, b: D.LogisticNormal(a, b),
    "LowRankMultivariateNormal": lambda a, b: D.LowRankMultivariateNormal(a, b.view(2, 1), a),
    "MultivariateNormal": lambda a, b: D.MultivariateNormal(a, b.diag() + 0.1),
    "MultivariateNormal-precision": lambda a, b: D.MultivariateNormal(
        a, precision_matrix=b.diag() + 0.1
    ),
    "Normal": lambda a, b: D.Normal(a, b),
    "Pareto": lambda a, b: D.Pareto(a, b),
    "RelaxedBernoulli": lambda a, b: D.RelaxedBernoulli(b, logits=a),
    "RelaxedOneHotCategorical": lambda a, b: D.RelaxedOneHotCategorical(b[0], logits=a),
    "TransformedDistribution": lambda a, b: D.TransformedDistribution(
        D.Normal(a, b), [D.AffineTransform(b, a), D.TanhTransform()]
    ),
    "Uniform": lambda a, b: D.Uniform(a - 1, a + b),
    "Weibull": lambda a, b: D.Weibull(a, b),
}


def parameters() -> tuple[torch.Tensor, torch.Tensor]:
    return t(0.7, 1.6).requires_grad_(), t(1.2, 0.8).requires_grad_()


@pytest.mark.parametrize("name", PATHWISE)
def test_pathwise_gradients(name: str) -> None:
    def sample(a, b):
        torch.manual_seed(1)
        return PATHWISE[name](a, b).rsample((3,))

    assert gradcheck(sample, parameters())


IMPLICIT = {
    "Beta": lambda a, b: D.Beta(a, b),
    "Chi2": lambda a, b: D.Chi2(a * b),
    "Dirichlet": lambda a, b: D.Dirichlet(torch.stack([a, b, a + b], -1)),
    "FisherSnedecor": lambda a, b: D.FisherSnedecor(a * 9, b * 9),
    "Gamma": lambda a, b: D.Gamma(a, b),
    "InverseGamma": lambda a, b: D.InverseGamma(a + 4, b),
    "StudentT": lambda a, b: D.StudentT(a + 5, b, a),
    "Wishart": lambda a, b: D.Wishart(a.sum(-1) + 3, scale_tril=b.diag_embed()),
}


@pytest.mark.parametrize("name", {**PATHWISE, **IMPLICIT})
def test_log_prob_gradients(name: str) -> None:
    make = {**PATHWISE, **IMPLICIT}[name]
    torch.manual_seed(1)
    value = make(*parameters()).sample()

    def log_prob(a, b, value):
        return make(a, b).log_prob(value)

    if make(*parameters()).support.event_dim < 1 + name.startswith(("Multi", "LowRank")):
        value.requires_grad_()  # else a step would leave the simplex or the cone
    assert gradcheck(log_prob, (*parameters(), value))


@pytest.mark.parametrize("name", IMPLICIT)
def test_implicit_gradients_are_those_of_the_expectation(name: str) -> None:
    """The mean gradient of samples squared is that of mean^2 + variance."""
    torch.manual_seed(2)
    a, b = parameters()
    many = [x.detach().expand(3 * N, 2).clone().requires_grad_() for x in (a, b)]
    distribution = IMPLICIT[name](a, b)
    exact = grad((distribution.mean.pow(2) + distribution.variance).sum(), (a, b))
    found = grad(IMPLICIT[name](*many).rsample().pow(2).sum(), many)
    for g, e in zip(found, exact):
        error = g.numpy().std(0) / np.sqrt(3 * N)
        assert (np.abs(g.numpy().mean(0) - e.numpy()) < 5 * error + 1e-12).all()


def test_slopes_are_implicit_derivatives() -> None:
    """dz/da from differences of SciPy's quantile functions."""
    rng = np.random.default_rng(0)
    a, b = 10 ** rng.uniform(-1, 3, (2, 300))
    p = rng.uniform(0.01, 0.99, 300)
    h = 1e-5 * a
    numeric = (stats.gamma.ppf(p, a + h) - stats.gamma.ppf(p, a - h)) / (2 * h)
    np.testing.assert_allclose(gamma_slope(a, stats.gamma.ppf(p, a)), numeric, 1e-5)
    x = stats.beta.ppf(p, a, b)
    numeric = (stats.beta.ppf(p, a + h, b) - stats.beta.ppf(p, a - h, b)) / (2 * h) / (1 - x)
    inside = (x > 1e-12) & (1 - x > 1e-9)
    np.testing.assert_allclose(beta_slope(a, b, x)[inside], numeric[inside], 1e-4)


def test_slopes_of_extremes_are_finite() -> None:
    a = np.array([1e-8, 1e-3, 1.0, 1e8])
    for z in (5e-324, 1e-300, 1e-8, 1.0, 1e8):
        assert np.isfinite(gamma_slope(a, np.full(4, z))).all()
    assert gamma_slope(np.empty(0), np.empty(0)).shape == (0,)


def test_no_second_gradient_of_a_sample() -> None:
    a = t(2.0).requires_grad_()
    (g,) = grad(torch._standard_gamma(a).sum(), a, create_graph=True)
    with pytest.raises(NotImplementedError, match="derivative for '_standard_gamma_grad'"):
        g.sum().backward()
