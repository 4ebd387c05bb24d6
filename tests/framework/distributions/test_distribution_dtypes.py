"""Distributions take parameters of the dtypes that their docstrings name, and samples have them."""

from __future__ import annotations

import re
from typing import Any

import pytest

import framework as torch
from framework import distributions as D

# t(values) is a tensor of the dtype.
CALLS = """
    Bernoulli(t([0.3, 0.6]))
    Beta(t([1.0, 2.0]), t([2.0, 1.0]))
    Binomial(4, t([0.3, 0.6]))
    Categorical(t([0.3, 0.6]))
    Cauchy(t([0.0, 1.0]), t([1.0, 2.0]))
    Chi2(t([1.0, 2.0]))
    ContinuousBernoulli(t([0.3, 0.6]))
    Dirichlet(t([1.0, 2.0]))
    Exponential(t([1.0, 2.0]))
    FisherSnedecor(t([1.0, 2.0]), t([2.0, 1.0]))
    Gamma(t([1.0, 2.0]), t([2.0, 1.0]))
    GeneralizedPareto(t([0.0, 1.0]), t([2.0, 1.0]), t([0.5, 0.5]))
    Geometric(t([0.3, 0.6]))
    Gumbel(t([0.0, 1.0]), t([1.0, 2.0]))
    HalfCauchy(t([1.0, 2.0]))
    HalfNormal(t([1.0, 2.0]))
    Independent(D.Normal(t([0.0, 1.0]), t([1.0, 2.0])), 1)
    InverseGamma(t([1.0, 2.0]), t([2.0, 1.0]))
    Kumaraswamy(t([1.0, 2.0]), t([2.0, 1.0]))
    LKJCholesky(3, t([1.0, 2.0]))
    Laplace(t([0.0, 1.0]), t([1.0, 2.0]))
    LogNormal(t([0.0, 1.0]), t([1.0, 2.0]))
    LogisticNormal(t([0.0, 1.0]), t([1.0, 2.0]))
    LowRankMultivariateNormal(t([0.0, 1.0]), t([[1.0], [1.0]]), t([1.0, 1.0]))
    MixtureSameFamily(D.Categorical(t([0.5, 0.5])), D.Normal(t([0.0, 1.0]), t([1.0, 2.0])))
    Multinomial(4, t([0.3, 0.6]))
    MultivariateNormal(t([0.0, 1.0]), t([[1.0, 0.0], [0.0, 1.0]]))
    NegativeBinomial(t([3.0, 4.0]), t([0.3, 0.6]))
    Normal(t([0.0, 1.0]), t([1.0, 2.0]))
    OneHotCategorical(t([0.3, 0.6]))
    OneHotCategoricalStraightThrough(t([0.3, 0.6]))
    Pareto(t([1.0, 2.0]), t([2.0, 1.0]))
    Poisson(t([1.0, 2.0]))
    RelaxedBernoulli(t(2.0), t([0.3, 0.6]))
    RelaxedOneHotCategorical(t(2.0), t([0.3, 0.6]))
    StudentT(t([1.0, 2.0]))
    TransformedDistribution(D.Normal(t([0.0, 1.0]), t([1.0, 2.0])), [D.ExpTransform()])
    Uniform(t([0.0, 1.0]), t([1.0, 2.0]))
    VonMises(t([0.0, 1.0]), t([1.0, 2.0]))
    Weibull(t([1.0, 2.0]), t([2.0, 1.0]))
    Wishart(t([3.0, 4.0]), t([[1.0, 0.0], [0.0, 1.0]]))
"""
NARROW = ("float16", "bfloat16")
WIDE = ("float32", "float64")


def calls() -> list[str]:
    return [line.strip() for line in CALLS.splitlines() if line.strip()]


def made(call: str, kind: str) -> Any:
    def t(values: Any) -> Any:
        return torch.tensor(values, dtype=getattr(torch, kind))

    torch.manual_seed(0)
    return eval(f"D.{call}", {"D": D, "t": t})


@pytest.mark.parametrize("call", calls())
def test_samples_have_the_dtype_that_the_docstring_names(call: str) -> None:
    name = call.partition("(")[0]
    doc = " ".join(getattr(D, name).__doc__.split())
    wide_only = "float32 or float64 (RuntimeError for narrower)" in doc
    assert wide_only or re.search(r"float type|[Dd]types? (is|are)", doc)
    for kind in WIDE if wide_only else NARROW + WIDE:
        d = made(call, kind)
        sample = d.sample((2,))
        expected = torch.int64 if "int64 samples" in doc else getattr(torch, kind)
        assert sample.dtype is expected
        assert sample.shape == (2, *d.batch_shape, *d.event_shape)
        density = d.log_prob(sample)
        assert density.dtype is getattr(torch, kind) and density.shape == (2, *d.batch_shape)
    for kind in NARROW if wide_only else ():
        with pytest.raises(RuntimeError, match="Low precision dtypes not supported"):
            made(call, kind)


def test_every_distribution_is_here() -> None:
    known = {call.partition("(")[0] for call in calls()}
    public = {name for name in D.__all__ if isinstance(getattr(D, name), type)}
    public = {name for name in public if issubclass(getattr(D, name), D.Distribution)}
    assert public - known == {"Distribution", "ExponentialFamily"}
