"""Common mistakes with distributions, transforms and constraints: what is raised.

Kinds and words are those of PyTorch 2.13, or say more where it says nothing; docstrings name the
kinds.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

import framework as torch
from framework import distributions as D
from framework import ones, tensor
from framework.distributions import constraints
from tests.mistakes import check, entries, unnamed

MISTAKES = """
    D.AbsTransform().log_abs_det_jacobian(tensor([1.0]), tensor([1.0])) -> NotImplementedError
    D.AffineTransform(tensor([1.0, 2.0]), 1.0)(tensor([1.0, 2.0, 3.0])) -> RuntimeError: The size
    D.AffineTransform(tensor([1.0, 2.0]), 1.0).forward_shape((3,)) -> RuntimeError: Attempting to
    D.Bernoulli(tensor([1.5])) -> ValueError: Expected parameter probs (Tensor of shape (1,)) of
    D.Bernoulli(tensor([0.3]), tensor([0.3])) -> ValueError: Either `probs` or `logits` must be
    D.Bernoulli() -> ValueError: Either `probs` or `logits` must be specified, but not both
    D.Beta(tensor([-1.0]), tensor([1.0])) -> ValueError: Expected parameter concentration (Tensor
    D.Beta(tensor([1.0, 2.0]), tensor([1.0, 2.0, 3.0])) -> RuntimeError: The size of tensor a (2)
    D.Beta(tensor([1.0, 2.0]), tensor([2.0, 1.0])).log_prob(tensor(2.0)) -> ValueError: Expected
    D.Binomial(-1, tensor([0.3])) -> ValueError: Expected parameter total_count (Tensor of shape
    D.Binomial(4, tensor([1.5])) -> ValueError: Expected parameter probs (Tensor of shape (1,)) of
    D.Binomial(4) -> ValueError: Either `probs` or `logits` must be specified, but not both
    D.Binomial(tensor([2, 3]), tensor(0.5)).enumerate_support() -> NotImplementedError
    D.CatTransform([D.ExpTransform()], lengths=[1, 2])(tensor([1.0])) -> AssertionError: lengths
    D.CatTransform([D.ExpTransform()], lengths=[2])(tensor([1.0])) -> AssertionError: x.size(0) = 1
    D.CatTransform([3]) -> AssertionError: All elements of tseq must be Transform instances
    D.Categorical(tensor(0.5)) -> ValueError: `probs` parameter must be at least one-dimensional
    D.Categorical(tensor([-1.0, 1.0])) -> ValueError: Expected parameter probs (Tensor of shape
    D.Categorical() -> ValueError: Either `probs` or `logits` must be specified, but not both
    D.Cauchy(tensor([0.0]), tensor([-1.0])) -> ValueError: Expected parameter scale (Tensor of
    D.Cauchy(tensor([1.0, 2.0]), tensor([1.0, 2.0, 3.0])) -> RuntimeError: The size of tensor a (2)
    D.Cauchy(tensor([0.0, 1.0]), tensor([1.0, 2.0])).log_prob(tensor(float("nan"))) -> ValueError
    D.Chi2(tensor([-1.0])) -> ValueError: Expected parameter df (Tensor of shape (1,)) of
    D.Chi2(tensor([1.0, 2.0])).log_prob(tensor(-1.0)) -> ValueError: Expected value argument
    D.ComposeTransform([3])(tensor(1.0)) -> TypeError: 'int' object is not callable
    D.ContinuousBernoulli() -> ValueError: Either `probs` or `logits` must be specified, but not
    D.ContinuousBernoulli(tensor([0.3, 0.6])).log_prob(tensor(5.0)) -> ValueError: Expected value
    D.CorrCholeskyTransform()(tensor([1.0, 2.0])) -> ValueError: The size of last dimension is 2
    D.CorrCholeskyTransform()(tensor(1.0)) -> IndexError: tuple index out of range
    D.CorrCholeskyTransform().forward_shape((2,)) -> ValueError: Input is not a flattened
    D.CorrCholeskyTransform().inverse_shape((2,)) -> ValueError: Too few dimensions on input
    D.CumulativeDistributionTransform(D.Poisson(1.0))(tensor(1.0)) -> NotImplementedError: Poisson
    D.CumulativeDistributionTransform(D.Normal(0.0, 1.0))([1.0]) -> ValueError: The value argument
    D.Dirichlet(tensor(1.0)) -> ValueError: `concentration` parameter must be at least
    D.Dirichlet(tensor([-1.0, 1.0])) -> ValueError: Expected parameter concentration (Tensor of
    D.Dirichlet(tensor([1.0, 2.0])).log_prob(tensor([2.0, 3.0])) -> ValueError: Expected value
    D.Distribution().sample() -> NotImplementedError: Distribution does not implement rsample
    D.Distribution().log_prob(tensor(1.0)) -> NotImplementedError: Distribution does not implement
    D.Distribution().mean -> NotImplementedError: Distribution does not implement mean
    D.Distribution.set_default_validate_args(3) -> ValueError: expected True or False, but got 3
    D.ExpTransform()([1.0]) -> AttributeError: 'list' object has no attribute 'exp'
    D.ExpTransform()("a") -> AttributeError: 'str' object has no attribute 'exp'
    D.Exponential(tensor([-1.0])) -> ValueError: Expected parameter rate (Tensor of shape (1,)) of
    D.Exponential(tensor([1.0, 2.0])).log_prob(tensor(-1.0)) -> ValueError: Expected value argument
    D.ExponentialFamily().entropy() -> NotImplementedError: ExponentialFamily does not implement
    D.FisherSnedecor(tensor([-1.0]), tensor([1.0])) -> ValueError: Expected parameter concentration
    D.FisherSnedecor(tensor([1.0, 2.0]), tensor([2.0, 1.0])).log_prob(tensor(-1.0)) -> ValueError
    D.Gamma(tensor([-1.0]), tensor([1.0])) -> ValueError: Expected parameter concentration (Tensor
    D.Gamma(tensor([1.0, 2.0]), tensor([2.0, 1.0])).log_prob(tensor(-1.0)) -> ValueError: Expected
    D.GeneralizedPareto(tensor([0.0]), tensor([-1.0]), tensor([1.0])) -> ValueError: Expected
    D.Geometric(tensor([1.5])) -> ValueError: Expected parameter probs (Tensor of shape (1,)) of
    D.Geometric(tensor([0.0])) -> ValueError: Expected parameter probs (Tensor of shape (1,)) of
    D.Geometric() -> ValueError: Either `probs` or `logits` must be specified, but not both
    D.Gumbel(tensor([0.0]), tensor([-1.0])) -> ValueError: Expected parameter scale (Tensor of
    D.Gumbel(tensor([0.0, 1.0]), tensor([1.0, 2.0])).log_prob(tensor(float("nan"))) -> ValueError
    D.HalfCauchy(tensor([-1.0])) -> ValueError: Expected parameter scale (Tensor of shape (1,)) of
    D.HalfCauchy(tensor([1.0, 2.0])).log_prob(tensor(-1.0)) -> ValueError: Expected value argument
    D.HalfNormal(tensor([-1.0])) -> ValueError: Expected parameter scale (Tensor of shape (1,)) of
    D.HalfNormal(tensor([1.0, 2.0])).log_prob(tensor(-1.0)) -> ValueError: Expected value argument
    D.Independent(D.Normal(tensor([0.0, 1.0]), tensor([1.0, 2.0])), 3) -> ValueError: Expected
    D.Independent(D.Normal(tensor(0.0), tensor(1.0)), 1) -> ValueError: Expected
    D.IndependentTransform(D.ExpTransform(), 1)(tensor(1.0)) -> ValueError: Too few dimensions on
    D.InverseGamma(tensor([-1.0]), tensor([1.0])) -> ValueError: Expected parameter concentration
    D.InverseGamma(tensor([1.0, 2.0]), tensor([2.0, 1.0])).log_prob(tensor(-1.0)) -> ValueError
    D.Kumaraswamy(tensor([-1.0]), tensor([1.0])) -> ValueError: Expected parameter concentration1
    D.Kumaraswamy(tensor([1.0, 2.0]), tensor([2.0, 1.0])).log_prob(tensor(2.0)) -> ValueError
    D.LKJCholesky(1, tensor(1.0)) -> ValueError: Expected dim to be an integer greater than or
    D.LKJCholesky(3, tensor(-1.0)) -> ValueError: Expected parameter concentration (Tensor of shape
    D.LKJCholesky(3.5, tensor(1.0)) -> TypeError: torch.Size() takes an iterable of 'int' (item 0
    D.LKJCholesky(3, tensor([1.0, 2.0])).log_prob(tensor([[1.0, 1.0], [1.0, 1.0]])) -> ValueError
    D.Laplace(tensor([0.0]), tensor([-1.0])) -> ValueError: Expected parameter scale (Tensor of
    D.Laplace(tensor([0.0, 1.0]), tensor([1.0, 2.0])).log_prob(tensor(float("nan"))) -> ValueError
    D.LogNormal(tensor([0.0]), tensor([-1.0])) -> ValueError: Expected parameter scale (Tensor of
    D.LogNormal(tensor([0.0, 1.0]), tensor([1.0, 2.0])).log_prob(tensor(-1.0)) -> ValueError
    D.LogisticNormal(tensor([0.0]), tensor([-1.0])) -> ValueError: Expected parameter scale (Tensor
    D.LowRankMultivariateNormal(tensor(0.0), tensor([[1.0]]), tensor([1.0])) -> ValueError: loc
    D.LowRankMultivariateNormal(half(2), half(2, 1), half(2)) -> RuntimeError: Low precision dtypes
    D.LowRankMultivariateNormal(ones(2), ones(1, 1), ones(2)) -> ValueError: cov_factor must be a
    D.LowerCholeskyTransform()(tensor([1.0, 2.0])) -> RuntimeError: input tensor must have at least
    D.MixtureSameFamily(D.Categorical(tensor([0.5, 0.5])), 3) -> ValueError: The Component
    D.MixtureSameFamily(D.Normal(0.0, 1.0), D.Normal(0.0, 1.0)) -> ValueError: The Mixture
    D.MixtureSameFamily(D.Categorical(ones(2)), D.Normal(0.0, 1.0)) -> IndexError
    D.MixtureSameFamily(D.Categorical(ones(2)), D.Normal(ones(3), ones(3))) -> ValueError
    D.Multinomial(tensor([2.0, 3.0]), tensor([0.3, 0.6])) -> NotImplementedError: inhomogeneous
    D.Multinomial(4, tensor([-1.0, 1.0])) -> ValueError: Expected parameter probs (Tensor of shape
    D.Multinomial(4) -> ValueError: Either `probs` or `logits` must be specified, but not both
    D.Multinomial(4, tensor([0.3, 0.6])).log_prob(tensor([9.0, 9.0])) -> ValueError: Expected value
    D.MultivariateNormal(tensor(0.0), tensor([[1.0]])) -> ValueError: loc must be at least
    D.MultivariateNormal(tensor([0.0, 1.0])) -> ValueError: Exactly one of covariance_matrix or
    D.MultivariateNormal(tensor([0.0, 1.0]), tensor([1.0, 1.0])) -> ValueError: covariance_matrix
    D.MultivariateNormal(half(2), half(2, 2)) -> RuntimeError: Low precision dtypes not supported
    D.NegativeBinomial(tensor([-1.0]), tensor([0.3])) -> ValueError: Expected parameter total_count
    D.NegativeBinomial(tensor([1.0]), tensor([1.0])) -> ValueError: Expected parameter probs
    D.NegativeBinomial(tensor([1.0])) -> ValueError: Either `probs` or `logits` must be specified,
    D.Normal(tensor([0.0]), tensor([-1.0])) -> ValueError: Expected parameter scale (Tensor of
    D.Normal(tensor([1.0, 2.0]), tensor([1.0, 2.0, 3.0])) -> RuntimeError: The size of tensor a (2)
    D.Normal(tensor([float("nan")]), tensor([1.0])) -> ValueError: Expected parameter loc (Tensor
    D.Normal("a", 1.0) -> ValueError: Input arguments must all be instances of Number, torch.Tensor
    D.Normal(tensor([0.0, 1.0]), 1.0).expand([3]) -> RuntimeError: The expanded size of the tensor
    D.OneHotCategorical(tensor(0.5)) -> ValueError: `probs` parameter must be at least
    D.OneHotCategorical(tensor([-1.0, 1.0])) -> ValueError: Expected parameter probs (Tensor of
    D.OneHotCategorical() -> ValueError: Either `probs` or `logits` must be specified, but not both
    D.OneHotCategoricalStraightThrough(tensor(0.5)) -> ValueError: `probs` parameter must be at
    D.OneHotCategoricalStraightThrough(tensor([-1.0, 1.0])) -> ValueError: Expected parameter probs
    D.OneHotCategoricalStraightThrough() -> ValueError: Either `probs` or `logits` must be
    D.Pareto(tensor([-1.0]), tensor([1.0])) -> ValueError: Expected parameter scale (Tensor of
    D.Pareto(tensor([1.0, 2.0]), tensor([2.0, 1.0])).log_prob(tensor(0.1)) -> ValueError: Expected
    D.Poisson(tensor([-1.0])) -> ValueError: Expected parameter rate (Tensor of shape (1,)) of
    D.Poisson(tensor([1.0, 2.0])).log_prob(tensor(-1.0)) -> ValueError: Expected value argument
    D.PositiveDefiniteTransform()(tensor([1.0, 2.0])) -> RuntimeError: input tensor must have at
    D.PowerTransform("a")(tensor([1.0])) -> ValueError: Input arguments must all be instances of
    D.PowerTransform(tensor([1.0, 2.0]))(tensor([1.0, 2.0, 3.0])) -> RuntimeError: The size of
    D.PowerTransform(tensor([1.0, 2.0])).forward_shape((3,)) -> RuntimeError: Attempting to
    D.RelaxedBernoulli(tensor(2.0), tensor([1.5])) -> ValueError: Expected parameter probs (Tensor
    D.RelaxedBernoulli(tensor(2.0)) -> ValueError: Either `probs` or `logits` must be specified,
    D.RelaxedBernoulli(tensor(2.0), tensor([0.3, 0.6])).log_prob(tensor(5.0)) -> ValueError
    D.RelaxedOneHotCategorical(tensor(2.0), tensor([-1.0, 1.0])) -> ValueError: Expected parameter
    D.RelaxedOneHotCategorical(tensor(2.0)) -> ValueError: Either `probs` or `logits` must be
    D.RelaxedOneHotCategorical(tensor(2.0), tensor(0.3)) -> ValueError: `probs` parameter must be
    D.ReshapeTransform((2, 3), (5,)) -> ValueError: in_shape, out_shape have different numbers of
    D.ReshapeTransform((2, 3), (6,))(tensor([1.0, 2.0])) -> RuntimeError: shape '[6]' is invalid
    D.ReshapeTransform((2, 3), (6,)).forward_shape((2,)) -> ValueError: Too few dimensions on input
    D.ReshapeTransform((2, 3), (6,)).forward_shape((3, 2)) -> ValueError: Shape mismatch: expected
    D.SigmoidTransform()([1.0]) -> AttributeError: 'list' object has no attribute 'dtype'
    D.SoftmaxTransform().log_abs_det_jacobian(tensor([1.0]), tensor([1.0])) -> NotImplementedError
    D.SoftplusTransform()([1.0]) -> TypeError: softplus(): argument 'input' (position 1) must be
    D.StackTransform([3]) -> AssertionError: All elements of tseq must be Transform instances
    D.StackTransform([D.ExpTransform()])(tensor([1.0, 2.0])) -> AssertionError: x.size(0) = 2 must
    D.StackTransform([D.ExpTransform()], dim=3)(tensor([1.0])) -> AssertionError: dim 3 out of
    D.StickBreakingTransform()(tensor(1.0)) -> IndexError: tuple index out of range
    D.StudentT(tensor([-1.0])) -> ValueError: Expected parameter df (Tensor of shape (1,)) of
    D.StudentT(tensor([1.0]), 0.0, -1.0) -> ValueError: Expected parameter scale (Tensor of shape
    D.StudentT(tensor([1.0, 2.0])).log_prob(tensor(float("nan"))) -> ValueError: Expected value
    D.TanhTransform()([1.0]) -> AttributeError: 'list' object has no attribute 'tanh'
    D.Transform()(tensor(1.0)) -> NotImplementedError: Transform does not implement _call
    D.Transform(cache_size=3) -> ValueError: cache_size must be 0 or 1
    D.Transform().with_cache(5) -> ValueError: cache_size must be 0 or 1
    D.TransformedDistribution(D.Normal(tensor(0.0), tensor(1.0)), [3]) -> ValueError: transforms
    D.TransformedDistribution(D.Normal(tensor(0.0), tensor(1.0)), 3) -> ValueError: transforms must
    D.TransformedDistribution(D.Normal(0.0, 1.0), [D.StickBreakingTransform()]) -> ValueError
    D.Uniform(tensor([1.0]), tensor([0.0])) -> ValueError: Expected parameter low (Tensor of shape
    D.Uniform(tensor([1.0]), tensor([1.0])) -> ValueError: Expected parameter low (Tensor of shape
    D.Uniform(tensor([0.0, 1.0]), tensor([1.0, 2.0])).log_prob(tensor(5.0)) -> ValueError: Expected
    D.VonMises(tensor([0.0]), tensor([-1.0])) -> ValueError: Expected parameter concentration
    D.VonMises(tensor([0.0, 1.0]), tensor([1.0, 2.0])).log_prob(tensor(float("nan"))) -> ValueError
    D.Weibull(tensor([-1.0]), tensor([1.0])) -> ValueError: Expected parameter scale (Tensor of
    D.Weibull(tensor([1.0, 2.0]), tensor([2.0, 1.0])).log_prob(tensor(-1.0)) -> ValueError
    D.Wishart(tensor([0.5]), tensor([[1.0, 0.0], [0.0, 1.0]])) -> ValueError: Value of
    D.Wishart(tensor([3.0])) -> AssertionError: Exactly one of covariance_matrix or
    D.Wishart(tensor([3.0]), tensor([1.0])) -> ValueError: scale_tril must be at least
    D.Wishart(tensor([3.0]), tensor([[1.0, 2.0], [2.0, 1.0]])) -> ValueError: Expected parameter
    D.Wishart(tensor([3.0, 4.0]).half(), tensor([[1.0, 0.0], [0.0, 1.0]]).half()) -> RuntimeError
    constraints.Constraint().check(tensor(1.0)) -> NotImplementedError: Constraint does not
    constraints.MixtureSameFamilyConstraint(3) -> AssertionError: base_constraint must be a
    constraints.cat([3]) -> AssertionError: All elements of cseq must be Constraint instances
    constraints.cat([constraints.real], lengths=[1, 2]) -> AssertionError: lengths (2) must match
    constraints.cat([constraints.real], 0, [1]).check(tensor(1.0)) -> AssertionError: dim 0 out of
    constraints.dependent_property(3).is_discrete -> NotImplementedError: .is_discrete cannot be
    constraints.dependent_property(3).event_dim -> NotImplementedError: .event_dim cannot be
    constraints.greater_than(tensor([1.0, 2.0])).check(tensor([1.0, 2.0, 3.0])) -> RuntimeError
    constraints.greater_than_eq(tensor([1.0, 2.0])).check(tensor([1.0, 2.0, 3.0])) -> RuntimeError
    constraints.half_open_interval(ones(2), 3.0).check(ones(3)) -> RuntimeError: The size of tensor
    constraints.independent(constraints.real, 1).check(tensor(1.0)) -> ValueError: Expected
    constraints.independent(3, 1) -> AssertionError: base_constraint must be a Constraint, got int
    constraints.independent(constraints.real, -1) -> AssertionError: reinterpreted_batch_ndims must
    constraints.independent(constraints.real, "a") -> AssertionError: reinterpreted_batch_ndims
    constraints.integer_interval(ones(2), 3.0).check(ones(3)) -> RuntimeError: The size of tensor
    constraints.interval(tensor([1.0, 2.0]), 3.0).check(tensor([1.0, 2.0, 3.0])) -> RuntimeError
    constraints.less_than(tensor([1.0, 2.0])).check(tensor([1.0, 2.0, 3.0])) -> RuntimeError: The
    constraints.multinomial(3).check([1.0]) -> TypeError: '>=' not supported between instances of
    constraints.stack([3]) -> AssertionError: All elements of cseq must be Constraint instances
    constraints.stack([constraints.real]).check(tensor(1.0)) -> AssertionError: dim 0 out of range
"""


def half(*sizes: int) -> Any:
    return ones(*sizes, dtype=torch.float16)


NAMES = {"D": D, "constraints": constraints, "half": half, "ones": ones, "tensor": tensor}


def class_of(call: str) -> Any:
    space, name = re.search(r"\b(D|constraints)\.(\w+)", call).groups()  # type: ignore[union-attr]
    return getattr(NAMES[space], name)


@pytest.mark.parametrize(("call", "kind", "words"), entries(MISTAKES))
def test_a_mistake_is_told(call: str, kind: str, words: str) -> None:
    check(call, kind, words, NAMES, values=True)


def test_docstrings_name_these_errors() -> None:
    silent = unnamed(MISTAKES, class_of)
    assert not silent, "\n".join(silent)


def test_every_class_has_a_mistake() -> None:
    known = {class_of(call) for call, _, _ in entries(MISTAKES)}
    public = [getattr(space, name) for space in (D, constraints) for name in space.__all__]
    assert {kind for kind in public if isinstance(kind, type)} <= known


def test_what_a_class_does_not_know_is_named() -> None:
    for call in ("mean", "support", "rsample()", "cdf(ones(1))", "entropy()"):
        with pytest.raises(
            NotImplementedError, match=f"Bare does not implement {call.split('(')[0]}"
        ):
            eval(f"bare.{call}", {"bare": Bare(validate_args=False), "ones": ones})


class Bare(D.Distribution):
    pass
