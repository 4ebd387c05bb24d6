"""The Kullback-Leibler divergence, KL(p || q) = E_p[log p(x) - log q(x)].

`kl_divergence` looks up the closed form for the types of p and q, which `register_kl` registers.
Where no source is named, a formula is -H(p) - E_p[log q], worked out term by term.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import framework as torch
from framework.distributions.bernoulli import Bernoulli
from framework.distributions.beta import Beta
from framework.distributions.binomial import Binomial
from framework.distributions.categorical import Categorical
from framework.distributions.cauchy import Cauchy
from framework.distributions.continuous_bernoulli import ContinuousBernoulli
from framework.distributions.dirichlet import Dirichlet
from framework.distributions.distribution import Distribution
from framework.distributions.exp_family import ExponentialFamily
from framework.distributions.exponential import Exponential
from framework.distributions.gamma import Gamma
from framework.distributions.geometric import Geometric
from framework.distributions.gumbel import EULER, Gumbel
from framework.distributions.half_normal import HalfNormal
from framework.distributions.independent import Independent
from framework.distributions.laplace import Laplace
from framework.distributions.lowrank_multivariate_normal import (
    LowRankMultivariateNormal,
    low_rank_distance,
)
from framework.distributions.multivariate_normal import (
    MultivariateNormal,
    log_det_root,
    squared_distance,
)
from framework.distributions.normal import Normal
from framework.distributions.one_hot_categorical import OneHotCategorical
from framework.distributions.pareto import Pareto
from framework.distributions.poisson import Poisson
from framework.distributions.transformed_distribution import TransformedDistribution
from framework.distributions.uniform import Uniform
from framework.distributions.utils import sum_rightmost
from framework.tensor import Tensor

__all__ = ["kl_divergence", "register_kl"]

Formula = Callable[[Any, Any], Tensor]

_FORMULAS: dict[tuple[type, type], Formula] = {}
_found: dict[tuple[type, type], Any] = {}  # what the look-up gave, until one is registered


def register_kl(type_p: type, type_q: type) -> Callable[[Formula], Formula]:
    """Decorator: the function is KL(p || q) for these types and types derived from them.

    Of several that fit the one is taken whose type of p is nearest, and then that of q; if the
    other order takes another one, a warning says so. It takes p and q and gives a tensor of the
    batch shape, of the parameters' dtype. TypeError for what is no type of distribution.

    >>> from framework.distributions import Normal
    >>> class Mine(Normal):
    ...     pass
    >>> @register_kl(Mine, Mine)
    ... def kl_of_mine(p, q):
    ...     return (p.loc - q.loc).abs()
    >>> kl_divergence(Mine(0.0, 1.0), Mine(2.0, 1.0))
    tensor(2.)
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type) or not issubclass(kind, Distribution):
            raise TypeError(f"Expected {name} to be a subclass of Distribution but got {kind}")

    def register(formula: Formula) -> Formula:
        _FORMULAS[type_p, type_q] = formula
        _found.clear()
        return formula

    return register


def _look_up(type_p: type, type_q: type) -> Any:
    """The registered formula that fits best, or NotImplemented."""
    fitting = [
        (type_p.__mro__.index(a), type_q.__mro__.index(b), (a, b))
        for a, b in _FORMULAS
        if issubclass(type_p, a) and issubclass(type_q, b)
    ]
    if not fitting:
        return NotImplemented
    left = min(fitting, key=lambda fit: fit[:2])[2]
    right = min(fitting, key=lambda fit: (fit[1], fit[0]))[2]
    if _FORMULAS[left] is not _FORMULAS[right]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please "
            f"register_kl({left[0].__name__}, {right[1].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _FORMULAS[left]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p || q), of the batch shape that p and q broadcast to.

    Raises:
        NotImplementedError: no formula is registered for these types.

    Of the dtype of the parameters. RuntimeError for batch shapes that do not broadcast.

    >>> import framework as torch
    >>> from framework.distributions import Normal
    >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    key = (type(p), type(q))
    if key not in _found:
        _found[key] = _look_up(*key)
    if _found[key] is NotImplemented:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {p.__class__.__name__} and q type "
            f"{q.__class__.__name__}"
        )
    return _found[key](p, q)


def _infinite(like: Tensor) -> Tensor:
    return torch.full_like(like, math.inf)


def _x_log_x(x: Tensor) -> Tensor:
    return torch.xlogy(x, x)


# -- where p has mass and q has none ---------------------------------------------------------

_UNBOUNDED: dict[type, str] = {  # families, and a parameter of theirs
    Exponential: "rate",
    Gamma: "concentration",
    Gumbel: "loc",
    Laplace: "loc",
    Normal: "loc",
    Pareto: "scale",
}
_DISJOINT: dict[type, tuple[type, ...]] = {
    Exponential: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gamma: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gumbel: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Laplace: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Normal: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Pareto: (Beta, ContinuousBernoulli, Uniform),
    Beta: (Pareto,),
    ContinuousBernoulli: (Pareto,),
    Poisson: (Bernoulli, Binomial),
}
_SHAPED = {**_UNBOUNDED, Beta: "concentration1", ContinuousBernoulli: "probs", Poisson: "rate"}


def _register_infinite() -> None:
    for p, others in _DISJOINT.items():

        def formula(p: Any, q: Any, name: str = _SHAPED[p]) -> Tensor:
            return _infinite(getattr(p, name))

        for q in others:
            register_kl(p, q)(formula)


_register_infinite()


# -- a family with itself --------------------------------------------------------------------


@register_kl(ExponentialFamily, ExponentialFamily)
def _expfamily(p: Any, q: Any) -> Tensor:
    """A Bregman divergence of the log normalizers (Nielsen and Nock 2010)."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed "
            "using Bregman divergences"
        )
    theta = [t.detach().requires_grad_() for t in p._natural_params]
    other = q._natural_params
    normalizer = p._log_normalizer(*theta)
    slopes = torch.autograd.grad(normalizer.sum(), theta, create_graph=True)
    result = q._log_normalizer(*other) - normalizer
    for a, b, slope in zip(theta, other, slopes):
        result = result - sum_rightmost((b - a) * slope, len(q.event_shape))
    return result


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Tensor:
    """p log(p / q) + (1 - p) log((1 - p) / (1 - q)), by softplus of the logits."""
    softplus = torch.nn.functional.softplus
    success = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    success = success.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0)
    failure = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    failure = failure.masked_fill(q.probs == 1, math.inf).masked_fill(p.probs == 1, 0)
    return success + failure


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Tensor:
    total_p = p.concentration1 + p.concentration0
    total_q = q.concentration1 + q.concentration0
    result = q.concentration1.lgamma() + q.concentration0.lgamma() + total_p.lgamma()
    result = result - (p.concentration1.lgamma() + p.concentration0.lgamma() + total_q.lgamma())
    result = result + (p.concentration1 - q.concentration1) * p.concentration1.digamma()
    result = result + (p.concentration0 - q.concentration0) * p.concentration0.digamma()
    return result + (total_q - total_p) * total_p.digamma()


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Tensor:
    """n times that of one trial; infinite where p has more trials than q."""
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    result = p.total_count * (
        p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    )
    more, result = torch.broadcast_tensors(p.total_count > q.total_count, result)
    return result.masked_fill(more, math.inf)


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = terms.masked_fill((q.probs == 0).expand_as(terms), math.inf)
    return terms.masked_fill((p.probs == 0).expand_as(terms), 0).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: Any, q: Any) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Tensor:
    """Chyzak and Nielsen, "A closed-form formula for the Kullback-Leibler divergence between Cauchy
    distributions", 2019.
    """
    near = ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log()
    return near - (4 * p.scale * q.scale).log()


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: Any, q: Any) -> Tensor:
    first = p.mean * (p.logits - q.logits)
    second = p._log_constant() + torch.log1p(-p.probs)
    return first + second - q._log_constant() - torch.log1p(-q.probs)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Tensor:
    """Kotz, Balakrishnan and Johnson, vol. 1, ch. 49; also in Penny, "KL-divergences", 2001."""
    total_p, total_q = p.concentration.sum(-1), q.concentration.sum(-1)
    norm = total_p.lgamma() - total_q.lgamma()
    norm = norm - (p.concentration.lgamma() - q.concentration.lgamma()).sum(-1)
    slopes = p.concentration.digamma() - total_p.digamma().unsqueeze(-1)
    return norm + ((p.concentration - q.concentration) * slopes).sum(-1)


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - ratio.log() - 1


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Tensor:
    """Penny, "KL-divergences of normal, gamma, Dirichlet and Wishart densities", 2001."""
    return (
        q.concentration * (p.rate / q.rate).log()
        + torch.lgamma(q.concentration)
        - torch.lgamma(p.concentration)
        + (p.concentration - q.concentration) * torch.digamma(p.concentration)
        + (q.rate - p.rate) * (p.concentration / p.rate)
    )


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Tensor:
    return -p.entropy() - torch.log1p(-q.probs) / p.probs - q.logits


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Any, q: Any) -> Tensor:
    """Bauckhage, "The Kullback-Leibler divergence between Gumbel distributions"."""
    a, b, c = p.scale / q.scale, q.loc / q.scale, p.loc / q.scale
    first = a.log() + b - c
    return -first + a * EULER + torch.exp(b + (1 + a).lgamma() - c) - (1 + EULER)


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: Any, q: Any) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Tensor:
    """Meyer, "An alternative probabilistic interpretation of the Huber loss", 2021, appendix."""
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    far = ratio * torch.exp(-distance / p.scale)
    return -ratio.log() + distance / q.scale + far - 1


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    shift = ((p.loc - q.loc) / q.scale).pow(2)
    return 0.5 * (ratio + shift - 1 - ratio.log())


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Tensor:
    """Bauckhage, "The Kullback-Leibler divergence between Pareto distributions"."""
    ratio = p.alpha / q.alpha
    result = q.alpha * (p.scale / q.scale).log() + ratio.log() + ratio.reciprocal() - 1
    return torch.where(p.support.lower_bound < q.support.lower_bound, math.inf, result)


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Tensor:
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return torch.where((q.low > p.low) | (q.high < p.high), math.inf, result)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("the two have different numbers of reinterpreted_batch_ndims")
    result = kl_divergence(p.base_dist, q.base_dist)
    return sum_rightmost(result, p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Tensor:
    """A bijection changes nothing."""
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("the two have different transforms or event shapes")
    return kl_divergence(p.base_dist, q.base_dist)


# -- multivariate normals --------------------------------------------------------------------
# 2 KL = log det S_q / det S_p + tr(S_q^-1 S_p) + distance of the means in S_q - n. The trace is a
# sum of squares: of L_q^-1 L_p, or with Woodbury's inverse of a covariance W W^T + diag(D).


def _same_event(p: Any, q: Any, names: str) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"KL-divergence between two {names} with different event shapes cannot be computed"
        )


def _sum_of_squares(factor: Tensor, matrix: Tensor) -> Tensor:
    """The sum of squares of L^-1 M: the trace of (L L^T)^-1 M M^T."""
    shape = torch.broadcast_shapes(factor.shape[:-2], matrix.shape[:-2])
    factor = factor.expand(shape + factor.shape[-2:])
    matrix = matrix.expand(shape + matrix.shape[-2:])
    solved = torch.linalg.solve_triangular(factor, matrix, upper=False)
    return solved.pow(2).sum((-2, -1))


def _covariance_roots(p: Any) -> tuple[Tensor, ...]:
    """Matrices whose M M^T add up to the covariance of ``p``."""
    if isinstance(p, LowRankMultivariateNormal):
        return p._unbroadcasted_cov_factor, torch.diag_embed(p._unbroadcasted_cov_diag.sqrt())
    return (p._unbroadcasted_scale_tril,)


def _log_det(p: Any) -> Tensor:
    if isinstance(p, LowRankMultivariateNormal):
        return p._log_det()
    return 2 * log_det_root(p._unbroadcasted_scale_tril)


def _trace_and_distance(p: Any, q: Any) -> tuple[Any, Tensor]:
    """tr(S_q^-1 S_p), and the squared distance of the means in S_q."""
    roots, shift = _covariance_roots(p), q.loc - p.loc
    if not isinstance(q, LowRankMultivariateNormal):
        factor = q._unbroadcasted_scale_tril
        trace: Any = sum(_sum_of_squares(factor, m) for m in roots)
        return trace, squared_distance(factor, shift)
    w, d, capacitance = (
        q._unbroadcasted_cov_factor, q._unbroadcasted_cov_diag, q._capacitance_tril,
    )  # fmt: skip
    trace = 0
    for m in roots:
        trace = trace + (m.pow(2) / d.unsqueeze(-1)).sum((-2, -1))
        trace = trace - _sum_of_squares(capacitance, (w.mT / d.unsqueeze(-2)) @ m)
    return trace, low_rank_distance(w, d, shift, capacitance)


def _register_multivariate_normals() -> None:
    full, low = MultivariateNormal, LowRankMultivariateNormal
    names = {
        (full, full): "Multivariate Normals",
        (full, low): "(Low Rank) Multivariate Normals",
        (low, full): "(Low Rank) Multivariate Normals",
        (low, low): "Low Rank Multivariate Normals",
    }
    for (type_p, type_q), called in names.items():

        def formula(p: Any, q: Any, called: str = called) -> Tensor:
            _same_event(p, q, called)
            trace, distance = _trace_and_distance(p, q)
            return 0.5 * (_log_det(q) - _log_det(p) + trace + distance - p.event_shape[0])

        register_kl(type_p, type_q)(formula)


_register_multivariate_normals()


# -- one family with another -----------------------------------------------------------------


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


def _from_normal(p: Any, q: Any) -> Tensor:
    """-E_p[log q] for a normal q: it needs p's mean and variance only."""
    squares = (p.variance + (p.mean - q.loc).pow(2)) / (2 * q.scale.pow(2))
    return 0.5 * math.log(2 * math.pi) + q.scale.log() + squares


@register_kl(Beta, Normal)
@register_kl(ContinuousBernoulli, Normal)
@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Gumbel, Normal)
@register_kl(Laplace, Normal)
@register_kl(Uniform, Normal)
def _any_normal(p: Any, q: Any) -> Tensor:
    return -p.entropy() + _from_normal(p, q)


def _if_alpha(p: Any, least: int, divergence: Callable[[Any], Tensor]) -> Tensor:
    """Infinite for a Pareto p without a finite moment: alpha must be more than ``least``."""
    lacking = p.alpha <= least
    finite = Pareto(p.scale, p.alpha.masked_fill(lacking, least + 1.0), validate_args=False)
    return torch.where(lacking, math.inf, divergence(finite))


@register_kl(Pareto, Normal)
def _pareto_normal(p: Any, q: Any) -> Tensor:
    return _if_alpha(p, 2, lambda p: -p.entropy() + _from_normal(p, q))


@register_kl(Beta, Exponential)
@register_kl(ContinuousBernoulli, Exponential)
@register_kl(Gamma, Exponential)
def _any_exponential(p: Any, q: Any) -> Tensor:
    return -p.entropy() - q.rate.log() + q.rate * p.mean


@register_kl(Pareto, Exponential)
def _pareto_exponential(p: Any, q: Any) -> Tensor:
    return _if_alpha(p, 1, lambda p: _any_exponential(p, q))


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Any, q: Any) -> Tensor:
    result = q.rate * p.mean - ((p.high - p.low) * q.rate).log()
    return torch.where(p.low < 0, math.inf, result)


def _from_gamma(q: Any, mean: Tensor, mean_log: Tensor) -> Tensor:
    """-E_p[log q] for a gamma q, from p's mean and mean logarithm."""
    norm = q.concentration.lgamma() - q.concentration * q.rate.log()
    return norm - (q.concentration - 1) * mean_log + q.rate * mean


@register_kl(Beta, Gamma)
def _beta_gamma(p: Any, q: Any) -> Tensor:
    total = p.concentration1 + p.concentration0
    mean_log = p.concentration1.digamma() - total.digamma()
    return -p.entropy() + _from_gamma(q, p.mean, mean_log)


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Any, q: Any) -> Tensor:
    return -p.entropy() + _from_gamma(q, p.mean, -p.rate.log() - EULER)


@register_kl(Pareto, Gamma)
def _pareto_gamma(p: Any, q: Any) -> Tensor:
    def divergence(p: Any) -> Tensor:
        mean_log = p.alpha.reciprocal() + p.scale.log()
        return -p.entropy() + _from_gamma(q, p.mean, mean_log)

    return _if_alpha(p, 1, divergence)


def _uniform_log(p: Any) -> Tensor:
    """The mean logarithm of a uniform variable of positive numbers."""
    return (_x_log_x(p.high) - _x_log_x(p.low)) / (p.high - p.low) - 1


@register_kl(Uniform, Gamma)
def _uniform_gamma(p: Any, q: Any) -> Tensor:
    result = -p.entropy() + _from_gamma(q, p.mean, _uniform_log(p))
    return torch.where(p.low < 0, math.inf, result)


@register_kl(Beta, Uniform)
def _beta_uniform(p: Any, q: Any) -> Tensor:
    result = -p.entropy() + (q.high - q.low).log()
    return torch.where((q.low > 0) | (q.high < 1), math.inf, result)


@register_kl(ContinuousBernoulli, Uniform)
def _continuous_bernoulli_uniform(p: Any, q: Any) -> Tensor:
    result = -p.entropy() + (q.high - q.low).log()
    # As in PyTorch also where q's bounds are 0 and 1.
    outside = (q.low >= p.support.lower_bound) | (q.high <= p.support.upper_bound)
    return torch.where(outside, math.inf, result)


@register_kl(Beta, ContinuousBernoulli)
def _beta_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    return -p.entropy() - p.mean * q.logits - torch.log1p(-q.probs) - q._log_constant()


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    result = -p.entropy() - p.mean * q.logits - torch.log1p(-q.probs) - q._log_constant()
    # As in PyTorch also where p's bounds are 0 and 1.
    outside = (p.high >= q.support.upper_bound) | (p.low <= q.support.lower_bound)
    return torch.where(outside, math.inf, result)


@register_kl(Uniform, Beta)
def _uniform_beta(p: Any, q: Any) -> Tensor:
    width = p.high - p.low
    # The mean of log(1 - x) is that of log over the mirrored interval.
    mirrored = (_x_log_x(1 - p.low) - _x_log_x(1 - p.high)) / width - 1
    total = q.concentration1 + q.concentration0
    norm = q.concentration1.lgamma() + q.concentration0.lgamma() - total.lgamma()
    powers = (q.concentration1 - 1) * _uniform_log(p) + (q.concentration0 - 1) * mirrored
    result = norm - powers - width.log()
    return torch.where((p.high > 1) | (p.low < 0), math.inf, result)


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Any, q: Any) -> Tensor:
    result = (q.alpha + 1) * _uniform_log(p) - (q.alpha * q.scale.pow(q.alpha)).log()
    result = result - (p.high - p.low).log()
    return torch.where(p.low < q.support.lower_bound, math.inf, result)


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Tensor:
    """E|x - loc| of a normal x is that of a folded normal variable."""
    shift = p.loc - q.loc
    z = shift / p.scale
    density = math.sqrt(2 / math.pi) * p.scale * torch.exp(-0.5 * z.pow(2))
    folded = density + shift * torch.erf(math.sqrt(0.5) * z)
    return -p.entropy() + (2 * q.scale).log() + folded / q.scale


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Any, q: Any) -> Tensor:
    """E[exp(-x / scale)] is p's Laplace transform."""
    product = p.rate * q.scale
    shift = q.loc / q.scale
    transform = torch.exp(shift) * product / (product + 1)
    return product.log() - 1 + product.reciprocal() - shift + transform


@register_kl(Gamma, Gumbel)
def _gamma_gumbel(p: Any, q: Any) -> Tensor:
    product = p.rate * q.scale
    shift = q.loc / q.scale
    transform = torch.exp(shift) * (1 + product.reciprocal()).pow(-p.concentration)
    return -p.entropy() + q.scale.log() + p.concentration / product - shift + transform


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Any, q: Any) -> Tensor:
    shift, ratio = (p.loc - q.loc) / q.scale, (p.scale / q.scale).pow(2)
    return -p.entropy() + q.scale.log() + shift + torch.exp(-shift + ratio * 0.5)


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Any, q: Any) -> Tensor:
    product = q.scale / (p.high - p.low)
    low, high = (p.low - q.loc) / q.scale, (p.high - q.loc) / q.scale
    transform = product * (torch.exp(-low) - torch.exp(-high))
    return product.log() + 0.5 * (low + high) + transform
