"""`distributions`: probability distributions to sample from and to differentiate through.

Two ways to the gradient of an expectation. The score function needs only the density:

>>> import framework as torch
>>> from framework.distributions import Categorical, Normal
>>> logits = torch.zeros(3, requires_grad=True)
>>> m = Categorical(logits=logits)
>>> action, reward = m.sample(), 2.0
>>> (-m.log_prob(action) * reward).backward()

and the pathwise derivative needs samples that are functions of the parameters (``has_rsample``):

>>> mu = torch.zeros(3, requires_grad=True)
>>> Normal(mu, 1.0).rsample().sum().backward()
>>> mu.grad
tensor([1., 1., 1.])
"""

from __future__ import annotations

from framework.distributions import constraints, kl, transforms  # noqa: F401
from framework.distributions.bernoulli import Bernoulli
from framework.distributions.beta import Beta
from framework.distributions.binomial import Binomial
from framework.distributions.categorical import Categorical
from framework.distributions.cauchy import Cauchy
from framework.distributions.chi2 import Chi2
from framework.distributions.constraint_registry import biject_to, transform_to
from framework.distributions.continuous_bernoulli import ContinuousBernoulli
from framework.distributions.dirichlet import Dirichlet
from framework.distributions.distribution import Distribution
from framework.distributions.exp_family import ExponentialFamily
from framework.distributions.exponential import Exponential
from framework.distributions.fishersnedecor import FisherSnedecor
from framework.distributions.gamma import Gamma
from framework.distributions.generalized_pareto import GeneralizedPareto
from framework.distributions.geometric import Geometric
from framework.distributions.gumbel import Gumbel
from framework.distributions.half_cauchy import HalfCauchy
from framework.distributions.half_normal import HalfNormal
from framework.distributions.independent import Independent
from framework.distributions.inverse_gamma import InverseGamma
from framework.distributions.kl import kl_divergence, register_kl
from framework.distributions.kumaraswamy import Kumaraswamy
from framework.distributions.laplace import Laplace
from framework.distributions.lkj_cholesky import LKJCholesky
from framework.distributions.log_normal import LogNormal
from framework.distributions.logistic_normal import LogisticNormal
from framework.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from framework.distributions.mixture_same_family import MixtureSameFamily
from framework.distributions.multinomial import Multinomial
from framework.distributions.multivariate_normal import MultivariateNormal
from framework.distributions.negative_binomial import NegativeBinomial
from framework.distributions.normal import Normal
from framework.distributions.one_hot_categorical import (
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from framework.distributions.pareto import Pareto
from framework.distributions.poisson import Poisson
from framework.distributions.relaxed_bernoulli import RelaxedBernoulli
from framework.distributions.relaxed_categorical import RelaxedOneHotCategorical
from framework.distributions.studentT import StudentT
from framework.distributions.transformed_distribution import TransformedDistribution
from framework.distributions.transforms import *  # noqa: F403
from framework.distributions.uniform import Uniform
from framework.distributions.von_mises import VonMises
from framework.distributions.weibull import Weibull
from framework.distributions.wishart import Wishart

__all__ = [
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "ContinuousBernoulli",
    "Dirichlet", "Distribution", "Exponential", "ExponentialFamily", "FisherSnedecor", "Gamma",
    "GeneralizedPareto", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal", "Independent",
    "InverseGamma", "Kumaraswamy", "LKJCholesky", "Laplace", "LogNormal", "LogisticNormal",
    "LowRankMultivariateNormal", "MixtureSameFamily", "Multinomial", "MultivariateNormal",
    "NegativeBinomial", "Normal", "OneHotCategorical", "OneHotCategoricalStraightThrough", "Pareto",
    "Poisson", "RelaxedBernoulli", "RelaxedOneHotCategorical", "StudentT",
    "TransformedDistribution", "Uniform", "VonMises", "Weibull", "Wishart", "biject_to",
    "kl_divergence", "register_kl", "transform_to", *transforms.__all__,
]  # fmt: skip
