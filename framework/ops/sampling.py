"""Samplers whose samples follow their parameters: gamma and Dirichlet, with implicit gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.kernels import module_of
from framework.kernels.floats import real_floating
from framework.kernels.implicit import beta_slope, gamma_slope
from framework.random import stream
from framework.tensor import Tensor

__all__: list[str] = []


def _log_gamma_samples(a: np.ndarray, generator: Any) -> np.ndarray:
    """Logarithms of standard gamma samples of concentrations ``a``, in float64.

    Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000):
    d v with v = (1 + c x)^3 for a normal x, rejected now and then; the rejected elements draw again
    until none is left. For a < 1 a sample of a + 1 times u^(1/a), which may be too small for
    anything but its logarithm.
    """
    flat = np.asarray(a, np.float64).ravel()
    d = np.where(flat < 1, flat + 1, flat) - 1 / 3
    c = 1 / np.sqrt(9 * d)
    result = np.full(flat.shape, np.nan)
    pending = np.flatnonzero(flat > 0)
    while pending.size:
        x = generator.normal(pending.shape, np.float64)
        u = generator.uniform(pending.shape, np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            log_v = 3 * np.log(1 + c[pending] * x)
            bound = x * x / 2 + d[pending] * (1 - np.exp(log_v) + log_v)
            hit = np.log1p(-u) < bound
        result[pending[hit]] = (np.log(d[pending]) + log_v)[hit]
        pending = pending[~hit]
    small = np.flatnonzero((flat < 1) & (flat > 0))
    if small.size:
        result[small] += np.log1p(-generator.uniform(small.shape, np.float64)) / flat[small]
    return result.reshape(a.shape)


def _on_host(array: Any) -> np.ndarray:
    """In host memory and in float64: the generator's numbers are made there."""
    host = array if isinstance(array, np.ndarray) else array.get()
    return host.astype(np.float64)


def _between(samples: np.ndarray, like: Any, top: bool) -> Any:
    """In the type of ``like``, away from zero (and with ``top`` from one) by what it can hold."""
    limits = dtypes.finfo(dtypes.from_numpy_dtype[like.dtype])
    high = 1 - limits.eps / 2 if top else limits.max
    samples = np.clip(samples, limits.tiny, high).astype(like.dtype)
    return module_of(like).asarray(samples)


def _gamma_kernel(a: Any, *, generator: Any) -> Any:
    host = _on_host(real_floating(a, "gamma_cpu"))
    with np.errstate(under="ignore"):
        return _between(np.exp(_log_gamma_samples(host, generator)), a, top=False)


def _dirichlet_kernel(a: Any, *, generator: Any) -> Any:
    logs = _log_gamma_samples(_on_host(real_floating(a, "dirichlet")), generator)
    if not logs.ndim or not logs.size:
        return _between(np.ones_like(logs), a, top=False)
    with np.errstate(under="ignore"):
        shares = np.exp(logs - logs.max(-1, keepdims=True))
    return _between(shares / shares.sum(-1, keepdims=True), a, top=True)


def _gamma_slope_kernel(a: Any, z: Any) -> Any:
    return module_of(z).asarray(gamma_slope(_on_host(a), _on_host(z)).astype(z.dtype))


def _dirichlet_slope_kernel(x: Any, a: Any, total: Any) -> Any:
    a = _on_host(a)
    slope = beta_slope(a, _on_host(total) - a, _on_host(real_floating(x, "_dirichlet_grad_cpu")))
    return module_of(x).asarray(slope.astype(x.dtype))


def _no_further(name: str) -> Any:
    def rule(g: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return rule


GAMMA_SLOPE = op(
    "_standard_gamma_grad", _gamma_slope_kernel, "input output", rule="same",
    grad=(_no_further("_standard_gamma_grad"),) * 2,
)  # fmt: skip
GAMMA = op(
    "_standard_gamma", _gamma_kernel, "a",
    grad=(lambda g, a, y: g * apply(GAMMA_SLOPE, a, y),),
)  # fmt: skip
DIRICHLET_SLOPE = op(
    "_dirichlet_grad", _dirichlet_slope_kernel, "x a total", rule="same",
    grad=(_no_further("_dirichlet_grad"),) * 3,
)  # fmt: skip


def _dirichlet_rule(g: Any, a: Any, y: Any) -> Any:
    """A share is a beta sample; the others keep their proportions when it moves."""
    slope = apply(DIRICHLET_SLOPE, y, a, a.sum(-1, True).expand_as(a))
    return slope * (g - (y * g).sum(-1, True))


DIRICHLET = op("_sample_dirichlet", _dirichlet_kernel, "a", grad=(_dirichlet_rule,))


@function(method=False)
def _standard_gamma(input: Tensor, generator: Any = None) -> Tensor:
    """Gamma samples of rate one and of the concentrations in ``input``.

    The gradient is that of an implicitly reparameterised sample; see `framework.kernels.implicit`.

    >>> import framework as torch
    >>> bool(torch._standard_gamma(torch.tensor([0.5, 3.0])).min() > 0)
    True
    """
    return apply(GAMMA, input, generator=stream(generator, input._device))


@function(method=False)
def _standard_gamma_grad(input: Tensor, output: Tensor) -> Tensor:
    """The derivative of gamma samples ``output`` by their concentrations ``input``.

    >>> import framework as torch
    >>> torch._standard_gamma_grad(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([1.6317])
    """
    return apply(GAMMA_SLOPE, input, output)


@function(method=False)
def _sample_dirichlet(input: Tensor, generator: Any = None) -> Tensor:
    """Points of the simplex: Dirichlet samples of the concentrations along the last dimension.

    >>> import framework as torch
    >>> torch._sample_dirichlet(torch.ones(2, 3)).sum(-1)
    tensor([1., 1.])
    """
    return apply(DIRICHLET, input, generator=stream(generator, input._device))


@function(method=False)
def _dirichlet_grad(x: Tensor, alpha: Tensor, total: Tensor) -> Tensor:
    """dx/dalpha / (1 - x) of shares ``x``, beta samples of ``alpha`` and ``total - alpha``.

    >>> import framework as torch
    >>> torch._dirichlet_grad(torch.tensor([0.5]), torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([0.6931])
    """
    return apply(DIRICHLET_SLOPE, x, alpha, total)
