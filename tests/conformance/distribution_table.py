"""Configurations of distributions, transforms and constraints that run on both sides alike.

Every entry is a function of a `Side`: ``m.D`` is that side's ``distributions``, ``m(...)`` a
float64 tensor that wants a gradient, ``m.x(...)`` one that wants none.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CONSTRAINTS", "DISTRIBUTIONS", "ERRORS", "MAPPED", "TRANSFORMS"]

SQUARE = [[2.0, 0.5], [0.5, 1.0]]
TRIANGLE = [[1.5, 0.0], [0.5, 0.8]]

DISTRIBUTIONS: dict[str, list[Any]] = {
    "Bernoulli": [
        lambda m: m.D.Bernoulli(m([0.2, 0.5, 0.9])),
        lambda m: m.D.Bernoulli(logits=m([-1.0, 0.0, 2.0])),
        lambda m: m.D.Bernoulli(0.3),
    ],
    "Beta": [
        lambda m: m.D.Beta(m([0.5, 2.0, 3.0]), m([0.7, 1.5, 4.0])),
        lambda m: m.D.Beta(2.0, 3.0),
    ],
    "Binomial": [
        lambda m: m.D.Binomial(5, m([0.2, 0.5, 0.9])),
        lambda m: m.D.Binomial(m.x([3.0, 3.0]), logits=m([-1.0, 2.0])),
        lambda m: m.D.Binomial(m.x([2.0, 4.0]), m([0.3, 0.6])),
    ],
    "Categorical": [
        lambda m: m.D.Categorical(m([0.2, 0.3, 0.5])),
        lambda m: m.D.Categorical(logits=m([[0.2, -1.0, 0.5], [1.0, 2.0, 0.0]])),
    ],
    "Cauchy": [lambda m: m.D.Cauchy(m([0.5, -1.0]), m([1.0, 2.0])), lambda m: m.D.Cauchy(0.0, 1.0)],
    "Chi2": [lambda m: m.D.Chi2(m([0.5, 3.0, 8.0])), lambda m: m.D.Chi2(2.0)],
    "ContinuousBernoulli": [
        lambda m: m.D.ContinuousBernoulli(m([0.2, 0.4995, 0.9])),
        lambda m: m.D.ContinuousBernoulli(logits=m([-1.0, 0.0, 2.0])),
    ],
    "Dirichlet": [
        lambda m: m.D.Dirichlet(m([0.5, 2.0, 3.0])),
        lambda m: m.D.Dirichlet(m([[1.5, 2.0, 3.0], [0.3, 0.4, 0.2]])),
    ],
    "Exponential": [lambda m: m.D.Exponential(m([0.5, 3.0])), lambda m: m.D.Exponential(2.0)],
    "FisherSnedecor": [
        lambda m: m.D.FisherSnedecor(m([1.0, 3.0, 5.0]), m([1.5, 3.0, 7.0])),
        lambda m: m.D.FisherSnedecor(3.0, 5.0),
    ],
    "Gamma": [
        lambda m: m.D.Gamma(m([0.5, 2.0, 8.0]), m([1.0, 2.0, 0.5])),
        lambda m: m.D.Gamma(2.0, 3.0),
    ],
    "GeneralizedPareto": [
        # In float32: PyTorch's cannot take float64.
        lambda m: m.D.GeneralizedPareto(m.narrow([0.0, 1.0]), 2.0, m.narrow([0.3, 0.7])),
        lambda m: m.D.GeneralizedPareto(0.0, m.narrow([1.0, 2.0, 1.0]), m.narrow([-0.5, 0.2, 1.0])),
        lambda m: m.D.GeneralizedPareto(0.0, 1.0, 0.0),
    ],
    "Geometric": [
        lambda m: m.D.Geometric(m([0.2, 0.7, 1.0])),
        lambda m: m.D.Geometric(logits=m([-1.0, 1.0])),
    ],
    "Gumbel": [lambda m: m.D.Gumbel(m([0.5, -1.0]), m([1.0, 2.0])), lambda m: m.D.Gumbel(0.0, 1.0)],
    "HalfCauchy": [lambda m: m.D.HalfCauchy(m([1.0, 2.0])), lambda m: m.D.HalfCauchy(1.0)],
    "HalfNormal": [lambda m: m.D.HalfNormal(m([1.0, 2.0])), lambda m: m.D.HalfNormal(1.0)],
    "Independent": [
        lambda m: m.D.Independent(m.D.Normal(m([[0.5, -1.0]]), m([[1.0, 2.0]])), 1),
        lambda m: m.D.Independent(m.D.Gamma(m([[1.5, 2.0]]), m([[1.0, 2.0]])), 2),
        lambda m: m.D.Independent(m.D.Bernoulli(m([0.2, 0.9])), 0),
        lambda m: m.D.Independent(m.D.Dirichlet(m([[0.5, 2.0], [1.0, 3.0]])), 1),
    ],
    "InverseGamma": [
        lambda m: m.D.InverseGamma(m([0.5, 1.5, 4.0]), m([1.0, 2.0, 0.5])),
        lambda m: m.D.InverseGamma(2.0, 3.0),
    ],
    "Kumaraswamy": [
        lambda m: m.D.Kumaraswamy(m([0.5, 2.0]), m([0.7, 3.0])),
        lambda m: m.D.Kumaraswamy(2.0, 3.0),
    ],
    "LKJCholesky": [
        lambda m: m.D.LKJCholesky(2, m([0.5, 1.0])),
        lambda m: m.D.LKJCholesky(4, m(2.0)),
    ],
    "Laplace": [
        lambda m: m.D.Laplace(m([0.5, -1.0]), m([1.0, 2.0])), lambda m: m.D.Laplace(0.0, 1.0),
    ],
    "LogNormal": [
        lambda m: m.D.LogNormal(m([0.5, -1.0]), m([1.0, 0.5])), lambda m: m.D.LogNormal(0.0, 1.0),
    ],
    "LogisticNormal": [
        lambda m: m.D.LogisticNormal(m([0.5, -1.0]), m([1.0, 0.5])),
        lambda m: m.D.LogisticNormal(m([[0.5], [1.0]]), m([1.0, 0.5, 0.2])),
        lambda m: m.D.LogisticNormal(m(0.5), m(1.0)),
    ],
    "LowRankMultivariateNormal": [
        lambda m: m.D.LowRankMultivariateNormal(m([0.5, -1.0]), m([[1.0], [2.0]]), m([1.0, 0.5])),
        lambda m: m.D.LowRankMultivariateNormal(
            m([[0.5, -1.0], [0.0, 1.0]]), m([[1.0, 0.3], [2.0, -0.4]]), m([1.0, 0.5])
        ),
    ],
    "MixtureSameFamily": [
        lambda m: m.D.MixtureSameFamily(
            m.D.Categorical(m([0.3, 0.7])), m.D.Normal(m([0.5, -1.0]), m([1.0, 2.0]))
        ),
        lambda m: m.D.MixtureSameFamily(
            m.D.Categorical(m([[0.3, 0.7], [0.5, 0.5]])),
            m.D.Gamma(m([[1.5, 2.0], [0.5, 3.0]]), m([1.0, 2.0])),
        ),
        lambda m: m.D.MixtureSameFamily(
            m.D.Categorical(m([0.3, 0.7])),
            m.D.Independent(m.D.Normal(m([[0.5, 1.0], [-1.0, 0.0]]), m([[1.0], [2.0]])), 1),
        ),
    ],
    "Multinomial": [
        lambda m: m.D.Multinomial(4, m([0.2, 0.3, 0.5])),
        lambda m: m.D.Multinomial(3, logits=m([[0.2, -1.0, 0.5], [1.0, 2.0, 0.0]])),
    ],
    "MultivariateNormal": [
        lambda m: m.D.MultivariateNormal(m([0.5, -1.0]), m(SQUARE)),
        lambda m: m.D.MultivariateNormal(m([[0.5, -1.0], [0.0, 1.0]]), precision_matrix=m(SQUARE)),
        lambda m: m.D.MultivariateNormal(m([0.5, -1.0]), scale_tril=m([TRIANGLE, TRIANGLE])),
    ],
    "NegativeBinomial": [
        lambda m: m.D.NegativeBinomial(3, m([0.2, 0.5, 0.9])),
        lambda m: m.D.NegativeBinomial(m([2.5, 4.0]), logits=m([-1.0, 0.5])),
    ],
    "Normal": [
        lambda m: m.D.Normal(m([0.5, -1.0]), m([1.0, 2.0])),
        lambda m: m.D.Normal(m([[0.5], [1.0]]), m([1.0, 2.0, 3.0])),
        lambda m: m.D.Normal(0.0, 1.0),
    ],
    "OneHotCategorical": [
        lambda m: m.D.OneHotCategorical(m([0.2, 0.3, 0.5])),
        lambda m: m.D.OneHotCategorical(logits=m([[0.2, -1.0, 0.5], [1.0, 2.0, 0.0]])),
    ],
    "OneHotCategoricalStraightThrough": [
        lambda m: m.D.OneHotCategoricalStraightThrough(m([0.2, 0.3, 0.5])),
    ],
    "Pareto": [
        lambda m: m.D.Pareto(m([0.5, 1.0]), m([1.5, 3.0])),
        lambda m: m.D.Pareto(m([0.5, 1.0]), m([0.9, 1.9])),
        lambda m: m.D.Pareto(1.0, 3.0),
    ],
    "Poisson": [lambda m: m.D.Poisson(m([0.5, 4.0])), lambda m: m.D.Poisson(2.0)],
    "RelaxedBernoulli": [
        lambda m: m.D.RelaxedBernoulli(m(0.7), m([0.2, 0.5, 0.9])),
        lambda m: m.D.RelaxedBernoulli(m.x(2.0), logits=m([-1.0, 2.0])),
    ],
    "RelaxedOneHotCategorical": [
        lambda m: m.D.RelaxedOneHotCategorical(m(0.7), m([0.2, 0.3, 0.5])),
        lambda m: m.D.RelaxedOneHotCategorical(m.x(2.0), logits=m([[0.2, -1.0], [1.0, 2.0]])),
    ],
    "StudentT": [
        lambda m: m.D.StudentT(m([0.5, 1.5, 3.0]), m([0.5, -1.0, 0.0]), m([1.0, 2.0, 0.5])),
        lambda m: m.D.StudentT(3.0),
    ],
    "TransformedDistribution": [
        lambda m: m.D.TransformedDistribution(
            m.D.Normal(m([0.5, -1.0]), m([1.0, 2.0])), m.D.ExpTransform()
        ),
        lambda m: m.D.TransformedDistribution(
            m.D.Uniform(m.x([0.0, 0.0]), m.x([1.0, 1.0])),
            [m.D.SigmoidTransform().inv, m.D.AffineTransform(m([0.5, -1.0]), m([1.0, -2.0]))],
        ),
        lambda m: m.D.TransformedDistribution(
            m.D.Normal(m([0.5, -1.0]), m([1.0, 2.0])), [m.D.StickBreakingTransform()]
        ),
        lambda m: m.D.TransformedDistribution(
            m.D.Gamma(m([1.5, 2.0]), m(1.0)), [m.D.AffineTransform(0.0, m([[1.0], [3.0]]))]
        ),
    ],
    "Uniform": [
        lambda m: m.D.Uniform(m([0.5, -1.0]), m([1.0, 2.0])), lambda m: m.D.Uniform(0.0, 1.0),
    ],
    "VonMises": [lambda m: m.D.VonMises(m([0.5, -1.0, 0.0]), m([0.01, 2.0, 12.0]))],
    "Weibull": [
        lambda m: m.D.Weibull(m([0.5, 2.0]), m([1.5, 3.0])), lambda m: m.D.Weibull(1.0, 2.0),
    ],
    "Wishart": [
        lambda m: m.D.Wishart(m(3.5), m(SQUARE)),
        lambda m: m.D.Wishart(m([2.5, 5.0]), scale_tril=m(TRIANGLE)),
        lambda m: m.D.Wishart(m(4.0), precision_matrix=m([SQUARE, SQUARE])),
    ],
}  # fmt: skip

# Partners for divergences that no two configurations above make finite or of one batch.
MAPPED: dict[tuple[str, str], list[Any]] = {
    ("Uniform", "Beta"): [
        lambda m: (m.D.Uniform(m(0.1), m(0.9)), m.D.Beta(m(2.0), m(3.0))),
        lambda m: (m.D.Uniform(m(0.0), m(1.0)), m.D.Beta(m(2.0), m(3.0))),
    ],
    ("Uniform", "ContinuousBernoulli"): [
        lambda m: (m.D.Uniform(m(0.1), m(0.9)), m.D.ContinuousBernoulli(m(0.3))),
    ],
    ("Uniform", "Gamma"): [lambda m: (m.D.Uniform(m(0.1), m(2.0)), m.D.Gamma(m(2.0), m(3.0)))],
    ("Uniform", "Exponential"): [lambda m: (m.D.Uniform(m(0.1), m(2.0)), m.D.Exponential(m(2.0)))],
    ("Uniform", "Pareto"): [lambda m: (m.D.Uniform(m(1.5), m(2.0)), m.D.Pareto(m(1.2), m(3.0)))],
    ("Uniform", "Uniform"): [lambda m: (m.D.Uniform(m(0.5), m(2.0)), m.D.Uniform(m(0.1), m(3.0)))],
    ("Beta", "Uniform"): [lambda m: (m.D.Beta(m(0.5), m(2.0)), m.D.Uniform(m(-0.1), m(3.0)))],
    ("ContinuousBernoulli", "Uniform"): [
        lambda m: (m.D.ContinuousBernoulli(m(0.3)), m.D.Uniform(m(-0.1), m(3.0))),
    ],
    ("Pareto", "Pareto"): [lambda m: (m.D.Pareto(m(1.5), m(2.0)), m.D.Pareto(m(1.1), m(3.0)))],
    ("Pareto", "Normal"): [lambda m: (m.D.Pareto(m(1.5), m(4.0)), m.D.Normal(m(1.1), m(3.0)))],
    ("Bernoulli", "Bernoulli"): [
        lambda m: (
            m.D.Bernoulli(m.x([0.0, 1.0, 0.5, 0.0])), m.D.Bernoulli(m.x([0.5, 0.0, 1.0, 0.0])),
        ),
    ],
    ("Categorical", "Categorical"): [
        lambda m: (m.D.Categorical(m.x([0.0, 0.4, 0.6])), m.D.Categorical(m.x([0.5, 0.5, 0.0]))),
    ],
    ("Binomial", "Binomial"): [
        lambda m: (m.D.Binomial(5, m(0.3)), m.D.Binomial(3, m(0.6))),
        lambda m: (m.D.Binomial(2, m(0.3)), m.D.Binomial(3, m(0.6))),
    ],
    ("Independent", "Independent"): [
        lambda m: (
            m.D.Independent(m.D.Normal(m([0.5, -1.0]), m(1.0)), 1),
            m.D.Independent(m.D.Normal(m([0.0, 1.0]), m(2.0)), 1),
        ),
        lambda m: (
            m.D.Independent(m.D.Normal(m([0.5, -1.0]), m(1.0)), 0),
            m.D.Independent(m.D.Normal(m([0.0, 1.0]), m(2.0)), 1),
        ),
    ],
    ("TransformedDistribution", "TransformedDistribution"): [
        lambda m: (m.D.LogNormal(m(0.5), m(1.0)), m.D.LogNormal(m(0.0), m(2.0))),
        lambda m: (m.D.LogNormal(m(0.5), m(1.0)), m.D.HalfNormal(m(2.0))),
    ],
    ("ExponentialFamily", "ExponentialFamily"): [
        lambda m: (m.D.Chi2(m(3.0)), m.D.Normal(m(0.0), m(1.0))),
        lambda m: (m.D.Wishart(m(3.5), m(SQUARE)), m.D.Wishart(m(4.0), m(SQUARE))),
        lambda m: (m.D.Poisson(m(3.5)), m.D.Normal(m(4.0), m(1.0))),
        lambda m: (m.D.Normal(m(4.0), m(1.0)), m.D.Dirichlet(m([4.0, 2.0]))),
        lambda m: (m.D.Cauchy(m(4.0), m(1.0)), m.D.Normal(m(4.0), m(1.0))),
    ],
}  # fmt: skip

# A transform and an input for it.
TRANSFORMS: list[Any] = [
    lambda m: (m.D.AbsTransform(), m([-1.0, 0.5, 2.0])),
    lambda m: (m.D.AffineTransform(0.5, -2.0), m([-1.0, 0.5, 2.0])),
    lambda m: (m.D.AffineTransform(m([0.5, 1.0, 0.0]), m([1.0, -2.0, 3.0])), m([-1.0, 0.5, 2.0])),
    lambda m: (
        m.D.AffineTransform(m([0.5, 1.0, 0.0]), m([1.0, -2.0, 3.0]), event_dim=1),
        m([-1.0, 0.5, 2.0]),
    ),
    lambda m: (m.D.AffineTransform(m(0.5), m(2.0), event_dim=1), m([-1.0, 0.5, 2.0])),
    lambda m: (m.D.AffineTransform(0.5, 2.0, event_dim=2), m([[-1.0, 0.5, 2.0]])),
    lambda m: (
        m.D.CatTransform([m.D.ExpTransform(), m.D.TanhTransform()], dim=-1, lengths=[1, 2]),
        m([-1.0, 0.5, 2.0]),
    ),
    lambda m: (
        m.D.CatTransform([m.D.SoftmaxTransform(), m.D.identity_transform], dim=0, lengths=[1, 1]),
        m([[-1.0, 0.5], [2.0, 0.0]]),
    ),
    lambda m: (
        m.D.CatTransform([m.D.StickBreakingTransform(), m.D.StickBreakingTransform()], dim=0),
        m([[-1.0, 0.5], [2.0, 0.0]]),
    ),
    lambda m: (
        m.D.ComposeTransform([m.D.AffineTransform(0.5, 2.0), m.D.SigmoidTransform()]),
        m([-1.0, 0.5, 2.0]),
    ),
    lambda m: (
        m.D.ComposeTransform([m.D.ExpTransform(), m.D.ReshapeTransform((3,), (1, 3))]),
        m([-1.0, 0.5, 2.0]),
    ),
    lambda m: (
        m.D.ComposeTransform([m.D.TanhTransform(), m.D.StickBreakingTransform()]),
        m([[-1.0, 0.5, 2.0]]),
    ),
    lambda m: (m.D.ComposeTransform([]), m([-1.0, 0.5, 2.0])),
    lambda m: (m.D.CorrCholeskyTransform(), m([-1.0, 0.5, 2.0])),
    lambda m: (m.D.CorrCholeskyTransform(), m([[-1.0, 0.5, 0.2, 0.1, -0.3, 0.7]])),
    lambda m: (
        m.D.CumulativeDistributionTransform(m.D.Normal(m(0.5), m(2.0))), m([-1.0, 0.5, 2.0]),
    ),
    lambda m: (m.D.ExpTransform(), m([-1.0, 0.5, 2.0])),
    lambda m: (m.D.IndependentTransform(m.D.ExpTransform(), 1), m([[-1.0, 0.5, 2.0]])),
    lambda m: (m.D.LowerCholeskyTransform(), m([[-1.0, 0.5], [2.0, 0.3]])),
    lambda m: (m.D.PositiveDefiniteTransform(), m([[-1.0, 0.5], [2.0, 0.3]])),
    lambda m: (m.D.PowerTransform(m([2.0, -1.0, 0.5])), m([1.0, 0.5, 2.0])),
    lambda m: (m.D.PowerTransform(m(3.0)), m([1.0, 0.5, 2.0])),
    lambda m: (m.D.ReshapeTransform((2, 2), (4,)), m([[-1.0, 0.5], [2.0, 0.3]])),
    lambda m: (m.D.SigmoidTransform(), m([-50.0, -1.0, 0.5, 60.0])),
    lambda m: (m.D.SoftplusTransform(), m([-1.0, 0.5, 2.0, 30.0])),
    lambda m: (m.D.TanhTransform(), m([-1.0, 0.5, 2.0])),
    lambda m: (m.D.SoftmaxTransform(), m([[-1.0, 0.5, 2.0]])),
    lambda m: (
        m.D.StackTransform([m.D.ExpTransform(), m.D.TanhTransform()], dim=1),
        m([[-1.0, 0.5], [2.0, 0.3]]),
    ),
    lambda m: (m.D.StickBreakingTransform(), m([[-1.0, 0.5, 2.0]])),
    lambda m: (m.D.ExpTransform(cache_size=1), m([-1.0, 0.5, 2.0])),
    lambda m: (m.D.TanhTransform().inv, m([-0.5, 0.5, 0.2])),
    lambda m: (m.D.StickBreakingTransform().inv, m([[0.2, 0.5, 0.3]])),
    lambda m: (
        m.D.ComposeTransform([m.D.AffineTransform(0.5, 2.0), m.D.ExpTransform()]).inv,
        m([1.0, 0.5, 2.0]),
    ),
    lambda m: (m.D.CorrCholeskyTransform().inv, m([[1.0, 0.0], [0.6, 0.8]])),
]  # fmt: skip

# A constraint and values to check.
NUMBERS = [-1.0, 0.0, 0.5, 1.0, 2.0, float("nan")]
MATRICES = [SQUARE, TRIANGLE, [[1.0, 0.0], [0.6, 0.8]], [[-1.0, 0.2], [0.2, 1.0]]]
CONSTRAINTS: list[Any] = [
    *[
        (lambda m, name=name: (getattr(m.D.constraints, name), m.x(NUMBERS)))
        for name in (
            "boolean", "nonnegative", "nonnegative_integer", "positive", "positive_integer", "real",
            "unit_interval",
        )
    ],
    *[
        (lambda m, name=name: (getattr(m.D.constraints, name), m.x(MATRICES)))
        for name in (
            "corr_cholesky", "lower_cholesky", "lower_triangular", "positive_definite",
            "positive_semidefinite", "square", "symmetric",
        )
    ],
    *[
        (lambda m, name=name: (
            getattr(m.D.constraints, name), m.x([[0.2, 0.8], [0.0, 1.0], [0.5, 0.6], [-0.5, 1.5]])
        ))
        for name in ("one_hot", "real_vector", "simplex")
    ],
    lambda m: (m.D.constraints.square, m.x([[1.0, 2.0]])),
    lambda m: (m.D.constraints.greater_than(0.5), m.x(NUMBERS)),
    lambda m: (m.D.constraints.greater_than_eq(m.x(0.5)), m.x(NUMBERS)),
    lambda m: (m.D.constraints.less_than(0.5), m.x(NUMBERS)),
    lambda m: (m.D.constraints.interval(0.5, 1.0), m.x(NUMBERS)),
    lambda m: (m.D.constraints.half_open_interval(0.5, 1.0), m.x(NUMBERS)),
    lambda m: (m.D.constraints.integer_interval(0, 1), m.x(NUMBERS)),
    lambda m: (m.D.constraints.multinomial(2), m.x([[1.0, 1.0], [-1.0, 2.0], [2.0, 1.0]])),
    lambda m: (
        m.D.constraints.independent(m.D.constraints.positive, 1), m.x([[1.0, 2.0], [0.0, 1.0]]),
    ),
    lambda m: (
        m.D.constraints.cat([m.D.constraints.positive, m.D.constraints.real], -1, [1, 1]),
        m.x([[1.0, -2.0], [-1.0, 1.0]]),
    ),
    lambda m: (
        m.D.constraints.stack([m.D.constraints.positive, m.D.constraints.real], -1),
        m.x([[1.0, -2.0], [-1.0, 1.0]]),
    ),
    lambda m: (
        m.D.constraints.MixtureSameFamilyConstraint(m.D.constraints.greater_than(m.x([0.0, 1.0]))),
        m.x([-1.0, 0.5, 2.0]),
    ),
    lambda m: (m.D.constraints.dependent, m.x(1.0)),
]  # fmt: skip

ERRORS: list[Any] = [
    lambda m: m.D.Normal(m([0.0, 1.0]), m([1.0, -1.0])),
    lambda m: m.D.Normal("a", 1.0),
    lambda m: m.D.Normal(m([0.0, 1.0]), m([1.0, 1.0, 1.0])),
    lambda m: m.D.Normal(m([0.0, 1.0]), m(1.0)).log_prob(m.x([0.0, 1.0, 2.0])),
    lambda m: m.D.Normal(m([0.0, 1.0]), m(1.0)).log_prob(0.5),
    lambda m: m.D.Normal(m(0.0), m(1.0)).log_prob(m.x(float("nan"))),
    lambda m: m.D.Normal(m([0.0, 1.0]), m(1.0)).enumerate_support(),
    lambda m: m.D.Exponential(m([1.0, 0.0])),
    lambda m: m.D.Exponential(m([1.0, 2.0])).log_prob(m.x([1.0, -1.0])),
    lambda m: m.D.Uniform(m(1.0), m(0.0)),
    lambda m: m.D.Uniform(m([1.0, 0.0]), m(0.5)),
    lambda m: m.D.Uniform(m(0.0), m(1.0)).log_prob(m.x(2.0)),
    lambda m: m.D.Bernoulli(),
    lambda m: m.D.Bernoulli(m(0.5), m(0.5)),
    lambda m: m.D.Bernoulli(m(1.5)),
    lambda m: m.D.Bernoulli(m(0.5)).log_prob(m.x(0.5)),
    lambda m: m.D.Binomial(3),
    lambda m: m.D.Binomial(-1, m(0.5)),
    lambda m: m.D.Binomial(3, m(0.5)).log_prob(m.x(4.0)),
    lambda m: m.D.Binomial(m.x([1.0, 2.0]), m(0.5)).entropy(),
    lambda m: m.D.Binomial(m.x([1.0, 2.0]), m(0.5)).enumerate_support(),
    lambda m: m.D.Categorical(m(0.5)),
    lambda m: m.D.Categorical(logits=m(0.5)),
    lambda m: m.D.Categorical(m([-0.5, 1.5])),
    lambda m: m.D.Categorical(m([0.5, 0.5])).log_prob(m.x(3.0)),
    lambda m: m.D.OneHotCategorical(m([0.5, 0.5])).log_prob(m.x([0.5, 0.5])),
    lambda m: m.D.OneHotCategorical(m([0.5, 0.5])).log_prob(m.x([0.0, 0.0, 1.0])),
    lambda m: m.D.Multinomial(m.x([1.0]), m([0.5, 0.5])),
    lambda m: m.D.Multinomial(2, m([0.5, 0.5])).log_prob(m.x([2.0, 1.0])),
    lambda m: m.D.Dirichlet(m(0.5)),
    lambda m: m.D.Dirichlet(m([0.5, -1.0])),
    lambda m: m.D.Dirichlet(m([0.5, 1.0])).log_prob(m.x([0.5, 0.6])),
    lambda m: m.D.Beta(m(-1.0), m(1.0)),
    lambda m: m.D.Gamma(m(1.0), m(0.0)),
    lambda m: m.D.Geometric(m([0.0, 0.5])),
    lambda m: m.D.Geometric(m([0.5])).log_prob(m.x([-1.0])),
    lambda m: m.D.NegativeBinomial(3, m(1.0)),
    lambda m: m.D.NegativeBinomial(-3, m(0.5)),
    lambda m: m.D.Poisson(m(-1.0)),
    lambda m: m.D.ContinuousBernoulli(m(1.5), validate_args=True),
    lambda m: m.D.StudentT(m(-1.0)),
    lambda m: m.D.VonMises(m(0.0), m(-1.0)),
    lambda m: m.D.Pareto(m(-1.0), m(1.0)),
    lambda m: m.D.Pareto(m(1.0), m(1.0)).log_prob(m.x(0.5)),
    lambda m: m.D.GeneralizedPareto(m(1.0), m(-1.0), m(0.5)),
    lambda m: m.D.LKJCholesky(1),
    lambda m: m.D.MultivariateNormal(m(0.5), m(SQUARE)),
    lambda m: m.D.MultivariateNormal(m([0.5, 1.0])),
    lambda m: m.D.MultivariateNormal(m([0.5, 1.0]), m([1.0, 2.0])),
    lambda m: m.D.MultivariateNormal(m([0.5, 1.0]), scale_tril=m([1.0, 2.0])),
    lambda m: m.D.MultivariateNormal(m([0.5, 1.0]), precision_matrix=m([1.0, 2.0])),
    lambda m: m.D.MultivariateNormal(m([0.5, 1.0]), m(TRIANGLE)),
    lambda m: m.D.MultivariateNormal(m([0.5, 1.0]), scale_tril=m(SQUARE)),
    lambda m: m.D.LowRankMultivariateNormal(m(0.5), m([[1.0]]), m([1.0])),
    lambda m: m.D.LowRankMultivariateNormal(m([0.5]), m([1.0]), m([1.0])),
    lambda m: m.D.LowRankMultivariateNormal(m([0.5]), m([[1.0], [1.0]]), m([1.0])),
    lambda m: m.D.LowRankMultivariateNormal(m([0.5]), m([[1.0]]), m([1.0, 1.0])),
    lambda m: m.D.Wishart(m(0.5), m(SQUARE)),
    lambda m: m.D.Wishart(m(3.0)),
    lambda m: m.D.Wishart(m(3.0), m([1.0, 2.0])),
    lambda m: m.D.Independent(m.D.Normal(0.0, 1.0), 1),
    lambda m: m.D.Independent(m.D.Bernoulli(m([0.5])), 1).enumerate_support(),
    lambda m: m.D.TransformedDistribution(m.D.Normal(0.0, 1.0), 3),
    lambda m: m.D.TransformedDistribution(m.D.Normal(0.0, 1.0), [3]),
    lambda m: m.D.TransformedDistribution(m.D.Normal(0.0, 1.0), m.D.SoftmaxTransform()),
    lambda m: m.D.MixtureSameFamily(m.D.Normal(0.0, 1.0), m.D.Normal(0.0, 1.0)),
    lambda m: m.D.MixtureSameFamily(m.D.Categorical(m([0.5, 0.5])), 3),
    lambda m: m.D.MixtureSameFamily(m.D.Categorical(m([0.5, 0.5])), m.D.Normal(m([0.0]), 1.0)),
    lambda m: m.D.MixtureSameFamily(
        m.D.Categorical(m([[0.5, 0.5], [0.5, 0.5]])), m.D.Normal(m([[0.0, 0.0]] * 3), 1.0)
    ),
    lambda m: m.D.kl_divergence(m.D.Cauchy(0.0, 1.0), m.D.Normal(0.0, 1.0)),
    lambda m: m.D.kl_divergence(m.D.Normal(0.0, 1.0), m.D.Poisson(1.0)),
    lambda m: m.D.biject_to(m.D.constraints.lower_cholesky),
    lambda m: m.D.biject_to.register(3, int),
    lambda m: m.D.ExpTransform(cache_size=2),
    lambda m: m.D.ReshapeTransform((2, 3), (5,)),
    lambda m: m.D.ReshapeTransform((2, 3), (6,)).forward_shape((3, 2)),
    lambda m: m.D.ReshapeTransform((2, 3), (6,)).inverse_shape((5,)),
    lambda m: m.D.ReshapeTransform((2, 3), (6,)).forward_shape((3,)),
    lambda m: m.D.CorrCholeskyTransform().forward_shape((2,)),
    lambda m: m.D.CorrCholeskyTransform().inverse_shape((2, 3)),
    lambda m: m.D.CorrCholeskyTransform().inverse_shape((2,)),
    lambda m: m.D.SoftmaxTransform().forward_shape(()),
    lambda m: m.D.StickBreakingTransform().inverse_shape(()),
    lambda m: m.D.StickBreakingTransform().event_dim + m.D.CorrCholeskyTransform().event_dim,
    lambda m: m.D.CatTransform([3]),
    lambda m: m.D.CatTransform([m.D.ExpTransform()], lengths=[1, 2]),
    lambda m: m.D.CatTransform([m.D.ExpTransform()])(m([1.0, 2.0])),
    lambda m: m.D.CatTransform([m.D.ExpTransform()], dim=1)(m([1.0])),
    lambda m: m.D.StackTransform([m.D.ExpTransform()])(m([1.0, 2.0])),
    lambda m: m.D.StackTransform([m.D.ExpTransform()], dim=2).inv(m([1.0])),
    lambda m: m.D.IndependentTransform(m.D.ExpTransform(), 2)(m([1.0])),
    lambda m: m.D.AffineTransform(0.0, 1.0).sign + m.D.SoftmaxTransform().sign,
    lambda m: m.D.constraints.independent(3, 1),
    lambda m: m.D.constraints.independent(m.D.constraints.real, 1.0),
    lambda m: m.D.constraints.independent(m.D.constraints.real, -1),
    lambda m: m.D.constraints.independent(m.D.constraints.real, 2).check(m.x([1.0])),
    lambda m: m.D.constraints.cat([3]),
    lambda m: m.D.constraints.stack([3]),
    lambda m: m.D.constraints.cat([m.D.constraints.real], 0, [1, 2]),
    lambda m: m.D.constraints.cat([m.D.constraints.real], 2).check(m.x([1.0])),
    lambda m: m.D.constraints.stack([m.D.constraints.real], 2).check(m.x([1.0])),
    lambda m: m.D.constraints.MixtureSameFamilyConstraint(3),
    lambda m: m.D.constraints.dependent.event_dim,
    lambda m: m.D.constraints.dependent.is_discrete,
    lambda m: m.D.Distribution().log_prob(m.x(1.0)),
    lambda m: m.D.Distribution().mode,
    lambda m: m.D.Distribution.set_default_validate_args(3),
    lambda m: type("Own", (m.D.Normal,), {"__init__": lambda self: None})().expand((2,)),
]  # fmt: skip
