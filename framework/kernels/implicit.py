"""How a gamma or a beta sample moves with its parameters: implicit reparameterisation gradients.

A sample z with distribution function F(z; a) keeps its quantile when a changes, so that
dz/da = -(dF/da) / f (Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", NeurIPS
2018). Since dF/da is the integral of f(t) d(log f)/da up to z, and minus that integral from z on,
the quotient is the integral of f(t)/f(z) d(log f)/da over the tail that does not hold the mean:
nothing cancels there. In log space (gamma) and logit space (beta) log f is smooth and concave, and
falls from z on: Gauss-Legendre rules on panels that halve towards z find the integral.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["beta_slope", "gamma_slope"]

_DEPTH = 45.0  # the tail is cut where its density fell by e**-45
_PANELS = 8
_CHUNK = 1024  # elements integrated at a time, to bound the memory


@functools.cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1], on panels that halve towards zero."""
    x, w = np.polynomial.legendre.leggauss(20)
    edges = np.concatenate([[0.0], 0.5 ** np.arange(_PANELS - 1, -1, -1)])
    width = np.diff(edges)[:, None]
    return (edges[:-1, None] + width * (x + 1) / 2).ravel(), (width * w / 2).ravel()


def _tail(
    fall: Callable[[Any], Any], slope: Callable[[Any], Any], weight: Callable[[Any], Any], end: Any
) -> Any:
    """Integral over w > 0 of exp(fall(w)) weight(w), for a concave ``fall`` with fall(0) = 0.

    ``end``, a bound of where ``fall`` reaches -_DEPTH, is drawn near by Newton's method, which
    stays on its side of a concave function's root.
    """
    for _ in range(12):
        end = end - (fall(end) + _DEPTH) / slope(end)
    nodes, weights = _rule()
    w = end * nodes[:, None]
    return end * (weights[:, None] * np.exp(fall(w)) * weight(w)).sum(0)


def _by_chunks(compute: Callable[..., Any], *arrays: Any) -> Any:
    """``compute`` on flat float64 pieces of the broadcast arrays; the shape is put back."""
    full = np.broadcast_arrays(*[np.asarray(a, np.float64) for a in arrays])
    flat = [a.ravel() for a in full]
    pieces = [compute(*[a[i : i + _CHUNK] for a in flat]) for i in range(0, flat[0].size, _CHUNK)]
    return np.concatenate(pieces or [np.empty(0)]).reshape(full[0].shape)


def gamma_slope(a: Any, z: Any) -> Any:
    """dz/da of a standard gamma sample z of concentration a; float64 arrays."""
    return _by_chunks(_gamma_slope, a, z)


def _gamma_slope(a: Any, z: Any) -> Any:
    from scipy.special import digamma

    result = np.empty_like(z)
    with np.errstate(all="ignore"):
        excess = np.log(z) - digamma(a)
        low = z <= a
        result[low] = _gamma_below(a[low], z[low], excess[low])
        result[~low] = _gamma_above(a[~low], z[~low], excess[~low])
    result[z == 0] = 0
    return result


def _gamma_below(a: Any, z: Any, excess: Any) -> Any:
    """From the tail t = z exp(-w)."""
    return -z * _tail(
        lambda w: -a * w - z * np.expm1(-w),
        lambda w: z * np.exp(-w) - a,
        lambda w: excess - w,
        (_DEPTH + z) / a,
    )


def _gamma_above(a: Any, z: Any, excess: Any) -> Any:
    """From the tail t = z exp(w)."""
    return z * _tail(
        lambda w: a * w - z * np.expm1(w),
        lambda w: a - z * np.exp(w),
        lambda w: excess + w,
        np.minimum(np.sqrt(2 * _DEPTH / z), np.maximum(1.3, np.log1p(2 * _DEPTH / z))),
    )


def beta_slope(a: Any, b: Any, x: Any) -> Any:
    """dx/da / (1 - x) of a beta(a, b) sample x; float64 arrays."""
    return _by_chunks(_beta_slope, a, b, x)


def _beta_slope(a: Any, b: Any, x: Any) -> Any:
    from scipy.special import digamma

    result = np.empty_like(x)
    with np.errstate(all="ignore"):
        excess = np.log(x) - digamma(a) + digamma(a + b)
        low = x <= a / (a + b)
        result[low] = _beta_below(a[low], b[low], x[low], excess[low])
        result[~low] = _beta_above(a[~low], b[~low], x[~low], excess[~low])
    result[x == 0] = 0
    return result


def _logit_tail(a: Any, b: Any, x: Any, weight: Callable[[Any, Any], Any]) -> Any:
    """The tail below x in steps w of the logit; ``weight`` of w and log1p(x expm1(-w))."""

    def lower(w: Any) -> Any:
        return np.log1p(x * np.expm1(-w))

    return _tail(
        lambda w: -a * w - (a + b) * lower(w),
        lambda w: (a + b) * x * np.exp(-w) / (1 + x * np.expm1(-w)) - a,
        lambda w: weight(w, lower(w)),
        (_DEPTH - (a + b) * np.log1p(-x)) / a,
    )


def _beta_below(a: Any, b: Any, x: Any, excess: Any) -> Any:
    return -x * _logit_tail(a, b, x, lambda w, lower: excess - w - lower)


def _beta_above(a: Any, b: Any, x: Any, excess: Any) -> Any:
    return x * _logit_tail(b, a, 1 - x, lambda w, lower: excess - lower)
