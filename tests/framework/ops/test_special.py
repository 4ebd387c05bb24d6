"""Special functions and unusual pairs: known values, limits, narrow types, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import framework as torch
from framework.autograd import grad

INF, NAN = math.inf, math.nan
F = torch.float64


def values(found) -> np.ndarray:
    return found.to(F).numpy()


# Limits, poles and constants of the DLMF: function, arguments, results.
KNOWN = [
    ("digamma", [[1.0, 0.0, -1.0, INF]], [-np.euler_gamma, -INF, NAN, INF]),
    ("lgamma", [[0.5, 0.0, -2.0, INF]], [math.log(math.pi) / 2, INF, INF, INF]),
    ("erfinv", [[-1.0, 0.0, 1.0, 2.0]], [-INF, 0.0, INF, NAN]),
    ("logit", [[0.0, 0.5, 1.0, 1.5]], [-INF, 0.0, INF, NAN]),
    ("sinc", [[0.0, 0.5, 1.5]], [1.0, 2 / math.pi, -2 / (3 * math.pi)]),
    ("igamma", [[1.0, 0.5, 0.0], [1.0, INF, 1.0]], [1 - math.exp(-1), 1.0, 1.0]),
    ("igammac", [[1.0, 0.5, 0.0], [1.0, INF, 1.0]], [math.exp(-1), 0.0, 0.0]),
    ("xlogy", [[0.0, 0.0, 0.0, 2.0], [0.0, -1.0, NAN, 1.0]], [0.0, 0.0, NAN, 0.0]),
    ("fmax", [[1.0, NAN, NAN], [NAN, 2.0, NAN]], [1.0, 2.0, NAN]),
    ("fmin", [[1.0, NAN, -1.0], [NAN, 2.0, 2.0]], [1.0, 2.0, -1.0]),
    ("heaviside", [[-1.0, 0.0, 3.0, NAN], [0.5, 0.5, 0.5, 0.5]], [0.0, 0.5, 1.0, 0.0]),
    ("copysign", [[1.0, -2.0, 0.0], [-0.0, 3.0, -1.0]], [-1.0, 2.0, -0.0]),
    ("logaddexp2", [[1e3, -INF], [1e3, -INF]], [1001.0, -INF]),
    ("special.zeta", [[2.0, 4.0, 1.0, 0.5], [1.0] * 4],
     [math.pi**2 / 6, math.pi**4 / 90, INF, NAN]),
    ("special.entr", [[-1.0, 0.0, 1.0 / math.e]], [-INF, 0.0, 1.0 / math.e]),
    ("special.ndtri", [[0.0, 0.5, 1.0]], [-INF, 0.0, INF]),
    ("special.log_ndtr", [[0.0, INF]], [-math.log(2), 0.0]),
    ("special.airy_ai", [[0.0, 1e8]], [3 ** (-2 / 3) / math.gamma(2 / 3), 0.0]),
    ("special.spherical_bessel_j0", [[0.0, math.pi / 2, INF]], [1.0, 2 / math.pi, 0.0]),
    ("special.modified_bessel_k0", [[0.0, INF]], [INF, 0.0]),
    ("special.laguerre_polynomial_l", [[2.0, 2.0, 2.0], [2.0, 0.0, -1.0]], [-1.0, 1.0, 0.0]),
    ("special.hermite_polynomial_h", [[1.0, 1.0, 1.0], [3.0, 2.9, 513.0]], [-4.0, 2.0, NAN]),
    ("special.chebyshev_polynomial_t", [[0.3], [50.0]], [math.cos(50 * math.acos(0.3))]),
    ("special.legendre_polynomial_p", [[0.5, -1.0], [2.0, 3.0]], [-0.125, -1.0]),
]  # fmt: skip


@pytest.mark.parametrize("name, args, expected", KNOWN, ids=[k[0] for k in KNOWN])
def test_known_values(name: str, args: list[list[float]], expected: list[float]) -> None:
    call = torch
    for part in name.split("."):
        call = getattr(call, part)
    found = call(*[torch.tensor(a, dtype=F) for a in args])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13, atol=1e-15)
    out = torch.zeros(0, dtype=F)
    assert call(*[torch.tensor(a, dtype=F) for a in args], out=out) is out
    np.testing.assert_array_equal(out.numpy(), found.numpy())


def test_polygamma_and_its_multivariate_relative() -> None:
    x = torch.tensor([0.5, 1.0, -0.5], dtype=F)
    pi2 = math.pi**2
    np.testing.assert_allclose(values(torch.polygamma(1, x)), [pi2 / 2, pi2 / 6, pi2 / 2 + 4])
    np.testing.assert_allclose(values(x[:2].polygamma(3)), [math.pi**4, math.pi**4 / 15])
    np.testing.assert_array_equal(values(torch.polygamma(0, x)), values(x.digamma()))
    expected = math.log(math.pi) / 2 + math.lgamma(3) + math.lgamma(2.5)
    assert torch.mvlgamma(torch.tensor(3.0, dtype=F), 2).item() == pytest.approx(expected)
    assert x.polygamma_(1) is x
    np.testing.assert_allclose(x.numpy(), [pi2 / 2, pi2 / 6, pi2 / 2 + 4])
    for wrong in (lambda: torch.polygamma(-1, x), lambda: torch.mvlgamma(x, 0)):
        with pytest.raises(RuntimeError):
            wrong()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_narrow_types_go_by_way_of_float32(kind) -> None:
    x = torch.tensor([0.3, 0.7], dtype=kind)
    for name in ("digamma", "erfinv", "i0", "logit", "sinc", "frexp", "deg2rad"):
        wide, narrow = getattr(torch, name)(x.float()), getattr(torch, name)(x)
        if name == "frexp":
            assert narrow.exponent.dtype is torch.int32
            wide, narrow = wide[0], narrow[0]
        assert narrow.dtype is kind
        np.testing.assert_array_equal(values(narrow), values(wide.to(kind)))
    for name in ("erfcx", "ndtri", "bessel_j0", "log_ndtr"):
        with pytest.raises(NotImplementedError, match=r"not implemented for '(Half|BFloat16)'"):
            getattr(torch.special, name)(x)


def test_integers_and_numbers_among_the_arguments() -> None:
    whole = torch.tensor([1, 2])
    for found in (
        torch.digamma(whole), torch.special.xlog1py(2, whole), torch.special.zeta(whole + 1, 2),
        torch.special.chebyshev_polynomial_t(2.0, whole), torch.copysign(whole, -1),
        torch.xlogy(torch.ones(2), 2.5),
    ):  # fmt: skip
        assert found.dtype is torch.float32
    assert torch.float_power(2, whole).dtype is torch.float64
    assert torch.float_power(whole, 1j).dtype is torch.complex128
    assert torch.lcm(whole, torch.tensor(6)).tolist() == [6, 6]


def test_arguments_that_are_refused() -> None:
    x = torch.ones(2)
    for call in (
        torch.fmax,
        torch.gcd,
        torch.igamma,
        torch.nextafter,
        torch.heaviside,
        torch.ldexp,
    ):
        with pytest.raises(TypeError, match="must be Tensor, not"):
            call(x, 2)
    with pytest.raises(RuntimeError, match="different dtypes"):
        torch.heaviside(x, x.double())
    with pytest.raises(NotImplementedError, match="not implemented for 'Float'"):
        torch.gcd(x, x)
    with pytest.raises(RuntimeError, match="requires dtype Double"):
        x.float_power_(2)
    assert x.double().float_power_(2).tolist() == [1.0, 1.0]


def test_gradients_at_the_edges() -> None:
    zero = torch.zeros((), dtype=F, requires_grad=True)
    (first,) = grad(torch.sinc(zero), zero, create_graph=True)
    (second,) = grad(first, zero)
    assert first.item() == 0 and second.item() == pytest.approx(-(math.pi**2) / 3)
    assert grad(torch.special.i1(zero), zero)[0].item() == 0.5
    assert grad(torch.xlogy(zero, torch.zeros((), dtype=F)), zero)[0].item() == 0
    outside = torch.tensor([-0.5, 0.05, 0.5], dtype=F, requires_grad=True)
    assert grad(torch.logit(outside, 0.1).sum(), outside)[0].tolist() == [0.0, 0.0, 4.0]


def test_derivatives_that_do_not_exist() -> None:
    x = torch.ones(2, dtype=F, requires_grad=True)
    assert not torch.special.bessel_j0(x).requires_grad
    for y in (torch.igamma(x, x), torch.special.zeta(x + 1, 2.0), torch.heaviside(x, x)):
        with pytest.raises(NotImplementedError, match="is not implemented"):
            y.sum().backward()
    grad(torch.igamma(x.detach(), x).sum(), x)  # with respect to the second it does


def test_the_order_of_a_derivative_is_an_integer() -> None:
    with pytest.raises(TypeError, match=r"argument 'n' \(position 1\) must be int, not float"):
        torch.polygamma(1.5, torch.ones(2))
